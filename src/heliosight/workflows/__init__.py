"""One function per stage; the only place where rooms meet."""

"""One pure reader per archive, bytes to a table, and what each archive is asked for."""

"""Arguments only; every heavy import happens inside a command."""

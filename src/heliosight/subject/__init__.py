"""The model under examination: wrapped, captured per call, left as found."""

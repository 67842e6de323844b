"""One reader per archive, the continuous store, windows by index, splits."""

"""Archives to a store: images in parallel by day, each day whole or absent, then joined."""

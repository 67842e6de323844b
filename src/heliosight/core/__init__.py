"""The nouns every room shares: variables, shapes, time, batches, specifications, records, ports."""

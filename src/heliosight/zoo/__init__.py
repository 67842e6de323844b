"""Models with planted faults, healthy ones that look ill, and how a diagnosis of them is scored."""

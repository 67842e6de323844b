"""Losses, schedules, augmentation, checkpoints and one readable loop."""

"""What the model saw: signed attributions that carry their own checks."""

"""References, metrics, block bootstrap, the scorecard."""

"""Encoders, fusion, heads and the forecaster: pure modules."""

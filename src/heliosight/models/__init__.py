"""Encoders, fusion, heads, the forecaster: pure modules and functions."""

from heliosight.models.forecaster import Forecaster, ForecasterConfig, build_forecaster

__all__ = ["Forecaster", "ForecasterConfig", "build_forecaster"]

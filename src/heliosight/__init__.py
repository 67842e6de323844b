"""Forecast geomagnetic activity from Sun images and solar wind, and prove both are used."""

__version__ = "0.1.0"

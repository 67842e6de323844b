"""GSE to GSM: the daily and yearly turn of the dipole about the Sun-Earth line."""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import DAY

_POLE = (80.4, -72.6)  # geographic latitude and longitude of the dipole axis, IGRF about 2015 [deg]
_OBLIQUITY = 23.44


def gsm_angle(seconds: np.ndarray) -> np.ndarray:
    """Angle [rad] by which GSM is turned from GSE about x, `(N,)` at UTC seconds.

    The dipole axis is carried GEO -> GEI by sidereal time, GEI -> GSE by obliquity and the Sun's
    longitude (Hapgood 1992, Planetary and Space Science 40, 711, sections 3.1-3.3; to 0.1 deg);
    the angle is atan2(y, z) of the axis in GSE.
    """
    days = np.asarray(seconds, dtype=np.float64) / DAY - 10957.5  # since 2000-01-01 12 UT
    sidereal = np.radians(280.461 + 360.98564737 * days + _POLE[1])
    sun = np.radians(280.460 + 0.9856474 * days)
    sun = sun + np.radians(1.915) * np.sin(np.radians(357.528 + 0.9856003 * days))
    latitude = np.radians(_POLE[0])
    x = np.cos(latitude) * np.cos(sidereal)
    y = np.cos(latitude) * np.sin(sidereal)
    z = np.full_like(x, np.sin(latitude))
    tilt = np.radians(_OBLIQUITY)
    y, z = y * np.cos(tilt) + z * np.sin(tilt), z * np.cos(tilt) - y * np.sin(tilt)
    across = y * np.cos(sun) - x * np.sin(sun)
    # GSE x points to the Sun, so the ecliptic axis across it is y = (-sin, cos) of its longitude
    return np.arctan2(across, z)


def to_gsm(by: np.ndarray, bz: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """GSM By, Bz of GSE By, Bz [nT] and the angle of `gsm_angle`."""
    c, s = np.cos(angle), np.sin(angle)
    return by * c - bz * s, by * s + bz * c

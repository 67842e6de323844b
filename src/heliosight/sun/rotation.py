"""How the Sun turns and how it is seen: rotation rates, tilt, disc geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heliosight.core.clock import DAY

EARTH_RATE = 360.0 / 365.2422  # degrees a day
CARRINGTON_DAYS = 27.2753  # synodic, Carrington's
YEAR_DAYS = 365.2422
DISC_SHARE = 25.0 / 32.0  # disc radius over half the frame, measured on real 64-px frames
_SPRING = 156.0  # day of year at which the solar equator is seen edge-on, B0 rising (5-6 June)


def magnetic_rate(latitude: np.ndarray) -> np.ndarray:
    """Synodic rotation rate of magnetic features [deg/day] at a latitude [deg], any shape.

    omega = 14.42 - 2.00 sin^2(lat) - 2.09 sin^4(lat) deg/day sidereal (Komm, Howard and Harvey
    1993, Solar Physics 145, 1), less the Earth's mean motion.
    """
    s2 = np.sin(np.radians(latitude)) ** 2
    return 14.42 - 2.00 * s2 - 2.09 * s2**2 - EARTH_RATE


def hole_rate(latitude: np.ndarray) -> np.ndarray:
    """Synodic rotation rate of coronal holes [deg/day]: nearly rigid.

    omega = 14.23 - 0.4 sin^2(lat) deg/day sidereal (Timothy, Krieger and Vaiana 1975, Solar
    Physics 42, 135).
    """
    return 14.23 - 0.4 * np.sin(np.radians(latitude)) ** 2 - EARTH_RATE


def tilt(seconds: np.ndarray) -> np.ndarray:
    """Heliographic latitude B0 of the disc centre [deg] at UTC seconds, any shape.

    B0 = 7.25 sin(2 pi (d - 156) / 365.2422), d the day of the year (mean motion; the true value
    differs by up to 0.3 deg).
    """
    days = np.asarray(seconds, dtype=np.float64) / DAY  # 1970-01-01 is day 1 of a year
    return 7.25 * np.sin(2 * np.pi * (days + 1 - _SPRING) / YEAR_DAYS)


def unit_vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """`(..., 3)` x to solar west, y to north, z to the observer for B0 = 0; angles in degrees."""
    lat, lon = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)], axis=-1)


def tilted(vectors: np.ndarray, b0: np.ndarray | float) -> np.ndarray:
    """Vectors `(..., 3)` turned into the frame of an observer at heliographic latitude b0 [deg]."""
    c, s = np.cos(np.radians(b0)), np.sin(np.radians(b0))
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([x, c * y - s * z, s * y + c * z], axis=-1)


@dataclass(frozen=True)
class Disc:
    """Pixels of an orthographic disc of unit radius, north up, solar west right.

    Attributes
    ----------
    size : pixels on a side.
    radius : `(H, W)` distance from the centre in disc radii.
    on : `(H, W)` bool, pixel centres on the disc; P = their number.
    vectors : `(P, 3)` float32, x west, y north, z to the observer.
    mu : `(P,)` cosine of the heliocentric angle.
    limb_pixel : `(H, W)` int, index in 0..P-1 of the disc pixel nearest to the limb at that
        position angle (itself on the disc), so that the corona above the limb knows its foot.
    """

    size: int
    radius: np.ndarray
    on: np.ndarray
    vectors: np.ndarray
    mu: np.ndarray
    limb_pixel: np.ndarray


def disc(size: int) -> Disc:
    """The disc on a square frame of `size` pixels."""
    half = size / 2
    axis = (np.arange(size) + 0.5 - half) / (half * DISC_SHARE)
    x, y = np.meshgrid(axis, -axis)
    radius = np.hypot(x, y)
    on = radius < 1.0
    z = np.sqrt(1.0 - radius[on] ** 2)
    vectors = np.stack([x[on], y[on], z], axis=-1).astype(np.float32)
    number = np.full(on.shape, -1)
    number[on] = np.arange(on.sum())
    shrink = np.minimum(1.0, (1.0 - 1.5 / (half * DISC_SHARE)) / np.maximum(radius, 1e-9))
    column = np.clip(((x * shrink) * half * DISC_SHARE + half).astype(int), 0, size - 1)
    row = np.clip(((-y * shrink) * half * DISC_SHARE + half).astype(int), 0, size - 1)
    limb = np.where(on, number, number[row, column])
    return Disc(size, radius, on, vectors, z.astype(np.float32), limb)


def pixel_coordinates(vectors: np.ndarray, b0: float) -> tuple[np.ndarray, np.ndarray]:
    """Heliographic latitude and longitude from the central meridian [deg], `(P,)` each."""
    x, y, z = np.moveaxis(tilted(vectors, -b0), -1, 0)
    return np.degrees(np.arcsin(np.clip(y, -1, 1))), np.degrees(np.arctan2(x, z))

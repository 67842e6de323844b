"""The solar disc on a square image: where it is and where a point of it goes with rotation.

Images are north up, west right; the disc is centred, its radius a given share of the width. The
tilt of the rotation axis towards the observer (B0, at most 7.25 degrees) is neglected.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

RADIUS_SHARE = 0.39
SYNODIC_SHIFT = 0.9856  # degrees a day by which the Earth follows the rotating Sun


@lru_cache(maxsize=16)
def radius_map(size: int, radius_share: float = RADIUS_SHARE) -> np.ndarray:
    """Distance of each pixel from the disc's centre in solar radii, `(H, W)`."""
    offset = np.arange(size) - (size - 1) / 2
    return np.hypot(offset[:, None], offset[None, :]) / (radius_share * size)


def disc_mask(size: int, radius_share: float = RADIUS_SHARE) -> np.ndarray:
    """True on the disc, `(H, W)` bool."""
    return radius_map(size, radius_share) <= 1.0


def to_sphere(
    row: np.ndarray, column: np.ndarray, size: int, radius_share: float = RADIUS_SHARE
) -> tuple[np.ndarray, np.ndarray]:
    """Heliographic latitude and longitude from the central meridian [degrees, west positive].

    Orthographic view: sin(lat) = y / R, sin(lon) = x / (R cos(lat)); NaN off the disc.
    """
    centre, radius = (size - 1) / 2, radius_share * size
    y, x = (centre - np.asarray(row)) / radius, (np.asarray(column) - centre) / radius
    inside = np.hypot(x, y) <= 1.0
    y, x = np.where(inside, y, 0.0), np.where(inside, x, 0.0)
    latitude = np.arcsin(y)
    longitude = np.arcsin(np.clip(x / np.cos(latitude).clip(1e-9), -1.0, 1.0))
    found = np.degrees(latitude), np.degrees(longitude)
    return np.where(inside, found[0], np.nan), np.where(inside, found[1], np.nan)


@lru_cache(maxsize=16)
def _grid(size: int, radius_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of every pixel."""
    rows, columns = np.mgrid[:size, :size]
    return to_sphere(rows, columns, size, radius_share)


def to_pixels(
    latitude: np.ndarray, longitude: np.ndarray, size: int, radius_share: float = RADIUS_SHARE
) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of a place on the sphere [degrees]; NaN behind the limb."""
    centre, radius = (size - 1) / 2, radius_share * size
    lat, lon = np.radians(latitude), np.radians(longitude)
    seen = np.cos(lon) >= 0
    row, column = centre - radius * np.sin(lat), centre + radius * np.cos(lat) * np.sin(lon)
    return np.where(seen, row, np.nan), np.where(seen, column, np.nan)


def carrington_longitude(second: float) -> float:
    """Carrington longitude of the central meridian [degrees, 0..360) at a UTC second since 1970.

    Rotation number C = 1690 + (JD - 2444235.34) / 27.2753 (Meeus 1998, Astronomical Algorithms,
    ch. 29, without its small periodic terms: within 2 degrees); it begins where the longitude is 0
    and the longitude falls as the Sun turns.
    """
    rotation = 1690 + (second / 86400 + 2440587.5 - 2444235.34) / 27.2753
    return 360.0 * (1.0 - rotation % 1.0) % 360.0


def rotation_rate(latitude: np.ndarray) -> np.ndarray:
    """Synodic rotation [degrees a day] at a latitude [degrees].

    Sidereal omega = 14.713 - 2.396 sin^2(lat) - 1.787 sin^4(lat) [degrees a day] of Snodgrass &
    Ulrich 1990 (ApJ 351, 309), less the Earth's mean motion of 0.9856 degrees a day.
    """
    squared = np.sin(np.radians(latitude)) ** 2
    return 14.713 - 2.396 * squared - 1.787 * squared**2 - SYNODIC_SHIFT


def rotated(
    image: np.ndarray, days: float, fill: float, radius_share: float = RADIUS_SHARE
) -> np.ndarray:
    """The image as it will look after `days` of rotation, `(H, W)`; nearest pixel, west is forward.

    What comes over the limb is not known and gets `fill`; off the disc the image is kept.
    """
    size = image.shape[-1]
    latitude, longitude = _grid(size, radius_share)
    before = longitude - days * rotation_rate(latitude)
    row, column = to_pixels(latitude, before, size, radius_share)
    known = np.isfinite(row)
    out = np.where(disc_mask(size, radius_share), fill, image).astype(float)
    r, c = np.rint(row[known]).astype(int), np.rint(column[known]).astype(int)
    out[known] = image[r.clip(0, size - 1), c.clip(0, size - 1)]
    return out

"""A given daily series in place of the simulated holes, read causally."""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.errors import ConfigError, DataError
from heliosight.core.tables import SeriesTable
from heliosight.sun.config import SunConfig
from heliosight.sun.rotation import CARRINGTON_DAYS

VARIABLE = "ch_area"
_HEIGHTS = np.linspace(0.0, 60.0, 601)
_SHARES = np.radians(_HEIGHTS) + 0.5 * np.sin(2 * np.radians(_HEIGHTS))
_SHARES = _SHARES / _SHARES[-1]


def require_drive(config: SunConfig, drive: SeriesTable | None) -> None:
    """Refuse a drive that has no area, lies outside 0..1, or meets a static source."""
    if drive is None:
        return
    if config.static:
        raise ConfigError(
            "a driven Sun rotates", "static with a drive", "Choose one of them.", "static"
        )
    if config.image_information < 1.0:
        raise ConfigError(
            "a driven Sun shows its drive",
            f"image_information {config.image_information}",
            "Leave it at 1; shuffle the drive for a world without information.",
            "image_information",
        )
    values = drive.column(VARIABLE)
    if not np.isfinite(values).any() or np.nanmin(values) < 0 or np.nanmax(values) > 1:
        raise DataError(
            "a drive holds area fractions between 0 and 1",
            f"{np.sum(np.isfinite(values))} values",
            "Give the daily central-meridian coronal-hole area.",
            drive.name,
        )


def held(drive: SeriesTable, seconds: np.ndarray) -> np.ndarray:
    """The last area known at each moment, any shape; 0 before the first.

    A value is known from `drive.available` on; a missing day keeps the last value. Nothing later
    than the moment is read.
    """
    values = drive.column(VARIABLE)
    good = np.isfinite(values)
    known, kept = drive.available[good], values[good]
    place = np.searchsorted(known, seconds, side="right") - 1
    return np.where(place >= 0, kept[np.maximum(place, 0)], 0.0)


def meridian_time(seconds: float, longitude: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """The moment whose area each longitude [deg, west positive] shows [UTC s].

    A daily area speaks of what crosses the central meridian within half a day of its stamp, so a
    longitude shows the day nearest to its own crossing. Further east the crossing is still to
    come and the one a Carrington rotation before is taken. Never later than `seconds`. `rate` is
    the synodic rotation [deg/day].
    """
    nearest = seconds - longitude / rate * DAY + DAY / 2
    before = nearest - CARRINGTON_DAYS * DAY
    return np.minimum(np.where(nearest > seconds + DAY, before, nearest), seconds)


def half_latitude(area: np.ndarray) -> np.ndarray:
    """Half height h [deg] of an equatorial band that covers this share of the slice's disc pixels.

    A slice of longitude that reaches to 60 deg holds pixels as cos^2(lat), so the share is
    (h + sin h cos h) / (60 deg + sin 60 deg cos 60 deg), h in radians; read from a table of it.
    """
    return np.interp(area, _SHARES, _HEIGHTS)

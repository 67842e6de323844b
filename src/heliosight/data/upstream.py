"""Minutes measured at L1 to hours on OMNI's clock, which is that of the bow shock.

A model trained on OMNI reads values that were shifted from the spacecraft to the bow shock; values
from L1 as they come would reach it up to an hour early. The shift here is ballistic: distance over
speed (OMNI itself fits phase fronts; King and Papitashvili 2005, doi:10.1029/2004JA010649).
"""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.errors import DataError
from heliosight.core.tables import INTERPOLATED, MISSING, PRELIMINARY, UNOBSERVED, SeriesTable
from heliosight.data.assemble import series
from heliosight.data.omni2 import NAME

# From L1 (1.5 million km) to the bow shock's nose (14 Earth radii) [km].
DISTANCE = 1.5e6 - 14 * 6371.0
NOMINAL_SPEED = 425.0
_VECTOR = ("bx_gse", "by_gsm", "bz_gsm")
_FULL_HOUR = 45


def hours_at_bow_shock(minutes: SeriesTable) -> SeriesTable:
    """Hourly means of minutes at L1, each counted in the hour in which it reaches the bow shock.

    `b_total` is the length of the mean vector, as in OMNI2. Every value is PRELIMINARY; a mean of
    fewer than 45 min is INTERPOLATED too. Hours that later minutes may still reach are left out.

    Raises
    ------
    DataError : the table is not of minutes, or has none.
    """
    if minutes.cadence != 60 or not len(minutes.times):
        raise DataError(
            "hours are made of minutes", f"{len(minutes.times)} rows every {minutes.cadence} s",
            "Give the real-time solar wind.", minutes.name,
        )  # fmt: skip
    arrival = minutes.times + DISTANCE / _speeds(minutes)
    hour = (arrival // HOUR).astype(np.int64)
    stamps = np.arange(hour.min(), int(arrival[-1] // HOUR)) * HOUR
    columns, counts = {}, {}
    for name in minutes.variables:
        columns[name], counts[name] = _means(minutes.column(name), hour, stamps)
    if set(_VECTOR) <= set(columns):
        columns["b_total"] = np.sqrt(sum(columns[name] ** 2 for name in _VECTOR))
        counts["b_total"] = np.min([counts[name] for name in _VECTOR], axis=0)
    made = series(NAME, stamps, HOUR, columns)
    few = np.stack([counts[name] < _FULL_HOUR for name in made.variables], axis=1)
    remarks = PRELIMINARY + few * INTERPOLATED
    flags = made.flags | np.where(made.flags & MISSING, 0, remarks).astype(np.uint8)
    return SeriesTable(NAME, stamps, HOUR, made.variables, made.values, flags)


def _speeds(minutes: SeriesTable) -> np.ndarray:
    """`(N,)` speed of each minute, taken from the nearest ones where it was not measured [km/s]."""
    if "speed" not in minutes.variables:
        return np.full(len(minutes.times), NOMINAL_SPEED)
    speed = minutes.column("speed")
    known = np.isfinite(speed) & (
        (minutes.flags[:, minutes.variables.index("speed")] & UNOBSERVED) == 0
    )
    if not known.any():
        return np.full(len(speed), NOMINAL_SPEED)
    return np.interp(minutes.times, minutes.times[known], speed[known])


def _means(
    values: np.ndarray, hour: np.ndarray, stamps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`(hours,)` mean and number of the finite values that fall into each hour."""
    slot = hour - (stamps[0] // HOUR if len(stamps) else 0)
    good = np.isfinite(values) & (slot >= 0) & (slot < len(stamps))
    count = np.bincount(slot[good], minlength=len(stamps))
    total = np.bincount(slot[good], weights=values[good], minlength=len(stamps))
    return np.where(count, total / np.maximum(count, 1), np.nan), count

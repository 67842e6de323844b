"""How many storms a block holds, counted as events and not as rows.

Values above G1 that are at most 48 h apart are one storm (runs declustering, Coles 2001, An
Introduction to Statistical Modeling of Extreme Values, section 5.3.2). A coronal hole can return:
storms of the same hole are not independent, so rotations with any storm are counted too.
"""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import DAY, HOUR
from heliosight.core.geomagnetic import STORM_AP
from heliosight.core.sealed import Storms

APART = 48 * HOUR
ROTATION = 27 * DAY


def storm_numbers(times: np.ndarray, ap: np.ndarray) -> np.ndarray:
    """`(N,)` number of the storm each value belongs to, -1 outside; times rise."""
    inside = np.flatnonzero(ap >= STORM_AP["G1"])
    out = np.full(len(ap), -1)
    if len(inside):
        out[inside] = np.cumsum(np.append(0, np.diff(times[inside]) > APART))
    return out


def count_storms(times: np.ndarray, ap: np.ndarray) -> Storms:
    """What 3-hourly ap `(N,)` at rising times holds; NaN is no storm."""
    known = np.isfinite(ap)
    times, ap = times[known], ap[known]
    if not len(ap):
        return Storms()
    number = storm_numbers(times, ap)
    hit = number >= 0
    rotation = (times - times[0]) // ROTATION
    largest = {int(k): float(ap[number == k].max()) for k in np.unique(number[hit])}
    return Storms(
        values=int(hit.sum()),
        days=len(np.unique(times[hit] // DAY)),
        storms=len(largest),
        rotations_with=len(np.unique(rotation[hit])),
        rotations=len(np.unique(rotation)),
        largest_ap=float(ap.max()),
        by_class={g: sum(a >= least for a in largest.values()) for g, least in STORM_AP.items()},
    )

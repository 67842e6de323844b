"""What a modality is replaced with: itself at another time, never zeros.

A circular shift along the issue times keeps the modality's own spectrum and breaks its pairing with
everything else. Shifts that land near a multiple of the solar rotation would pair a window with the
same side of the Sun and are left out.
"""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.seeding import numpy_stream
from heliosight.diagnosis.blocks import TooFew

ROTATION = 27.27 * DAY
AWAY = 3.0 * DAY


def forbidden(lag: np.ndarray) -> np.ndarray:
    """True where a time difference [s] lies within 3 days of a multiple of 27.27 days, or of 0."""
    distance = np.abs(lag - np.rint(lag / ROTATION) * ROTATION)
    return distance < AWAY


def shifts(issue_time: np.ndarray, count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Up to `count` pairs `(index (N,), usable (N,) bool)`: row i takes the modality of index[i].

    Shifts with most usable rows are preferred; a shift is used when at least half its rows are.

    Raises
    ------
    TooFew : no shift has enough rows away from every multiple of the rotation.
    """
    n = len(issue_time)
    place = np.arange(n)
    share = np.array(
        [(~forbidden(issue_time[(place + k) % n] - issue_time)).mean() for k in range(n)]
    )
    good = np.flatnonzero(share >= 0.5)
    if not len(good):
        raise TooFew(
            "a replacement comes from another time, 3 d away from multiples of 27.27 d",
            f"no such shift among {n} windows",
            "Give windows spread over more than 10 days.",
        )
    best = good[share[good] >= np.quantile(share[good], 0.5)]
    rng = numpy_stream(seed, "diagnosis", "shifts")
    chosen = rng.choice(best, size=min(count, len(best)), replace=False)
    found = [(place + k) % n for k in sorted(chosen)]
    return [(index, ~forbidden(issue_time[index] - issue_time)) for index in found]

"""The phase of the solar cycle of a moment, from dated minima and maxima."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heliosight.core.clock import DAY, to_seconds

PHASES = ("minimum", "rising", "maximum", "declining")
# Of the 13-month smoothed sunspot number, version 2 (SILSO, Royal Observatory of Belgium).
TURNS = (
    ("1986-09-15", 0.0), ("1989-11-15", 0.5), ("1996-08-15", 1.0), ("2001-11-15", 1.5),
    ("2008-12-15", 2.0), ("2014-04-15", 2.5), ("2019-12-15", 3.0), ("2024-10-15", 3.5),
)  # fmt: skip
Turns = Sequence[tuple[float, float]]
CYCLE = 11.0 * 365.25 * DAY


def real_turns() -> list[tuple[float, float]]:
    """Times [UTC seconds] of the Sun's turns with the cycle count, a maximum at half."""
    return [(float(to_seconds(text)), count) for text, count in TURNS]


def cycle_phase(times: np.ndarray, turns: Turns) -> np.ndarray:
    """Phase 0..1 of times `(N,)`, 0 is minimum and 0.5 maximum, linear between turns.

    Beyond the dated turns a cycle of 11 years goes on.
    """
    at = np.array([t for t, _ in turns])
    count = np.array([c for _, c in turns])
    t = np.asarray(times, np.float64)
    inside = np.interp(t, at, count)
    before, after = np.minimum(t - at[0], 0.0), np.maximum(t - at[-1], 0.0)
    return np.asarray((inside + (before + after) / CYCLE) % 1.0)


def phase_names(times: np.ndarray, turns: Turns) -> np.ndarray:
    """`(N,)` names: a quarter of the cycle about each turn, a quarter between."""
    quarter = np.floor((cycle_phase(times, turns) + 0.125) % 1.0 * 4).astype(int)
    return np.array(PHASES)[quarter]

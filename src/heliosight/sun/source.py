"""What the Sun sends towards the Earth: open-field area near the central meridian, and its sign."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.sun.rotation import tilt
from heliosight.sun.structures import Structure

SLICE_HALF = 7.5  # degrees of longitude either side of the central meridian
SLICE_LATITUDE = 60.0
SLICE_AREA = 2 * np.radians(SLICE_HALF) * 2 * np.sin(np.radians(SLICE_LATITUDE))  # [sr]
EDGE = 0.5  # darkness field above which a place is inside a hole
SPREAD = 17.0  # a source feeds the Sun-Earth line from so far [deg of longitude]
_REACH = 22.0  # e-folding latitude distance from the sub-Earth point [deg]


def contribution(hole: Structure, hours: np.ndarray) -> np.ndarray:
    """Effective slice area fraction of one hole at hours since 1970, `(n,)`; exactly 0 far away.

    A lobe of amplitude a w and width s is dark where a w exp(-d^2 / 2 s^2) > 1/2, hence covers
    2 pi s^2 ln(2 a w) sr. It counts by a raised cosine of longitude that vanishes beyond
    17 deg plus its own half width, and by exp(-((lat - B0) / 22 deg)^2 / 2) in latitude.
    """
    amplitude = hole.amplitude(hours)
    centre = hole.longitude_at(hours)
    b0 = tilt(np.asarray(hours) * HOUR)
    total = np.zeros(np.shape(hours))
    for latitude, offset, width, weight in hole.lobes:
        logarithm = np.log(np.maximum(2 * amplitude * weight, 1.0))
        radius = np.degrees(width * np.sqrt(2 * logarithm))
        away = np.abs((centre + offset + 180.0) % 360.0 - 180.0)
        near = np.clip(away / (SPREAD + np.maximum(radius, 1e-6)), 0.0, 1.0)
        facing = 0.5 * (1.0 + np.cos(np.pi * near)) * (near < 1.0)
        nearness = np.exp(-0.5 * ((latitude - b0) / _REACH) ** 2)
        total += 2 * np.pi * width**2 * logarithm / SLICE_AREA * facing * nearness
    return total * hole.efficiency


def sources(
    structures: Iterable[Structure], first: int, last: int
) -> dict[str, tuple[int, np.ndarray, float]]:
    """Per hole its first hour, contribution and polarity over its life within [first, last)."""
    found = {}
    for hole in structures:
        begin = max(first, int(np.floor(hole.birth)))
        end = min(last, int(np.ceil(hole.death)))
        if hole.kind == "hole" and end > begin:
            values = contribution(hole, np.arange(begin, end))
            found[hole.key] = (begin, values, hole.polarity)
    return found

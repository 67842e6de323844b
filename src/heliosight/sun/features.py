"""Noise-free features of what frames and wind show, for the floor of the information oracle."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from heliosight.sun.render import painted_area
from heliosight.sun.source import EDGE
from heliosight.sun.wind import Wind
from heliosight.sun.world import World

LONGITUDE_EDGES = np.linspace(-90.0, 90.0, 13)
WIND_EDGES = (0, 3, 6, 12, 24, 48, 96, 168)  # hours before issue


def image_features(world: World, hours: np.ndarray) -> np.ndarray:
    """`(N, 24)` per frame: hole area and region brightness in 12 spans of longitude.

    Only what the frames show counts: hidden structures are absent, decoys are in. A hole's lobe
    counts by its area and its nearness to the equator, without its hidden efficiency. A source
    that is painted (driven or static) is one feature, its area.
    """
    spans = len(LONGITUDE_EDGES) - 1
    found = np.zeros((len(hours), 2 * spans))
    for s in world.shown:
        alive = np.flatnonzero((hours > s.birth) & (hours < s.death))
        if not len(alive):
            continue
        amplitude = s.amplitude(hours[alive])
        centre = s.longitude_at(hours[alive])
        offset = 0 if s.kind == "hole" else spans
        for latitude, shift, width, weight in s.lobes:
            longitude = (centre + shift + 180.0) % 360.0 - 180.0
            place = np.searchsorted(LONGITUDE_EDGES, longitude, side="right") - 1
            seen = (place >= 0) & (place < spans)
            if s.kind == "hole":
                size = width**2 * np.log(np.maximum(amplitude * weight / EDGE, 1.0))
                size = size * np.exp(-0.5 * (latitude / 25.0) ** 2)
            else:
                size = amplitude * abs(weight)
            np.add.at(found, (alive[seen], offset + place[seen]), size[seen])
    painted = painted_area(world, hours)
    return found if painted is None else np.concatenate([found, painted], axis=1)


def wind_features(world: World, wind: Wind, ap: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """`(N, F)` means of the measured wind and of past ap over spans of the last week.

    The redundancy dial shifts what is measured, as in the tables.
    """
    shift = 3 * round(24 * world.config.redundancy)
    series = {
        "speed": wind["speed"],
        "density": np.log(wind["density"]),
        "field": wind["b_scalar"],
        "bz": wind["bz_gsm"],
        "by": wind["by_gsm"],
    }
    columns = [_spans(x, hours - world.first + shift, 1) for x in series.values()]
    columns.append(_spans(np.log1p(ap), (hours - world.first) // 3, 3))
    return np.concatenate(columns, axis=1)


def _spans(values: np.ndarray, index: np.ndarray, step: int) -> np.ndarray:
    """Means of `values` over spans of hours before each index, `(N, spans)`."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    edges = [hours // step for hours in WIND_EDGES]
    spans = [(sums[index - a] - sums[index - b]) / (b - a) for a, b in pairwise(edges)]
    return np.stack(spans, axis=1)

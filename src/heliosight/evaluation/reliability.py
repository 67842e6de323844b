"""Does a storm come as often as it was said to? With intervals that know of storms' clustering."""

from __future__ import annotations

import numpy as np

from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval
from heliosight.core.sealed import Reliability, ReliabilityBin
from heliosight.evaluation.bootstrap import Blocks, interval
from heliosight.evaluation.dressing import storm_days

# Storm days are one in ten: bins are narrow where forecasts are.
EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0)


def reliability(
    given: Predictions, day: int, blocks: Blocks, counts: np.ndarray, level: float, how: str
) -> Reliability:
    """Bins and Murphy's parts of G1 on one day ahead, 1..D, or on all of them for day 0."""
    p, o = given.event_probability[:, :, 0], storm_days(given.observed)[:, :, 0]
    if day:
        p, o = p[:, day - 1 : day], o[:, day - 1 : day]
    sums = _sums(p, o, blocks, counts)
    n, forecast, storms = sums[..., 0], sums[..., 1], sums[..., 2]
    total = n.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, rate = forecast / n, storms / n
        base = storms.sum(1, keepdims=True) / total
        parts = np.where(n > 0, n / total * (mean - rate) ** 2, 0.0).sum(1)
        resolution = np.where(n > 0, n / total * (rate - base) ** 2, 0.0).sum(1)
    bins = tuple(
        ReliabilityBin(
            EDGES[k], EDGES[k + 1], float(mean[0, k]),
            _found(rate[:, k], level, how), int(n[0, k]),
        )
        for k in range(len(EDGES) - 1)
        if n[0, k] > 0
    )  # fmt: skip
    b = float(base[0, 0])
    return Reliability(
        given.name,
        day,
        bins,
        _found(parts, level, how),
        _found(resolution, level, how),
        b * (1 - b),
    )


def _sums(p: np.ndarray, o: np.ndarray, blocks: Blocks, counts: np.ndarray) -> np.ndarray:
    """`(1 + R, bins, 3)` count, sum of probabilities, storms."""
    known = np.isfinite(p) & np.isfinite(o)
    place = np.searchsorted(EDGES[1:-1], np.nan_to_num(p), side="right")
    member = (place[..., None] == np.arange(len(EDGES) - 1)) & known[..., None]
    terms = [member, member * np.nan_to_num(p)[..., None], member * np.nan_to_num(o)[..., None]]
    rows = np.stack([np.asarray(t, float).sum(1) for t in terms], -1)
    return np.asarray(blocks.resample(blocks.sum(rows), counts).sum(0))


def _found(samples: np.ndarray, level: float, how: str) -> Interval:
    made = interval(samples, level, how)
    return made if made is not None else Interval(float("nan"), level=level, how="undefined")

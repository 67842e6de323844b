"""Calibration of whole distributions, everywhere and given that it is a storm.

The probability integral transform of a discrete observation is spread evenly over the probability
between the midpoints to its neighbours on the ap scale (Czado, Gneiting & Held 2009, Biometrics 65,
1254). Looking only at rows where a storm was observed would condemn every honest forecast (Lerch
et al. 2017, Stat. Sci. 32, 106). So storms are judged by what the forecast says given that the
threshold is passed (Allen et al. 2024, arXiv:2407.03167): did as many come as were expected
(occurrence), and is F given Y > u uniform over those that came (severity)?
"""

from __future__ import annotations

import numpy as np
import torch

from heliosight.core.forecast import Forecast
from heliosight.core.geomagnetic import AP_LEVELS, storm_threshold
from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval
from heliosight.core.sealed import Calibration
from heliosight.evaluation.bootstrap import Blocks, interval

BINS = 10
THRESHOLD = storm_threshold("G1")
CENTRAL = (0.5, 0.9)


def calibration(
    given: Predictions, blocks: Blocks, counts: np.ndarray, level: float, how: str
) -> Calibration:
    """PIT, severity, occurrence and coverage with block intervals."""
    low, high, least, known = _bounds(given)
    storm = known & (given.observed > THRESHOLD)
    with np.errstate(invalid="ignore", divide="ignore"):
        tail = [(f - least) / (1 - least) for f in (np.maximum(low, least), high)]
    every = _share(low, high, known)
    severe = _share(tail[0], tail[1], storm)
    expected = np.stack([storm, np.where(known, 1 - least, 0.0)], -1).astype(float)
    sums = [_resample(x, blocks, counts) for x in (every, severe, expected)]
    with np.errstate(invalid="ignore", divide="ignore"):
        pit, tails = (s / s.sum(-1, keepdims=True) for s in sums[:2])
        ratio = sums[2][:, 0] / sums[2][:, 1]
    coverage = {}
    for share in CENTRAL:
        name = f"{100 * share:.0f}"
        parts = {
            "all": (_inside(low, high, share), known),
            "storm": (_inside(low, high, share), storm),
            "severity": (_inside(tail[0], tail[1], share), storm),
        }
        for key, (inside, rows) in parts.items():
            terms = np.stack([np.where(rows, inside, 0.0), rows], -1).astype(float)
            s = _resample(terms, blocks, counts)
            with np.errstate(invalid="ignore", divide="ignore"):
                found = interval(s[:, 0] / s[:, 1], level, how)
            if found is not None:
                coverage[f"{key}_{name}"] = found
    return Calibration(
        given.name, _bins(pit, level, how), _bins(tails, level, how),
        interval(ratio, level, how), coverage,
    )  # fmt: skip


def _bounds(given: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """F at the midpoints below and above each observation, F at the threshold, what is known."""
    log = torch.from_numpy(np.log1p(given.quantiles.astype(np.float64)))
    levels = torch.from_numpy(np.asarray(given.levels, np.float64))
    forecast = Forecast(torch.from_numpy(given.mean_log.astype(np.float64)), log, levels)
    known = np.isfinite(given.observed) & np.isfinite(given.quantiles).all(-1)
    y = np.nan_to_num(given.observed)
    place = np.searchsorted(AP_LEVELS, y, side="left").clip(0, len(AP_LEVELS) - 1)
    middle = (AP_LEVELS[1:] + AP_LEVELS[:-1]) / 2
    below, above = np.append(-1.0, middle)[place], np.append(middle, 1e9)[place]

    def at(ap: np.ndarray) -> np.ndarray:
        inside = forecast.cdf(torch.from_numpy(np.log1p(np.maximum(ap, 0.0)))).numpy()
        return np.where(ap < 0, 0.0, np.where(ap >= 1e9, 1.0, inside))

    return at(below), at(above), at(np.full(y.shape, THRESHOLD)), known


def _share(low: np.ndarray, high: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`(N, L, BINS)` probability of each row between `low` and `high` that falls in each bin."""
    edges = np.linspace(0, 1, BINS + 1)
    low, high = (np.nan_to_num(x).clip(0, 1)[..., None] for x in (low, high))
    width = np.maximum(high - low, 1e-12)
    part = (np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])).clip(0) / width
    point = (np.floor(low * BINS).clip(0, BINS - 1) == np.arange(BINS)).astype(float)
    return np.where(rows[..., None], np.where(high - low > 1e-12, part, point), 0.0)


def _inside(low: np.ndarray, high: np.ndarray, share: float) -> np.ndarray:
    """`(N, L)` part of each row's probability that lies in the central interval."""
    a, b = (1 - share) / 2, (1 + share) / 2
    low, high = np.nan_to_num(low), np.nan_to_num(high)
    width = high - low
    part = (np.minimum(high, b) - np.maximum(low, a)).clip(0) / np.maximum(width, 1e-12)
    return np.where(width > 1e-12, part, (low >= a) & (low <= b))


def _resample(terms: np.ndarray, blocks: Blocks, counts: np.ndarray) -> np.ndarray:
    """`(1 + R, K)` sums of `(N, L, K)`."""
    return np.asarray(blocks.resample(blocks.sum(terms.sum(1)), counts).sum(0))


def _bins(samples: np.ndarray, level: float, how: str) -> tuple[Interval, ...]:
    found = [interval(samples[:, k], level, how) for k in range(BINS)]
    return tuple(f for f in found if f is not None)

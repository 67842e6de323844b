"""Squared errors of daily means compared on the same windows, with intervals from blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval
from heliosight.core.seeding import numpy_stream
from heliosight.evaluation.bootstrap import Blocks, interval

LEVEL, BLOCK_DAYS = 0.95, 27.0


def paired_change(
    forecasts: Sequence[tuple[Predictions, Predictions]], replicates: int, seed: int
) -> Interval:
    """Error of the first minus that of the second, mean over pairs; see `error_change`."""
    losses = [(daily_errors(a), daily_errors(b)) for a, b in forecasts]
    first = forecasts[0][0]
    y = daily(np.log1p(first.observed))
    known = np.isfinite(y).all(1)
    change = np.mean([a - b for a, b in losses], 0)
    return mean_interval(change[known], y[known], first.issue_time[known], replicates, seed)


def mean_interval(
    values: np.ndarray, y: np.ndarray, times: np.ndarray, replicates: int, seed: int
) -> Interval:
    """Mean of `(N,)` over the variance of y `(N, D)` within days, with its block interval."""
    blocks = Blocks.of(times, np.zeros(len(times), np.int64), BLOCK_DAYS)
    counts = blocks.draw(replicates, numpy_stream(seed, "improve"))
    terms = np.stack([values, np.ones_like(values)], 1)
    sums = blocks.resample(blocks.sum(terms), counts)[0]
    share = sums[:, 0] / np.maximum(sums[:, 1], 1.0) / float(y.var(0).mean())
    how = f"{BLOCK_DAYS:g}-day block bootstrap, {replicates} draws, {len(blocks.fold)} blocks"
    found = interval(share, LEVEL, how)
    return found if found is not None else Interval(float("nan"), how=how)


def daily(values: np.ndarray) -> np.ndarray:
    """`(N, D)` daily means of `(N, L)` leads of 3 h."""
    return np.asarray(values.reshape(len(values), -1, 8).mean(2))


def daily_errors(forecast: Predictions) -> np.ndarray:
    """`(N,)` squared error of daily means of log1p(ap), mean over days; NaN where unknown."""
    y = daily(np.log1p(forecast.observed))
    return np.asarray(((y - daily(forecast.mean_log)) ** 2).mean(1))

"""Intervals that respect autocorrelation: whole solar rotations are resampled, never windows."""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.seeding import numpy_stream

BLOCK_DAYS = 27
HOW = "bootstrap of 27-day blocks, 95 %"


def block_interval(
    values: np.ndarray, issue_time: np.ndarray, seed: int = 0, draws: int = 1000
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound `(...)` of the mean of `values` `(N, ...)` over windows.

    Blocks are drawn with replacement with all their windows; with fewer than two blocks there is
    no interval and both bounds are NaN.
    """
    block = np.asarray(issue_time) // (BLOCK_DAYS * DAY)
    names, place = np.unique(block, return_inverse=True)
    if len(names) < 2:
        unknown = np.full(values.shape[1:], np.nan)
        return unknown, unknown.copy()
    sums = np.zeros((len(names), *values.shape[1:]))
    np.add.at(sums, place, values)
    counts = np.bincount(place).astype(float)
    stream = numpy_stream(seed, "explain", "blocks")
    weights = stream.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    total = np.tensordot(weights, sums, axes=1)
    means = total / (weights @ counts).reshape(-1, *[1] * (values.ndim - 1))
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low, high

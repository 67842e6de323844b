"""Paired block bootstrap: intervals that know that three-hourly rows repeat each other.

Rows are cut into blocks along the issue time inside each fold, blocks are drawn with replacement
inside each fold (Kuensch 1989, Ann. Stat. 17, 1217, non-overlapping form), the same draw for every
system. A score is a function of sums, so a draw is a vector of counts and a thousand draws are one
matrix product. 27 days is one solar rotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.errors import ConfigError
from heliosight.core.records import Interval


@final
@dataclass(frozen=True)
class Blocks:
    """Block number of each row, `(N,)`, and fold position of each block, `(K,)`."""

    row: np.ndarray
    fold: np.ndarray
    days: float

    @staticmethod
    def of(issue_time: np.ndarray, fold: np.ndarray, days: float = 27.0) -> Blocks:
        """Blocks of equal length nearest to `days` inside each fold; any row order.

        Raises
        ------
        ConfigError : a block length that is not positive.
        """
        if not days > 0:
            raise ConfigError("a block has a positive length", f"{days} days", where="block_days")
        row = np.empty(len(issue_time), np.int64)
        owner: list[int] = []
        for position, name in enumerate(np.unique(fold)):
            inside = fold == name
            t = issue_time[inside] - issue_time[inside].min()
            span = int(t.max()) + 1
            count = max(1, round(span / (days * DAY)))
            row[inside] = len(owner) + t * count // span
            owner += [position] * count
        return Blocks(row, np.array(owner), days)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1

    def sum(self, terms: np.ndarray) -> np.ndarray:
        """`(K, ...)` sums of per-row terms `(N, ...)` over each block."""
        order = np.argsort(self.row, kind="stable")
        row = self.row[order]
        first = np.flatnonzero(np.append(True, np.diff(row) > 0))
        out = np.zeros((len(self.fold), *terms.shape[1:]))
        out[row[first]] = np.add.reduceat(terms[order], first, axis=0)
        return out

    def draw(self, replicates: int, rng: np.random.Generator) -> np.ndarray:
        """`(1 + R, K)` how often each block counts; the first row is the data as they are."""
        counts = np.ones((1 + replicates, len(self.fold)))
        for position in range(self.folds):
            inside = np.flatnonzero(self.fold == position)
            share = np.full(len(inside), 1 / len(inside))
            counts[1:, inside] = rng.multinomial(len(inside), share, size=replicates)
        return counts

    def resample(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """`(P, 1 + R, ...)` sums of each fold P under each draw, from block sums `(K, ...)`."""
        flat = sums.reshape(len(sums), -1)
        parts = [counts[:, self.fold == p] @ flat[self.fold == p] for p in range(self.folds)]
        return np.stack(parts).reshape(self.folds, len(counts), *sums.shape[1:])


def interval(samples: np.ndarray, level: float, how: str) -> Interval | None:
    """Percentile interval of `(1 + R,)` samples whose first is the value; None if undefined."""
    value, draws = samples[0], samples[1:]
    draws = draws[np.isfinite(draws)]
    if not np.isfinite(value):
        return None
    if not len(draws):
        return Interval(float(value), level=level, how="no draws")
    ordered = np.sort(draws)
    low, high = (quantile_of(ordered, (1 + side * level) / 2) for side in (-1, 1))
    return Interval(float(value), low, high, level, how)


def quantile_of(ordered: np.ndarray, q: float) -> float:
    """Quantile of sorted values, bit for bit numpy's; its own call costs ten times the sorting."""
    place = (len(ordered) - 1) * q
    below = int(place)
    share, a = place - below, float(ordered[below])
    b = float(ordered[min(below + 1, len(ordered) - 1)])
    return b - (b - a) * (1 - share) if share >= 0.5 else a + (b - a) * share


def resolved(value: Interval) -> bool:
    """True when the interval of a difference excludes 0; otherwise say "not resolved"."""
    if value.low is None or value.high is None:
        return False
    return value.low > 0 or value.high < 0

"""Estimates whose intervals know that neighbouring windows repeat each other.

A statistic is a smooth function of sums over windows. Windows are cut into blocks along time, each
block is left out in turn, and the spread of the K answers gives the standard error (delete-one
jackknife, Efron & Stein 1981, Ann. Stat. 9, 586); intervals and tests use Student's t with K - 1
degrees of freedom, which stays honest for the dozen blocks a test year has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import stats

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Interval
from heliosight.diagnosis.config import DiagnosisConfig
from heliosight.evaluation.bootstrap import Blocks


@final
class TooFew(NotApplicable):
    """The sample is too small to say anything; the outcome is inconclusive."""


Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error and degrees of freedom."""

    value: float
    error: float
    freedom: int
    days: float = 27.0
    how: str = ""

    def interval(self, level: float = 0.95) -> Interval:
        """Two-sided interval."""
        half = self.error * float(stats.t.ppf((1 + level) / 2, self.freedom))
        usual = f"delete-one-block jackknife, t, {self.freedom + 1} blocks of {self.days:g} d"
        how = self.how or usual
        return Interval(self.value, self.value - half, self.value + half, level, how)

    def p_above(self, bound: float) -> float:
        """One-sided p of "at most `bound`"; small means above."""
        return float(stats.t.sf(self._t(bound), self.freedom))

    def p_below(self, bound: float) -> float:
        """One-sided p of "at least `bound`"; small means below (an equivalence test's half)."""
        return float(stats.t.cdf(self._t(bound), self.freedom))

    def _t(self, bound: float) -> float:
        distance = self.value - bound
        if self.error == 0.0:
            return float(np.inf * np.sign(distance)) if distance else 0.0
        return distance / self.error


def block_rows(issue_time: np.ndarray, days: float) -> np.ndarray:
    """`(N,)` block number of each window, consecutive; blocks without windows do not count."""
    row = Blocks.of(issue_time, np.zeros(len(issue_time), np.int64), days).row
    return np.unique(row, return_inverse=True)[1]


def jackknife(
    terms: np.ndarray,
    rows: np.ndarray,
    statistic: Statistic,
    days: float = 27.0,
    how: str = "",
) -> Estimate:
    """Estimate of `statistic(sums)` from per-window terms `(N, k)`.

    statistic : maps sums `(..., k)` to values `(...)`; a mean needs a column of ones among them.
    how : named in the interval where the blocks are not of `days`.
    """
    blocks = int(rows.max()) + 1
    sums = np.zeros((blocks, terms.shape[1]))
    np.add.at(sums, rows, terms)
    total = sums.sum(0)
    left = statistic(total - sums)
    error = np.sqrt((blocks - 1) / blocks * ((left - left.mean()) ** 2).sum())
    return Estimate(float(statistic(total)), float(error), blocks - 1, days, how)


def effective_size(values: np.ndarray) -> float:
    """n (1 - r) / (1 + r) with the lag-one autocorrelation r of a series, at most n."""
    centred = values - values.mean()
    square = float(centred @ centred)
    if len(values) < 3 or square == 0.0:
        return float(len(values))
    r = float(centred[1:] @ centred[:-1]) / square
    r = min(max(r, 0.0), 0.999)
    return len(values) * (1 - r) / (1 + r)


def require_sample(rows: np.ndarray, series: np.ndarray, config: DiagnosisConfig) -> None:
    """Raise `TooFew` when the sample is too small to say anything at all."""
    blocks, effective = len(np.unique(rows)), effective_size(series)
    if blocks < config.min_blocks or effective < config.min_effective:
        raise TooFew(
            f"a statistic needs {config.min_blocks} blocks of {config.block_days:g} d and an "
            f"effective sample of {config.min_effective:g}",
            f"{blocks} blocks, effective sample {effective:.0f}",
            "Give windows spread over a longer time.",
        )


def discoveries(p_values: Sequence[float], q: float) -> list[bool]:
    """Which hypotheses are rejected with false discovery rate q (Benjamini & Hochberg 1995)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    passed = np.flatnonzero(p[order] <= q * np.arange(1, len(p) + 1) / len(p))
    rejected = np.zeros(len(p), bool)
    if len(passed):
        rejected[order[: passed[-1] + 1]] = True
    return rejected.tolist()

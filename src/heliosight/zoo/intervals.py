"""Intervals of shares: exact where cases are independent, resampled by model where they are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from heliosight.core.records import Interval
from heliosight.core.seeding import numpy_stream

DRAWS = 2000


def exact_share(hits: int, count: int, level: float = 0.95) -> Interval:
    """Share of independent cases with its interval (Clopper & Pearson 1934, Biometrika 26, 404)."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, hits, count - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, count - hits)) if hits < count else 1.0
    return Interval(hits / count, low, high, level, "Clopper-Pearson")


def share(hits: Sequence[bool], models: Sequence[str], level: float = 0.95) -> Interval:
    """Share of cases of which several belong to one model.

    Models are drawn with replacement, then their cases (hierarchical bootstrap). Cases that all
    agree cannot spread in a bootstrap: then, and where every case has a model of its own, the
    interval is the exact one, with as many cases as there are models where all agree.
    """
    names = sorted(set(models))
    total = sum(hits)
    if len(names) == len(hits):
        return exact_share(total, len(hits), level)
    if total in (0, len(hits)):
        found = exact_share(len(names) if total else 0, len(names), level)
        return Interval(found.value, found.low, found.high, level, "Clopper-Pearson over models")
    groups = [np.array([h for h, m in zip(hits, models, strict=True) if m == n]) for n in names]
    rng = numpy_stream(0, "zoo", "bootstrap", len(hits), total)
    draws = [_redrawn(groups, rng) for _ in range(DRAWS)]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    how = "hierarchical bootstrap over models, then cases"
    return Interval(total / len(hits), float(low), float(high), level, how)


def _redrawn(groups: list[np.ndarray], rng: np.random.Generator) -> float:
    chosen = [groups[i] for i in rng.integers(len(groups), size=len(groups))]
    return float(np.concatenate([g[rng.integers(len(g), size=len(g))] for g in chosen]).mean())

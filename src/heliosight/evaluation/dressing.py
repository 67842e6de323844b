"""From a point forecast to a distribution, with the errors it made in its training past.

The dressed distribution of lead l is mu_l + r_l, r_l running over the training residuals of that
lead (Roulston & Smith 2003, Tellus A 55, 16, "error dressing"). A storm day needs the dependence
of its leads, so whole residual days are drawn: systematically, evenly spaced in the order of their
largest error, which represents the largest value of a day to 1/DRAWS and needs no luck. In-sample
residuals of a fit with hundreds of columns are a little too narrow; the ridges' CRPS pays for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.forecast import DEFAULT_LEVELS
from heliosight.core.geomagnetic import EVENT_CLASSES, storm_threshold
from heliosight.core.predictions import Predictions

DRAWS = 256
LEADS_A_DAY = 8
NEVER = 2.0  # a threshold no probability reaches
_CHUNK = 256  # draws of so many rows stay in the cache


@final
@dataclass(frozen=True)
class Dressing:
    """Training errors of one system in one fold.

    Attributes
    ----------
    spread : `(Q, L)` residual quantiles of log1p(ap).
    smear : `(L,)` mean of exp(residual) (Duan 1983, JASA 78, 605): E[1 + ap] = smear exp(mu).
    draws : `(D, M, L/D)` residual days.
    """

    spread: np.ndarray
    smear: np.ndarray
    draws: np.ndarray

    @staticmethod
    def of(residual: np.ndarray, draws: int = DRAWS) -> Dressing:
        """From `(N, L)` training residuals of log1p(ap)."""
        days = residual.reshape(len(residual), -1, LEADS_A_DAY)
        evenly = ((np.arange(draws) + 0.5) * len(residual) / draws).astype(np.int64)
        chosen = np.argsort(days.max(2), axis=0, kind="stable")[evenly]
        return Dressing(
            np.quantile(residual, DEFAULT_LEVELS, axis=0),
            np.exp(residual).mean(0),
            np.stack([days[chosen[:, d], d] for d in range(days.shape[1])]).astype(np.float32),
        )

    def mean_ap(self, mean_log: np.ndarray) -> np.ndarray:
        """`(N, L)` mean ap."""
        return np.maximum(self.smear * np.exp(mean_log) - 1.0, 0.0)

    def quantiles(self, mean_log: np.ndarray) -> np.ndarray:
        """`(N, L, Q)` quantiles of ap, float32."""
        y = mean_log[:, :, None] + self.spread.T[None]
        return np.expm1(np.maximum(y, 0.0)).astype(np.float32)

    def event_probability(
        self, mean_log: np.ndarray, storms: Sequence[str] = EVENT_CLASSES
    ) -> np.ndarray:
        """`(N, D, G)` P(max ap of the day reaches each class)."""
        limits = np.log1p([storm_threshold(g) for g in storms]).astype(np.float32)
        out = np.empty((len(mean_log), len(self.draws), len(limits)))
        for start in range(0, len(mean_log), _CHUNK):
            part = mean_log[start : start + _CHUNK].astype(np.float32)
            for day in range(len(self.draws)):
                highest = self._day_maximum(part, day)
                share = [(highest > limit).mean(1) for limit in limits]
                out[start : start + _CHUNK, day] = np.stack(share, 1)
        return out

    def _day_maximum(self, mean_log: np.ndarray, day: int) -> np.ndarray:
        """`(N, M)` largest log1p(ap) of a day in each draw."""
        own = mean_log[:, day * LEADS_A_DAY : (day + 1) * LEADS_A_DAY]
        if (own == own[:, :1]).all():  # one level for the day: the largest error decides
            return np.asarray(own[:, :1] + self.draws[day].max(1))
        highest = np.full((len(mean_log), self.draws.shape[1]), -np.inf, np.float32)
        for k in range(LEADS_A_DAY):
            np.maximum(highest, own[:, k, None] + self.draws[day, :, k], out=highest)
        return highest


def storm_days(observed: np.ndarray, storms: Sequence[str] = EVENT_CLASSES) -> np.ndarray:
    """`(N, D, G)` 1 where the day's largest ap reaches the class, 0 where not, NaN if unknown."""
    largest = observed.reshape(len(observed), -1, LEADS_A_DAY).max(2)
    limits = np.array([storm_threshold(g) for g in storms])
    hit = (largest[:, :, None] > limits).astype(float)
    return np.where(np.isnan(largest)[:, :, None], np.nan, hit)


def best_threshold(probability: np.ndarray, event: np.ndarray) -> float:
    """The probability from which on to warn, by the Heidke skill score of the training past.

    Parameters
    ----------
    probability, event : `(N,)`; rows with an unknown event are left out.

    Returns
    -------
    The threshold of the best HSS (Liemohn et al. 2018, Space Weather 16, 1583), the middle of the
    gap to the next lower probability; above 1 (never warn) when no threshold had any skill.
    """
    known = np.isfinite(event) & np.isfinite(probability)
    p, o = probability[known], event[known]
    if not o.sum() or o.all():
        return NEVER
    order = np.argsort(-p, kind="stable")
    p, o = p[order], o[order]
    last = np.flatnonzero(np.append(np.diff(p) < 0, True))
    hits, warned = np.cumsum(o)[last], last + 1.0
    n, events = float(len(o)), o.sum()
    misses, false = events - hits, warned - hits
    quiet = n - hits - misses - false
    base = events * (misses + quiet) + warned * (false + quiet)
    score = np.where(base > 0, 2 * (hits * quiet - false * misses) / np.where(base > 0, base, 1), 0)
    best = int(np.argmax(score))
    if score[best] <= 0:
        return NEVER
    below = p[last[best + 1]] if best + 1 < len(last) else 0.0
    return float((p[last[best]] + below) / 2)


def join(parts: list[Predictions]) -> Predictions:
    """One system's folds in time order, as one."""
    keys = ("issue_time", "mean_log", "mean", "observed", "quantiles", "event_probability", "fold")
    joined = {key: np.concatenate([getattr(p, key) for p in parts]) for key in keys}
    return Predictions(name=parts[0].name, levels=parts[0].levels, **joined)

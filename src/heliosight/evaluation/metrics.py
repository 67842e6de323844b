"""Scores as functions of sums, so that a resampled score costs one product.

A score key ends in `_pooled` (one score over all folds' rows) or `_within` (the mean of the folds'
scores): pooled correlation also contains the level between years. A day's score is over all
3-hour values of the day's eight leads, not over daily means. Continuous and event scores follow
Liemohn et al. 2018 (Space Weather 16, 1583) and Jolliffe & Stephenson 2012 (Forecast Verification).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from heliosight.core.predictions import Predictions
from heliosight.evaluation.dressing import LEADS_A_DAY, storm_days

MOMENTS = ("n", "o", "p", "oo", "pp", "op", "abs")
EVENTS = ("n", "event", "brier", "warned_n", "hit", "false", "miss")
BINS = 512
CONTINUOUS_SCORES = (
    "bias", "mae", "rmse", "r2", "corr", "sigma_ratio", "slope",
)  # fmt: skip
EVENT_SCORES = (
    "pod", "far", "hss", "tss", "frequency_bias", "brier", "brier_skill", "auc",
)  # fmt: skip


def moments(forecast: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """`(N, L, 7)` terms of the continuous scores, 0 where the observation is unknown."""
    known = np.isfinite(observed) & np.isfinite(forecast)
    o, p = np.where(known, observed, 0.0), np.where(known, forecast, 0.0)
    terms = (known.astype(float), o, p, o * o, p * p, o * p, np.abs(p - o))
    return np.stack(terms, -1)


def continuous(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of summed `moments` `(..., 7)`.

    With f forecast and o observation: bias mean(f - o), mae, rmse, r2 = 1 - mse / var(o), corr,
    sigma_ratio sd(f) / sd(o), slope cov(f, o) / var(f): the regression of o on f, 1 when a
    forecast is as sure as it may be. NaN where a variance vanishes.
    """
    n, o, p, oo, pp, op, size = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mse = np.maximum((pp - 2 * op + oo) / n, 0.0)
        var_o, var_p = _variance(n, o, oo), _variance(n, p, pp)
        cov = op / n - (o / n) * (p / n)
        return {
            "bias": (p - o) / n,
            "mae": size / n,
            "rmse": np.sqrt(mse),
            "r2": 1 - mse / var_o,
            "corr": cov / np.sqrt(var_o * var_p),
            "sigma_ratio": np.sqrt(var_p / var_o),
            "slope": cov / var_p,
        }


def _variance(n: np.ndarray, s: np.ndarray, ss: np.ndarray) -> np.ndarray:
    """Variance from sums; NaN where it is no more than rounding."""
    variance = ss / n - (s / n) ** 2
    return np.where(variance > 1e-10 * np.maximum(ss / n, 1e-300), variance, np.nan)


def level_weights(levels: np.ndarray) -> np.ndarray:
    """`(Q,)` weight of each quantile level: half the distance to its neighbours, ends included."""
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    return np.diff(edges)


def crps(predictions: Predictions) -> np.ndarray:
    """`(N, L)` CRPS in ap, NaN where the observation is unknown.

    CRPS = 2 * integral of the pinball loss over the level (Gneiting & Ranjan 2011, JBES 29, 411,
    eq. 5), summed over the levels given with the weight of each; a forecast without quantiles is
    a point, for which the CRPS is the absolute error.
    """
    if not len(predictions.levels):
        return np.abs(predictions.mean - predictions.observed)
    total = np.zeros(predictions.observed.shape)
    weights = level_weights(predictions.levels)
    for k, (level, weight) in enumerate(zip(predictions.levels, weights, strict=True)):
        miss = predictions.observed - predictions.quantiles[:, :, k]
        total += 2 * weight * np.maximum(level * miss, (level - 1) * miss)
    return total


def crps_terms(predictions: Predictions) -> np.ndarray:
    """`(N, L, 2)` count and CRPS."""
    score = crps(predictions)
    known = np.isfinite(score)
    return np.stack([known.astype(float), np.where(known, score, 0.0)], -1)


def event_terms(probability: np.ndarray, event: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """`(N, D, 7)` terms of the event scores.

    Parameters
    ----------
    probability, event : `(N, D)`; limit : `(N, D)` probability from which on one warns, NaN when
        none was chosen (then the contingency table stays empty).
    """
    known = np.isfinite(probability) & np.isfinite(event)
    o = np.where(known, event, 0.0)
    decided = known & np.isfinite(limit)
    warned = decided & (probability >= np.nan_to_num(limit, nan=np.inf))
    occurred = o > 0
    terms = (
        known,
        o,
        np.where(known, (probability - o) ** 2, 0.0),
        decided,
        warned & occurred,
        warned & ~occurred,
        decided & ~warned & occurred,
    )
    return np.stack([np.asarray(t, float) for t in terms], -1)


def events(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of summed `event_terms` `(..., 7)`.

    brier_skill is against the base rate of the scored rows themselves, a reference that no real
    forecast could know: 1 - Brier / (b (1 - b)).
    """
    n, event, brier, decided, hit, false, miss = np.moveaxis(sums, -1, 0)
    quiet = decided - hit - false - miss
    with np.errstate(invalid="ignore", divide="ignore"):
        base, pod = event / n, hit / (hit + miss)
        chance = (hit + miss) * (miss + quiet) + (hit + false) * (false + quiet)
        return {
            "pod": pod,
            "far": false / (hit + false),
            "hss": 2 * (hit * quiet - false * miss) / chance,
            "tss": pod - false / (false + quiet),
            "frequency_bias": (hit + false) / (hit + miss),
            "brier": brier / n,
            "brier_skill": 1 - (brier / n) / (base * (1 - base)),
        }


def probability_bins(probability: np.ndarray) -> np.ndarray:
    """Bin numbers 0..BINS-1 of probabilities, equal widths; NaN goes to bin 0."""
    return np.minimum(np.nan_to_num(probability) * BINS, BINS - 1).astype(np.int64)


def auc(histogram: np.ndarray) -> np.ndarray:
    """Area under the ROC curve from counts `(..., 2, BINS)` of non-events and events.

    The share of (event, non-event) pairs in which the event had the higher probability, a tie
    within a bin counting half (Mason & Graham 2002, QJRMS 128, 2145).
    """
    quiet, storm = histogram[..., 0, :], histogram[..., 1, :]
    below = np.cumsum(quiet, -1) - quiet
    won = (storm * (below + quiet / 2)).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(won / (storm.sum(-1) * quiet.sum(-1)))


def per_day(terms: np.ndarray) -> np.ndarray:
    """`(N, D, K)` day sums of terms per lead `(N, L, K)`."""
    n, leads, k = terms.shape
    return np.asarray(terms.reshape(n, leads // LEADS_A_DAY, LEADS_A_DAY, k).sum(2))


def scores(
    predictions: Predictions, limit: np.ndarray | None = None, storm: int = 0
) -> dict[str, Any]:
    """All pooled scores over all rows and leads at once, as plain numbers.

    limit : `(N, D)` as in `event_terms`; storm : index of the class, 0 is G1.
    """
    log = np.log1p(predictions.observed)
    ap = continuous(moments(predictions.mean, predictions.observed).sum((0, 1)))
    logs = continuous(moments(predictions.mean_log, log).sum((0, 1)))
    count, total = crps_terms(predictions).sum((0, 1))
    probability = predictions.event_probability[:, :, storm]
    event = storm_days(predictions.observed)[:, :, storm]
    limits = np.full(event.shape, np.nan) if limit is None else limit
    table = events(event_terms(probability, event, limits).sum((0, 1)))
    return {
        **{f"{k}_ap": float(v) for k, v in ap.items()},
        **{f"{k}_log": float(v) for k, v in logs.items()},
        "crps_ap": float(total / count),
        **{k: float(v) for k, v in table.items()},
    }

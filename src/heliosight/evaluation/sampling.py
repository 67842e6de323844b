"""Every score of one system under every draw of blocks.

Terms per row are summed over blocks once; a draw weighs the block sums.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from heliosight.core.errors import SpecError
from heliosight.core.geomagnetic import EVENT_CLASSES
from heliosight.core.predictions import Predictions
from heliosight.evaluation import metrics
from heliosight.evaluation.bootstrap import Blocks
from heliosight.evaluation.dressing import storm_days

Samples = dict[str, np.ndarray]  # per score, (slices, 1 + R)
Score = Callable[[np.ndarray], dict[str, np.ndarray]]  # of sums (..., K)


def sample_scores(
    given: Predictions,
    limit: np.ndarray | None,
    blocks: Blocks,
    counts: np.ndarray,
    storm: str,
) -> Samples:
    """All scores of one system under all draws.

    Parameters
    ----------
    limit : `(K, D, G)` warning probabilities by fold number, or None.
    counts : `(1 + R, blocks)` from `Blocks.draw`.

    Raises
    ------
    SpecError : warning probabilities for fewer folds than the predictions have.
    """
    log = np.log1p(given.observed)
    found: Samples = {}
    for scale, forecast, observed in (
        ("ap", given.mean, given.observed),
        ("log", given.mean_log, log),
    ):
        sums = _resampled(metrics.moments(forecast, observed), blocks, counts)
        found.update(_pooled_and_within(sums, metrics.continuous, scale))
    sums = _resampled(metrics.crps_terms(given), blocks, counts)
    found.update(_pooled_and_within(sums, _crps, "ap"))
    found.update(_event_samples(given, limit, blocks, counts, storm))
    return found


def _resampled(terms: np.ndarray, blocks: Blocks, counts: np.ndarray) -> np.ndarray:
    """`(P, 1 + R, slices, K)` from terms per lead."""
    sums = blocks.sum(np.concatenate([metrics.per_day(terms), terms], 1))
    return blocks.resample(sums, counts)


def _crps(sums: np.ndarray) -> dict[str, np.ndarray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"crps": sums[..., 1] / sums[..., 0]}


def _pooled_and_within(sums: np.ndarray, score: Score, scale: str) -> Samples:
    """Scores of the folds' sum, and the mean of the folds' scores, `(slices, 1 + R)`."""
    pooled, within = score(sums.sum(0)), score(sums)
    out = {f"{k}_{scale}_pooled": v.T for k, v in pooled.items()}
    return out | {f"{k}_{scale}_within": v.mean(0).T for k, v in within.items()}


def _event_samples(
    given: Predictions,
    limit: np.ndarray | None,
    blocks: Blocks,
    counts: np.ndarray,
    storm: str,
) -> Samples:
    """Event scores per day; the slices of leads have none."""
    k = EVENT_CLASSES.index(storm)
    event, p = storm_days(given.observed)[:, :, k], given.event_probability[:, :, k]
    cut = np.full(p.shape, np.nan)
    if limit is not None:
        _require_folds(given, limit)
        cut = limit[given.fold, :, k]
    terms = metrics.event_terms(p, event, cut)
    found = _pooled_and_within(blocks.resample(blocks.sum(terms), counts), metrics.events, storm)
    histogram = blocks.resample(_histogram(p, event, blocks), counts)
    return found | _pooled_and_within(histogram, lambda h: {"auc": metrics.auc(h)}, storm)


def _histogram(probability: np.ndarray, event: np.ndarray, blocks: Blocks) -> np.ndarray:
    """`(K, D, 2, BINS)` counts of non-events and events by block, day and probability."""
    days = probability.shape[1]
    shape = (len(blocks.fold), days, 2, metrics.BINS)
    known = np.isfinite(probability) & np.isfinite(event)
    row, day = np.nonzero(known)
    place = (
        blocks.row[row],
        day,
        event[known].astype(np.int64),
        metrics.probability_bins(probability[known]),
    )
    flat = np.ravel_multi_index(place, shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.float32)


def _require_folds(given: Predictions, limit: np.ndarray) -> None:
    if len(limit) <= int(given.fold.max()):
        raise SpecError(
            "every fold has its warning probability",
            f"{len(limit)} for fold numbers up to {int(given.fold.max())}",
            "Choose one per fold in its training past (best_threshold).",
            given.name,
        )

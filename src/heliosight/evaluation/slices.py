"""Scores of parts of a block: a phase of the cycle, a level of activity, with block intervals.

Rows sorted by what was observed show where errors come from (Liemohn et al. 2018, Space Weather 16,
1583) but reward forecasts that cry wolf; rows sorted by what was known before do not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval, SkillRow
from heliosight.core.tables import SeriesTable
from heliosight.evaluation import features, metrics
from heliosight.evaluation.bootstrap import Blocks, interval
from heliosight.evaluation.dressing import storm_days

# Kp below 3-, 3- to 3+, 4- to 4+, G1 and G2, G3 and more, by ap.
OBSERVED = (("Kp 0-2", 0, 10.5), ("Kp 3", 10.5, 20), ("Kp 4", 20, 35.5), ("G1-G2", 35.5, 102.5),
            ("G3-G5", 102.5, 1e9))  # fmt: skip
BEFORE = ("quiet before", "middling before", "active before")


def observed_parts(observed: np.ndarray) -> dict[str, np.ndarray]:
    """Masks `(N, L)` of values by what was observed."""
    with np.errstate(invalid="ignore"):
        return {name: (observed > low) & (observed <= high) if low else observed <= high
                for name, low, high in OBSERVED}  # fmt: skip


def before_parts(
    ap: SeriesTable, issue_time: np.ndarray, past: np.ndarray
) -> dict[str, np.ndarray]:
    """Masks `(N,)` by the mean ap of the 27 days before issue, in thirds of the training past."""
    level = features.trailing_mean(features.history(ap, "ap", issue_time, 27 * 8))
    learned = features.trailing_mean(features.history(ap, "ap", past, 27 * 8))
    edges = np.nanquantile(learned, [1 / 3, 2 / 3])
    place = np.searchsorted(edges, level)
    return {name: place == k for k, name in enumerate(BEFORE)}


def sliced(
    given: Predictions,
    parts: Mapping[str, np.ndarray],
    blocks: Blocks,
    counts: np.ndarray,
    level: float,
    how: str,
) -> list[SkillRow]:
    """One row a part: errors of ap and of log ap, CRPS; of row masks `(N,)` also the Brier score.

    A part without a row is left out.
    """
    rows = []
    for name, mask in parts.items():
        member = mask[:, None] if mask.ndim == 1 else mask
        keep = np.broadcast_to(member, given.observed.shape)
        if not keep.any():
            continue
        found = _continuous(given, keep, blocks, counts, level, how)
        if mask.ndim == 1:
            found |= _brier(given, mask, blocks, counts, level, how)
        rows.append(SkillRow(given.name, name, found))
    return rows


def _continuous(
    given: Predictions, keep: np.ndarray, blocks: Blocks, counts: np.ndarray, level: float, how: str
) -> dict[str, Interval]:
    terms = {
        "ap": metrics.moments(given.mean, given.observed),
        "log": metrics.moments(given.mean_log, np.log1p(given.observed)),
    }
    found: dict[str, Interval] = {}
    for scale, values in terms.items():
        sums = _resample(values * keep[..., None], blocks, counts)
        for key, samples in metrics.continuous(sums).items():
            if key in ("bias", "mae", "rmse", "corr"):
                _put(found, f"{key}_{scale}_pooled", samples, level, how)
    sums = _resample(metrics.crps_terms(given) * keep[..., None], blocks, counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        _put(found, "crps_ap_pooled", sums[:, 1] / sums[:, 0], level, how)
    return found


def _brier(
    given: Predictions, mask: np.ndarray, blocks: Blocks, counts: np.ndarray, level: float, how: str
) -> dict[str, Interval]:
    p, o = given.event_probability[:, :, 0], storm_days(given.observed)[:, :, 0]
    terms = metrics.event_terms(p, o, np.full(p.shape, np.nan)) * mask[:, None, None]
    scores = metrics.events(_resample(terms, blocks, counts))
    found: dict[str, Interval] = {}
    for key in ("brier", "brier_skill"):
        _put(found, f"{key}_G1_pooled", scores[key], level, how)
    return found


def _resample(terms: np.ndarray, blocks: Blocks, counts: np.ndarray) -> np.ndarray:
    return np.asarray(blocks.resample(blocks.sum(terms.sum(1)), counts).sum(0))


def _put(found: dict[str, Interval], key: str, samples: np.ndarray, level: float, how: str) -> None:
    made = interval(samples, level, how)
    if made is not None:
        found[key] = made

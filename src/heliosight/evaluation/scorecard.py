"""All systems on identical rows, each with its interval, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from heliosight.core.clock import to_text
from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.geomagnetic import EVENT_CLASSES, STORM_AP, STORM_KP
from heliosight.core.predictions import Predictions
from heliosight.core.progress import bar
from heliosight.core.records import Interval, Provenance, Scorecard, SkillRow
from heliosight.core.seeding import numpy_stream
from heliosight.evaluation import metrics
from heliosight.evaluation.bootstrap import Blocks, interval
from heliosight.evaluation.sampling import Samples, sample_scores


@final
@dataclass(frozen=True)
class ScorecardConfig:
    """How a scorecard is made.

    Attributes
    ----------
    replicates : bootstrap draws; block_days : length of a block [d]; level : coverage.
    storm : class whose day probabilities are scored.
    """

    replicates: int = 1000
    block_days: float = 27.0
    level: float = 0.95
    storm: str = "G1"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.replicates < 0:
            raise ConfigError(
                "bootstrap draws are counted from 0", str(self.replicates), where="replicates"
            )
        if not 0 < self.level < 1:
            raise ConfigError("a coverage lies in (0, 1)", str(self.level), where="level")
        if self.storm not in EVENT_CLASSES:
            raise ConfigError(
                f"a scored storm class is one of {EVENT_CLASSES}", self.storm, where="storm"
            )


def scorecard(
    predictions: Sequence[Predictions],
    reference: str,
    pairs: Sequence[tuple[str, str]] = (),
    thresholds: Mapping[str, np.ndarray] | None = None,
    config: ScorecardConfig | None = None,
    fold_names: Sequence[str] = (),
    provenance: Provenance | None = None,
    notes: Sequence[str] = (),
) -> Scorecard:
    """Score every system per lead and per day, and its paired difference to others.

    Parameters
    ----------
    predictions : all on identical rows (see `on_common_rows`).
    reference : name of the system every other one is compared with.
    pairs : further differences, each `(system, other)`, named `system - other`.
    thresholds : `(K, D, G)` probability from which on one warns, by system and fold, chosen in
        the training past (`best_threshold`); a system without has no POD, FAR, HSS, TSS.
    fold_names : names of the folds 0..K-1, for the record.

    Returns
    -------
    Rows `day 1..D` and `lead 1..L` (lead 1 is +0..+3 h). Keys are `score_scale_how`: scale `ap`,
    `log` (log1p(ap)) or the storm class, how `pooled` or `within` (mean of the folds).

    Raises
    ------
    SpecError : rows differ, a name is twice there or unknown, quantile levels differ.
    """
    config = config or ScorecardConfig()
    by_name = _named(predictions, (reference, *(n for pair in pairs for n in pair)))
    first = predictions[0]
    blocks = Blocks.of(first.issue_time, first.fold, config.block_days)
    counts = blocks.draw(config.replicates, numpy_stream(config.seed, "bootstrap"))
    samples: dict[str, Samples] = {}
    with bar("scoring", len(predictions)) as running:
        for name, given in by_name.items():
            limit = (thresholds or {}).get(name)
            samples[name] = sample_scores(given, limit, blocks, counts, config.storm)
            running.advance(note=name)
    slices = slice_names(first.mean.shape[1])
    wanted = [(n, reference) for n in by_name if n != reference]
    wanted = list(dict.fromkeys([*wanted, *((a, b) for a, b in pairs)]))
    how = f"{config.block_days:g}-day block bootstrap, {config.replicates} draws"
    rows = [r for n in by_name for r in _rows(n, samples[n], slices, config.level, how)]
    differences = [
        row
        for a, b in wanted
        for row in _rows(f"{a} - {b}", _minus(samples[a], samples[b]), slices, config.level, how)
    ]
    return Scorecard(
        provenance=provenance or Provenance(),
        rows=tuple(rows),
        differences=tuple(differences),
        reference=reference,
        issue_times=len(first.issue_time),
        first_issue=to_text(int(first.issue_time.min())),
        last_issue=to_text(int(first.issue_time.max())),
        folds=tuple(fold_names) or tuple(str(f) for f in np.unique(first.fold)),
        notes=(*_notes(config), *notes),
    )


def find(rows: Sequence[SkillRow], system: str, title: str, key: str) -> Interval | None:
    """One score of a scorecard's rows or differences; None if it is not there."""
    for row in rows:
        if (row.system, row.slice) == (system, title):
            return row.metrics.get(key)
    return None


def slice_names(leads: int) -> list[str]:
    """`day 1..D`, then `lead 1..L`."""
    days = leads // metrics.LEADS_A_DAY
    return [f"day {d + 1}" for d in range(days)] + [f"lead {k + 1}" for k in range(leads)]


def on_common_rows(predictions: Sequence[Predictions]) -> list[Predictions]:
    """Each system on the issue times that all of them have."""
    if not predictions:
        raise SpecError("scoring needs at least one system", "none")
    common = predictions[0].issue_time
    for other in predictions[1:]:
        common = np.intersect1d(common, other.issue_time)
    if not len(common):
        raise SpecError(
            "systems share issue times",
            ", ".join(p.name for p in predictions),
            "Forecast the same test spans.",
        )
    return [_select(p, np.isin(p.issue_time, common)) for p in predictions]


def _select(predictions: Predictions, keep: np.ndarray) -> Predictions:
    rows = {k: v[keep] for k, v in predictions.arrays().items() if k != "levels"}
    return replace(predictions, **rows)


def _named(predictions: Sequence[Predictions], needed: Sequence[str]) -> dict[str, Predictions]:
    """By name, after checking that they can be compared."""
    if not predictions:
        raise SpecError("scoring needs at least one system", "none")
    named = {p.name: p for p in predictions}
    if len(named) < len(predictions):
        raise SpecError("system names differ", ", ".join(p.name for p in predictions))
    unknown = [n for n in needed if n not in named]
    if unknown:
        raise SpecError(
            "a compared system is among those scored",
            ", ".join(unknown),
            f"Scored: {', '.join(named)}.",
        )
    for other in predictions[1:]:
        _require_same_rows(predictions[0], other)
    levels = {tuple(np.round(p.levels, 9)) for p in predictions if len(p.levels)}
    if len(levels) > 1:
        raise SpecError(
            "CRPS is compared between forecasts with the same quantile levels",
            f"{len(levels)} sets of levels",
            "Give every system the same levels.",
        )
    return named


def _require_same_rows(one: Predictions, other: Predictions) -> None:
    same = (
        np.array_equal(one.issue_time, other.issue_time)
        and np.array_equal(one.fold, other.fold)
        and np.allclose(one.observed, other.observed, equal_nan=True)
        if one.mean.shape == other.mean.shape
        else False
    )
    if not same:
        raise SpecError(
            "all systems are scored on identical rows",
            f"{one.name} has {len(one.issue_time)} rows, {other.name} {len(other.issue_time)}, "
            "or their folds or observations differ",
            "Call on_common_rows first.",
        )


def _minus(one: Samples, other: Samples) -> Samples:
    # a score without events is infinite in both; their difference is undefined and left out
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {k: v - other[k] for k, v in one.items()}
        for scale in ("ap", "log"):
            key = f"rmse_{scale}_pooled"
            found[f"mse_skill_{scale}_pooled"] = 1 - (one[key] / other[key]) ** 2
    return found


def _rows(
    name: str, samples: Samples, slices: Sequence[str], level: float, how: str
) -> list[SkillRow]:
    """One row per slice; undefined scores (a constant has no correlation) are left out."""
    rows = []
    for position, title in enumerate(slices):
        found = {
            key: interval(value[position], level, how)
            for key, value in samples.items()
            if position < len(value)
        }
        kept: dict[str, Interval] = {k: v for k, v in found.items() if v is not None}
        rows.append(SkillRow(name, title, kept))
    return rows


def _notes(config: ScorecardConfig) -> tuple[str, ...]:
    storm = config.storm
    return (
        f"storm day: {storm}, largest ap of the day's eight values >= {STORM_AP[storm]:g} "
        f"(Kp >= {STORM_KP[storm]})",
        "day d is leads 8(d-1)+1..8d; a day's continuous scores are over its 3-hour values",
        "pooled: one score over all folds; within: mean of the folds' scores",
        "mse_skill of a difference: 1 - MSE of the one / MSE of the other",
        "brier_skill is against the base rate of the scored rows",
        "intervals: percentile, paired blocks drawn inside each fold",
    )

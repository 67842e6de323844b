"""Everything that is said of an opened block, from its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.folds import Fold
from heliosight.core.predictions import Predictions
from heliosight.core.records import SkillRow
from heliosight.core.sealed import Calibration, Reliability, Storms
from heliosight.core.seeding import numpy_stream
from heliosight.core.tables import SeriesTable
from heliosight.evaluation import features
from heliosight.evaluation.bootstrap import Blocks
from heliosight.evaluation.calibration import calibration
from heliosight.evaluation.phase import Turns, phase_names
from heliosight.evaluation.reliability import reliability
from heliosight.evaluation.scorecard import ScorecardConfig
from heliosight.evaluation.slices import before_parts, observed_parts, sliced
from heliosight.evaluation.storms import count_storms

DAYS = (0, 1, 2, 3)
NOTES = (
    "phase: a quarter of the cycle about each dated minimum and maximum, a quarter between",
    "activity by what was observed shows where errors come from; it rewards crying wolf, so it is "
    "no ranking (the forecaster's dilemma)",
    "independent storms: G1 values at most 48 h apart are one; storms of one returning hole are "
    "not independent, so rotations with any storm are counted too",
)


@final
@dataclass(frozen=True)
class Parts:
    """The sections of a sealed score beside its scorecard."""

    phases: tuple[SkillRow, ...]
    activity: tuple[SkillRow, ...]
    reliability: tuple[Reliability, ...]
    calibration: tuple[Calibration, ...]
    storms: Storms
    counts: dict[str, int]


def sealed_parts(
    predictions: Sequence[Predictions],
    ap: SeriesTable,
    fold: Fold,
    turns: Turns,
    detailed: Sequence[str],
    config: ScorecardConfig,
) -> Parts:
    """Phases and activity for every system; reliability and calibration for those `detailed`."""
    first = predictions[0]
    blocks = Blocks.of(first.issue_time, first.fold, config.block_days)
    counts = blocks.draw(config.replicates, numpy_stream(config.seed, "sealed"))
    how = f"{config.block_days:g}-day block bootstrap, {config.replicates} draws"
    phase = phase_names(first.issue_time, turns)
    phases = {f"phase {name}": phase == name for name in np.unique(phase)}
    learned = np.arange(fold.train[0], fold.validation[1], 8 * features.STEP)
    before = before_parts(ap, first.issue_time, learned)
    observed = observed_parts(first.observed)
    arguments = (blocks, counts, config.level, how)
    named = {p.name: p for p in predictions}
    some = [named[name] for name in detailed if name in named]
    inside = (ap.times >= first.issue_time[0]) & (ap.times <= first.issue_time[-1] + 71 * 3600)
    return Parts(
        phases=tuple(r for p in predictions for r in sliced(p, phases, *arguments)),
        activity=tuple(
            r
            for p in predictions
            for part in (before, observed)
            for r in sliced(p, part, *arguments)
        ),
        reliability=tuple(reliability(p, d, *arguments) for p in some for d in DAYS),
        calibration=tuple(calibration(p, *arguments) for p in some),
        storms=count_storms(ap.times[inside], ap.column("ap")[inside]),
        counts={
            **{name: int(mask.sum()) for name, mask in {**phases, **before}.items()},
            **{name: int(mask.sum()) for name, mask in observed.items()},
            "issue times": len(first.issue_time),
        },
    )

"""The page of an opened block: what was sealed, what it scored, and whether it is calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from heliosight.core.records import Interval, SkillRow
from heliosight.core.sealed import Calibration, SealedScore
from heliosight.report.chart_sealed import pit_chart, reliability_chart
from heliosight.report.environment import environment
from heliosight.report.views_skill import (
    Cell,
    cell,
    metric_words,
    slice_words,
    system_words,
    tables,
)
from heliosight.report.wording import Words

RIVALS = ("damped", "ridge_omni_ch", "ridge_omni", "ridge_ap", "climatology")
PARTS = ("crps_ap_pooled", "brier_skill_G1_pooled", "bias_ap_pooled", "rmse_ap_pooled")


def render_sealed(score: SealedScore, language: str, simulated: bool) -> str:
    """The page as one HTML text without a script."""
    words = Words(language, "sealed")
    stamp = words("simulated_stamp") if simulated else ""
    phases, activity = score.phases, score.activity
    mine = {c.system: c for c in score.calibration}
    context: dict[str, Any] = {
        "score": score,
        "t": words,
        "stamp": stamp,
        "answers": answers(score),
        "standing": standing(score),
        "scores": tables(score.card.rows, score.system, differences=False),
        "differences": tables(score.card.differences, score.system, differences=True),
        "phase_tables": [_parts(phases, m, score.counts) for m in PARTS[:3]],
        "activity_tables": [_parts(activity, m, score.counts) for m in (PARTS[0], PARTS[2])],
        "reliability": [
            (r, reliability_chart(r, words, stamp), cell(r.reliability), cell(r.resolution))
            for r in score.reliability
            if r.day == 0
        ],
        "pit": [
            (c, pit_chart(c, "pit", words, stamp), pit_chart(c, "severity", words, stamp))
            for c in score.calibration
        ],
        "coverage": [(c.system, _coverage(c)) for c in score.calibration],
        "calibrated": calibrated(mine.get(score.system)),
        "cell": cell,
        "metric_words": metric_words,
        "slice_words": slice_words,
        "system_words": system_words,
    }
    return environment().get_template("sealed.html").render(context)


def answers(score: SealedScore) -> list[tuple[str, list[Cell]]]:
    """The network against each rival it was paired with: CRPS of ap on days 1, 2, 3."""
    found = []
    for rival in RIVALS:
        rows = {
            r.slice: r.metrics["crps_ap_pooled"]
            for r in score.card.differences
            if r.system == f"{score.system} - {rival}" and "crps_ap_pooled" in r.metrics
        }
        cells = [cell(rows[f"day {d}"], "crps_ap_pooled") for d in (1, 2, 3) if f"day {d}" in rows]
        if cells:
            found.append((rival, cells))
    return found


def standing(score: SealedScore) -> str:
    """`better`, `worse`, `mixed` or `unresolved` against damped recurrence over the three days."""
    verdicts = {c.verdict for rival, cells in answers(score) if rival == "damped" for c in cells}
    if {"better", "worse"} <= verdicts:
        return "mixed"
    return next((v for v in ("better", "worse") if v in verdicts), "unresolved")


def calibrated(found: Calibration | None) -> dict[str, bool]:
    """Whether the interval of each storm-conditional number holds the right value."""
    if found is None:
        return {}
    right: dict[str, tuple[Interval | None, float]] = {
        "occurrence": (found.occurrence, 1.0),
        "severity_50": (found.coverage.get("severity_50"), 0.5),
        "severity_90": (found.coverage.get("severity_90"), 0.9),
        "all_90": (found.coverage.get("all_90"), 0.9),
    }
    return {
        name: value.low <= target <= value.high
        for name, (value, target) in right.items()
        if value is not None and value.low is not None and value.high is not None
    }


def _coverage(found: Calibration) -> dict[str, Cell]:
    made = {name: cell(value) for name, value in found.coverage.items()}
    if found.occurrence is not None:
        made["occurrence"] = cell(found.occurrence)
    return made


def _parts(rows: Sequence[SkillRow], metric: str, counts: dict[str, int]) -> dict[str, Any]:
    """One metric: systems by parts of the block."""
    kept = [r for r in rows if metric in r.metrics]
    parts = list(dict.fromkeys(r.slice for r in kept))
    systems = list(dict.fromkeys(r.system for r in kept))
    cells = {(r.system, r.slice): cell(r.metrics[metric]) for r in kept}
    return {
        "metric": metric,
        "parts": [(p, counts.get(p, 0)) for p in parts],
        "systems": systems,
        "cells": cells,
    }

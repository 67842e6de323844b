"""The whole way: data, training, evaluation, diagnosis, explanation, report."""

from __future__ import annotations

import sys
from collections.abc import Callable

from heliosight.core.records import Diagnosis, Interval, Scorecard
from heliosight.evaluation.scorecard import find
from heliosight.workflows import data, diagnose, evaluate, explain, report, train
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.trained import main_system

STAGES: tuple[tuple[str, str, Callable[[Run, str], StageResult]], ...] = (
    ("data", "one store of images, solar wind and index", data.run),
    ("train", "every network on every fold", train.run),
    ("evaluate", "networks and references on the same rows", evaluate.run),
    ("diagnose", "is every input used, and the time axis?", diagnose.run),
    ("explain", "one storm's forecast, by several methods", explain.run),
    ("report", "everything on one page", report.run),
)


def run(run: Run, verb: str = "") -> StageResult:
    """Run every stage; each uses again what is unchanged."""
    del verb
    made: dict[str, StageResult] = {}
    for number, (name, what, stage) in enumerate(STAGES, 1):
        sys.stderr.write(f"[{number}/{len(STAGES)}] {name}: {what}\n")
        made[name] = stage(run, "")
    return StageResult(made["report"].record, (*made["report"].lines, *summary(run, made)))


def summary(run: Run, made: dict[str, StageResult]) -> tuple[str, ...]:
    """The three lines that matter: skill, what the images add, what the diagnosis says."""
    system, others = main_system(run), list(run.config.systems)[1:]
    card, diagnosis = made["evaluate"].record, made["diagnose"].record
    lines = []
    if isinstance(card, Scorecard):
        lines.append(f"skill: {system} against {card.reference}: {_days(card, system)}")
        against = [f"{system} - {other}" for other in others]
        lines += [f"inputs: {pair}: {_days(card, pair, True)}" for pair in against[:1]]
    if isinstance(diagnosis, Diagnosis):
        lines.append(f"diagnosis: {diagnosis.verdict}")
    return tuple(lines)


def _days(card: Scorecard, system: str, is_pair: bool = False) -> str:
    name = system if is_pair else f"{system} - {card.reference}"
    parts = []
    for day in (1, 2, 3):
        found = find(card.differences, name, f"day {day}", "corr_log_pooled")
        parts.append(f"day {day} {_interval(found)}")
    return f"correlation of log ap {', '.join(parts)}"


def _interval(value: Interval | None) -> str:
    if value is None or value.low is None or value.high is None:
        return "not scored"
    told = "" if value.low > 0 or value.high < 0 else ", not resolved"
    return f"{value.value:+.3f} [{value.low:+.3f}, {value.high:+.3f}{told}]"

"""One trial: an arm over its seeds, judged against its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from heliosight.core.records import Finding, Interval
from heliosight.core.records_remedy import Trial, TrialRun
from heliosight.remedy import Fault, faults_of, judge
from heliosight.workflows.arms import Bench, Way, arm_forecast
from heliosight.workflows.errors_compared import paired_change
from heliosight.workflows.pool import Workers
from heliosight.workflows.seen import as_arm


@final
@dataclass(frozen=True)
class Asked:
    """What a trial is to show.

    Attributes
    ----------
    names : remedies of the arm. targets : faults that have to be gone.
    controls : first the one against which nothing may get worse, then a random remedy if any.
    before : findings among which the targets are.
    """

    names: tuple[str, ...]
    way: Way
    targets: tuple[Fault, ...]
    controls: tuple[Way, ...]
    seeds: tuple[int, ...]
    before: tuple[Finding, ...] = ()
    proof: bool = False


def tried(workers: Workers, asked: Asked) -> tuple[Trial, tuple[TrialRun, ...]]:
    """The trial, and the runs of its arm."""
    bench, seeds = workers.bench, asked.seeds
    for way in (asked.way, *asked.controls):
        workers.start(way, seeds)
    made = workers.seen(asked.way, seeds)
    before = [f for f in asked.before if faults_of([f]) & set(asked.targets)]
    arm = as_arm(asked.way.name, made, before)
    others = [as_arm(way.name, workers.seen(way, seeds), before) for way in asked.controls]
    changes = {way.name: error_change(bench, asked.way, way, seeds) for way in asked.controls}
    margin = bench.config.improve.margin
    found = judge(asked.targets, arm, others, changes, margin)
    trial = Trial(
        bench.study.run.provenance("", {}), asked.names, asked.way.patch,
        tuple(map(str, asked.targets)), seeds, found.accepted, found.cleared,
        found.control_cleared, found.new_faults, changes, margin, found.reason,
        sum(one.seconds for one in made), asked.proof,
    )  # fmt: skip
    return trial, made


def error_change(bench: Bench, ours: Way, theirs: Way, seeds: Sequence[int]) -> Interval:
    """Mean squared error minus the other's, in shares of the target's variance, seeds paired.

    Of daily means of log1p(ap); 27-day blocks of time are drawn, all seeds of a block together.
    """
    forecasts = [(arm_forecast(bench, ours, s), arm_forecast(bench, theirs, s)) for s in seeds]
    config = bench.config.improve
    return paired_change(forecasts, config.replicates, bench.config.seed)


def merged(patches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several patches as one; lists of things to leave out are joined, later values win."""
    found: dict[str, Any] = {}
    for patch in patches:
        for key, value in patch.items():
            found[key] = _joined(found.get(key), value)
    return found


def _joined(before: Any, value: Any) -> Any:
    lists = [x["$without"] for x in (before, value) if isinstance(x, dict) and "$without" in x]
    return {"$without": [kind for kinds in lists for kind in kinds]} if len(lists) == 2 else value

"""One trial: an arm over all seeds, judged against training as it was and a random remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, final

from heliosight.core.records import Interval
from heliosight.core.records_remedy import Trial, TrialRun
from heliosight.remedy import Arm, Fault, judge
from heliosight.workflows.arms import Bench, Patch, arm_forecast, as_arm
from heliosight.workflows.errors_compared import paired_change
from heliosight.workflows.pool import arms


@final
@dataclass(frozen=True)
class Controls:
    """Training as it was (or as it has become), and a random remedy where there is one."""

    runs: Mapping[str, tuple[TrialRun, ...]]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """As the verdict reads them, in order."""
        return tuple(as_arm(name, made) for name, made in self.runs.items())


def all_seeds(
    bench: Bench, pool: Executor | None, name: str, patch: Patch, fresh: Sequence[str] = ()
) -> tuple[TrialRun, ...]:
    """Every seed of an arm."""
    return tuple(arms(bench, pool, name, patch, bench.seeds, fresh))


def promising_seeds(
    bench: Bench, pool: Executor | None, name: str, patch: Patch, fresh: Sequence[str],
    targets: Sequence[Fault],
) -> tuple[TrialRun, ...]:  # fmt: skip
    """Seeds of an arm, until so many have kept the fault that it can no longer be accepted."""
    made: list[TrialRun] = []
    size = max(1, min(bench.config.threads, len(bench.seeds)))
    while len(made) < len(bench.seeds):
        made += arms(bench, pool, name, patch, bench.seeds[len(made) :][:size], fresh)
        kept = len(made) - as_arm(name, made).seeds_without(targets)
        if 2 * kept >= len(bench.seeds):
            break
    return tuple(made)


def tried(
    bench: Bench, pool: Executor | None,
    arm: tuple[Sequence[str], Patch, Sequence[str]], targets: Sequence[Fault], controls: Controls,
) -> tuple[Trial, tuple[TrialRun, ...]]:  # fmt: skip
    """The trial of an arm: the names of its remedies, its patch, and what starts fresh."""
    names, patch, fresh = arm
    label = "+".join(names)
    made = promising_seeds(bench, pool, label, patch, fresh, targets)
    changes = {
        name: error_change(bench, made, others[: len(made)])
        for name, others in controls.runs.items()
    }
    complete = len(made) == len(bench.seeds)
    margin = bench.config.improve.margin
    found = judge(targets, as_arm(label, made), controls.arms, changes, margin)
    early = "" if complete else f"after {len(made)} of {len(bench.seeds)} seeds: "
    trial = Trial(
        bench.study.run.provenance("", {}), tuple(names), dict(patch), tuple(map(str, targets)),
        tuple(r.seed for r in made), found.accepted and complete, found.cleared,
        found.control_cleared, found.new_faults, changes, margin, early + found.reason,
        sum(r.seconds for r in made),
    )  # fmt: skip
    return trial, made


def error_change(bench: Bench, ours: Sequence[TrialRun], theirs: Sequence[TrialRun]) -> Interval:
    """Mean squared error minus the other's, in shares of the target's variance, seeds paired.

    Of daily means of log1p(ap); 27-day blocks of time are drawn, all seeds of a block together.
    """
    pairs = zip(ours, theirs, strict=True)
    forecasts = [(arm_forecast(bench, a), arm_forecast(bench, b)) for a, b in pairs]
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

"""The improvement stage: diagnose, propose, try in the cheapest sensible order, prove or refute."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, cast, final

from heliosight.core.config import dump
from heliosight.core.errors import ConfigError, HeliosightError
from heliosight.core.progress import bar
from heliosight.core.records import Diagnosis, Finding
from heliosight.core.records_remedy import PlanRow, Trial, TrialRun
from heliosight.core.seeding import numpy_stream
from heliosight.diagnosis.verdict import faults
from heliosight.remedy import COSTS, Step, advice, apply, ledger, named, plan, random_step
from heliosight.workflows import diagnose
from heliosight.workflows.arms import Bench, usual_findings, write_plan
from heliosight.workflows.pool import workers
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.study import study_of
from heliosight.workflows.train import main_system
from heliosight.workflows.trials import Controls, all_seeds, merged, tried

AS_IT_WAS = "as_it_was"


@final
@dataclass(frozen=True)
class Chosen:
    """The best that is proved so far: its remedies, what they change, and its models."""

    names: tuple[str, ...]
    patch: dict[str, Any]
    fresh: tuple[str, ...]
    made: tuple[TrialRun, ...]

    @property
    def arm(self) -> str:
        """Its name among the trials."""
        return "+".join(self.names) or AS_IT_WAS

    def with_steps(
        self, steps: Sequence[Step]
    ) -> tuple[tuple[str, ...], dict[str, Any], tuple[str, ...]]:
        """Names, patch and fresh parts with more remedies on top."""
        extra = [s.prescription for s in steps]
        return (
            (*self.names, *(p.name for p in extra)),
            merged([self.patch, *(p.patch for p in extra)]),
            (*self.fresh, *(part for p in extra for part in p.fresh)),
        )


@final
@dataclass(frozen=True)
class Accepted:
    """A remedy that kept its promise."""

    step: Step
    trial: Trial
    made: tuple[TrialRun, ...]

    @property
    def error(self) -> float:
        """Its change of the error against training as it was."""
        return next(iter(self.trial.changes.values())).value


@dataclass
class Progress:
    """Where an improvement stands; the one thing here that changes.

    Attributes
    ----------
    pool : processes that make the seeds of an arm, None for this one alone.
    rows : the plan by prescription, in order. trials : judged ones, in the order tried.
    started : of this run of the stage [s, monotonic]; earlier runs are not counted again.
    """

    bench: Bench
    pool: Executor | None = None
    rows: dict[str, PlanRow] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def plan(self, name: str, state: str, answers: Sequence[object], note: str = "") -> None:
        """A new row, and the plan written anew."""
        self.rows[name] = PlanRow(name, state, tuple(map(str, answers)), note)
        self.write()

    def mark(self, name: str, state: str, note: str = "") -> None:
        """Tick a row and write the plan anew."""
        self.rows[name] = replace(self.rows[name], state=state, note=note)
        self.write()

    def close(self, note: str) -> None:
        """Leave out what is still only planned."""
        for name, row in list(self.rows.items()):
            if row.state == "planned":
                self.mark(name, "left out", note)
        self.write()

    def judged(self, name: str, trial: Trial) -> None:
        """Keep a trial and tick its row."""
        self.trials.append(trial)
        self.mark(name, "accepted" if trial.accepted else "refuted", trial.reason)

    def write(self) -> None:
        """The plan as it stands, on disk."""
        spent = f"{len(self.trials)} trials judged, {self.minutes:.1f} minutes in this run"
        write_plan(self.bench, ledger(list(self.rows.values()), spent))

    @property
    def minutes(self) -> float:
        """Since this run of the stage began."""
        return (time.monotonic() - self.started) / 60

    @property
    def spent(self) -> bool:
        """True when the budget of minutes or trials is used up."""
        config = self.bench.config.improve
        late = bool(config.minutes) and self.minutes >= config.minutes
        return late or (bool(config.trials) and len(self.trials) >= config.trials)


def run(run: Run, verb: str = "") -> StageResult:
    """Improve the main system on one fold; what was finished before is used again."""
    if verb == "study":
        from heliosight.workflows.improve_study import study

        return study(run)
    if run.config.subject.model:
        return advised(run)
    from heliosight.workflows.before_after import concluded

    bench = bench_of(run)
    with workers(bench) as pool:
        progress = Progress(bench, pool)
        base, chosen = improved(bench, progress)
    return concluded(bench, progress, base, chosen)


def advised(run: Run) -> StageResult:
    """A model of somebody's own: what to do about each finding, and how to tell that it worked."""
    result = diagnose.run(run)
    found = advice(ordered(cast(Diagnosis, result.record).findings))
    told = [f"{name}: {text}" for name, text in found] or ["nothing is prescribed"]
    return StageResult(result.record, tuple(told), result.fault)


def bench_of(run: Run) -> Bench:
    """The bench of a run's main system.

    Raises
    ------
    ConfigError : the system sees no images.
    """
    system = main_system(run)
    if all(m.kind != "images" for m in run.config.spec(system).modalities.values()):
        raise ConfigError(
            "an improvement looks at a system with images",
            f"{system}: {', '.join(run.config.systems[system])}",
            "Put a system with images first.",
            "systems",
        )
    study = study_of(run)
    return Bench(study, system, study.fold_number(run.config.improve.fold, "improve.fold"))


def improved(bench: Bench, progress: Progress) -> tuple[tuple[TrialRun, ...], Chosen]:
    """Training as it was, and the best that was proved."""
    base = all_seeds(bench, progress.pool, AS_IT_WAS, {})
    chosen = Chosen((), {}, (), base)
    for number in range(bench.config.improve.rounds):
        found = ordered(usual_findings(chosen.made))
        if number == 0:
            _advise(progress, found)
        steps = _planned(bench, progress, found, chosen)
        better = _round(bench, progress, steps, chosen) if steps else None
        if better is None:
            break
        chosen = better
    progress.close("what was proved before it came first")
    return base, chosen


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Faults with the most likely root first, then everything else."""
    return [*faults(findings), *(f for f in findings if f.outcome != "fault")]


def _planned(
    bench: Bench, progress: Progress, findings: Sequence[Finding], chosen: Chosen
) -> list[Step]:
    """Steps for what is left; one that was refuted is not tried again."""
    plain, _ = apply(dump(bench.config), chosen.patch)
    tried_before = {n for n, r in progress.rows.items() if r.state in ("accepted", "refuted")}
    steps = [s for s in plan(findings, plain) if s.prescription.name not in tried_before]
    progress.close("its fault was gone after the earlier repairs")
    for step in steps:
        progress.plan(step.prescription.name, "planned", step.targets)
    return steps


def _advise(progress: Progress, findings: Sequence[Finding]) -> None:
    for place, (name, text) in enumerate(advice(findings), start=1):
        if not named(name).patch:
            progress.plan(f"{name} {place}", "advice", (), text)


def _round(
    bench: Bench, progress: Progress, steps: Sequence[Step], chosen: Chosen
) -> Chosen | None:
    """The cheapest kind of remedies of which one is accepted, each alone, then together.

    Dearer ones wait until the repaired model has been diagnosed: its faults may be gone.
    """
    controls = _controls(bench, progress, steps, chosen)
    for cost in COSTS:
        accepted: list[Accepted] = []
        group = [s for s in steps if s.prescription.cost == cost]
        with bar(f"{cost} remedies", len(group)) as running:
            for step in group:
                running.advance(0, step.prescription.name)
                found = _single(bench, progress, step, chosen, controls, accepted)
                accepted += [found] if found is not None else []
                running.advance()
        if accepted:
            return _together(bench, progress, accepted, chosen, controls)
    return None


def _controls(bench: Bench, progress: Progress, steps: Sequence[Step], chosen: Chosen) -> Controls:
    """What is chosen as it is, and with a random remedy on top."""
    runs = {chosen.arm: chosen.made}
    plain, _ = apply(dump(bench.config), chosen.patch)
    rng = numpy_stream(bench.config.seed, "improve", "random", *chosen.names)
    drawn = random_step(steps, plain, rng)
    if drawn is not None:
        arm = "+".join((*chosen.names, f"random_{drawn.name}"))
        _, patch, fresh = chosen.with_steps([Step(drawn, ())])
        runs[arm] = all_seeds(bench, progress.pool, arm, patch, fresh)
    return Controls(runs)


def _single(
    bench: Bench, progress: Progress, step: Step, chosen: Chosen, controls: Controls,
    accepted: Sequence[Accepted],
) -> Accepted | None:  # fmt: skip
    """One step's trial, unless the budget is spent or its faults are repaired already."""
    name = step.prescription.name
    done = {target: a.step.prescription.name for a in accepted for target in a.step.targets}
    repaired = all(target in done for target in step.targets)
    if repaired and not bench.config.improve.every_remedy:
        by = ", ".join(sorted({done[t] for t in step.targets}))
        progress.mark(name, "left out", f"its fault is repaired already by {by}")
        return None
    if progress.spent:
        progress.mark(name, "left out", "the budget is spent")
        return None
    progress.mark(name, "running")
    arm = chosen.with_steps([step])
    try:
        trial, made = tried(bench, progress.pool, arm, step.targets, controls)
    except HeliosightError as error:  # it does not fit this model or these data
        progress.mark(name, "left out", str(error))
        return None
    progress.judged(name, trial)
    return Accepted(step, trial, made) if trial.accepted else None


def _together(
    bench: Bench, progress: Progress, accepted: Sequence[Accepted], chosen: Chosen,
    controls: Controls,
) -> Chosen:  # fmt: skip
    """The most of the accepted remedies that hold together; the last ones are dropped first."""
    for count in range(len(accepted), 1, -1):
        if progress.spent:
            break
        steps = [a.step for a in accepted[:count]]
        arm = chosen.with_steps(steps)
        targets = tuple(dict.fromkeys(t for s in steps for t in s.targets))
        label = " + ".join(s.prescription.name for s in steps)
        progress.plan(label, "running", targets)
        trial, made = tried(bench, progress.pool, arm, targets, controls)
        progress.judged(label, trial)
        if trial.accepted:
            return Chosen(*arm, made)
    best = min(accepted, key=lambda a: a.error)
    return Chosen(*chosen.with_steps([best.step]), best.made)

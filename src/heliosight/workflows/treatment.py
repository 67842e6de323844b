"""The treatment of an ill model: diagnose, propose, screen in the cheapest sensible order, prove.

Screening asks each remedy on one seed, and what is no schedule for a few epochs; what keeps its
promise there is proved together, over all seeds and for the full time, against both controls.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

from heliosight.core.config import dump
from heliosight.core.errors import ConfigError, HeliosightError
from heliosight.core.progress import bar, note
from heliosight.core.records import Finding
from heliosight.core.records_remedy import PlanRow, Prescription, Trial, TrialRun
from heliosight.core.seeding import numpy_stream
from heliosight.diagnosis.verdict import faults
from heliosight.remedy import COSTS, Fault, Step, advice, apply, ledger, named, plan, random_step
from heliosight.workflows.arms import AS_IT_WAS, Bench, Way, write_plan
from heliosight.workflows.pool import Workers
from heliosight.workflows.run import Run
from heliosight.workflows.seen import usual_findings
from heliosight.workflows.study import study_of
from heliosight.workflows.trained import main_system
from heliosight.workflows.trials import Asked, merged, tried

SCHEDULES = "training"  # what cannot be judged after a few epochs


@final
@dataclass(frozen=True)
class Chosen:
    """What has kept its promise so far: steps in order, and the models they gave."""

    steps: tuple[Step, ...]
    made: tuple[TrialRun, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the remedies."""
        return tuple(s.prescription.name for s in self.steps)

    @property
    def targets(self) -> tuple[Fault, ...]:
        """Every fault they answer, once."""
        return tuple(dict.fromkeys(t for s in self.steps for t in s.targets))

    @property
    def way(self) -> Way:
        """How its models are trained on; for the few epochs of a screening where that will do."""
        return self.with_remedies(())

    def with_remedies(self, more: Sequence[Prescription], full: bool = False) -> Way:
        """The same with more remedies on top."""
        every = [*(s.prescription for s in self.steps), *more]
        short = not full and all(p.cost != SCHEDULES for p in every)
        fresh = tuple(dict.fromkeys(part for p in every for part in p.fresh))
        name = "+".join(p.name for p in every) or AS_IT_WAS
        return Way(name, merged([p.patch for p in every]), fresh, short)


@dataclass
class Progress:
    """Where an improvement stands; the one thing here that changes.

    Attributes
    ----------
    rows : the plan by prescription, in order. trials : judged ones, in the order tried.
    started : of this run of the stage [s, monotonic]; earlier runs are not counted again.
    """

    workers: Workers
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
        good = "accepted" if trial.proof else "promising"
        state = good if trial.accepted else "refuted"
        self.mark(name, state, trial.reason)
        note(f"{name}: {state} ({trial.reason})")

    def write(self) -> None:
        """The plan as it stands, on disk."""
        spent = f"{len(self.trials)} trials judged, {self.minutes:.1f} minutes in this run"
        write_plan(self.bench, ledger(list(self.rows.values()), spent))

    @property
    def bench(self) -> Bench:
        """Data, split and system."""
        return self.workers.bench

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


def improved(progress: Progress) -> Chosen:
    """What was proved, with the models of every seed; nothing where nothing was."""
    return proved(progress, screened(progress))


def screened(progress: Progress) -> Chosen:
    """What keeps its promise on the first seed."""
    bench, workers = progress.bench, progress.workers
    workers.begin(bench.seeds)
    first = bench.seeds[:1]
    chosen = Chosen((), (workers.ill(first[0]),))
    workers.start(Way(short=True), first)
    for number in range(bench.config.improve.rounds):
        found = ordered(usual_findings(chosen.made))
        if number == 0:
            _tell(found)
            _advise(progress, found)
        steps = _planned(progress, found, chosen)
        better = _round(progress, steps, chosen) if steps else None
        if better is None:
            break
        chosen = better
    progress.close("what was promising before it came first")
    return chosen


def _tell(found: Sequence[Finding]) -> None:
    """What is wrong, as soon as it is known: the rest takes minutes."""
    told = dict.fromkeys(str(Fault(f.subject, f.cause)) for f in faults(found))
    note(f"found: {'; '.join(told) or 'no fault'}")


def proved(progress: Progress, chosen: Chosen) -> Chosen:
    """The most of what is promising that holds over all seeds, against both controls.

    The last remedies are dropped first.
    """
    seeds = progress.bench.seeds
    for count in range(len(chosen.steps), 0, -1):
        if progress.spent:
            progress.close("the budget is spent")
            break
        kept = Chosen(chosen.steps[:count], ())
        trial, made = _proof(progress, kept)
        if trial.accepted:
            for name in kept.names:
                progress.mark(name, "accepted", f"proved over {len(seeds)} seeds")
            return replace(kept, made=made)
    return Chosen((), ())


def _proof(progress: Progress, kept: Chosen) -> tuple[Trial, tuple[TrialRun, ...]]:
    """One combination over all seeds, against training as it was and a random remedy."""
    controls = (Way(), *random_ways(progress, kept))
    label = "proof: " + " + ".join(kept.names)
    progress.plan(label, "running", kept.targets)
    way, seeds = kept.with_remedies((), full=True), progress.bench.seeds
    ill = progress.workers.ill(seeds[0])
    asked = Asked(kept.names, way, kept.targets, controls, seeds, ill.findings, proof=True)
    with bar("proof", 1) as running:
        running.advance(0, f"{len(seeds)} seeds against {len(controls)} controls")
        trial, made = tried(progress.workers, asked)
    progress.judged(label, trial)
    return trial, made


def random_ways(progress: Progress, kept: Chosen) -> tuple[Way, ...]:
    """A remedy that answers none of the ill model's faults; none where there is no such."""
    config = progress.bench.config
    ill = progress.workers.ill(config.seed)
    steps = [*plan(ill.findings, dump(config)), *kept.steps]
    drawn = random_step(steps, dump(config), numpy_stream(config.seed, "improve", "random"))
    if drawn is None:
        return ()
    return (Way(f"random_{drawn.name}", drawn.patch, drawn.fresh),)


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Faults with the most likely root first, then everything else."""
    return [*faults(findings), *(f for f in findings if f.outcome != "fault")]


def _planned(progress: Progress, findings: Sequence[Finding], chosen: Chosen) -> list[Step]:
    """Steps for what is left; one that was refuted is not tried again."""
    plain, _ = apply(dump(progress.bench.config), chosen.way.patch)
    before = {n for n, r in progress.rows.items() if r.state in ("promising", "refuted")}
    steps = [s for s in plan(findings, plain) if s.prescription.name not in before]
    progress.close("its fault was gone after the earlier repairs")
    for step in steps:
        progress.plan(step.prescription.name, "planned", step.targets)
    return steps


def _advise(progress: Progress, findings: Sequence[Finding]) -> None:
    for place, (name, text) in enumerate(advice(findings), start=1):
        if not named(name).patch:
            progress.plan(f"{name} {place}", "advice", (), text)


def _round(progress: Progress, steps: Sequence[Step], chosen: Chosen) -> Chosen | None:
    """The cheapest kind of remedies of which one is promising, each alone, then together.

    Dearer ones wait until the repaired model has been diagnosed: its faults may be gone.
    """
    for cost in COSTS:
        group = [s for s in steps if s.prescription.cost == cost]
        for step in _first_for_their_faults(group):  # both cores have work
            way, first = chosen.with_remedies([step.prescription]), progress.bench.seeds[:1]
            progress.workers.start(way, first)
        good: list[tuple[Step, Trial, tuple[TrialRun, ...]]] = []
        with bar(f"{cost} remedies", len(group)) as running:
            for step in group:
                running.advance(0, step.prescription.name)
                found = _single(progress, step, chosen, [s for s, _, _ in good])
                good += [found] if found is not None else []
                running.advance()
        if good:
            return _together(progress, good, chosen)
    return None


def _first_for_their_faults(group: Sequence[Step]) -> list[Step]:
    """Steps that will be tried if every one before them keeps its promise."""
    found: list[Step] = []
    for step in group:
        if not set(step.targets) <= {t for s in found for t in s.targets}:
            found.append(step)
    return found


def _single(
    progress: Progress, step: Step, chosen: Chosen, good: Sequence[Step]
) -> tuple[Step, Trial, tuple[TrialRun, ...]] | None:
    """One step's screening, unless the budget is spent or its faults are repaired already."""
    name = step.prescription.name
    done = {target: s.prescription.name for s in good for target in s.targets}
    repaired = all(target in done for target in step.targets)
    if repaired and not progress.bench.config.improve.every_remedy:
        by = ", ".join(sorted({done[t] for t in step.targets}))
        progress.mark(name, "left out", f"its fault is repaired already by {by}")
        return None
    if progress.spent:
        progress.mark(name, "left out", "the budget is spent")
        return None
    progress.mark(name, "running")
    try:
        trial, made = tried(progress.workers, _screening(progress, chosen, [step]))
    except HeliosightError as error:  # it does not fit this model or these data
        progress.mark(name, "left out", str(error))
        return None
    progress.judged(name, trial)
    return (step, trial, made) if trial.accepted else None


def _screening(progress: Progress, chosen: Chosen, steps: Sequence[Step]) -> Asked:
    """Steps on top of what is chosen, on the first seed, against what is chosen for as long."""
    way = chosen.with_remedies([s.prescription for s in steps])
    control = chosen.with_remedies((), full=not way.short)
    targets = tuple(dict.fromkeys(t for s in steps for t in s.targets))
    names = (*chosen.names, *(s.prescription.name for s in steps))
    before = tuple(f for one in chosen.made for f in one.findings)
    return Asked(names, way, targets, (control,), progress.bench.seeds[:1], before)


def _together(
    progress: Progress, good: Sequence[tuple[Step, Trial, tuple[TrialRun, ...]]], chosen: Chosen
) -> Chosen:
    """The most of the promising remedies that hold together; the last ones are dropped first."""
    for count in range(len(good), 1, -1):
        if progress.spent:
            break
        steps = [step for step, _, _ in good[:count]]
        label = " + ".join(s.prescription.name for s in steps)
        asked = _screening(progress, chosen, steps)
        progress.plan(label, "running", asked.targets)
        trial, made = tried(progress.workers, asked)
        progress.judged(label, trial)
        if trial.accepted:
            return Chosen((*chosen.steps, *steps), made)
    step, _, made = min(good, key=lambda g: next(iter(g[1].changes.values())).value)
    return Chosen((*chosen.steps, step), made)

"""The repair study: models with a planted fault, and healthy ones that look ill, over seeds.

Every case is the whole improvement loop on a small world of planted law, with one seed an arm; so
the verdict of one run is judged, not a mean. Finished cases are never run again, and the rates are
those of the cases there are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from scipy import stats

from heliosight.core import records
from heliosight.core.clock import DAY
from heliosight.core.config import dump
from heliosight.core.files import is_sealed
from heliosight.core.progress import bar
from heliosight.core.records import Interval
from heliosight.core.records_remedy import RepairCase, RepairStudy, TrialRun
from heliosight.data.store import save_store
from heliosight.remedy import faults_of
from heliosight.sun import simulate
from heliosight.training import predict
from heliosight.workflows.arms import Bench, Way, arm_model
from heliosight.workflows.config import AppConfig, app_config
from heliosight.workflows.errors_compared import paired_change
from heliosight.workflows.pool import Workers
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.seen import as_arm
from heliosight.workflows.treatment import (
    Chosen,
    Progress,
    bench_of,
    improved,
    random_ways,
)
from heliosight.zoo.architectures import architecture
from heliosight.zoo.worlds import SPECTRA, Law, planted_tables, specification

SYSTEM, WORLD_SEED = "full", 0
CARRIED = ("state_not_carried", "steps_not_connected")
# What a diagnosis may call each planted fault; any of them counts as found.
PLANTED: dict[str, tuple[str, ...]] = {
    "state_not_carried": CARRIED,
    "state_detached": ("state_detached", "steps_detached"),
    "same_frame": ("same_frame", "steps_not_connected"),
    "reversed_frames": ("reversed_frames", "wrong_frame", "future_leak"),
    "detached": ("detached", "not_connected", "dead_weights", "lazy_or_blocked"),
    "position_on_batch": ("batch_leakage", "order_blind"),
    "batch_statistics": ("batch_leakage",),
    "weak_features": ("lost_at_fusion", "lazy_or_blocked", "slow_branch", "starved_branch"),
    "forget_bias": ("short_sight", "time_unused", "vanishing_state", "learned_short_memory"),
}
# The certificate's recipe; then as long again for an arm, half of it for a screening.
TRAINING = {
    "epochs": 6, "epoch_windows": 960, "validation_windows": 256, "batch_size": 64,
    "optimiser": {"rates": {}, "default_rate": 3e-3}, "stopping": {"patience": None},
}  # fmt: skip
CHECKS = {"windows": 256, "subset": 16, "shifts": 8}
LIMITS = {"seeds": 1, "rounds": 2, "windows": 512, "epochs": 6, "screen_epochs": 3}
TEST_START = "2016-07-01"
SIZES = {"weak_features": 0.01, "forget_bias": 8.0}
HEALTHY = {
    "plain": Law(),
    "nothing in the images": Law(images=0.0, interaction=0.0, wind=0.6),
    "images repeat the wind": Law(copy=1.0),
    "a fixed place": Law(corner=True),
    "little to know": Law(images=0.03, wind=0.03, interaction=0.0),
    "newest frames only": Law(near=24.0, far=36.0),
}


@final
@dataclass(frozen=True)
class Case:
    """One model: its world's law, what is planted, its seed."""

    name: str
    law: Law
    kinds: tuple[str, ...]
    seed: int

    @property
    def causes(self) -> frozenset[str]:
        """Every cause by which what is planted may be found."""
        return frozenset(cause for kind in self.kinds for cause in PLANTED[kind])


def study(run: Run) -> StageResult:
    """Run what is not finished within the budget; print the rates of what is."""
    root, wanted = run.folder / "repair_study", list(cases(run.config.improve.study_seeds))
    started, made = time.monotonic(), []
    budget = 60 * run.config.improve.minutes
    with bar("repair study", len(wanted)) as running:
        for case in wanted:
            late = bool(budget) and time.monotonic() - started > budget
            found = finished(root, case) if late else _case(run, root, case)
            made += [found] if found is not None else []
            running.advance(note=f"{case.name} {case.seed}")
    record = summary(run, made, len(wanted))
    records.save(root / "summary", record)
    return StageResult(record, tuple(lines(record)))


def cases(seeds: int) -> Iterator[Case]:
    """Every case of one seed before those of the next, ill ones first."""
    for seed in range(1, seeds + 1):
        for kind in PLANTED:
            yield Case(kind, HEALTHY["plain"], (kind,), seed)
        for name, law in HEALTHY.items():
            yield Case(name, law, (), seed)


def folder_of(root: Path, case: Case) -> Path:
    """Where a case lies."""
    return root / case.name.replace(" ", "_") / f"seed_{case.seed}"


def finished(root: Path, case: Case) -> RepairCase | None:
    """The finished case, None when it has yet to be run."""
    folder = folder_of(root, case) / "result"
    return records.load(folder, RepairCase) if is_sealed(folder) else None


def _case(run: Run, root: Path, case: Case) -> RepairCase:
    found = finished(root, case)
    if found is not None and not run.force:
        return found
    started = time.monotonic()
    config = case_config(run.config, world(root, case.law), case)
    bench = replace(
        bench_of(Run(config, folder_of(root, case), run.command)),
        shared=_WINDOWS.setdefault((root, case.law), {}), alone=True,
    )  # fmt: skip
    progress = Progress(Workers(bench))
    made = replace(_judged(case, progress, improved(progress)), seconds=time.monotonic() - started)
    records.save(folder_of(root, case) / "result", made)
    return made


# What the windows of a world alone tell, which all its cases share; of this process.
_WINDOWS: dict[tuple[Path, Law], dict[Any, Any]] = {}


def world(root: Path, law: Law) -> Path:
    """The store of a law on spectrum A, made once."""
    name = "_".join(f"{k}{v}" for k, v in dump(law).items()).replace(".", "p")
    folder = root / "worlds" / name
    if not is_sealed(folder):
        observed = dict(simulate(SPECTRA["A"].sun).tables)
        tables = planted_tables(observed, law, WORLD_SEED)
        tables["coronal_holes"] = observed["coronal_holes"]  # a lesson of staged training
        made = records.provenance("", WORLD_SEED, "", {}, simulated=True)
        save_store(folder, tables, name, {"sun": "zoo, spectrum A"}, {}, ("SIMULATED",), made)
    return folder


def case_config(own: AppConfig, store: Path, case: Case) -> AppConfig:
    """A small run on a world: the run's own limits, the zoo's concat architecture."""
    spec = specification(case.law)
    plain: dict[str, Any] = {
        "name": "repair",
        "seed": case.seed,
        "threads": 1,
        "data": {"type": "store", "folder": str(store)},
        "inputs": dump(spec.modalities),
        "systems": {SYSTEM: list(spec.modalities)},
        "split": {"test_starts": [TEST_START], "validation_share": 0.3, "stride_hours": 6},
        "faults": [{"kind": k, "size": SIZES.get(k, 1.0)} for k in case.kinds],
        "model": dump(architecture("concat")),
        "training": TRAINING,
        "diagnose": {"checks": CHECKS},
        "improve": {
            **LIMITS, "margin": own.improve.margin, "replicates": own.improve.replicates,
        },
    }  # fmt: skip
    return app_config(plain)


def _judged(case: Case, progress: Progress, proved: Chosen) -> RepairCase:
    """What became of a case; the test block is looked at here alone."""
    bench, workers, seeds = progress.bench, progress.workers, progress.bench.seeds
    ill = workers.ill(case.seed).findings
    found = frozenset(f.cause for f in faults_of(ill))
    left = _causes(proved.made) if proved.steps else found
    hit = bool(case.causes & found)
    random = random_ways(progress, proved) if hit else ()
    gain = _gain(bench, proved.with_remedies((), full=True)) if proved.steps else None
    rows = progress.rows.values()
    return RepairCase(
        bench.study.run.provenance("", {"data": bench.study.store.hash}),
        case.name,
        case.seed,
        tuple(sorted(case.causes)),
        tuple(sorted(found)),
        tuple(r.name for r in rows if r.state != "advice" and not set("+:") & set(r.name)),
        proved.names,
        hit and not case.causes & left,
        hit and not case.causes & _causes(workers.seen(Way(), seeds)),
        hit and any(not case.causes & _causes(workers.seen(w, seeds)) for w in random),
        gain,
        gain is not None and gain.high is not None and gain.high < 0,
    )


def _causes(made: Sequence[TrialRun]) -> frozenset[str]:
    return frozenset(f.cause for f in as_arm("", made).usual())


def _gain(bench: Bench, way: Way) -> Interval:
    """Error as it was minus repaired, on the test block, looked at here alone; once a day."""
    every = bench.study.times(bench.system, bench.fold.test)
    times = every[every % DAY == every[0] % DAY]
    source, forecasts = bench.study.windows(bench.system), []
    for seed in bench.seeds:
        pair = [arm_model(bench, w, seed)[1] for w in (way, Way())]
        a, b = (predict(model, source, times, name="test") for model in pair)
        forecasts.append((a, b))
    change = paired_change(forecasts, bench.config.improve.replicates, bench.config.seed)
    low = None if change.high is None else -change.high
    high = None if change.low is None else -change.low
    return Interval(-change.value, low, high, change.level, change.how)


def summary(run: Run, made: Sequence[RepairCase], planned: int) -> RepairStudy:
    """Rates of the cases there are."""
    ill = [c for c in made if c.planted]
    well = [c for c in made if not c.planted]
    rates = {
        "repaired": rate([c.repaired for c in ill]),
        "found": rate([bool(set(c.planted) & set(c.found)) for c in ill]),
        "without a trace after training on": rate([c.by_continuing for c in ill]),
        "repaired by a random remedy": rate([c.by_random for c in ill]),
        "harmed": rate([c.harmed for c in made]),
        "prescribed to the healthy": rate([bool(c.prescribed) for c in well]),
        "accepted on the healthy": rate([bool(c.accepted) for c in well]),
    }
    names = dict.fromkeys(c.case for c in made)
    by_fault = {
        n: rate([c.repaired if c.planted else bool(c.prescribed) for c in made if c.case == n])
        for n in names
    }
    return RepairStudy(run.provenance("", {}), len(made), planned, rates, by_fault)


def rate(hits: Sequence[bool]) -> Interval:
    """A share with its exact binomial interval (Clopper & Pearson 1934, Biometrika 26, 404)."""
    n, k = len(hits), int(np.sum(hits))
    if not n:
        return Interval(0.0, 0.0, 1.0, how="no case")
    low = float(stats.beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return Interval(k / n, low, high, how=f"Clopper-Pearson, {k} of {n}")


def lines(record: RepairStudy) -> list[str]:
    """Rates as lines, then each fault and each healthy world."""
    told = [f"{record.cases} of {record.planned} cases"]
    for title, rates in (("", record.rates), ("  ", record.by_fault)):
        told += [
            f"{title}{name:<36} {v.value:.2f} [{v.low:.2f}, {v.high:.2f}] ({v.how})"
            for name, v in rates.items()
        ]
    return told

"""One case of the repair study: a model with a planted fault, or a healthy one that looks ill.

A case is the whole improvement loop on a small world of planted law, with one seed an arm; so the
verdict of one run is judged, not a mean.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, final

import numpy as np

from heliosight.core import records
from heliosight.core.batch import Batch
from heliosight.core.clock import DAY
from heliosight.core.config import dump
from heliosight.core.files import digest, is_sealed
from heliosight.core.records import Interval
from heliosight.core.records_remedy import RepairCase, TrialRun
from heliosight.core.tables import Table
from heliosight.data.store import save_store
from heliosight.models import Forecaster
from heliosight.remedy import faults_of
from heliosight.sun import SunConfig, simulate
from heliosight.training import load_weights, predict
from heliosight.workflows.arms import AS_GIVEN, Bench, Way, arm_model, ill_weights
from heliosight.workflows.config import AppConfig, app_config
from heliosight.workflows.errors_compared import paired_change
from heliosight.workflows.pool import Workers
from heliosight.workflows.run import Run
from heliosight.workflows.seen import as_arm
from heliosight.workflows.treatment import (
    Chosen,
    Progress,
    bench_of,
    improved,
    random_ways,
)
from heliosight.zoo.architectures import architecture
from heliosight.zoo.manipulation import took
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
CHECKS = {"windows": 512, "subset": 16, "shifts": 8}
SEEN = 64  # windows of the trial block on which one sees whether a fault took
LIMITS = {"seeds": 1, "rounds": 2, "windows": 512, "epochs": 6, "screen_epochs": 3}
TEST_START = "2016-07-01"
# The zoo's moderate one: what 0.01 takes away, 90 steps of Adam make up for on most seeds.
SIZES = {"weak_features": 4e-4, "forget_bias": 8.0}
LEARNED = frozenset(SIZES)  # what a training may undo, so that only a plain twin tells
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


def finished(run: Run, root: Path, case: Case) -> RepairCase | None:
    """The finished case of these settings, None when it has yet to be run."""
    return run.found(folder_of(root, case) / "result", RepairCase, _key(run, case))


def _key(run: Run, case: Case) -> str:
    config = case_config(run.config, Path(SYSTEM), case)
    return run.key("repair case", dump(config), dump(SPECTRA["A"]), SEEN)


def case_made(run: Run, root: Path, case: Case) -> RepairCase:
    """What became of a case, run unless it is finished; `seconds` are those of this run of it."""
    found = finished(run, root, case)
    if found is not None and not run.force:
        return found
    started = time.monotonic()
    config = case_config(run.config, world(root, case.law), case)
    bench = replace(
        bench_of(Run(config, folder_of(root, case), run.command)),
        shared=_WINDOWS.setdefault((root, case.law), {}), alone=True,
    )  # fmt: skip
    progress = Progress(Workers(bench))
    judged = _judged(case, progress, improved(progress))
    made = replace(
        judged, seconds=time.monotonic() - started,
        provenance=replace(judged.provenance, key=_key(run, case)),
    )  # fmt: skip
    records.save(folder_of(root, case) / "result", made)
    return made


# What the windows of a world alone tell, which all its cases share; of this process.
_WINDOWS: dict[tuple[Path, Law], dict[Any, Any]] = {}


def world(root: Path, law: Law) -> Path:
    """The store of a law on spectrum A, made once."""
    sun = digest(dump(SPECTRA["A"].sun))[:8]
    name = "_".join(f"{k}{v}" for k, v in dump(law).items()).replace(".", "p") + f"_{sun}"
    folder = root / "worlds" / name
    if not is_sealed(folder):
        observed = _sun(SPECTRA["A"].sun)
        tables = planted_tables(observed, law, WORLD_SEED)
        tables["coronal_holes"] = observed["coronal_holes"]  # a lesson of staged training
        made = records.provenance("", WORLD_SEED, "", {}, simulated=True)
        save_store(folder, tables, name, {"sun": "zoo, spectrum A"}, {}, ("SIMULATED",), made)
    return folder


@cache
def _sun(config: SunConfig) -> dict[str, Table]:
    return dict(simulate(config).tables)


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
    twins, seen = _twins(bench, case), _few(bench)
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
        all(took(fault, *twins, seen) for fault in bench.config.faults),
    )


def _twins(bench: Bench, case: Case) -> tuple[Forecaster, Forecaster]:
    """The ill model, and one without the fault.

    A network of the same weights; where training may undo a fault, one of the same beginning.
    """
    ill = arm_model(bench, AS_GIVEN, case.seed)[1]
    run = bench.study.run
    plain = Run(replace(run.config, faults=()), run.folder / "plain", run.command)
    other = replace(bench, study=replace(bench.study, run=plain))
    source = other if LEARNED & set(case.kinds) else bench
    twin = other.study.untrained(other.system, other.fold, bench.moments)
    load_weights(twin, ill_weights(source, case.seed))
    return ill, twin.eval()


def _few(bench: Bench) -> Batch:
    times = bench.blocks[2]
    few = times[np.linspace(0, len(times) - 1, min(SEEN, len(times))).astype(int)]
    return bench.study.windows(bench.system).batch(few)


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

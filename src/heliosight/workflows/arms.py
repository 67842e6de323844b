"""Arms of a trial: the ill model trained on for the same time, as it was or under a patch.

Every arm of a seed starts from the same ill weights, is given as many windows, and forecasts the
same block of time: the later two thirds of the validation block. The first third chooses the epoch;
the test block is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from heliosight.core import records
from heliosight.core.config import dump
from heliosight.core.files import digest, write_text
from heliosight.core.folds import Fold
from heliosight.core.making import clear_workplace, workplace
from heliosight.core.predictions import Predictions
from heliosight.core.progress import note
from heliosight.core.records_remedy import TrialRun
from heliosight.core.tables import Moments
from heliosight.evaluation.features import WIND_VARIABLES
from heliosight.evaluation.real import RIDGES, column_groups
from heliosight.evaluation.references import Rows, ridge_references
from heliosight.models import Forecaster
from heliosight.remedy import apply
from heliosight.training import (
    load_weights,
    predict,
    read_log,
    take_weights,
    train,
    weights_bytes,
)
from heliosight.workflows.beginning import settings_of, start_key, started, teacher
from heliosight.workflows.config import AppConfig, app_config
from heliosight.workflows.run import Run
from heliosight.workflows.study import Study
from heliosight.workflows.trained import (
    LOG,
    WEIGHTS,
    finished,
    folder_of,
    key_of,
    learned,
    trained,
)

RIDGE = "ridge_omni"
CHOOSE = 1 / 3  # share of the validation block that chooses the epoch
AS_IT_WAS, ILL = "as_it_was", "ill"
FOLDER = "improve"
PLAN = f"{FOLDER}/plan.txt"
Patch = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Way:
    """One way of training on from the ill weights.

    Attributes
    ----------
    name : of the arm. patch : what it changes in the ill config.
    fresh : beginnings of parameter names that start anew.
    short : trained for the few epochs of a screening.
    """

    name: str = AS_IT_WAS
    patch: dict[str, Any] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    short: bool = False


AS_GIVEN = Way(ILL, short=True)


@final
@dataclass(frozen=True)
class Bench:
    """What all arms share: the data, the split, the system, and where they are kept.

    Attributes
    ----------
    shared : what diagnoses on the trial block know of its windows alone; benches with the same
        windows and checks may share it.
    alone : the ill model is asked for here only, so what `heliosight train` forecasts beside it is
        left out.
    """

    study: Study
    system: str
    number: int
    shared: dict[Any, Any] = field(default_factory=dict, compare=False)
    alone: bool = False

    @property
    def config(self) -> AppConfig:
        """The ill config."""
        return self.study.run.config

    @property
    def folder(self) -> Path:
        """Everything an improvement leaves."""
        return self.study.run.folder / FOLDER

    @property
    def fold(self) -> Fold:
        """The fold that is improved."""
        return self.study.folds[self.number]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Paired seeds, the run's own first."""
        first = self.config.seed
        return tuple(range(first, first + self.config.improve.seeds))

    @cached_property
    def moments(self) -> Mapping[str, Moments]:
        """Training moments, the same for every arm."""
        return self.study.moments(self.system, self.fold)

    @cached_property
    def blocks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Issue times `(N,)` that teach, that choose the epoch, and by which arms are judged."""
        learn = self.study.times(self.system, self.fold.train)
        both, judged = self.study.times(self.system, self.fold.validation), self.later
        take = np.linspace(0, len(judged) - 1, min(self.config.improve.windows, len(judged)))
        return learn, both[: len(both) - len(judged)], judged[np.unique(take.astype(int))]

    @cached_property
    def later(self) -> np.ndarray:
        """Every issue time `(N,)` of the block by which arms are judged."""
        both = self.study.times(self.system, self.fold.validation)
        return both[int(len(both) * CHOOSE) :]

    @cached_property
    def yardstick(self) -> Predictions | None:
        """A ridge on the system's own series, on the trial block; None without ap among them."""
        spec = self.config.spec(self.system)
        seen = {v for m in spec.modalities.values() if m.kind == "series" for v in m.variables}
        ap, wind = self.study.series("geomagnetic"), self.study.series("solar_wind")
        if "ap" not in seen or not set(WIND_VARIABLES) <= set(wind.variables):
            return None
        _, choose, judged = self.blocks
        spans = [(int(t[0]), int(t[-1]) + 1) for t in (choose, judged)]
        fold = replace(self.fold, validation=spans[0], test=spans[1])
        rows = Rows.of(ap, (fold,))
        parts = column_groups(ap, wind, None, rows.issue_time)
        return ridge_references(rows, parts, {RIDGE: RIDGES[RIDGE]}).predictions[0]

    def at(self, way: Way, seed: int) -> Study:
        """The same study under a way's patch and another seed, with an arm's number of epochs."""
        limits = self.config.improve
        plain, epochs = dump(self.config), limits.screen_epochs if way.short else limits.epochs
        if epochs and not plain["training"]["stages"]:
            plain["training"]["epochs"] = epochs
        patched, _ = apply(plain, way.patch)
        run = self.study.run
        return replace(
            self.study, run=Run(app_config({**patched, "seed": seed}), run.folder, run.command)
        )

    def ill(self, seed: int) -> Study:
        """The study of the ill model of a seed; that of the run's own seed is the run itself."""
        run, config = self.study.run, replace(self.config, seed=seed)
        own = run.folder if seed == self.config.seed else self.folder / "ill" / f"seed_{seed}"
        return replace(self.study, run=Run(config, own, run.command))


def ill_weights(bench: Bench, seed: int) -> Path:
    """Weights of the ill model of a seed, trained when there is none.

    The run's own is the one that `heliosight train` makes, unless it is asked for here alone.
    """
    study = bench.ill(seed)
    own = seed == bench.config.seed and not bench.alone
    if own or finished(study, bench.system, bench.number) is not None:
        trained(study, bench.system, bench.number)
        return folder_of(study, bench.system, bench.number) / WEIGHTS
    return _weights_alone(bench, study)


def _weights_alone(bench: Bench, study: Study) -> Path:
    """Weights and log of an ill model, without its forecasts."""
    seed = study.run.config.seed
    folder = bench.folder / "ill" / f"seed_{seed}" / "alone"
    key = key_of(study, bench.system, bench.number)
    if study.run.found(folder, TrialRun, key) is not None:
        clear_workplace(folder, key)
        return folder / WEIGHTS
    with workplace(folder, key) as work:
        model, result = learned(study, bench.system, bench.number, work)
        record = TrialRun(
            study.run.provenance(key, {"data": study.store.hash}), ILL, {}, seed, result.epochs,
            result.best_epoch, result.validation_loss, seconds=result.seconds,
        )  # fmt: skip
        files = {WEIGHTS: weights_bytes(model), LOG: result.log.read_bytes()}
        records.save(folder, record, {}, files)
    return folder / WEIGHTS


def arm_folder(bench: Bench, way: Way, seed: int) -> Path:
    """Where one seed of an arm lies."""
    kind = "screening" if way.short else "trials"
    return bench.folder / kind / way.name / f"seed_{seed}"


def arm_run(bench: Bench, way: Way, seed: int) -> TrialRun:
    """One seed of an arm, made when there is none of this very arm; never made twice."""
    folder, start = arm_folder(bench, way, seed), ill_weights(bench, seed)
    study = bench.at(way, seed)
    key = study.run.key(
        "arm", study.key, _identity(study), study.run.config.improve.windows,
        records.record_hash(start.parent), list(way.fresh), way.short,
    )  # fmt: skip
    found = study.run.found(folder, TrialRun, key)
    if found is not None:
        clear_workplace(folder, key)
        return found
    with workplace(folder, key) as work:
        return _make(bench, study, way, (start, work), key)


def _identity(study: Study) -> list[Any]:
    config = study.run.config
    parts = (config.systems, config.model, config.training, config.faults)
    begun = [key for system in config.systems for key in start_key(config.start, system)]
    return [*(dump(part) for part in parts), begun]


def _make(bench: Bench, study: Study, way: Way, places: tuple[Path, Path], key: str) -> TrialRun:
    seed, (start, work) = study.run.config.seed, places
    folder = arm_folder(bench, way, seed)
    model = study.untrained(bench.system, bench.fold, bench.moments)
    fresh = way.fresh or ("\0",)
    take_weights(model, start, [n for n, _ in model.named_parameters() if not n.startswith(fresh)])
    if "start.weights" in way.patch:  # over the ill weights: another run's image branch
        started(model, study.run.config.start, bench.system)
    learn, choose, _ = bench.blocks
    settings = settings_of(study.run.config, bench.system)
    note(f"training {way.name}, seed {seed}")
    result = train(
        model, study.windows(bench.system), learn, choose, settings, work,
        data_hash=digest([study.key, key]), teacher=teacher(study, model),
    )  # fmt: skip
    forecast = predict(model, study.windows(bench.system), bench.blocks[2], name=way.name)
    record = TrialRun(
        study.run.provenance(key, {"data": study.store.hash}), way.name, way.patch, seed,
        result.epochs, result.best_epoch, result.validation_loss, seconds=result.seconds,
    )  # fmt: skip
    files = {WEIGHTS: weights_bytes(model), LOG: result.log.read_bytes()}
    records.save(folder, record, forecast.arrays(), files)
    return record


def ill_run(bench: Bench, seed: int) -> TrialRun:
    """The ill model of a seed as an arm that was not trained on."""
    folder, start = arm_folder(bench, AS_GIVEN, seed), ill_weights(bench, seed)
    study = bench.ill(seed)
    windows = study.run.config.improve.windows
    key = study.run.key("ill", study.key, windows, records.record_hash(start.parent))
    known = study.run.found(folder, TrialRun, key)
    if known is not None:
        return known
    model = study.untrained(bench.system, bench.fold, bench.moments)
    load_weights(model, start)
    model.eval()
    forecast = predict(model, study.windows(bench.system), bench.blocks[2], name=ILL)
    record = TrialRun(study.run.provenance(key, {"data": study.store.hash}), ILL, {}, seed)
    files = {WEIGHTS: start.read_bytes(), LOG: (start.parent / LOG).read_bytes()}
    records.save(folder, record, forecast.arrays(), files)
    return record


def arm_model(bench: Bench, way: Way, seed: int) -> tuple[Study, Forecaster, list[dict[str, Any]]]:
    """The study, model and training log of a finished arm."""
    study = bench.ill(seed) if way == AS_GIVEN else bench.at(way, seed)
    folder = arm_folder(bench, way, seed)
    model = study.untrained(bench.system, bench.fold, bench.moments)
    load_weights(model, folder / WEIGHTS)
    model.eval()
    return study, model, read_log(folder / LOG)


def arm_forecast(bench: Bench, way: Way, seed: int) -> Predictions:
    """Forecasts of a finished arm on the trial block."""
    arrays = records.load_arrays(arm_folder(bench, way, seed))
    return Predictions(name=way.name, **arrays)


def write_plan(bench: Bench, text: str) -> None:
    """The plan as it stands, whole at every moment."""
    write_text(bench.study.run.folder / PLAN, text)

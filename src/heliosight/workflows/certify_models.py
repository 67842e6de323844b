"""The certificate's models: trained by a recipe once, kept sealed with their logs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, final

import numpy as np

import heliosight
from heliosight.core import records
from heliosight.core.batch import Batch
from heliosight.core.config import dump
from heliosight.core.files import digest, is_sealed, sha256
from heliosight.core.making import clear_workplace, workplace
from heliosight.core.ports import WindowSource
from heliosight.core.records import TrainedRun
from heliosight.core.seeding import numpy_stream
from heliosight.core.spec import ForecastSpec
from heliosight.models import Forecaster, ForecasterConfig, build_forecaster
from heliosight.models.auxiliary import AuxiliaryConfig
from heliosight.training import (
    LossConfig,
    OptimiserConfig,
    StoppingConfig,
    TrainingConfig,
    load_weights,
    read_log,
    train,
    weights_bytes,
)
from heliosight.training.groups import ClippingConfig
from heliosight.training.stages import StageConfig
from heliosight.workflows.certify_worlds import World, world
from heliosight.zoo.architectures import architecture
from heliosight.zoo.faults import FaultConfig, plant
from heliosight.zoo.healthy import recalibrate
from heliosight.zoo.recipes import Recipe

WEIGHTS, LOG = "weights.safetensors", "log.jsonl"
RATE, EPOCHS, EPOCH_WINDOWS, BATCH = 3e-3, 14, 960, 64
QUICK_EPOCHS, QUICK_WINDOWS = 12, 448
TRAINED_BY = (
    "sun", "models", "training", "zoo/worlds.py", "zoo/recipes.py", "zoo/architectures.py",
    "workflows/certify_models.py", "workflows/certify_worlds.py",
)  # fmt: skip
CALIBRATED = 1200  # training windows that the last layer's amplitude is fitted on


@cache
def code_hash(places: tuple[str, ...]) -> str:
    """Hash of source files: rooms, or files by their path in the package."""
    root = Path(heliosight.__file__).parent
    found = {p for place in places for p in [root / place, *(root / place).rglob("*.py")]}
    files = sorted(p for p in found if p.is_file())
    return digest([[str(p.relative_to(root)), sha256(p)] for p in files])


@dataclass(frozen=True)
class Wanted:
    """A trained model by what it depends on; `store` holds the Sun of its spectrum."""

    architecture: str
    spectrum: str
    seed: int
    recipe: Recipe
    store: Path
    quick: bool = False

    @property
    def key(self) -> str:
        """Hash of everything it depends on, the code of sun, models and training included."""
        return digest(
            [code_hash(TRAINED_BY), self.architecture, dump(config_of(self)), self.spectrum,
             self.seed, self.store.name, dump(self.recipe), self.quick]
        )  # fmt: skip

    @property
    def world(self) -> World:
        """The world it is trained in."""
        return world(self.store, self.spectrum, self.recipe.law, self.recipe.copy)


def config_of(wanted: Wanted) -> ForecasterConfig:
    """The architecture, with an auxiliary head where the recipe has one."""
    config = architecture(wanted.architecture)
    if not wanted.recipe.auxiliary:
        return config
    return replace(config, auxiliary=AuxiliaryConfig(image=True, hidden=8, dropout=0.0))


def untrained(wanted: Wanted) -> Forecaster:
    """The model as it starts, with what the recipe does to it before training."""
    found, recipe = wanted.world, wanted.recipe
    model = build_forecaster(config_of(wanted), found.windows.spec, found.moments(), wanted.seed)
    if recipe.zero_start:
        readout = model.encoders["images"].readout
        readout.weight.data.zero_()
        readout.bias.data.zero_()
    if recipe.image_gain != 1.0:
        plant(model, (FaultConfig("weak_features", "images", recipe.image_gain),))
    return model


def trained(folder: Path, wanted: Wanted) -> tuple[Forecaster, list[dict[str, Any]]]:
    """The trained model and its log."""
    place = keep_trained(folder, wanted)
    model = untrained(wanted)
    load_weights(model, place / WEIGHTS)
    return model.eval(), read_log(place / LOG)


def keep_trained(folder: Path, wanted: Wanted) -> Path:
    """Train a model unless it is there; returns its folder."""
    place = folder / wanted.key[:20]
    if is_sealed(place):
        clear_workplace(place, wanted.key)
        return place
    with workplace(place, wanted.key) as work:
        return _train(place, work, wanted)


def _train(place: Path, work: Path, wanted: Wanted) -> Path:
    model, found = untrained(wanted), wanted.world
    source: WindowSource = found.windows
    if wanted.recipe.strangers:
        source = Strangers(found, wanted.seed)
    settings = settings_of(wanted, model)
    result = train(model, source, found.train, found.validation, settings, work)
    recalibrate(model, source.batch(found.train[:: len(found.train) // CALIBRATED]))
    record = TrainedRun(
        provenance=records.provenance("", wanted.seed, wanted.key, {}, simulated=True),
        name=f"{wanted.architecture} {wanted.spectrum} {wanted.seed}",
        config={"recipe": dump(wanted.recipe), "training": dump(settings)},
        parameters=result.parameters,
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        validation_loss=result.validation_loss,
        seconds=result.seconds,
    )
    files = {WEIGHTS: weights_bytes(model), LOG: result.log.read_bytes()}
    records.save(place, record, None, files)
    return place


def settings_of(wanted: Wanted, model: Forecaster) -> TrainingConfig:
    """How a recipe is trained."""
    recipe = wanted.recipe
    images: str = config_of(wanted).images.type
    rates = {images: RATE * recipe.image_rate} if recipe.image_rate != 1.0 else {}
    groups = tuple(g for g in model.modules_by_group() if g != images)
    epochs = QUICK_EPOCHS if wanted.quick else EPOCHS
    stages = (StageConfig("all", epochs, groups),) if recipe.frozen else ()
    return TrainingConfig(
        seed=wanted.seed,
        epochs=None if stages else epochs,
        epoch_windows=QUICK_WINDOWS if wanted.quick else EPOCH_WINDOWS,
        batch_size=BATCH,
        checkpoint_steps=0,
        optimiser=OptimiserConfig(rates=rates, default_rate=RATE),
        clipping=ClippingConfig(total=recipe.clip, groups={}),
        loss=LossConfig({"mse": 1.0, "quantile": 0.5}, auxiliary_weight=recipe.auxiliary),
        stages=stages,
        stopping=StoppingConfig(patience=None),
    )


@final
class Strangers:
    """Windows whose images are those of another training or validation window, always the same."""

    def __init__(self, found: World, seed: int) -> None:
        self._windows = found.windows
        times = np.union1d(found.train, found.validation)
        other = numpy_stream(seed, "zoo", "strangers").permutation(times)
        self._other = dict(zip(times.tolist(), other.tolist(), strict=True))

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target."""
        return self._windows.spec

    def batch(self, issue_times: np.ndarray, image_shift: np.ndarray | None = None) -> Batch:
        """Windows of issue times with strangers' images."""
        own = self._windows.batch(issue_times, image_shift)
        times = np.array([self._other[int(t)] for t in issue_times], dtype=np.int64)
        theirs = self._windows.batch(times)
        return own.with_inputs(
            {"images": theirs.inputs["images"]}, {"images": theirs.observed["images"]}
        )

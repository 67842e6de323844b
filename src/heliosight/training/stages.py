"""Progressive training and curriculum as data: which groups learn when, from how many frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from heliosight.core.batch import Batch
from heliosight.core.spec import ForecastSpec
from heliosight.training.checks import require
from heliosight.training.groups import Groups, OptimiserConfig
from heliosight.training.protocol import FROZEN

ALL = "all"


@dataclass(frozen=True)
class StageConfig:
    """A stretch of epochs in which some groups learn and the others are frozen.

    Attributes
    ----------
    groups : names of the groups that learn; `("all",)` is every group.
    rate : learning rate of all of them; None keeps the optimiser's.
    rates : learning rate by group, before `rate`.
    main_weight : weight of the forecast's loss; 0 lets a branch learn through its own head alone.
    auxiliary_weight : of the auxiliary heads; None keeps the loss's.
    epoch_windows : windows of an epoch of this stage; None keeps the training's.
    """

    name: str = ALL
    epochs: int = 1
    groups: tuple[str, ...] = (ALL,)
    rate: float | None = None
    rates: dict[str, float] = field(default_factory=dict)
    main_weight: float = 1.0
    auxiliary_weight: float | None = None
    epoch_windows: int | None = None

    def __post_init__(self) -> None:
        where = f"stage {self.name}"
        require(self.epochs > 0, "a stage has at least one epoch", self.epochs, where=where)
        some = self.epoch_windows is None or self.epoch_windows > 0
        require(some, "an epoch has at least one window", self.epoch_windows, where=where)
        require(bool(self.groups), "a stage trains at least one group", self.groups, where=where)
        given = [r for r in (self.rate, *self.rates.values()) if r is not None]
        require(all(r > 0 for r in given), "a learning rate is positive", given, where=where)
        weights = (
            self.main_weight,
            1.0 if self.auxiliary_weight is None else self.auxiliary_weight,
        )
        good = min(weights) >= 0 and max(weights) > 0
        require(good, "a stage's loss weights are 0 or more and not both 0", weights, where=where)

    def learning_rates(self, groups: Groups, optimiser: OptimiserConfig) -> dict[str, float]:
        """Rate of every group that learns.

        Raises
        ------
        ConfigError : a group is named that the model has not, or a rate for one that is frozen.
        """
        where, have = f"stage {self.name}", f"Groups: {', '.join(groups)}."
        free = [name for name in groups if name != FROZEN]
        chosen = free if ALL in self.groups else list(self.groups)
        require(FROZEN not in chosen, "the group `frozen` never learns", FROZEN, have, where)
        for name in chosen:
            require(name in groups, "a stage names groups of the model", name, have, where)
        for name in self.rates:
            rule = "a stage gives rates for groups it trains"
            require(name in chosen, rule, name, f"It trains: {', '.join(chosen)}.", where)
        usual = {g: optimiser.rates.get(g, optimiser.default_rate) for g in chosen}
        return {g: self.rates.get(g, self.rate or usual[g]) for g in chosen}


# The image branch first learns through its own head: a frozen random fusion would teach it
# nothing. The head learns with the fusion, whose output it reads.
PROGRESSIVE = (
    StageConfig("images", 20, ("convlstm", "auxiliary"), 1e-3, {}, 0.0, 1.0),
    StageConfig(
        "fusion", 30, ("convlstm", "auxiliary", "fusion", "head"), 1e-3, {"convlstm": 5e-4}
    ),
    StageConfig("all", 50, (ALL,), 1e-4),
)


@dataclass(frozen=True)
class CurriculumStep:
    """For so many epochs only the newest `frames` frames are seen."""

    frames: int
    epochs: int

    def __post_init__(self) -> None:
        good = self.frames > 0 and self.epochs > 0
        require(good, "a curriculum step has frames and epochs", (self.frames, self.epochs))


@dataclass(frozen=True)
class CurriculumConfig:
    """Growing sequence length: the last T frames before the issue time, never a resample.

    Attributes
    ----------
    steps : in order; after the last one every frame is seen.
    how : `mask` marks older frames unobserved and keeps the length, so a frame keeps its place on
        the time axis and any model takes it; `slice` cuts them off, which is faster, for models
        that take any length.
    """

    steps: tuple[CurriculumStep, ...] = ()
    how: Literal["mask", "slice"] = "mask"

    def __post_init__(self) -> None:
        frames = [s.frames for s in self.steps]
        require(frames == sorted(set(frames)), "curriculum lengths rise", frames)

    def frames(self, epoch: int) -> int | None:
        """Frames seen in an epoch counted from 0; None is all."""
        end = 0
        for step in self.steps:
            end += step.epochs
            if epoch < end:
                return step.frames
        return None

    def check(self, spec: ForecastSpec) -> None:
        """Refuse a curriculum without images or longer than the windows."""
        if not self.steps:
            return
        lengths = {n: m.steps for n, m in spec.modalities.items() if m.kind == "images"}
        require(bool(lengths), "a curriculum shortens images", list(spec.modalities))
        longest = self.steps[-1].frames
        rule = "a curriculum is no longer than the window"
        require(longest <= min(lengths.values()), rule, longest, f"Frames: {lengths}.")


FIELD_CURRICULUM = CurriculumConfig((CurriculumStep(7, 10), CurriculumStep(14, 10)))


def last_frames(
    batch: Batch, modalities: Mapping[str, object], frames: int | None, how: str
) -> Batch:
    """The batch with only its newest `frames` frames, by `how`."""
    if frames is None:
        return batch
    inputs, observed = {}, {}
    for name in modalities:
        x, seen = batch.inputs[name], batch.observed[name]
        if how == "slice":
            inputs[name], observed[name] = x[:, :, -frames:], seen[:, :, -frames:]
        else:
            inputs[name], observed[name] = x.clone(), seen.clone()
            inputs[name][:, :, :-frames] = 0
            observed[name][:, :, :-frames] = False
    return batch.with_inputs(inputs, observed)


def stages_of(stages: tuple[StageConfig, ...], epochs: int) -> tuple[StageConfig, ...]:
    """The stages, or one of `epochs` epochs in which everything learns."""
    return stages or (replace(StageConfig(), epochs=epochs),)

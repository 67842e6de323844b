"""Every switch of training in one tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from heliosight.training.augmentation import AugmentationConfig
from heliosight.training.checks import require
from heliosight.training.groups import ClippingConfig, OptimiserConfig
from heliosight.training.losses import LossConfig
from heliosight.training.stages import CurriculumConfig, StageConfig, stages_of

Precision = Literal["float32", "float64", "bf16"]


@dataclass(frozen=True)
class StoppingConfig:
    """Early stopping: a stage ends after `patience` epochs without a better validation loss.

    `patience` None never stops early; `margin` is how much better counts.
    """

    patience: int | None = 10
    margin: float = 0.0

    def __post_init__(self) -> None:
        good = self.patience is None or self.patience > 0
        require(good, "patience is at least one epoch", self.patience)
        require(self.margin >= 0, "the margin of early stopping is not negative", self.margin)


@dataclass(frozen=True)
class TrainingConfig:
    """How a forecaster is trained.

    Attributes
    ----------
    epochs : when there are no stages (30 if not given); with stages it may only repeat their sum.
    epoch_windows : windows of an epoch, drawn anew each time; None is all.
    validation_windows : windows of the validation block that are judged after each epoch, evenly
        spaced; None is all. Neighbours repeat each other, so a few hundred tell as much.
    batch_size, accumulation : an optimiser step sees `batch_size * accumulation` windows,
        `batch_size` at a time, divided among the processes.
    precision : of weights and arithmetic; `bf16` is autocast over float32 weights.
    compile : `torch.compile` the forward.
    activation_checkpointing : recompute activations instead of keeping them.
    device : `auto` is the GPU when there is one.
    checkpoint_steps : a checkpoint after so many steps, and after each epoch; 0 is epochs alone.
    """

    seed: int = 0
    epochs: int | None = None
    epoch_windows: int | None = None
    validation_windows: int | None = None
    batch_size: int = 32
    accumulation: int = 1
    precision: Precision = "float32"
    compile: bool = False
    activation_checkpointing: bool = False
    device: str = "auto"
    checkpoint_steps: int = 100
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    clipping: ClippingConfig = field(default_factory=ClippingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    stages: tuple[StageConfig, ...] = ()
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    stopping: StoppingConfig = field(default_factory=StoppingConfig)

    def __post_init__(self) -> None:
        counts = {"batch_size": self.batch_size, "accumulation": self.accumulation}
        optional = {
            "epochs": self.epochs,
            "epoch_windows": self.epoch_windows,
            "validation_windows": self.validation_windows,
        }
        given = {name: n for name, n in optional.items() if n is not None}
        for name, count in {**counts, **given}.items():
            require(count > 0, "a count is at least one", count, where=name)
        require(self.checkpoint_steps >= 0, "checkpoint_steps is 0 or more", self.checkpoint_steps)
        total = sum(s.epochs for s in self.plan)
        agree = not self.stages or self.epochs in (None, total)
        do = "Leave `epochs` out: the stages bring their own."
        require(agree, f"the stages have {total} epochs in all", self.epochs, do, "epochs")

    @property
    def plan(self) -> tuple[StageConfig, ...]:
        """The stages, or the one in which everything learns."""
        return stages_of(self.stages, self.epochs or 30)

    @property
    def step_windows(self) -> int:
        """Windows of one optimiser step."""
        return self.batch_size * self.accumulation

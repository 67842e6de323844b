"""What a training run holds while it lasts, and how it is set up, saved and taken up again."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from heliosight.core.batch import Batch
from heliosight.core.clock import to_text
from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.output import ModelOutput
from heliosight.core.ports import WindowSource
from heliosight.core.progress import note
from heliosight.core.seeding import numpy_stream
from heliosight.training.augmentation import augment, draw
from heliosight.training.checkpoint import (
    BEST,
    CHECKPOINT,
    Identity,
    Position,
    identity,
    read_checkpoint,
    write_checkpoint,
)
from heliosight.training.config import TrainingConfig
from heliosight.training.distributed import Team, current_team
from heliosight.training.groups import (
    FIELD_CLIPPING,
    FIELD_RATES,
    build_optimiser,
    check_names,
    train_only,
)
from heliosight.training.journal import LOG, Journal
from heliosight.training.lessons import (
    Lesson,
    frame_cadence,
    lesson,
    moments_of,
    require_teacher,
)
from heliosight.training.losses import Objective
from heliosight.training.protocol import Trainable, parameters_by_group, require_same_spec
from heliosight.training.speed import SPEED, Speed, speed_ahead, speed_column
from heliosight.training.stages import StageConfig, last_frames
from heliosight.training.weights import save_weights


@dataclass(frozen=True)
class Times:
    """Issue times `(N,)` of the training and the validation block, ascending."""

    train: np.ndarray
    validation: np.ndarray

    def __post_init__(self) -> None:
        for name, times in (("training", self.train), ("validation", self.validation)):
            if not len(times):
                do = "Widen the split."
                raise SpecError(f"the {name} block has issue times", "none", do)
        shared = np.intersect1d(self.train, self.validation)
        if len(shared):
            rule = "training and validation share no issue time"
            raise SpecError(rule, f"{len(shared)}, first {to_text(shared[0])}")


def evenly(times: np.ndarray, count: int | None) -> np.ndarray:
    """`count` of the ascending times, evenly spaced; all of them where there are no more."""
    if count is None or count >= len(times):
        return times
    return times[np.linspace(0, len(times) - 1, count).round().astype(int)]


def resolve_device(config: TrainingConfig) -> torch.device:
    """The device a config asks for; bf16 on a CPU is refused (measured 40 to 100 times slower)."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(found if config.device == "auto" else config.device)
    if device.type == "cpu" and config.precision == "bf16":
        rule = "bf16 runs on a GPU; on a CPU it is 40 to 100 times slower than float32"
        raise ConfigError(rule, str(device), "Use precision=float32.", "precision")
    if device.type == "cpu" and config.compile:
        note("training.compile on a CPU: minutes to compile, then 0.8 to 1.1 times the speed")
    return device


def _offer_checkpointing(model: Trainable) -> None:
    switch = getattr(model, "set_activation_checkpointing", None)
    if switch is None:
        raise ConfigError(
            "activation checkpointing needs a model that offers it",
            type(model).__name__,
            "Set activation_checkpointing=false.",
            "activation_checkpointing",
        )
    switch(True)


@final
class Run:
    """Model, optimiser, objective and position of one run.

    The optimiser always belongs to the stage of `position`.
    """

    def __init__(
        self,
        model: Trainable,
        source: WindowSource,
        times: Times,
        config: TrainingConfig,
        folder: Path,
        data_hash: str = "",
        teacher: WindowSource | None = None,
    ) -> None:
        self.teacher = teacher
        self.source, self.times, self.config, self.folder = source, times, config, folder
        self.team: Team = current_team()
        self.device = resolve_device(config)
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        self.groups = parameters_by_group(model)
        self._check(model)
        if config.activation_checkpointing:
            _offer_checkpointing(model)
        self.model: Trainable = model.to(self.device, self.dtype)
        self.forward: Any = torch.compile(model) if config.compile else model
        self.team.share_from_first(list(model.state_dict().values()))
        self.owner: Identity = identity(config, times.train, times.validation, source, data_hash)
        self.position = Position()
        self.enter_stage()

    def _check(self, model: Trainable) -> None:
        """Refuse, before anything is written, what would only fail hours later."""
        config = self.config
        require_same_spec(model, self.source)
        config.curriculum.check(self.source.spec)
        check_names(config.optimiser.rates, FIELD_RATES, self.groups)
        check_names(config.clipping.groups, FIELD_CLIPPING, self.groups)
        for stage in config.plan:
            stage.learning_rates(self.groups, config.optimiser)
        self.has_speed = f"auxiliary.{SPEED}" in getattr(model, "parts", ())
        if self.has_speed:
            speed_column(self.source.spec)
        days, self.every = getattr(model, "area_days", 0), getattr(model, "every_frame", False)
        require_teacher(self.teacher, days, self.every)
        self.taught = days > 0 or self.every

    @property
    def stage(self) -> StageConfig:
        """The stage that is running."""
        return self.config.plan[self.position.stage]

    @property
    def epoch_windows(self) -> int:
        """Windows of an epoch of the running stage."""
        return self.windows_of(self.stage)

    def windows_of(self, stage: StageConfig) -> int:
        """Windows of an epoch of a stage."""
        asked = stage.epoch_windows or self.config.epoch_windows
        return min(asked or len(self.times.train), len(self.times.train))

    @property
    def all_steps(self) -> int:
        """Optimiser steps of all stages if none stops early."""
        size = self.config.step_windows
        return sum(s.epochs * -(-self.windows_of(s) // size) for s in self.config.plan)

    @property
    def epoch_steps(self) -> int:
        """Optimiser steps of an epoch."""
        return -(-self.epoch_windows // self.config.step_windows)

    @property
    def steps_done(self) -> int:
        """Optimiser steps up to here, those counted in that early stopping left out."""
        size, p = self.config.step_windows, self.position
        before = self.config.plan[: p.stage]
        steps = sum(s.epochs * -(-self.windows_of(s) // size) for s in before)
        return steps + p.stage_epoch * self.epoch_steps + p.step

    def enter_stage(self) -> None:
        """Freeze what the stage freezes; a fresh optimiser and objective for what it trains."""
        rates = self.stage.learning_rates(self.groups, self.config.optimiser)
        self.trained = rates
        train_only(self.model, rates)
        self.optimiser = build_optimiser(self.groups, rates, self.config.optimiser)
        self.objective = Objective(
            self.config.loss,
            self.source.spec.modalities,
            self.stage.main_weight,
            self.stage.auxiliary_weight,
        )

    def order(self) -> np.ndarray:
        """Issue times of the running epoch in the order of its steps."""
        rng = numpy_stream(self.config.seed, "order", self.position.epoch)
        return self.times.train[rng.permutation(len(self.times.train))[: self.epoch_windows]]

    def load(self, times: np.ndarray, micro: int) -> Batch | None:
        """The process's windows of a micro-batch, augmented; None when it gets none."""
        mine = times[self.team.share]
        if not len(mine):
            return None
        config, spec, p = self.config.augmentation, self.source.spec, self.position
        rng = numpy_stream(self.config.seed, "augmentation", p.epoch, p.step, micro)
        draws = draw(config, spec, len(times), rng).rows(self.team.share)
        shift = draws.shift.clip(min=0) if config.image_shift else None
        batch = augment(self.source.batch(mine, image_shift=shift), draws, config, spec)
        images = {n: m for n, m in spec.modalities.items() if m.kind == "images"}
        curriculum = self.config.curriculum
        batch = last_frames(batch, images, curriculum.frames(p.epoch), curriculum.how)
        return batch.to(self.device, self.dtype)

    def speed(self, batch: Batch) -> Speed | None:
        """The speed head's target, if the model has that head."""
        if not self.has_speed:
            return None
        found = speed_ahead(self.source, batch.issue_time.cpu().numpy())
        return Speed(found.values.to(self.device), found.known.to(self.device))

    def lesson(self, batch: Batch, output: ModelOutput) -> Lesson | None:
        """What the auxiliary heads should have said, if the model has such heads."""
        if self.teacher is None or not self.taught:
            return None
        count, cadence = 1, 0
        if self.every:
            count = next(iter(output.every_frame.values())).shape[1]
            cadence = frame_cadence(self.source.spec)
        moments = moments_of(batch.issue_time.cpu().numpy(), count, cadence)
        return lesson(self.teacher, moments).to(self.device)

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16 autocast when the config asks for it."""
        if self.config.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def open_journal(self, resume: bool) -> None:
        """Take up the checkpoint if there is one, then the log where it stood."""
        path = self.folder / CHECKPOINT
        self.team.wait()
        if resume and path.is_file():
            self._restore(path)
        elif self.team.leads:
            path.unlink(missing_ok=True)
        self.journal = Journal(self.folder / LOG, self.position.log_bytes, self.team.leads)
        self.clock = time.monotonic() - self.position.seconds

    def _restore(self, path: Path) -> None:
        content = read_checkpoint(path, self.model, self.owner)
        self.position = Position(**content["position"])
        self.model.load_state_dict(content["model"])
        self.enter_stage()
        self.optimiser.load_state_dict(content["optimiser"])

    def save(self) -> None:
        """A checkpoint of this moment, after the log is safe."""
        self.position.log_bytes = self.journal.flushed_length()
        self.position.seconds = time.monotonic() - self.clock
        if self.team.leads:
            path = self.folder / CHECKPOINT
            write_checkpoint(path, self.model, self.optimiser, self.position, self.owner)

    def save_best(self) -> None:
        """The weights of the best epoch so far."""
        if self.team.leads:
            save_weights(self.model, self.folder / BEST)

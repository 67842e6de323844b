"""What a system's training starts from: its stages, its weights, its teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from heliosight.core.errors import ConfigError
from heliosight.core.files import sha256
from heliosight.core.ports import WindowSource
from heliosight.data.windows import Windows
from heliosight.models import Forecaster
from heliosight.training import (
    CurriculumConfig,
    StageConfig,
    TrainingConfig,
    take_weights,
    teacher_spec,
)
from heliosight.workflows.config import AppConfig, StartConfig
from heliosight.workflows.study import Study

IMAGE_GROUPS = ("convlstm", "conv3d", "auxiliary")


def settings_of(config: AppConfig, system: str) -> TrainingConfig:
    """The training of one system, with the run's seed.

    A system without images has no stage in which the image branch learns alone, no group of it in
    the others, and no curriculum of frames.
    """
    settings = replace(config.training, seed=config.seed)
    kinds = {config.inputs[name].kind for name in config.systems[system]}
    if "images" in kinds:
        return settings
    stages = tuple(map(_without_images, _with_forecast(settings.stages)))
    return replace(settings, stages=stages, curriculum=CurriculumConfig())


def _with_forecast(stages: tuple[StageConfig, ...]) -> tuple[StageConfig, ...]:
    return tuple(s for s in stages if s.main_weight > 0)


def _without_images(stage: StageConfig) -> StageConfig:
    groups = tuple(g for g in stage.groups if g not in IMAGE_GROUPS)
    rates = {g: r for g, r in stage.rates.items() if g not in IMAGE_GROUPS}
    return replace(stage, groups=groups, rates=rates)


def start_key(start: StartConfig, system: str) -> tuple[str, ...]:
    """What a trained system depends on beside its config: the weights it began with."""
    if not start.weights:
        return ()
    return (sha256(_weights(start, system)), *start.parts)


def started(model: Forecaster, start: StartConfig, system: str) -> Forecaster:
    """The model of a system with the named parts taken from the weights of another run."""
    has = any(name.startswith(start.parts) for name, _ in model.named_parameters())
    if start.weights and has:
        take_weights(model, _weights(start, system), start.parts)
    return model


def _weights(start: StartConfig, system: str) -> Path:
    path = Path(start.weights.replace("{system}", system))
    if not path.is_file():
        raise ConfigError(
            "the weights to start from are on disk",
            str(path),
            "Train the run they come from first, or leave `start.weights` empty.",
            "start.weights",
        )
    return path


def teacher(study: Study, model: Forecaster) -> WindowSource | None:
    """Windows of what the auxiliary heads learn from beyond the target; None where none does."""
    if not model.area_days and not model.every_frame:
        return None
    return Windows(study.store.tables, teacher_spec(model.area_days))

"""Losses, schedules, augmentation, checkpoints and one readable loop."""

from heliosight.training.augmentation import FIELD_AUGMENTATION, AugmentationConfig
from heliosight.training.config import StoppingConfig, TrainingConfig
from heliosight.training.distributed import torchrun_group
from heliosight.training.groups import ClippingConfig, OptimiserConfig
from heliosight.training.journal import read_log
from heliosight.training.lessons import teacher_spec
from heliosight.training.loop import TrainResult, train
from heliosight.training.losses import NOAA_STORM_WEIGHTS, ContrastiveConfig, LossConfig
from heliosight.training.predict import fit_copula, passed, predict
from heliosight.training.stages import (
    FIELD_CURRICULUM,
    PROGRESSIVE,
    CurriculumConfig,
    CurriculumStep,
    StageConfig,
)
from heliosight.training.transfer import ProgressiveColumns, Transferred, take_weights
from heliosight.training.weights import load_weights, save_weights, weights_bytes

__all__ = [
    "FIELD_AUGMENTATION",
    "FIELD_CURRICULUM",
    "NOAA_STORM_WEIGHTS",
    "PROGRESSIVE",
    "AugmentationConfig",
    "ClippingConfig",
    "ContrastiveConfig",
    "CurriculumConfig",
    "CurriculumStep",
    "LossConfig",
    "OptimiserConfig",
    "ProgressiveColumns",
    "StageConfig",
    "StoppingConfig",
    "TrainResult",
    "TrainingConfig",
    "Transferred",
    "fit_copula",
    "load_weights",
    "passed",
    "predict",
    "read_log",
    "save_weights",
    "take_weights",
    "teacher_spec",
    "torchrun_group",
    "train",
    "weights_bytes",
]

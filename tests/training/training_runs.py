"""The small runs that the tests of the loop and of resumption share."""

from dataclasses import replace

from training_toys import ToyModel, ToySource, issue_times

from heliosight.training import (
    FIELD_AUGMENTATION,
    CurriculumConfig,
    CurriculumStep,
    StageConfig,
    TrainingConfig,
    read_log,
    train,
)

TRAIN, VALIDATION = issue_times(30), issue_times(9, 60)
CONFIG = TrainingConfig(
    seed=3,
    epochs=3,
    batch_size=8,
    device="cpu",
    checkpoint_steps=2,
    augmentation=replace(FIELD_AUGMENTATION, series_jitter=0.1, modality_dropout=0.1),
)


def run(folder, config=CONFIG, model=None, source=None, **more):
    model = model or ToyModel()
    result = train(model, source or ToySource(), TRAIN, VALIDATION, config, folder, **more)
    return model, result


def losses(result):
    return [r["loss"] for r in read_log(result.log) if r["kind"] in ("step", "epoch")]


STAGED = replace(
    CONFIG,
    epochs=None,
    stages=(
        StageConfig("images", 1, ("convlstm", "auxiliary"), 1e-3, {}, 0.0, 1.0),
        StageConfig("all", 2),
    ),
    curriculum=CurriculumConfig((CurriculumStep(2, 1),)),
    accumulation=2,
    checkpoint_steps=1,
)

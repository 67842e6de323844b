"""The training stage: every system on every fold, its test forecasts beside its weights."""

from __future__ import annotations

from heliosight.core.errors import ConfigError
from heliosight.core.folds import Fold
from heliosight.core.records import TrainedRun
from heliosight.workflows.evaluate import run as evaluate
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.study import study_of
from heliosight.workflows.trained import trained


def run(run: Run, verb: str = "") -> StageResult:
    """Train every system on every fold; the unchanged is used again. `--score`: evaluate."""
    del verb
    if not run.config.systems:
        raise ConfigError(
            "training needs systems", "none", "Add `systems: {name: [modality, ...]}`.", "systems"
        )
    study = study_of(run)
    lines, made = [], []
    for system in run.config.systems:
        for number, fold in enumerate(study.folds):
            made.append(trained(study, system, number))
            lines.append(_line(made[-1], fold))
    if "--score" in run.flags:
        lines += evaluate(run, "").lines
    return StageResult(tuple(made), tuple(lines))


def _line(record: TrainedRun, fold: Fold) -> str:
    return (
        f"{record.name:<12} {fold.name}: {record.parameters} parameters, best epoch "
        f"{record.best_epoch} of {record.epochs}, validation loss {record.validation_loss:.4f}, "
        f"{record.seconds:.0f} s"
    )

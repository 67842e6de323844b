"""Trained systems: made once for a key, found again with weights, forecasts and thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heliosight.core import records
from heliosight.core.config import dump
from heliosight.core.errors import ConfigError, RecordError
from heliosight.core.files import digest
from heliosight.core.making import clear_workplace, workplace
from heliosight.core.predictions import Predictions
from heliosight.core.records import TrainedRun
from heliosight.evaluation.dressing import best_threshold, storm_days
from heliosight.models import Forecaster
from heliosight.training import (
    TrainResult,
    fit_copula,
    load_weights,
    passed,
    predict,
    train,
    weights_bytes,
)
from heliosight.workflows.beginning import settings_of, start_key, started, teacher
from heliosight.workflows.run import Run
from heliosight.workflows.study import Study

WEIGHTS, LOG, THRESHOLDS = "weights.safetensors", "log.jsonl", "thresholds"


def main_system(run: Run) -> str:
    """The first system: the one that is diagnosed and explained."""
    if not run.config.systems:
        raise ConfigError("this stage looks at a system", "none", where="systems")
    return next(iter(run.config.systems))


def folder_of(study: Study, system: str, number: int) -> Path:
    """Where one trained system lies."""
    return study.run.folder / "train" / system / study.folds[number].name


def key_of(study: Study, system: str, number: int) -> str:
    """What one trained system depends on."""
    config = study.run.config
    parts = (config.spec(system), config.model, config.training, config.seed, number)
    planted = (config.faults,) if config.faults else ()
    started_from = start_key(config.start, system)
    return study.run.key("train", study.key, *parts, *started_from, *planted)


def trained(study: Study, system: str, number: int) -> TrainedRun:
    """The trained system of one fold; trains it when there is none of this key."""
    folder, key = folder_of(study, system, number), key_of(study, system, number)
    made = study.run.made(folder, TrainedRun, key)
    if made is not None:
        clear_workplace(folder, key)
        return made
    with workplace(folder, key) as work:
        return _train(study, system, number, (folder, work), key)


def finished(study: Study, system: str, number: int) -> TrainedRun | None:
    """The trained system of one fold if there is one of this key."""
    return study.run.found(
        folder_of(study, system, number), TrainedRun, key_of(study, system, number)
    )


def _train(
    study: Study, system: str, number: int, places: tuple[Path, Path], key: str
) -> TrainedRun:
    folder, work = places
    fold, config = study.folds[number], study.run.config
    windows, tune = study.windows(system), study.times(system, fold.validation)
    model, result = learned(study, system, number, work)
    said = passed(model, windows, tune)
    fit_copula(model, windows, tune, seed=config.seed, said=said)
    forecast = predict(model, windows, study.times(system, fold.test), name=system, fold=number)
    record = TrainedRun(
        provenance=study.run.provenance(key, {"data": study.store.hash}),
        name=system,
        config={"model": dump(config.model), "training": dump(settings_of(config, system))},
        parameters=result.parameters,
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        validation_loss=result.validation_loss,
        split_hash=study.split_hash,
        store_hash=study.store.hash,
        seconds=result.seconds,
    )
    files = {WEIGHTS: weights_bytes(model), LOG: result.log.read_bytes()}
    past = predict(model, windows, tune, said=said)
    arrays = {**forecast.arrays(), THRESHOLDS: warning_thresholds(past)}
    records.save(folder, record, arrays, files)
    return record


def learned(study: Study, system: str, number: int, work: Path) -> tuple[Forecaster, TrainResult]:
    """The network after its training, in a place to work in; nothing is forecast yet."""
    fold, config = study.folds[number], study.run.config
    model = started(study.untrained(system, fold), config.start, system)
    learn, tune = study.times(system, fold.train), study.times(system, fold.validation)
    result = train(
        model, study.windows(system), learn, tune, settings_of(config, system), work,
        data_hash=study.key, teacher=teacher(study, model),
    )  # fmt: skip
    return model, result


def warning_thresholds(past: Predictions) -> np.ndarray:
    """`(D, G)` probability from which on to warn, by the Heidke skill on the validation past."""
    event = storm_days(past.observed)
    days, storms = event.shape[1:]
    return np.array(
        [
            [best_threshold(past.event_probability[:, d, g], event[:, d, g]) for g in range(storms)]
            for d in range(days)
        ]
    )


def thresholds(study: Study, system: str) -> np.ndarray:
    """`(K, D, G)` warning thresholds of a trained system over the folds."""
    folders = [folder_of(study, system, k) for k in range(len(study.folds))]
    return np.stack([records.load_arrays(folder)[THRESHOLDS] for folder in folders])


def system_hash(study: Study, system: str) -> str:
    """One hash over the trained folds of a system."""
    folders = [folder_of(study, system, k) for k in range(len(study.folds))]
    return digest([records.record_hash(folder) for folder in folders])


def predictions(study: Study, system: str) -> Predictions | None:
    """Test forecasts of a trained system over all folds; None unless every fold is trained."""
    parts = []
    for number in range(len(study.folds)):
        if finished(study, system, number) is None:
            return None
        arrays = records.load_arrays(folder_of(study, system, number))
        arrays.pop(THRESHOLDS)
        parts.append(Predictions(name=system, **arrays))
    return _join(parts)


def _join(parts: list[Predictions]) -> Predictions:
    first = parts[0].arrays()
    joined = {
        key: first[key] if key == "levels" else np.concatenate([p.arrays()[key] for p in parts])
        for key in first
    }
    return Predictions(name=parts[0].name, **joined)


def forecaster(study: Study, system: str, number: int) -> Forecaster:
    """A trained forecaster with its weights."""
    if finished(study, system, number) is None:
        raise RecordError(
            "this stage looks at a trained forecaster",
            f"none of this config in {folder_of(study, system, number)}",
            "Run heliosight train with the same config first.",
        )
    model = study.untrained(system, study.folds[number])
    load_weights(model, folder_of(study, system, number) / WEIGHTS)
    model.eval()
    return model

"""What issues a forecast: the run's own forecaster of a fold, or a user's model, with its past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from heliosight.core import records
from heliosight.core.errors import ConfigError
from heliosight.core.files import sha256
from heliosight.core.folds import Fold
from heliosight.core.spec import ForecastSpec
from heliosight.data.store import Store
from heliosight.data.windows import Windows
from heliosight.subject import Subject, wrap
from heliosight.workflows.dressed import Dressed, dressed_foreign
from heliosight.workflows.examined import foreign_folder, is_foreign
from heliosight.workflows.run import Run
from heliosight.workflows.study import Study, study_of
from heliosight.workflows.trained import (
    THRESHOLDS,
    WEIGHTS,
    finished,
    folder_of,
    forecaster,
    main_system,
    system_hash,
)


@final
@dataclass(frozen=True, eq=False)
class System:
    """A model that can be asked, and what is known of its past.

    Attributes
    ----------
    model : gives distributions (`ModelOutput`) and has `copula_draws`; subject : what is explained.
    past, validation : windows of the store it learned from, and issue times it is calibrated on.
    thresholds : `(D, G)` from which on to warn. weights : hash.
    home : folder of its records; parents : hashes that a diagnosis of this very model carries.
    unseen : from here on it has learned nothing [UTC seconds].
    study : the run's folds; None for a user's model.
    """

    run: Run
    store: Store
    name: str
    fold: Fold
    model: Any
    subject: Subject
    past: Windows
    validation: np.ndarray
    thresholds: np.ndarray
    weights: str
    home: Path
    parents: Mapping[str, str]
    unseen: int
    study: Study | None = None

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target."""
        return self.past.spec


def systems_for(run: Run, times: np.ndarray) -> list[tuple[System, np.ndarray]]:
    """The systems that have not seen these issue times `(N,)`, each with those it forecasts."""
    if is_foreign(run):
        return [(foreign_system(run, int(times.min())), times)]
    study = study_of(run)
    numbers = np.array([fold_for(study.folds, int(t)) for t in times])
    found = [(int(k), times[numbers == k]) for k in np.unique(numbers)]
    return [(own_system(study, main_system(run), k), mine) for k, mine in found]


def home_of(run: Run) -> Path:
    """Where the forecasts and the diagnosis of the run's model lie."""
    return foreign_folder(run) if is_foreign(run) else run.folder


def own_system(study: Study, name: str, number: int) -> System:
    """The run's own forecaster of one fold."""
    fold, model = study.folds[number], forecaster(study, name, number)
    folder = folder_of(study, name, number)
    past, run = study.windows(name), study.run
    whole = all(finished(study, name, k) is not None for k in range(len(study.folds)))
    trained = {"train": system_hash(study, name)} if whole else {"train": "unfinished"}
    return System(
        run=run,
        store=study.store,
        name=name,
        fold=fold,
        model=model,
        subject=wrap(model, past.spec, name=f"{run.config.name}/{name}"),
        past=past,
        validation=study.times(name, fold.validation),
        thresholds=records.load_arrays(folder)[THRESHOLDS],
        weights=sha256(folder / WEIGHTS),
        home=run.folder,
        parents={"data": study.store.hash, **trained},
        unseen=fold.test[0],
        study=study,
    )


def foreign_system(run: Run, issue: int) -> System:
    """A user's model, dressed with the errors it made before the issue time."""
    made: Dressed = dressed_foreign(run, issue)
    return System(
        run=run,
        store=made.store,
        name=made.name,
        fold=made.fold,
        model=made.model,
        subject=made.subject,
        past=made.past,
        validation=made.validation,
        thresholds=made.thresholds,
        weights=made.weights,
        home=foreign_folder(run),
        parents={"data": made.store.hash, "model": made.weights},
        unseen=made.fold.validation[0],
    )


def fold_for(folds: tuple[Fold, ...], issue: int) -> int:
    """The newest fold whose model has not seen an issue time.

    Raises
    ------
    ConfigError : every fold learned from that time or later.
    """
    fitting = [k for k, fold in enumerate(folds) if fold.test[0] <= issue]
    if not fitting:
        raise ConfigError(
            "a forecast is made by a model that has not seen its time",
            f"the first test block begins at {folds[0].name.removeprefix('test_')}",
            "Ask for a later time, or add an earlier fold to split.test_starts.",
            "forecast.at",
        )
    return fitting[-1]

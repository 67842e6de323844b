"""The model under examination and the windows it is examined on: a run's own, or a user's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.errors import ConfigError
from heliosight.data.store import Store
from heliosight.data.windows import Windows
from heliosight.subject import Subject, model_hash, subject_from, wrap
from heliosight.training import read_log
from heliosight.workflows.run import Run
from heliosight.workflows.store import store_of
from heliosight.workflows.study import Study, study_of
from heliosight.workflows.trained import LOG, folder_of, forecaster, main_system, system_hash

COMPLETE = 0.9  # a window of a user's data counts when this share of every modality was observed


@dataclass(frozen=True)
class Examined:
    """A subject with windows it has not learned from.

    Attributes
    ----------
    folder : where its records go.
    times : `(N,)` issue times with complete targets.
    all_times : `(M,)` the same of all the data there is, learned from or not.
    parents : hashes of what a record about it depends on.
    log : rows of its training log, oldest first; empty when there is none.
    study : the run's folds, None for a user's model.
    """

    subject: Subject
    store: Store
    windows: Windows
    times: np.ndarray
    all_times: np.ndarray
    folder: Path
    parents: Mapping[str, str]
    log: list[dict[str, Any]]
    study: Study | None = None


def is_foreign(run: Run) -> bool:
    """True when the run looks at a user's model."""
    return bool(run.config.subject.model)


def examined(run: Run, fold: int, where: str) -> Examined:
    """The subject of a run: its first system on one fold, or the user's model on the data given.

    Raises
    ------
    ConfigError : no such fold, or no window of the user's data is complete.
    SubjectError : the user's model cannot be built, loaded or called.
    """
    return _foreign(run) if is_foreign(run) else _own(run, fold, where)


def _own(run: Run, fold: int, where: str) -> Examined:
    system, study = main_system(run), study_of(run)
    number = study.fold_number(fold, where)
    model = forecaster(study, system, number)
    return Examined(
        subject=wrap(model, run.config.spec(system), name=f"{run.config.name}/{system}"),
        store=study.store,
        windows=study.windows(system),
        times=study.times(system, study.folds[number].test),
        all_times=study.times(system, (study.folds[0].train[0], study.folds[number].test[1])),
        folder=run.folder,
        parents={"data": study.store.hash, "train": system_hash(study, system)},
        log=read_log(folder_of(study, system, number) / LOG),
        study=study,
    )


def foreign_subject(run: Run) -> tuple[Subject, Store, Windows, np.ndarray]:
    """The user's model with its store, windows, and the issue times it has not learned from."""
    config, spec = run.config.subject, run.config.spec(main_system(run))
    spec = replace(spec, leads=config.leads, lead_hours=config.lead_hours)
    store = store_of(run)
    windows = Windows(store.tables, spec)
    times = _times(run, store, windows)
    example = windows.batch(times[np.linspace(0, len(times) - 1, 3).astype(int)])
    return subject_from(config, spec, example), store, windows, times


def _foreign(run: Run) -> Examined:
    config = run.config.subject
    subject, store, windows, times = foreign_subject(run)
    return Examined(
        subject=subject,
        store=store,
        windows=windows,
        times=times,
        all_times=_times(run, store, windows, everything=True),
        folder=foreign_folder(run),
        parents={"data": store.hash, "model": model_hash(config, subject)},
        log=read_log(Path(config.log)) if config.log else [],
    )


def _times(run: Run, store: Store, windows: Windows, everything: bool = False) -> np.ndarray:
    """Issue times whose windows were observed, of the span the user names or of all."""
    config, target = run.config.subject, store.tables[windows.spec.target_table]
    first, end = int(target.times[0]), int(target.times[-1]) + DAY
    if not everything:
        first = to_seconds(config.first) if config.first else first
        end = to_seconds(config.end) if config.end else end
    stride = run.config.split.stride_hours
    times = windows.issue_times(first, end, stride, min_observed=COMPLETE)
    if len(times) == 0:
        raise ConfigError(
            "a user's model is examined on complete windows",
            f"none with {COMPLETE:.0%} of every modality observed and every lead known",
            "Check inputs.*.lag_hours (6 for published event files), steps and subject.first.",
            "data",
        )
    return times


def foreign_folder(run: Run) -> Path:
    """Where the records of a user's model lie: apart from those of the run's own forecaster."""
    name = run.config.subject.name or run.config.subject.model
    return run.folder / "models" / plain_name(name)


def plain_name(text: str) -> str:
    """A model's name as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")


def frame_times(windows: Windows, issue: int) -> tuple[str, ...]:
    """When the frames of a window were due: not at every issue time is there a new one."""
    stamps = windows.times(np.array([issue])).stamps
    images = [n for n, m in windows.spec.modalities.items() if m.kind == "images"]
    return tuple(to_text(int(t)) for t in stamps[images[0]][0])

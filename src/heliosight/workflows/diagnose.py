"""The diagnosis stage: is every input and the time axis of the trained forecaster really used?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from heliosight.core import records
from heliosight.core.errors import RecordError
from heliosight.core.files import is_sealed
from heliosight.core.records import Diagnosis
from heliosight.diagnosis import (
    CONVLSTM_CHECKS,
    FUSION_CHECKS,
    USAGE_CHECKS,
    diagnose,
    text,
)
from heliosight.diagnosis.verdict import faults, verdict
from heliosight.workflows.examined import Examined, examined, is_foreign
from heliosight.workflows.explainers import explainers
from heliosight.workflows.frames import with_frames
from heliosight.workflows.run import Run, StageResult

PARTS = {"": (), "convlstm": CONVLSTM_CHECKS, "fusion": FUSION_CHECKS, "usage": USAGE_CHECKS}


def run(run: Run, verb: str = "") -> StageResult:
    """Diagnose the first system on its test block, or a user's model; `verb` shows one part."""
    config = run.config.diagnose
    found = examined(run, config.fold, "diagnose.fold")
    key = run.key(
        "diagnose", dict(found.parents), len(found.times), found.times[[0, -1]].tolist(), config
    )
    name = "diagnose_frames" if config.frames else "diagnose"
    folder = _place(found, name, set(config.checks.checks))
    made = run.made(folder, Diagnosis, key)
    if made is None:
        made = _diagnosed(run, found, key)
        records.save(folder, made)
    shown = part(made, verb)
    told = (text(made, PARTS[verb]), *_for_strangers(run, len(found.times)))
    return StageResult(shown, told, bool(faults(shown.findings)))


def _place(found: Examined, name: str, asked: set[str]) -> Path:
    """Where a diagnosis lies; some checks asked again leave a fuller one of this model as it is."""
    folder = found.folder / name
    if not asked or not is_sealed(folder):
        return folder
    try:
        whole = records.load(folder, Diagnosis)
    except RecordError:  # a damaged one is made anew
        return folder
    fuller = {f.check for f in whole.findings} > asked
    current = whole.provenance.parents == dict(found.parents)
    return found.folder / f"{name}_some" if fuller and current else folder


def _for_strangers(run: Run, windows: int) -> tuple[str, ...]:
    """What somebody with a model of their own does next, and what flatters it."""
    if not is_foreign(run):
        return ()
    told = (
        f"\nsubject.first is not set: all {windows} windows are asked. Those that the model "
        "has learned from flatter its skill (T9, USE, T19-T21); exact checks do not mind."
    )
    todo, page = (run.asking(stage, without=PARTS) for stage in ("improve", "report"))
    steps = f"\nwhat to do: {todo}\nas a page: {page}"
    return (*(() if run.config.subject.first else (told,)), steps)


def _diagnosed(run: Run, found: Examined, key: str) -> Diagnosis:
    config, windows, times = run.config.diagnose, found.windows, found.times
    if config.frames:
        windows, times = with_frames(
            found.store.tables, windows.spec, config.frames, int(times[-1])
        )
    return diagnose(
        found.subject,
        windows,
        config.checks,
        issue_times=times,
        provenance=run.provenance(key, found.parents),
        records=found.log,
        explainers=explainers(config.explainers),
        workers=run.config.threads,
        data_times=None if config.frames else found.all_times,
    )


def part(diagnosis: Diagnosis, verb: str) -> Diagnosis:
    """The findings of one part, all of them for an empty name."""
    checks = PARTS[verb]
    kept = tuple(f for f in diagnosis.findings if not checks or f.check in checks)
    return replace(diagnosis, findings=kept, verdict=verdict(kept))

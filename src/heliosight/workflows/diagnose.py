"""The diagnosis stage: is every input and the time axis of the trained forecaster really used?"""

from __future__ import annotations

from dataclasses import replace

from heliosight.core import records
from heliosight.core.records import Diagnosis
from heliosight.diagnosis import (
    CONVLSTM_CHECKS,
    FUSION_CHECKS,
    USAGE_CHECKS,
    diagnose,
    text,
)
from heliosight.diagnosis.verdict import faults, verdict
from heliosight.subject import wrap
from heliosight.training import read_log
from heliosight.workflows.frames import with_frames
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.study import study_of
from heliosight.workflows.train import LOG, folder_of, forecaster, main_system, system_hash

PARTS = {"": (), "convlstm": CONVLSTM_CHECKS, "fusion": FUSION_CHECKS, "usage": USAGE_CHECKS}


def run(run: Run, verb: str = "") -> StageResult:
    """Diagnose the first system on its test block; `verb` shows one part of the findings."""
    study, config = study_of(run), run.config.diagnose
    system, number = main_system(run), study.fold_number(config.fold, "diagnose.fold")
    model = forecaster(study, system, number)
    parent = system_hash(study, system)
    key = run.key("diagnose", study.key, parent, config)
    folder = run.folder / ("diagnose_frames" if config.frames else "diagnose")
    made = run.made(folder, Diagnosis, key)
    if made is None:
        subject = wrap(model, run.config.spec(system), name=f"{run.config.name}/{system}")
        windows, times = study.windows(system), study.times(system, study.folds[number].test)
        if config.frames:
            windows, times = with_frames(study, system, config.frames, int(times[-1]))
        made = diagnose(
            subject,
            windows,
            config.checks,
            issue_times=times,
            provenance=run.provenance(key, {"data": study.store.hash, "train": parent}),
            records=read_log(folder_of(study, system, number) / LOG),
        )
        records.save(folder, made)
    shown = part(made, verb)
    return StageResult(shown, (text(made, PARTS[verb]),), bool(faults(shown.findings)))


def part(diagnosis: Diagnosis, verb: str) -> Diagnosis:
    """The findings of one part, all of them for an empty name."""
    checks = PARTS[verb]
    kept = tuple(f for f in diagnosis.findings if not checks or f.check in checks)
    return replace(diagnosis, findings=kept, verdict=verdict(kept))

"""The improvement stage: treat the main system, or tell what to do about a user's model."""

from __future__ import annotations

from typing import cast

from heliosight.core.progress import note
from heliosight.core.records import Diagnosis
from heliosight.diagnosis.diagnose import CHECKS
from heliosight.remedy import advice, named
from heliosight.workflows import diagnose
from heliosight.workflows.arms import PLAN
from heliosight.workflows.before_after import concluded
from heliosight.workflows.improve_study import study
from heliosight.workflows.pool import workers
from heliosight.workflows.prescriptions import counted
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.treatment import Progress, bench_of, improved, ordered


def run(run: Run, verb: str = "") -> StageResult:
    """Improve the main system on one fold; what was finished before is used again."""
    if verb == "study":
        return counted(run) if run.config.improve.certified else study(run)
    if run.config.subject.model:
        return advised(run)
    note(
        "data, the model and its diagnosis, remedies screened on one seed, a proof over "
        f"{run.config.improve.seeds} seeds, one page; the plan as it stands: {run.folder / PLAN}"
    )
    with workers(bench_of(run)) as team:
        progress = Progress(team)
        proved = improved(progress)
        return concluded(progress, proved)


def advised(run: Run) -> StageResult:
    """A model of somebody's own: what to do about each finding, and how to tell that it worked."""
    result = diagnose.run(run)
    record = cast(Diagnosis, result.record)
    told = [
        f"\n{name}: {text}{_again(run, name)}" for name, text in advice(ordered(record.findings))
    ]
    lines = (record.verdict, *(told or ["nothing is prescribed"]))
    return StageResult(record, lines, result.fault)


def _again(run: Run, name: str) -> str:
    """The command that asks only what a remedy promises; empty where it promises no check."""
    known = {check.id for check in CHECKS}
    asked = [test for test in named(name).tests if test in known]
    if not asked or not named(name).patch:
        return ""
    again = run.asking("diagnose", f"diagnose.checks.checks=[{','.join(asked)}]")
    return f"\n  ask again: {again}"

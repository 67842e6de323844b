"""What is known of a model beside its forecast: the grade of its diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from heliosight.core import records
from heliosight.core.files import is_sealed
from heliosight.core.issued import Grade
from heliosight.core.records import Diagnosis
from heliosight.workflows.study import Study
from heliosight.workflows.trained import finished, system_hash


def grade(study: Study, system: str) -> Grade:
    """The grade of the diagnosis of this very model; empty without one."""
    if any(finished(study, system, k) is None for k in range(len(study.folds))):
        return Grade()
    now = {"data": study.store.hash, "train": system_hash(study, system)}
    return grade_in(study.run.folder, now)


def grade_in(home: Path, now: Mapping[str, str]) -> Grade:
    """The grade of the diagnosis in a folder, if it is of the model with these hashes."""
    folder = home / "diagnose"
    if not is_sealed(folder):
        return Grade()
    found = records.load(folder, Diagnosis)
    if any(now.get(name) != value for name, value in found.provenance.parents.items()):
        return Grade()
    outcomes = [f.outcome for f in found.findings]
    return Grade(
        verdict=found.verdict,
        faults=outcomes.count("fault"),
        open=outcomes.count("inconclusive"),
        checks=len(outcomes),
        made=found.provenance.created,
    )

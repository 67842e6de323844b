"""What improvement would prescribe to a certificate's healthy models, read from its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from heliosight.core import records
from heliosight.core.errors import ConfigError
from heliosight.core.files import is_sealed
from heliosight.core.records_certificate import Certificate, CertificateRow, CertifiedCase
from heliosight.remedy import prescribed
from heliosight.workflows.run import Run, StageResult
from heliosight.zoo.intervals import share
from heliosight.zoo.table import line

GROUP, NAME = "prescriptions", "nothing prescribed to the healthy"
GOAL = 0.95  # at most one in twenty, set before the first count
WELL = ("healthy", "hard")


def remedies(case: CertifiedCase) -> tuple[str, ...]:
    """Repairs that a case's faults, and branches lost at the fusion, would be given."""
    return prescribed((f.cause for f in case.named), case.lost)


def spared(cases: Sequence[CertifiedCase]) -> CertificateRow | None:
    """Healthy and hard-healthy models to which nothing is prescribed; None where there is none.

    Cases whose manipulation check failed are left out, as everywhere in a certificate.
    """
    well = [c for c in cases if c.took and c.stratum in WELL]
    if not well:
        return None
    free = [not remedies(c) for c in well]
    value = share(free, [c.model for c in well])
    return CertificateRow(GROUP, NAME, value, float(sum(free)), len(well), GOAL)


def with_prescriptions(found: Certificate, cases: Sequence[CertifiedCase]) -> Certificate:
    """The certificate with this row, and with the miss where it is one."""
    row = spared(cases)
    if row is None:
        return found
    told = f"{row.group}, {row.name}: {row.value.value:.3f} of {GOAL:g} asked"
    missed = (*found.missed, told) if row.value.value < GOAL else found.missed
    return replace(found, rows=(*found.rows, row), missed=missed)


def counted(run: Run) -> StageResult:
    """Count the prescriptions of a certificate that has been made.

    Raises
    ------
    ConfigError : there are no finished cases in the folder, or no healthy ones.
    """
    folder = Path(run.config.improve.certified)
    cases = [records.load(p, CertifiedCase) for p in _places(folder)]
    row = spared(cases)
    if row is None:
        raise ConfigError(
            "prescriptions are counted over healthy models of a certificate",
            f"none among {len(cases)} finished cases in {folder}",
            "Name the folder of a certified half, such as runs/NAME/certify/test.",
            "improve.certified",
        )
    head = f"{len(cases)} finished cases in {folder}"
    made = Certificate(run.provenance("", {}), cases=len(cases))
    found = with_prescriptions(made, cases)
    return StageResult(found, (head, line(row), *_exceptions(cases)), bool(found.missed))


def _places(folder: Path) -> list[Path]:
    """Finished cases, whether a half or its `cases` is named."""
    inner = folder / "cases"
    root = inner if inner.is_dir() else folder
    return sorted(p for p in root.iterdir() if is_sealed(p)) if root.is_dir() else []


def _exceptions(cases: Sequence[CertifiedCase]) -> list[str]:
    """Each healthy model that would be given something, with what and why."""
    told = []
    for c in cases:
        if c.took and c.stratum in WELL and remedies(c):
            why = [f"{f.cause} in {f.subject} ({f.check})" for f in c.named]
            why += [f"{branch} lost at the fusion" for branch in c.lost]
            name = f"{c.kind} {c.model} span {c.span}"
            told.append(f"  {name}: {', '.join(remedies(c))} for {'; '.join(why)}")
    return told

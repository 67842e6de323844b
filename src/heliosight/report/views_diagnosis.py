"""The diagnosis in plain words: what is used, what is wrong, what could not be decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from heliosight.core.records import Diagnosis, Finding, Outcome
from heliosight.report.views_skill import Cell, cell

# Worst first: the order of the table, and what a part's several answers add up to.
ORDER: tuple[Outcome, ...] = (
    "fault", "inconclusive", "benign_unused", "healthy", "not_applicable",
)  # fmt: skip
# A mark beside the word, so that the outcome does not hang on colour.
MARKS: dict[Outcome, str] = {
    "fault": "✕",
    "inconclusive": "?",
    "benign_unused": "○",
    "healthy": "✓",
    "not_applicable": "–",
}


@final
@dataclass(frozen=True)
class FindingView:
    """One row of the diagnosis table."""

    finding: Finding
    mark: str
    number: Cell | None


def finding_views(diagnosis: Diagnosis) -> list[FindingView]:
    """Findings, worst first, otherwise in the order they were made."""
    ordered = sorted(diagnosis.findings, key=lambda f: ORDER.index(f.outcome))
    return [FindingView(f, MARKS[f.outcome], cell(f.value) if f.value else None) for f in ordered]


def counts(diagnosis: Diagnosis) -> list[tuple[Outcome, int]]:
    """How many findings have each outcome, worst first, without the empty ones."""
    found = [f.outcome for f in diagnosis.findings]
    return [(o, found.count(o)) for o in ORDER if o in found]


def subjects(diagnosis: Diagnosis) -> list[tuple[str, list[tuple[Outcome, str, int]]]]:
    """How many answers of each kind every part that was asked about has, worst first."""
    found: dict[str, list[Outcome]] = {}
    for finding in diagnosis.findings:
        found.setdefault(finding.subject, []).append(finding.outcome)
    return [
        (name, [(o, MARKS[o], outcomes.count(o)) for o in ORDER if o in outcomes])
        for name, outcomes in found.items()
    ]


def headline(diagnosis: Diagnosis) -> str:
    """The key of the sentence that stands at the top of the page."""
    found = {f.outcome for f in diagnosis.findings}
    if "fault" in found:
        return "headline_fault"
    if "inconclusive" in found:
        return "headline_inconclusive"
    return "headline_fine" if found & {"healthy", "benign_unused"} else "headline_nothing"

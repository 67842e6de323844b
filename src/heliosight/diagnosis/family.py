"""False alarms bounded in each family of questions: the questions of one check.

A check that asks eight channels at 5 % each would call 1 - 0.95^8, a third of all healthy models,
ill. The faults that chance could have made are therefore judged together with all the questions of
their check: the false discovery rate is held there (Benjamini & Hochberg 1995, J. R. Stat. Soc. B
57, 289). Where nothing is ill every discovery is false, so the same bound holds for a single false
alarm of the check. Over a whole diagnosis it is the certificate that counts them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from heliosight.core.records import Finding
from heliosight.diagnosis.blocks import discoveries


def controlled(
    findings: Sequence[Finding], by_chance: Collection[str], level: float
) -> list[Finding]:
    """The findings, faults that do not stand among the questions of their check being left open.

    A question counts whatever its answer; one that was not answered by a fault has p = 1, which
    never makes a fault easier to find. A fault without p is exact and stands. A finding that
    repeats a fault of another check (T8 and T9 that of USE) goes with it.

    by_chance : identifiers of the checks whose faults are decided by statistics.
    """
    fallen: dict[tuple[str, str], str] = {}
    stands: set[tuple[str, str]] = set()
    for check in by_chance:
        family = [f for f in findings if f.check == check and _counts(f)]
        p = [f.p if f.p is not None and f.outcome == "fault" else 1.0 for f in family]
        for f, x, hit in zip(family, p, discoveries(p, level), strict=True):
            if f.cause and hit:
                stands.add((f.cause, f.subject))
            elif f.cause:
                fallen[f.cause, f.subject] = f"p {x:.2g} among {_told(len(family))} of {check}"
    return [
        _open(f, fallen[f.cause, f.subject])
        if f.outcome == "fault" and (f.cause, f.subject) in fallen.keys() - stands
        else f
        for f in findings
    ]


def _counts(f: Finding) -> bool:
    exact = f.outcome == "fault" and f.p is None
    return f.outcome != "not_applicable" and not exact


def _told(questions: int) -> str:
    return "1 question" if questions == 1 else f"{questions} questions"


def _open(f: Finding, why: str) -> Finding:
    reason = f"{f.reason}; not resolved: {why}"
    return replace(f, outcome="inconclusive", cause="", action="", reason=reason)

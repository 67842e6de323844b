"""False alarms bounded over a whole diagnosis, not question by question.

Thirty independent questions at 5 % each would call 1 - 0.95^30, three of four healthy models, ill.
All faults that chance could have made are therefore judged together: the false discovery rate is
held over the whole diagnosis (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57, 289). In a healthy
model every discovery is false, so there the same bound holds for a single false alarm among all
questions; in an ill one the clear faults leave the weaker ones their power.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from heliosight.core.records import Finding
from heliosight.diagnosis.blocks import discoveries


def controlled(
    findings: Sequence[Finding], by_chance: Collection[str], level: float
) -> list[Finding]:
    """The findings, faults that do not stand among all questions being left open.

    A question counts whatever its answer; one that was not answered by a fault has p = 1, which
    never makes a fault easier to find. A fault without p is exact and stands. A finding that
    repeats a fault of another check (T8 and T9 that of USE) goes with it.

    by_chance : identifiers of the checks whose faults are decided by statistics.
    """
    asked = [f for f in findings if f.check in by_chance and _counts(f)]
    p = [f.p if f.p is not None and f.outcome == "fault" else 1.0 for f in asked]
    kept = discoveries(p, level) if asked else []
    judged = [(f, x, hit) for f, x, hit in zip(asked, p, kept, strict=True) if f.cause]
    fallen = {(f.cause, f.subject): x for f, x, hit in judged if not hit}
    for f, _, hit in judged:
        if hit:
            fallen.pop((f.cause, f.subject), None)
    return [
        _open(f, fallen[f.cause, f.subject], len(asked))
        if f.outcome == "fault" and (f.cause, f.subject) in fallen
        else f
        for f in findings
    ]


def _counts(f: Finding) -> bool:
    exact = f.outcome == "fault" and f.p is None
    return f.outcome != "not_applicable" and not exact


def _open(f: Finding, p: float, questions: int) -> Finding:
    reason = f"{f.reason}; not resolved: p {p:.2g} among {questions} questions"
    return replace(f, outcome="inconclusive", cause="", action="", reason=reason)

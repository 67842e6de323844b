"""The findings in plain words: one verdict, then short lines that say what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from heliosight.core.records import Diagnosis, Finding, Interval, Outcome

CONVLSTM_CHECKS = ("T4", "T5", "T12", "T13")
FUSION_CHECKS = ("T6", "T14", "T15", "T16", "USE")
USAGE_CHECKS = ("T2", "T3", "T7", "T8", "T9", "T10", "USE", "T11", "T20", "T21")
TRAINING_CHECKS = ("T17", "T18", "T19")
EXPLAINER_CHECKS = ("T1", "T22", "T23", "T24")

WORDS: dict[Outcome, str] = {
    "fault": "problem",
    "inconclusive": "warning",
    "benign_unused": "fine",
    "healthy": "fine",
    "not_applicable": "skipped",
}
_RANK: dict[Outcome, int] = {
    "fault": 0, "inconclusive": 1, "benign_unused": 2, "healthy": 3, "not_applicable": 4,
}  # fmt: skip
# A cause found earlier in this list explains those after it, so it is named first.
CAUSES = (
    "batch_leakage", "future_leak", "order_blind", "not_connected", "detached", "same_frame",
    "no_frame", "reversed_frames", "wrong_frame", "state_not_carried", "state_detached",
    "steps_not_connected", "steps_detached", "dead_channel", "single_token", "dead_weights",
    "collapse", "clip_domination", "starved_branch", "lazy_or_blocked", "misused",
    "harmful_reliance", "spurious_reliance", "not_learning", "slow_branch", "memorisation",
    "explainer", "ignores_weights", "static_map", "unfaithful_map",
)  # fmt: skip


def faults(findings: Iterable[Finding]) -> list[Finding]:
    """Faults, the most likely root first; one per cause and part."""
    order = {cause: i for i, cause in enumerate(CAUSES)}
    found: dict[tuple[str, str], Finding] = {}
    for f in findings:
        if f.outcome == "fault":
            key = (f.cause, f.subject)
            found[key] = f if f.action or key not in found else found[key]
    return sorted(found.values(), key=lambda f: order.get(f.cause, len(CAUSES)))


def verdict(findings: Sequence[Finding]) -> str:
    """One or two sentences on all findings."""
    found = faults(findings)
    open_questions = sum(f.outcome == "inconclusive" for f in findings)
    unresolved = f" {open_questions} questions stay open." if open_questions else ""
    if found:
        first = found[0]
        others = f" {len(found) - 1} more faults follow." if len(found) > 1 else ""
        return (
            f"Fault: {first.cause.replace('_', ' ')} in {first.subject}: {first.reason}. "
            f"{first.action}{others}{unresolved}"
        )
    unused = [f.subject for f in findings if f.outcome == "benign_unused" and f.check == "USE"]
    if unused:
        return f"No fault found. Unused without loss: {', '.join(unused)}.{unresolved}"
    if not any(f.outcome == "healthy" for f in findings):
        return f"Nothing could be decided.{unresolved}"
    return f"No fault found.{unresolved}"


def lines(diagnosis: Diagnosis, checks: Sequence[str] = ()) -> list[str]:
    """Short plain lines, worst first: what, the number with its interval, what to do.

    checks : identifiers to show, for example `CONVLSTM_CHECKS`; empty for all.
    """
    shown = [f for f in diagnosis.findings if not checks or f.check in checks]
    shown = sorted(shown, key=lambda f: _RANK[f.outcome])
    return [_line(f) for f in shown]


def text(diagnosis: Diagnosis, checks: Sequence[str] = (), width: int = 100) -> str:
    """The verdict on the findings shown, then their lines, wrapped."""
    shown = [f for f in diagnosis.findings if not checks or f.check in checks]
    head = f"{diagnosis.subject}, {diagnosis.windows} windows: {verdict(shown)}"
    wrapped = [
        textwrap.fill(line, width, subsequent_indent=" " * 9) for line in lines(diagnosis, checks)
    ]
    return "\n".join([textwrap.fill(head, width), "", *wrapped, *_wrapping(diagnosis, width)])


def _wrapping(diagnosis: Diagnosis, width: int) -> list[str]:
    """How a foreign model was called and which part plays which role; nothing for our own."""
    if not diagnosis.inputs:
        return []
    calls = ", ".join(f"{name} = {how}" for name, how in diagnosis.inputs.items())
    parts = ", ".join(f"{role} = {path}" for role, path in diagnosis.parts.items())
    told = [
        f"called with {calls} (override: subject.inputs.NAME='images BTCHW')",
        f"parts {parts or 'none'} (override: subject.parts.ROLE=path)",
    ]
    return ["", *(textwrap.fill(line, width, subsequent_indent=" " * 9) for line in told)]


def _line(f: Finding) -> str:
    number = f" [{f.statistic}: {number_text(f.value)}]" if f.value is not None else ""
    action = f" -> {f.action}" if f.action else ""
    return f"{WORDS[f.outcome]:<8} {f.check:<3} {f.subject}: {f.reason}{number}{action}"


def number_text(value: Interval) -> str:
    """A value with its interval, three digits."""
    if value.low is None or value.high is None:
        return f"{value.value:.3g}"
    return f"{value.value:.3g}, {value.level:.0%} {value.low:.3g} to {value.high:.3g}"

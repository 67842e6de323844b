"""The findings in plain words: one verdict, then short lines that say what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from heliosight.core.records import Diagnosis, Finding, Interval, Outcome

# What each of the three scripts prints, in this order.
CONVLSTM_CHECKS = ("T4", "T5", "T13", "T12")
FUSION_CHECKS = ("T14", "T15", "T6", "T16", "T17", "T18")
USAGE_CHECKS = ("USE", "T8", "T9", "T10", "T11", "T25", "T26", "T12")
TRAINING_CHECKS = ("T17", "T18", "T19")
EXPLAINER_CHECKS = ("T1", "T22", "T23", "T24")
ORDER = (
    "SUBJECT", "T2", "T3", "T7", *CONVLSTM_CHECKS, *FUSION_CHECKS, *USAGE_CHECKS, "T20", "T21",
    *EXPLAINER_CHECKS, "T19",
)  # fmt: skip

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
    "batch_leakage", "wrapping", "future_leak", "order_blind", "not_connected", "detached",
    "same_frame", "no_frame", "reversed_frames", "wrong_frame", "state_not_carried",
    "state_detached", "same_answer",
    "steps_not_connected", "steps_detached", "constant_channel", "duplicate_channel",
    "dead_channel", "off_scale", "broken_relation", "single_token", "unregistered_weights",
    "dead_weights", "not_learning",
    "clip_domination", "starved_branch", "vanishing_state", "learned_short_memory", "time_unused",
    "short_sight", "slow_branch", "misused", "harmful_reliance", "spurious_reliance",
    "lazy_or_blocked", "collapse", "overconfident", "memorisation",
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
    unresolved = _open(sum(f.outcome == "inconclusive" for f in findings))
    if found:
        first, more = found[0], found[1:]
        names = ", ".join(f"{f.cause.replace('_', ' ')} in {f.subject}" for f in more[:4])
        others = f" Then: {names}{' and more' if len(more) > 4 else ''}." if more else ""
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


def _open(count: int) -> str:
    if not count:
        return ""
    return " 1 question stays open." if count == 1 else f" {count} questions stay open."


def lines(diagnosis: Diagnosis, checks: Sequence[str] = ()) -> list[str]:
    """Short plain lines, worst first: what, the number with its interval, what to do.

    checks : identifiers to show, for example `CONVLSTM_CHECKS`; empty for all.
    """
    shown = [f for f in diagnosis.findings if not checks or f.check in checks]
    shown = sorted(shown, key=lambda f: _RANK[f.outcome])
    return [_line(f) for f in shown]


def text(diagnosis: Diagnosis, checks: Sequence[str] = (), width: int = 100) -> str:
    """What is wrong and what to do, then every question with its answers, then what was not asked.

    checks : identifiers to show, for example `CONVLSTM_CHECKS`; empty for all.
    """
    wanted = checks or tuple(dict.fromkeys((*ORDER, *(f.check for f in diagnosis.findings))))
    shown = [f for name in wanted for f in diagnosis.findings if f.check == name]
    head = f"{diagnosis.subject}: {diagnosis.windows} windows, level {diagnosis.level}"
    blocks = [[head, *_wrapped(verdict(shown), width)], *_answers(shown, width)]
    blocks += [_not_asked(shown, width), _wrapping(diagnosis, width), _cost(diagnosis, width)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _wrapped(line: str, width: int, start: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(line, width, initial_indent=start, subsequent_indent=rest)


def _answers(shown: Sequence[Finding], width: int) -> list[list[str]]:
    """A question with all its answers, worst first; a block each."""
    blocks = []
    for check in dict.fromkeys(f.check for f in shown):
        mine = [f for f in shown if f.check == check and f.outcome != "not_applicable"]
        if not mine:
            continue
        block = [f"{mine[0].question} ({check})"]
        for f in sorted(mine, key=lambda f: _RANK[f.outcome]):
            block += _answer(f, width)
        blocks.append(block)
    return blocks


def _answer(f: Finding, width: int) -> list[str]:
    """Word, part and reason; number with its interval; what to do."""
    edge = " " * 11
    lines = _wrapped(f"{f.subject}: {f.reason}", width, f"  {WORDS[f.outcome]:<9}", edge)
    if f.value is not None:
        lines += _wrapped(f"{number_text(f.value)}  {f.statistic}", width, edge, edge)
    if f.action:
        lines += _wrapped(f"-> {f.action}", width, edge, edge + "   ")
    return lines


def _not_asked(shown: Sequence[Finding], width: int) -> list[str]:
    """Questions that could not be asked, by reason."""
    reasons: dict[str, list[str]] = {}
    for f in shown:
        if f.outcome == "not_applicable":
            part = "" if f.subject == "subject" else f" {f.subject}"
            reasons.setdefault(f.reason, []).append(f"{f.check}{part}")
    if not reasons:
        return []
    lines = [
        _wrapped(f"{', '.join(who)}: {why}", width, f"  {WORDS['not_applicable']:<9}", " " * 11)
        for why, who in reasons.items()
    ]
    return ["Not asked", *(line for block in lines for line in block)]


def _cost(diagnosis: Diagnosis, width: int) -> list[str]:
    """Seconds of each step, the longest first."""
    spent = sorted(diagnosis.seconds.items(), key=lambda item: -item[1])
    if not spent:
        return []
    told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in spent if seconds >= 0.05)
    return _wrapped(f"cost {sum(s for _, s in spent):.1f} s: {told}", width, "", "     ")


def _wrapping(diagnosis: Diagnosis, width: int) -> list[str]:
    """How a foreign model was called and which part plays which role; nothing for our own."""
    if not diagnosis.inputs:
        return []
    calls = ", ".join(f"{name} = {how}" for name, how in diagnosis.inputs.items())
    parts = ", ".join(f"{role} = {path}" for role, path in diagnosis.parts.items())
    told = [
        f"called   {calls} (say otherwise: subject.inputs.NAME='images BTCHW')",
        f"parts    {parts or 'none'} (say otherwise: subject.parts.ROLE=path)",
    ]
    return [row for line in told for row in _wrapped(line, width, "", " " * 9)]


def _line(f: Finding) -> str:
    number = f" [{f.statistic}: {number_text(f.value)}]" if f.value is not None else ""
    action = f" -> {f.action}" if f.action else ""
    return f"{WORDS[f.outcome]:<8} {f.check:<3} {f.subject}: {f.reason}{number}{action}"


def number_text(value: Interval) -> str:
    """A value with its interval, three digits: `0.34 [0.3, 0.39]`; the level unless it is 95 %."""
    if value.low is None or value.high is None:
        return f"{value.value:.3g}"
    level = "" if round(value.level, 6) == 0.95 else f" ({value.level:.0%})"
    return f"{value.value:.3g} [{value.low:.3g}, {value.high:.3g}]{level}"

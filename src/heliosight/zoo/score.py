"""From diagnosed cases to a certificate: sensitivity, specificity, first cause, open questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from heliosight.core.records import Interval
from heliosight.core.records_certificate import Certificate, CertificateRow, CertifiedCase
from heliosight.zoo.intervals import share
from heliosight.zoo.rules import RULES

Cases = Sequence[CertifiedCase]
Hit = Callable[[CertifiedCase], bool]
# Set before the first run, in the issue that asked for the certificate.
GOALS = {"exact": 1.0, "macro": 0.90, "plain": 0.97, "hard": 0.93, "first cause": 0.85}
ILL, WELL = ("fault", "pair", "natural"), ("healthy", "hard")


def found(case: CertifiedCase) -> float:
    """Share of a case's planted faults that the diagnosis named."""
    causes = {f.cause for f in case.named}
    shown = case.symptoms or ((),) * len(case.wanted)
    pairs = zip(case.wanted, shown, strict=True)
    return float(np.mean([bool(causes & {*roots, *others}) for roots, others in pairs]))


def first_right(case: CertifiedCase) -> bool:
    """True when the cause named first is one of those accepted."""
    return bool(case.named) and any(case.named[0].cause in accepted for accepted in case.wanted)


def clean(case: CertifiedCase) -> bool:
    """True when no fault was named at all: a whole family of questions without a false alarm."""
    return not case.named


def certificate(cases: Cases, half: str, code: str) -> Certificate:
    """The scores of a half; cases whose manipulation check failed are listed and left out."""
    good = [c for c in cases if c.took]
    rows = (
        *_headline(good),
        *_by_kind(good),
        *_healthy(good),
        *_natural(good),
        *_manner(good),
        *_rules(good),
    )
    missed = tuple(
        f"{r.group}, {r.name}: {r.value.value:.3f} of {r.goal:g} asked"
        for r in rows
        if r.goal is not None and r.value.value < r.goal
    )
    dropped = tuple(f"{c.kind} {c.severity} {c.model}: {c.note}" for c in cases if not c.took)
    seconds = sum(c.seconds for c in cases)
    return replace(
        Certificate(), half=half, rows=rows, cases=len(good), not_taken=dropped, missed=missed,
        code=code, seconds=seconds,
    )  # fmt: skip


def _row(
    group: str, name: str, cases: Cases, hit: Hit, goal: float | None = None
) -> Iterable[CertificateRow]:  # fmt: skip
    if not cases:
        return []
    hits = [hit(c) for c in cases]
    value = share(hits, [c.model for c in cases])
    return [CertificateRow(group, name, value, float(sum(hits)), len(cases), goal)]


def _of(cases: Cases, *strata: str) -> list[CertifiedCase]:
    return [c for c in cases if c.stratum in strata]


def _headline(cases: Cases) -> list[CertificateRow]:
    ill = _of(cases, "fault")
    graded = [c for c in ill if not c.exact and c.severity in ("only", "moderate")]
    scored = [c for c in ill if c.exact or c.severity in ("only", "moderate")]
    return [
        *_row("sensitivity", "exact faults", [c for c in ill if c.exact], _whole, GOALS["exact"]),
        *_macro("sensitivity", "other faults, macro, moderate", graded, GOALS["macro"]),
        *_row("specificity", "plain healthy", _of(cases, "healthy"), clean, GOALS["plain"]),
        *_row("specificity", "hard healthy", _of(cases, "hard"), clean, GOALS["hard"]),
        *_row("first cause", "exact and moderate", scored, first_right, GOALS["first cause"]),
    ]


def _whole(case: CertifiedCase) -> bool:
    return found(case) == 1.0


def _macro(group: str, name: str, cases: Cases, goal: float | None) -> list[CertificateRow]:
    """Mean over faults of the share found, so that a fault with more cases counts no more."""
    kinds = sorted({c.kind for c in cases})
    if not kinds:
        return []
    by_kind = [[found(c) for c in cases if c.kind == k] for k in kinds]
    value = float(np.mean([np.mean(x) for x in by_kind]))
    rng = np.random.default_rng(0)
    draws = [
        np.mean([np.mean(rng.choice(x, len(x))) for x in by_kind]) for _ in range(2000)
    ]  # fmt: skip
    low, high = np.quantile(draws, [0.025, 0.975])
    how = f"bootstrap of cases within {len(kinds)} faults"
    interval = Interval(value, float(low), float(high), 0.95, how)
    hits = float(sum(sum(x) for x in by_kind))
    return [CertificateRow(group, name, interval, hits, len(cases), goal)]


def _by_kind(cases: Cases) -> list[CertificateRow]:
    rows: list[CertificateRow] = []
    ill = _of(cases, "fault", "pair")
    for kind in dict.fromkeys(c.kind for c in ill):
        for severity in dict.fromkeys(c.severity for c in ill if c.kind == kind):
            some = [c for c in ill if c.kind == kind and c.severity == severity]
            rows += _row(f"sensitivity of {kind}", severity, some, _whole)
    return rows


def _healthy(cases: Cases) -> list[CertificateRow]:
    rows: list[CertificateRow] = []
    hard = _of(cases, "hard")
    for kind in dict.fromkeys(c.kind for c in hard):
        rows += _row("specificity by kind", kind, [c for c in hard if c.kind == kind], clean)
    well = _of(cases, "healthy", "hard")
    for check in sorted({f.check for c in well for f in c.named}):
        rows += _row("false alarms by check", check, well, _alarmed(check))
    return rows + list(_row("false alarms", "any in a healthy model", well, lambda c: not clean(c)))


def _alarmed(check: str) -> Hit:
    return lambda c: any(f.check == check for f in c.named)


def _flagged(rule: str, ill: bool) -> Hit:
    return lambda c: c.rules[rule] is ill


def _silent(case: CertifiedCase) -> bool:
    return not case.named and bool(case.unresolved)


def _natural(cases: Cases) -> list[CertificateRow]:
    foreign = _of(cases, "natural")
    ill = [c for c in foreign if c.wanted]
    rows = list(_row("foreign models", "faults found", ill, _whole))
    rows += _row("foreign models", "first cause", ill, first_right)
    well = [c for c in foreign if not c.wanted]
    return rows + list(_row("foreign models", "healthy twins clean", well, clean))


def _manner(cases: Cases) -> list[CertificateRow]:
    """Open questions, and verdicts that stay the same from one stretch of time to another."""
    share_open = [len(c.unresolved) / max(1, c.questions) for c in cases]
    if not cases:
        return []
    spread = np.quantile(share_open, [0.025, 0.975])
    value = Interval(
        float(np.mean(share_open)), float(spread[0]), float(spread[1]), 0.95, "range of cases"
    )
    count = sum(c.questions for c in cases)
    hits = float(sum(len(c.unresolved) for c in cases))
    rows = [CertificateRow("abstention", "questions left open", value, hits, count)]
    ill = [c for c in _of(cases, *ILL) if c.wanted]
    rows += _row("abstention", "ill models with open questions alone", ill, _silent)
    return rows + _stability(_of(cases, *ILL, *WELL))


def _stability(cases: Cases) -> list[CertificateRow]:
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for c in cases:
        key = (c.stratum, c.kind, c.severity, c.model)
        groups.setdefault(key, []).append(c.named[0].cause if c.named else "")
    several = {k: v for k, v in groups.items() if len(v) > 1}
    if not several:
        return []
    same = [len(set(v)) == 1 for v in several.values()]
    value = share(same, [k[3] for k in several])
    return [CertificateRow("stability", "same verdict on every span", value, sum(same), len(same))]


def _rules(cases: Cases) -> list[CertificateRow]:
    """What the published rules of thumb say of the same models."""
    rows: list[CertificateRow] = []
    for rule in RULES:
        asked = [c for c in cases if rule in c.rules]
        flagged = _flagged(rule, True)
        ill = [c for c in _of(asked, "fault") if c.exact or c.severity in ("only", "moderate")]
        rows += _row("rule of thumb, sensitivity", rule, ill, flagged)
        well = _of(asked, *WELL)
        rows += _row("rule of thumb, specificity", rule, well, _flagged(rule, False))
    return rows

"""T8, T9, T10 and their joint verdict: is a modality used, is it needed, do the data hold it?"""

from __future__ import annotations

from typing import ClassVar, final

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Outcome
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.crossing import split
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.left import gain_left, missed, underused
from heliosight.diagnosis.sample import Part
from heliosight.diagnosis.use import PLANTED, Answer, held, holdings, needed, used, uses


@final
class OutputMoves(Check):
    """T8."""

    id: ClassVar[str] = "T8"
    question: ClassVar[str] = "How much of the forecast moves with the modality?"
    needs: ClassVar[str] = "a forecast, windows over many solar rotations"
    cost: ClassVar[str] = "1 F per window, and what follows the encoders once per shift"
    rule: ClassVar[str] = (
        "total Sobol index under circular time shifts; used when above, unused only when below "
        "the smallest use of interest at the 5 % level (equivalence test)"
    )
    level: ClassVar[str] = "standard"

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a modality."""
        findings = []
        for m, use in uses(evidence).items():
            answer = used(evidence, use)
            outcome, cause = _outcome(evidence, m, answer)
            reason = {
                "yes": "the forecast moves with it",
                "no": "unused: its share is below the smallest use of interest (judged in USE)",
                "unsure": "neither use nor absence of use is shown",
            }[answer]
            statistic = "share of forecast variance (total Sobol index)"
            value = use.share.interval()
            findings.append(self.finding(m, outcome, statistic, value, reason, cause))
        return [*findings, *self._together(evidence)]

    def _together(self, evidence: Evidence) -> list[Finding]:
        """How much two modalities do together beyond their sum, where a crossing can be had."""
        try:
            alone_a, alone_b, both = split(evidence)
        except NotApplicable:
            return []
        a, b = evidence.modalities
        config = evidence.config
        reason = f"{a} alone {alone_a.value:.3g}, {b} alone {alone_b.value:.3g} of the variance; "
        present = both.p_above(config.smallest_use) < config.level_of_test
        absent = both.p_below(config.smallest_use) < config.level_of_test
        reason += (
            "together they do more than their sum"
            if present
            else ("their effects add up" if absent else "whether they interact is not resolved")
        )
        outcome: Outcome = "healthy" if present or absent else "inconclusive"
        statistic = "share of forecast variance by interaction"
        return [self.finding(f"{a} x {b}", outcome, statistic, both.interval(), reason)]


@final
class LossNeeds(Check):
    """T9."""

    id: ClassVar[str] = "T9"
    question: ClassVar[str] = "Does the skill need the modality?"
    needs: ClassVar[str] = "a forecast, targets, windows over many solar rotations"
    cost: ClassVar[str] = "none beside T8"
    rule: ClassVar[str] = (
        "R2 that its part of the forecast brings, the forecast averaged over the shifts of T8 as "
        "the alternative: needed when above 0 at its best amplitude, harm when below the smallest "
        "gain of interest as it is, false discovery rate 5 %; not needed means within the smallest "
        "gain both ways and at its best amplitude (equivalence test)"
    )
    level: ClassVar[str] = "standard"

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a modality."""
        found = uses(evidence)
        answers, findings = needed(evidence, found), []
        for m, use in found.items():
            days = ", ".join(f"{g:+.3f}" for g in use.gain_by_day)
            rise = use.rise.interval()
            best = use.best.interval()
            other = (
                f"at its best amplitude {best.value:.3f} [{best.low:.3f}, {best.high:.3f}]; "
                f"shuffled in time {rise.value:.3f} [{rise.low:.3f}, {rise.high:.3f}]"
            )
            reason = {
                "yes": f"skill falls without it (by day: {days}; {other})",
                "no": f"skill is the same without it ({other}; judged in USE)",
                "harm": f"skill rises without it (by day: {days}; {other}; judged in USE)",
                "unsure": f"not resolved ({other})",
            }[answers[m]]
            outcome, cause = _outcome(evidence, m, answers[m])
            statistic = "R2 that its part of the forecast brings"
            value = use.gain.interval()
            findings.append(self.finding(m, outcome, statistic, value, reason, cause))
        return findings


@final
class DataHold(Check):
    """T10."""

    id: ClassVar[str] = "T10"
    question: ClassVar[str] = "Do the data hold anything in the modality that the others do not?"
    needs: ClassVar[str] = "targets, windows over many solar rotations"
    cost: ClassVar[str] = "ridge probes, no forward"
    rule: ClassVar[str] = (
        "R2 that ridge probes gain from it beside the other modalities, six blocks of time, above "
        "the smallest gain; "
        '"no" needs an equivalence test and a planted signal that was found'
    )
    level: ClassVar[str] = "standard"

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a modality."""
        found = holdings(evidence)
        answers, findings = held(evidence, found), []
        count = len(evidence.sample.times)
        for m, h in found.items():
            least = f"{h.detectable:.0%}" if h.detectable else f"over {PLANTED[-1]:.0%}"
            outcomes: dict[str, Outcome] = {"yes": "healthy", "no": "benign_unused"}
            reason = {
                "yes": "a probe gains from it",
                "no": "a probe gains nothing from it",
                "unsure": "not resolved",
            }[answers[m]]
            findings.append(
                self.finding(
                    m, outcomes.get(answers[m], "inconclusive"), "R2 a ridge probe gains",
                    h.gain.interval(),
                    f"{reason}; smallest planted signal found: {least}, {count} windows",
                )
            )  # fmt: skip
        return findings


@final
class UseVerdict(Check):
    """USE: T8, T9 and T10 together."""

    id: ClassVar[str] = "USE"
    question: ClassVar[str] = "Is the modality used as it should be?"
    needs: ClassVar[str] = "T8, T9, T10"
    cost: ClassVar[str] = "none beside T8 and T10"
    rule: ClassVar[str] = (
        "unused or used without gain, held, and a probe gains more than the smallest miss from it "
        "beside the forecast: fault; unused and not held, or known to the forecast from other "
        "inputs: benign; used and harmful: fault; used and needed: healthy; unresolved: "
        "inconclusive. "
        "Whatever the use: a fault when a probe beside the forecast gains more than the smallest "
        "miss from the modality, and more than half of what its own part brings; or when that part "
        "would bring so much more at its best amplitude, beyond recalibrating the whole forecast"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a modality."""
        findings = []
        for m, (outcome, cause, reason, action) in verdicts(evidence).items():
            statistic = "share of forecast variance (total Sobol index)"
            value = uses(evidence)[m].share.interval()
            p = chance_of(evidence, m) if cause else None
            findings.append(self.finding(m, outcome, statistic, value, reason, cause, action, p))
        return findings


Verdict = tuple[Outcome, str, str, str]


def verdicts(evidence: Evidence) -> dict[str, Verdict]:
    """Outcome, cause, reason and action of each modality, computed once."""
    if "verdicts" not in evidence.memo:
        found = uses(evidence)
        need = needed(evidence, found)
        try:
            hold = held(evidence, holdings(evidence))
        except NotApplicable:
            hold = dict.fromkeys(found, "unsure")
        evidence.memo["verdicts"] = {
            m: _with_missed(evidence, m, judge(used(evidence, use), need[m], hold[m]))
            for m, use in found.items()
        }
    known: dict[str, Verdict] = evidence.memo["verdicts"]
    return known


def _with_missed(evidence: Evidence, m: str, found: Verdict) -> Verdict:
    """A modality that is used, but far less than it holds, is blocked too."""
    found = unless_known(evidence, Part(m), found)
    if found[0] == "fault":
        return found
    try:
        p = underused(evidence)[m]
    except NotApplicable:
        return found
    if p >= evidence.config.level_of_test:
        return found
    left, faint = (e.interval() for e in (missed(evidence)[m].gain, missed(evidence)[m].faint))
    brings = uses(evidence)[m].gain.value
    reason = (
        f"its part of the forecast brings {brings:.3f} of R2, and a probe beside the forecast "
        f"gains {left.value:.3f} [{left.low:.3f}, {left.high:.3f}] more from it; at its best "
        f"amplitude the part would bring {faint.value:.3f} [{faint.low:.3f}, {faint.high:.3f}] more"
    )
    return "fault", "lazy_or_blocked", reason, _BLOCKED


def chance_of(evidence: Evidence, m: str) -> float:
    """p of USE's fault in a modality: "it costs no skill, and nothing that matters is missed".

    Three ways lead to a fault: harm, a probe's gain, a part that is too small; all are paid for.
    """
    harm = 3 * uses(evidence)[m].gain.p_below(-evidence.config.smallest_gain)
    try:
        return min(1.0, harm, 1.5 * underused(evidence)[m])
    except NotApplicable:
        return min(1.0, harm)


def unless_known(evidence: Evidence, part: Part, found: Verdict) -> Verdict:
    """An input without gain is a fault only if the forecast misses what it holds."""
    outcome, cause, said, _ = found
    if outcome != "fault" or said not in (_UNUSED, _USELESS):
        return found
    try:
        left = gain_left(evidence, part)
    except NotApplicable:
        return found
    least, size = evidence.config.smallest_miss, evidence.config.level_of_test
    if left.p_above(least) < size:
        return found
    brief = "unused" if cause == "lazy_or_blocked" else "used without gain"
    if left.p_below(least) < size:
        reason = f"{brief}; what it holds the forecast has from the other inputs"
        return "benign_unused", "", reason, "Remove it: there is nothing to fix."
    reason = f"{brief}; whether the forecast misses what it holds is not resolved"
    return "inconclusive", "", reason, _MORE


def _outcome(evidence: Evidence, m: str, answer: Answer) -> tuple[Outcome, str]:
    """What T8's or T9's own answer is worth: absence is judged together with the data."""
    if answer == "yes":
        return "healthy", ""
    if answer == "unsure":
        return "inconclusive", ""
    outcome, cause, _, _ = verdicts(evidence)[m]
    return outcome, cause


def judge(use: Answer, need: Answer, hold: Answer) -> Verdict:
    """Outcome, cause, reason and action of one block from the three answers."""
    if use == "no":
        return _unused(hold)
    if use == "unsure" and need != "yes":
        return "inconclusive", "", "use of it is not resolved", _MORE
    if need == "yes":
        return "healthy", "", "used, and the skill needs it", ""
    if need == "unsure":
        return "inconclusive", "", "used, but neither gain nor harm is resolved", _MORE
    return _harmful(hold) if need == "harm" else _useless(hold)


def _harmful(hold: Answer) -> Verdict:
    if hold == "yes":
        reason = "its part of the forecast costs skill although the data hold a signal"
        return "fault", "misused", reason, _ALIGN
    if hold == "no":
        reason = "its part of the forecast costs skill, and the data hold nothing"
        return "fault", "spurious_reliance", reason, _REGULARISE
    reason = "its part of the forecast costs skill"
    return "fault", "harmful_reliance", reason, f"{_ALIGN} Else: {_REGULARISE}"


def _useless(hold: Answer) -> Verdict:
    if hold == "yes":
        return "fault", "misused", _USELESS, _ALIGN
    if hold == "no":
        reason = (
            "it moves the forecast a little, which neither helps nor harms; the data hold nothing"
        )
        return "benign_unused", "", reason, "Remove it: there is nothing to fix."
    return "inconclusive", "", "used without gain; what the data hold is not resolved", _MORE


_UNUSED = "unused although the data hold a signal"
_USELESS = "used without gain although the data hold a signal"
_BLOCKED = "See T2-T6 for a structural cause; else train the branch alone first (auxiliary head)."
_ALIGN = "Look for misalignment in time, wrong pairing, normalisation, too little training."
_REGULARISE = "Regularise the branch (modality dropout) or drop the modality."
_MORE = "Diagnose more windows over a longer time."


def _unused(hold: Answer) -> Verdict:
    if hold == "yes":
        return "fault", "lazy_or_blocked", _UNUSED, _BLOCKED
    if hold == "no":
        return (
            "benign_unused", "", "unused, and the data hold nothing beside the other modalities",
            "Remove it: there is nothing to fix.",
        )  # fmt: skip
    return "inconclusive", "", "unused; whether the data hold a signal is not resolved", _MORE

"""T8, T9, T10 and their joint verdict: is a modality used, is it needed, do the data hold it?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Outcome
from heliosight.diagnosis import probes
from heliosight.diagnosis.blocks import Estimate, discoveries, require_sample
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.crossing import split
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.sample import Sample
from heliosight.diagnosis.sums import Columns, moments, total, variance

Answer = Literal["yes", "no", "harm", "unsure"]
PLANTED = (0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Use:
    """How much a block of inputs moves the forecast, and what that costs or brings.

    Attributes
    ----------
    share : total Sobol index, the share of forecast variance that goes with it (Jansen 1999,
        Comput. Phys. Commun. 117, 35, eq. 5): E (f - f')^2 / (2 Var f).
    gain : R2 that its part of the forecast brings, the squared error of the forecast averaged over
        other times of the block minus that of the forecast itself, in shares of target variance.
        Noise of share S costs S Var f / Var y, so harm shows as well as gain.
    best : the same at the best amplitude of that part, c^2 / (Var d Var y) with the sign of c, the
        covariance of the part d with what the rest leaves of y. A part that is right but twice too
        large gains nothing as it is; it is needed all the same.
    rise : rise of the squared error when the block is taken from another time (permutation).
    brought, known : `(N, L)` terms of the gain and where they are known.
    """

    share: Estimate
    gain: Estimate
    best: Estimate
    rise: Estimate
    gain_by_day: tuple[float, ...]
    brought: np.ndarray
    known: np.ndarray


def use_of(evidence: Evidence, shifted: np.ndarray) -> Use:
    """Use of what was replaced in `shifted` `(K, N, L)`, NaN where a row may not be used.

    Raises
    ------
    NotApplicable : constant forecast.
    TooFew : a sample too small.
    """
    f, (y, mask) = evidence.forecast, evidence.observed
    _ = evidence.variance
    usable = np.isfinite(shifted).all(2).sum(0)
    weight = (usable > 1).astype(np.float64)
    moved = _over_shifts((shifted - f) ** 2 / 2, usable).mean(1)
    known = mask & (usable > 1)[:, None]
    both, size, rise = _part(shifted, f, y, known, usable)
    asked = weight > 0
    require_sample(evidence.rows[asked], moved[asked], evidence.config)
    sums = [moved * weight, weight, known.sum(1), both.sum(1), size.sum(1), rise.sum(1)]
    columns = Columns(
        {"sums": total(sums), **moments("f", f, np.ones_like(mask)), **moments("y", y, mask)}
    )

    def share(s: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(s["sums"][..., 0] / np.maximum(s["sums"][..., 1], 1.0) / variance(s, "f"))

    def mean(s: dict[str, np.ndarray], column: int) -> np.ndarray:
        count = np.maximum(s["sums"][..., 2], 1.0)
        return np.asarray(s["sums"][..., column] / count / variance(s, "y"))

    def best(s: dict[str, np.ndarray]) -> np.ndarray:
        c, d = mean(s, 3), mean(s, 4)
        return np.asarray(c * np.abs(c) / np.maximum(d, 1e-12))

    return Use(
        columns.estimate(evidence, share),
        columns.estimate(evidence, lambda s: 2 * mean(s, 3) - mean(s, 4)),
        columns.estimate(evidence, best),
        columns.estimate(evidence, lambda s: mean(s, 5)),
        _by_day(2 * both - size, known, y),
        2 * both - size,
        known,
    )


def _over_shifts(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Mean over usable shifts of `(K, N, L)`."""
    return np.nansum(values, 0) / np.maximum(usable, 1)[:, None]


def _part(
    shifted: np.ndarray, f: np.ndarray, y: np.ndarray, mask: np.ndarray, usable: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(N, L)` product of the part d with what the rest leaves, d^2, and the rise; 0 if unknown.

    The rest is the forecast averaged over k shifts; d is the forecast less it. Each lead's own mean
    error is taken out of either first. The average still holds 1 / k of the variance among shifts,
    which both the product and the square are freed of.
    """
    rest = _over_shifts(shifted, usable)
    among = _over_shifts((shifted - rest) ** 2, usable)
    left = among / np.maximum(usable - 1, 1)[:, None]
    own, without = _centred(f, y, mask), _centred(rest, y, mask)
    part = own - without
    found = (-without * part - left, part**2 - left, among + without**2 - own**2)
    return tuple(np.where(mask, x, 0.0) for x in found)  # type: ignore[return-value]


def _centred(f: np.ndarray, y: np.ndarray, mask: np.ndarray) -> np.ndarray:
    bias = np.where(mask, f - y, 0.0).sum(0) / np.maximum(mask.sum(0), 1)
    return np.asarray(f - bias - y)


def _by_day(worse: np.ndarray, mask: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    spread = float(np.var(y[mask])) if mask.any() else 1.0
    days = [slice(d, d + 8) for d in range(0, worse.shape[1], 8)]
    return tuple(
        float(worse[:, d].sum() / max(1, mask[:, d].sum()) / (spread or 1.0)) for d in days
    )


def uses(evidence: Evidence) -> dict[str, Use]:
    """Use of each modality, computed once."""
    if "uses" not in evidence.memo:
        evidence.memo["uses"] = {
            m: use_of(evidence, shifted) for m, shifted in evidence.shifted.items()
        }
    found: dict[str, Use] = evidence.memo["uses"]
    return found


def used(evidence: Evidence, use: Use) -> Answer:
    """Whether the forecast moves with it; absence by an equivalence test."""
    config = evidence.config
    if use.share.p_above(config.smallest_use) < config.level_of_test:
        return "yes"
    return "no" if use.share.p_below(config.smallest_use) < config.level_of_test else "unsure"


def needed(evidence: Evidence, found: dict[str, Use]) -> dict[str, Answer]:
    """Whether skill needs each block; false discoveries controlled over all of them."""
    config = evidence.config
    least, size = config.smallest_gain, config.level_of_test
    p = [min(u.gain.p_above(0.0), u.best.p_above(0.0)) for u in found.values()]
    p += [u.gain.p_below(-least) for u in found.values()]
    hits = discoveries(p, size)
    answers: dict[str, Answer] = {}
    for i, (m, use) in enumerate(found.items()):
        within = max(use.gain.p_below(least), use.gain.p_above(-least))
        absent = max(within, use.best.p_below(least)) < size
        harm = hits[len(found) + i]
        answers[m] = "harm" if harm else "yes" if hits[i] else "no" if absent else "unsure"
    return answers


@dataclass(frozen=True)
class Holding:
    """What a probe gains from a modality beside the others, and the least it could have found."""

    gain: Estimate
    detectable: float | None


def holdings(evidence: Evidence) -> dict[str, Holding]:
    """Probe gain of each modality, computed once."""

    def compute() -> dict[str, Holding]:
        columns = evidence.sample.features()
        return {m: holding(evidence.sample, columns, m) for m in columns}

    found: dict[str, Holding] = evidence.of_windows("holdings", compute)
    return found


def holding(sample: Sample, columns: dict[str, np.ndarray], m: str) -> Holding:
    """Probe gain of one named group of columns `(N, P)` beside all the others."""
    y, mask, config = sample.y, sample.mask, sample.config
    if min(len(train) for train in probes.Folds.of(sample.times).train) < 20:
        raise NotApplicable("a probe needs 20 windows to fit on in every fold", "fewer")
    rest = [x for other, x in columns.items() if other != m] or [np.zeros((len(y), 0))]
    targets = [y, *(probes.planted(columns[m], y, share, config.seed) for share in PLANTED)]
    less = probes.gains(np.concatenate(rest, 1), columns[m], targets, mask, sample.times)
    found = [_gain(sample, g, t, mask) for g, t in zip(less, targets, strict=True)]
    size = config.level_of_test
    seen = [s for s, g in zip(PLANTED, found[1:], strict=True) if g.p_above(0.0) < size]
    return Holding(found[0], seen[0] if seen else None)


def _gain(sample: Sample, less: np.ndarray, y: np.ndarray, mask: np.ndarray) -> Estimate:
    """Estimate of the fall of squared error `(N, L)` in shares of target variance."""
    rows = total([less.sum(1), mask.sum(1)])
    require_sample(sample.rows, less.sum(1), sample.config)
    columns = Columns({"sums": rows, **moments("y", y, mask)})

    def statistic(s: dict[str, np.ndarray]) -> np.ndarray:
        mean = s["sums"][..., 0] / np.maximum(s["sums"][..., 1], 1.0)
        return np.asarray(mean / variance(s, "y"))

    return columns.estimate(sample, statistic)


def held(evidence: Evidence, found: dict[str, Holding]) -> dict[str, Answer]:
    """Whether the data hold something in a modality that the others do not."""
    config = evidence.config
    least = config.smallest_gain
    hits = discoveries([h.gain.p_above(least) for h in found.values()], config.level_of_test)
    answers: dict[str, Answer] = {}
    for hit, (m, h) in zip(hits, found.items(), strict=True):
        power = h.detectable is not None and h.detectable <= config.detectable
        absent = h.gain.p_below(least) < config.level_of_test
        answers[m] = "yes" if hit else "no" if absent and power else "unsure"
    return answers


@dataclass(frozen=True)
class Missed:
    """What the forecast leaves of a modality.

    Attributes
    ----------
    gain : R2 that a ridge probe on the forecast and the modality gains over one on the forecast.
    beyond : that, less half of what the modality's own part of the forecast brings.
    """

    gain: Estimate
    beyond: Estimate


def missed(evidence: Evidence) -> dict[str, Missed]:
    """What the forecast leaves of each modality, computed once.

    The forecast itself is the other regressor, so what the probe need not explain again is out of
    its way: far sharper than a gain beside the other inputs.

    Raises
    ------
    NotApplicable : too few windows.
    """
    if "missed" not in evidence.memo:
        found = uses(evidence)
        evidence.memo["missed"] = {
            m: _missed(evidence, evidence.own_sample.answers[m].features(), found[m]) for m in found
        }
    known: dict[str, Missed] = evidence.memo["missed"]
    return known


def left_in(evidence: Evidence, columns: np.ndarray) -> np.ndarray:
    """`(N, L)` fall of the squared error that columns bring a probe beside the forecast."""
    own = evidence.own_sample
    if min(len(train) for train in probes.Folds.of(own.times).train) < 20:
        raise NotApplicable("a probe needs 20 windows to fit on in every fold", "fewer")
    return probes.gains(evidence.forecast, columns, [own.y], own.mask, own.times)[0]


def gain_left(evidence: Evidence, columns: np.ndarray) -> Estimate:
    """R2 that columns bring a probe beside the forecast."""
    own = evidence.own_sample
    return _gain(own, left_in(evidence, columns), own.y, own.mask)


def _missed(evidence: Evidence, columns: np.ndarray, use: Use) -> Missed:
    own = evidence.own_sample
    less = left_in(evidence, columns)
    sums = total([less.sum(1), own.mask.sum(1), use.brought.sum(1), use.known.sum(1)])
    terms = Columns({"sums": sums, **moments("y", own.y, own.mask)})

    def beyond(s: dict[str, np.ndarray]) -> np.ndarray:
        part = s["sums"]
        left = part[..., 0] / np.maximum(part[..., 1], 1.0)
        brought = part[..., 2] / np.maximum(part[..., 3], 1.0)
        return np.asarray((left - brought / 2) / variance(s, "y"))

    return Missed(_gain(own, less, own.y, own.mask), terms.estimate(evidence, beyond))


def underused(evidence: Evidence) -> dict[str, bool]:
    """Whether a modality holds more for the target than twice what the forecast takes from it."""
    config = evidence.config
    found = missed(evidence)
    p = [max(f.gain.p_above(config.smallest_gain), f.beyond.p_above(0.0)) for f in found.values()]
    return dict(zip(found, discoveries(p, config.level_of_test), strict=True))


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
        "unused, held, and a probe gains from it beside the forecast: fault; unused and not held, "
        "or known to the forecast from other inputs: benign; used and harmful: fault; used "
        "without gain though held: fault; used and needed: healthy; unresolved: inconclusive. "
        "Whatever the use: a fault when a probe beside the forecast gains more than the smallest "
        "gain from the modality, and more than half of what its own part brings"
    )
    level: ClassVar[str] = "standard"

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a modality."""
        findings = []
        for m, (outcome, cause, reason, action) in verdicts(evidence).items():
            statistic = "share of forecast variance (total Sobol index)"
            value = uses(evidence)[m].share.interval()
            findings.append(self.finding(m, outcome, statistic, value, reason, cause, action))
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
    columns = evidence.own_sample.answers[m].features()
    found = unless_known(evidence, columns, found)
    if found[0] == "fault":
        return found
    try:
        less = underused(evidence)[m]
    except NotApplicable:
        return found
    if not less:
        return found
    left = missed(evidence)[m].gain.interval()
    brings = uses(evidence)[m].gain.value
    reason = (
        f"its part of the forecast brings {brings:.3f} of R2, and a probe beside the forecast "
        f"gains {left.value:.3f} [{left.low:.3f}, {left.high:.3f}] more from it"
    )
    return "fault", "lazy_or_blocked", reason, _BLOCKED


def unless_known(evidence: Evidence, columns: np.ndarray, found: Verdict) -> Verdict:
    """An unused input is blocked only if the forecast does not have what it holds from others."""
    if found[1] != "lazy_or_blocked":
        return found
    try:
        left = gain_left(evidence, columns)
    except NotApplicable:
        return found
    least, size = evidence.config.smallest_gain, evidence.config.level_of_test
    if left.p_above(least) < size:
        return found
    if left.p_below(least) < size:
        reason = "unused; what it holds the forecast has from the other inputs"
        return "benign_unused", "", reason, "Remove it: there is nothing to fix."
    reason = "unused; whether the forecast misses what it holds is not resolved"
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
        return "fault", "misused", "used without gain although the data hold a signal", _ALIGN
    if hold == "no":
        reason = (
            "it moves the forecast a little, which neither helps nor harms; the data hold nothing"
        )
        return "benign_unused", "", reason, "Remove it: there is nothing to fix."
    return "inconclusive", "", "used without gain; what the data hold is not resolved", _MORE


_BLOCKED = "See T2-T6 for a structural cause; else train the branch alone first (auxiliary head)."
_ALIGN = "Look for misalignment in time, wrong pairing, normalisation, too little training."
_REGULARISE = "Regularise the branch (modality dropout) or drop the modality."
_MORE = "Diagnose more windows over a longer time."


def _unused(hold: Answer) -> Verdict:
    if hold == "yes":
        return "fault", "lazy_or_blocked", "unused although the data hold a signal", _BLOCKED
    if hold == "no":
        return (
            "benign_unused", "", "unused, and the data hold nothing beside the other modalities",
            "Remove it: there is nothing to fix.",
        )  # fmt: skip
    return "inconclusive", "", "unused; whether the data hold a signal is not resolved", _MORE

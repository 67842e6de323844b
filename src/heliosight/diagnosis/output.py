"""T20, T21: a collapsed forecast or honest low signal, and copies of persistence."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from heliosight.core.clock import DAY, HOUR
from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Interval
from heliosight.diagnosis import probes
from heliosight.diagnosis.blocks import Estimate, require_sample
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.sums import Columns, covariance, moments, products, total, variance

COPY = 0.9


@final
class Collapse(Check):
    """T20."""

    id: ClassVar[str] = "T20"
    question: ClassVar[str] = "Has the forecast collapsed, or is the signal honestly low?"
    needs: ClassVar[str] = "targets, windows over many solar rotations"
    cost: ClassVar[str] = "1 F per window (shared), ridge probes"
    rule: ClassVar[str] = (
        "R2 that multiplying the forecast by its calibration slope b would recover, "
        "(b - 1)^2 Var f / Var y, above the smallest gain; or a nearly constant forecast where a "
        "probe finds more. Var f / Var y by itself is no fault: it equals R2 for the best forecast"
    )
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding for the forecast."""
        f, (y, mask) = evidence.forecast, evidence.observed
        spread = float(f.var(0).mean()) / max(float(y[mask].var()), 1e-30)
        statistic = "R2 that recalibration would recover"
        if spread < 1e-10:
            return [self._constant(spread)]
        require_sample(evidence.rows, ((f - y) * mask).sum(1), evidence.config)
        slope, lost, share = calibration(evidence)
        config = evidence.config
        text = (
            f"calibration slope {_text(slope)}, Var f / Var y {_text(share)}; "
            f"{'' if slope.value > 0 else 'the slope is not positive; '}"
        )
        p = max(lost.p_above(config.smallest_gain), _beyond(slope))
        if p < config.level_of_test:
            return [self._miscalibrated(slope, lost, text, p)]
        if share.p_below(config.smallest_gain) < config.level_of_test:
            return [self._flat(evidence, lost, share, text)]
        if lost.p_below(config.smallest_gain) < config.level_of_test:
            reason = text + "its amplitude fits its skill"
            return [self.finding("forecast", "healthy", statistic, lost.interval(), reason)]
        reason = text + "not resolved"
        return [self.finding("forecast", "inconclusive", statistic, lost.interval(), reason)]

    def _constant(self, spread: float) -> Finding:
        value = Interval(spread, how="exact")
        reason = "every window gets the same forecast"
        return self.finding(
            "forecast", "fault", "Var f / Var y", value, reason, "collapse", _ACTION
        )

    def _miscalibrated(self, slope: Estimate, lost: Estimate, text: str, p: float) -> Finding:
        statistic, value = "R2 that recalibration would recover", lost.interval()
        reason = text + "the forecast varies more than it knows"
        cause, action = "overconfident", "Regularise, stop earlier, or train on more windows."
        if slope.value > 1:
            reason = text + "the forecast varies too little for what it knows"
            cause, action = "collapse", _ACTION
        return self.finding("forecast", "fault", statistic, value, reason, cause, action, p)

    def _flat(self, evidence: Evidence, lost: Estimate, share: Estimate, text: str) -> Finding:
        statistic, value = "R2 that recalibration would recover", lost.interval()
        more = probe_gain(evidence)
        config = evidence.config
        text += f"nearly constant; a probe finds {_text(more)} more R2"
        p = max(share.p_below(config.smallest_gain), more.p_above(config.smallest_miss))
        if p < config.level_of_test:
            cause = "collapse"
            return self.finding("forecast", "fault", statistic, value, text, cause, _ACTION, p)
        if more.p_below(config.smallest_miss) < config.level_of_test:
            text += ": honest low signal"
            return self.finding("forecast", "healthy", statistic, value, text)
        return self.finding("forecast", "inconclusive", statistic, value, text)


_ACTION = "Check target transform, loss, initial head weights and weight decay; then train longer."


def _text(e: Estimate) -> str:
    i = e.interval()
    return f"{i.value:.3g} [{i.low:.3g}, {i.high:.3g}]"


def _beyond(slope: Estimate) -> float:
    """Two-sided p of "the slope is 1"."""
    return 2 * min(slope.p_above(1.0), slope.p_below(1.0))


def calibration(evidence: Evidence) -> tuple[Estimate, Estimate, Estimate]:
    """Slope b of observed on forecast within leads, (b - 1)^2 Var f / Var y, and Var f / Var y."""
    f, (y, mask) = evidence.forecast, evidence.observed
    single = {**moments("f", f, mask), **moments("y", y, mask)}
    columns = Columns({**single, **products("fy", f, y, mask)})

    def slope(s: Any) -> np.ndarray:
        return np.asarray(covariance(s, "fy", "f", "y") / variance(s, "f"))

    def share(s: Any) -> np.ndarray:
        return np.asarray(variance(s, "f") / variance(s, "y"))

    return (
        columns.estimate(evidence, slope),
        columns.estimate(evidence, lambda s: (slope(s) - 1) ** 2 * share(s)),
        columns.estimate(evidence, share),
    )


def skill_of(evidence: Evidence) -> Estimate:
    """R2 within leads, each lead's own mean error taken out.

    Raises
    ------
    TooFew : a sample too small.
    """
    f, (y, mask) = evidence.forecast, evidence.observed
    require_sample(evidence.rows, ((f - y) * mask).sum(1), evidence.config)
    columns = Columns({**moments("r", f - y, mask), **moments("y", y, mask)})
    return columns.estimate(evidence, lambda s: np.asarray(1 - variance(s, "r") / variance(s, "y")))


def probe_gain(evidence: Evidence) -> Estimate:
    """R2 of a probe on all modalities minus the subject's own, held out in blocks of time."""
    f, (y, mask) = evidence.forecast, evidence.observed
    x = np.concatenate(list(evidence.own_sample.features().values()), 1)
    probe = probes.errors(x, y, mask, evidence.times)
    bias = np.where(mask, f - y, 0.0).sum(0) / np.maximum(mask.sum(0), 1)
    own = np.where(mask, (f - bias - y) ** 2, 0.0)
    columns = Columns({"sums": total([(own - probe).sum(1), mask.sum(1)]), **moments("y", y, mask)})

    def statistic(s: Any) -> np.ndarray:
        return np.asarray(s["sums"][..., 0] / s["sums"][..., 1] / variance(s, "y"))

    return columns.estimate(evidence, statistic)


@final
class PersistenceCopy(Check):
    """T21."""

    id: ClassVar[str] = "T21"
    question: ClassVar[str] = "Does the forecast copy the last value, or the last rotation?"
    needs: ClassVar[str] = "targets of windows close enough to know the value before issue time"
    cost: ClassVar[str] = "none beside the forecast"
    rule: ClassVar[str] = (
        "a copy when the past value explains over 90 % of the forecast's variance (lower bound) "
        "and the forecast adds less than the smallest gain of R2 to it (equivalence test)"
    )
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding per reference: the last value, and 27 days before."""
        findings = []
        for name, past in {"persistence": _last, "recurrence": _rotation}.items():
            try:
                findings.append(self._against(evidence, name, past(evidence)))
            except NotApplicable as error:
                statistic = "share of forecast variance explained"
                findings.append(self.finding(name, "not_applicable", statistic, None, str(error)))
        return findings

    def _against(self, evidence: Evidence, name: str, past: np.ndarray) -> Finding:
        explained, adds = _copying(evidence, past)
        config, value = evidence.config, explained.interval()
        statistic = f"share of forecast variance explained by {name}"
        text = f"the forecast adds {_text(adds)} of R2 to it"
        p = max(explained.p_above(COPY), adds.p_below(config.smallest_gain))
        if p < config.level_of_test:
            action = "Train on the residual to persistence, or weight the later leads more."
            return self.finding(name, "fault", statistic, value, text, f"copies_{name}", action, p)
        own = adds.p_above(config.smallest_gain) < config.level_of_test
        if own or explained.p_below(COPY) < config.level_of_test:
            return self.finding(name, "healthy", statistic, value, text)
        return self.finding(name, "inconclusive", statistic, value, text)


def _known(evidence: Evidence) -> dict[int, float]:
    """Observed values by valid time, from all windows' targets."""
    y, mask = evidence.observed
    step = evidence.subject.spec.lead_hours * HOUR
    valid = evidence.times[:, None] + step * np.arange(y.shape[1])
    return dict(zip(valid[mask].tolist(), y[mask].tolist(), strict=True))


def _lookup(evidence: Evidence, times: np.ndarray) -> np.ndarray:
    known = _known(evidence)
    return np.vectorize(lambda t: known.get(int(t), np.nan), otypes=[float])(times)


def _last(evidence: Evidence) -> np.ndarray:
    """`(N, L)` the value of the interval before issue time, for every lead."""
    step = evidence.subject.spec.lead_hours * HOUR
    last = _lookup(evidence, evidence.times - step)
    return np.repeat(last[:, None], evidence.forecast.shape[1], 1)


def _rotation(evidence: Evidence) -> np.ndarray:
    """`(N, L)` the value 27 days before each lead."""
    step = evidence.subject.spec.lead_hours * HOUR
    leads = step * np.arange(evidence.forecast.shape[1])
    return _lookup(evidence, evidence.times[:, None] + leads - 27 * DAY)


def _copying(evidence: Evidence, past: np.ndarray) -> tuple[Estimate, Estimate]:
    """R2 of the forecast on the past value, and R2 of the target that the forecast adds to it."""
    f, (y, mask) = evidence.forecast, evidence.observed
    mask = mask & np.isfinite(past)
    if mask.any(1).sum() < evidence.config.min_effective:
        raise NotApplicable(
            "past values are looked up in the windows' own targets",
            f"known for {int(mask.any(1).sum())} of {len(mask)} windows",
            "Give windows at most a forecast length apart.",
        )
    past = np.where(mask, past, 0.0)
    known = mask.any(1)
    series = ((f - y) * mask).sum(1)[known]
    require_sample(evidence.rows[known], series, evidence.config)
    named = {"f": f, "y": y, "p": past}
    groups: dict[str, np.ndarray] = {}
    for key, x in named.items():
        groups |= moments(key, x, mask)
    for a, b in ("fp", "yp", "fy"):
        groups |= products(a + b, named[a], named[b], mask)
    columns = Columns(groups)
    return columns.estimate(evidence, _explained), columns.estimate(evidence, _adds)


def _explained(s: Any) -> np.ndarray:
    both = variance(s, "f") * variance(s, "p")
    return np.asarray(covariance(s, "fp", "f", "p") ** 2 / np.maximum(both, 1e-30))


def _adds(s: Any) -> np.ndarray:
    """Squared semi-partial correlation of y with f beside p."""
    vf, vp, vy = (np.maximum(variance(s, k), 1e-30) for k in "fpy")
    fp, yp, fy = (covariance(s, a + b, a, b) for a, b in ("fp", "yp", "fy"))
    rest = np.maximum(vf - fp**2 / vp, 1e-9 * vf)
    return np.asarray((fy - yp * fp / vp) ** 2 / rest / vy)

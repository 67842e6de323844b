"""What the forecast leaves of some inputs: the gain of a probe that has the forecast already.

The forecast itself is the other regressor, so what the probe need not explain again is out of its
way: far sharper than a gain beside the other inputs. Where the data hold other windows, a probe
learned from those, many more than are diagnosed, says what it has to say first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heliosight.core.errors import NotApplicable
from heliosight.diagnosis import probes
from heliosight.diagnosis.blocks import Estimate
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.sample import Part
from heliosight.diagnosis.sums import Columns, covariance, moments, products, total, variance
from heliosight.diagnosis.use import Use, gain_of, uses


@dataclass(frozen=True)
class Missed:
    """What the forecast leaves of a modality.

    Attributes
    ----------
    gain : R2 that a ridge probe on the forecast and the modality gains over one on the forecast.
    beyond : that, less half of what the modality's own part of the forecast brings.
    faint : R2 that the part alone would bring at its best amplitude more than it does, less what
        recalibrating the whole forecast recovers: a part that is right and too small.
    fainter : that, less half of what the part brings.
    """

    gain: Estimate
    beyond: Estimate
    faint: Estimate
    fainter: Estimate


def missed(evidence: Evidence) -> dict[str, Missed]:
    """What the forecast leaves of each modality, computed once.

    Raises
    ------
    NotApplicable : too few windows.
    """
    if "missed" not in evidence.memo:
        found = uses(evidence)
        evidence.memo["missed"] = {m: _missed(evidence, Part(m), found[m]) for m in found}
    known: dict[str, Missed] = evidence.memo["missed"]
    return known


def left_in(evidence: Evidence, part: Part) -> np.ndarray:
    """`(N, L)` fall of the squared error that some inputs bring a probe beside the forecast."""
    own = evidence.own_sample
    if min(len(train) for train in probes.Folds.of(own.times).train) < 20:
        raise NotApplicable("a probe needs 20 windows to fit on in every fold", "fewer")
    columns = told(evidence, part)
    return probes.gains(evidence.forecast, columns, [own.y], own.mask, own.times)[0]


def told(evidence: Evidence, part: Part) -> list[np.ndarray]:
    """What a probe learned from other windows says of some inputs `(N, L)`, then columns `(N, P)`.

    That probe was fitted to what the other modalities leave of the target there.
    """

    def compute() -> list[np.ndarray]:
        past, own = evidence.past, evidence.own_sample
        columns = part.columns(own)
        if past is None:
            return [columns]
        others = [Part(m).columns(past) for m in past.answers if m != part.modality]
        rest = np.concatenate(others, 1) if others else np.zeros((len(past.times), 0))
        said = probes.learned(rest, part.columns(past), past.y, past.mask, past.times, columns)
        return [said, columns]

    found: list[np.ndarray] = evidence.of_windows(("told", part), compute)
    return found


def gain_left(evidence: Evidence, part: Part) -> Estimate:
    """R2 that some inputs bring a probe beside the forecast."""
    own = evidence.own_sample
    return gain_of(own, left_in(evidence, part), own.y, own.mask)


def _missed(evidence: Evidence, part: Part, use: Use) -> Missed:
    own = evidence.own_sample
    less = left_in(evidence, part)
    sums = total([less.sum(1), own.mask.sum(1), use.brought.sum(1), use.known.sum(1)])
    terms = Columns({"sums": sums, **moments("y", own.y, own.mask)})

    def beyond(s: dict[str, np.ndarray]) -> np.ndarray:
        part = s["sums"]
        left = part[..., 0] / np.maximum(part[..., 1], 1.0)
        brought = part[..., 2] / np.maximum(part[..., 3], 1.0)
        return np.asarray((left - brought / 2) / variance(s, "y"))

    found = gain_of(own, less, own.y, own.mask), terms.estimate(evidence, beyond)
    return Missed(*found, *_faint(evidence, use))


def _faint(evidence: Evidence, use: Use) -> tuple[Estimate, Estimate]:
    """How much too small a part is, beyond a forecast that is too small as a whole.

    With c the mean product of the part d with what the rest leaves of y, the best amplitude brings
    c^2 / d^2, (c - d^2)^2 / d^2 more than the present one; a forecast with the slope b of y on f
    loses (b - 1)^2 Var f. Only too small counts: c above d^2, b above 1.
    """
    f, (y, mask) = evidence.forecast, evidence.observed
    sums = total([use.fits.sum(1), use.size.sum(1), use.known.sum(1)])
    terms = Columns(
        {"sums": sums, **moments("f", f, mask), **moments("y", y, mask),
         **products("fy", f, y, mask)}
    )  # fmt: skip

    def faint(s: dict[str, np.ndarray], kept: float) -> np.ndarray:
        count, spread = np.maximum(s["sums"][..., 2], 1.0), variance(s, "y")
        c, d = (s["sums"][..., i] / count / spread for i in (0, 1))
        slope = covariance(s, "fy", "f", "y") / np.maximum(variance(s, "f"), 1e-300)
        whole = np.maximum(slope - 1, 0.0) ** 2 * variance(s, "f") / spread
        larger = np.maximum(c - d, 0.0) ** 2 / np.maximum(d, 1e-12)
        return np.asarray(larger - whole - kept * np.maximum(2 * c - d, 0.0))

    return (
        terms.estimate(evidence, lambda s: faint(s, 0.0)),
        terms.estimate(evidence, lambda s: faint(s, 0.5)),
    )


def underused(evidence: Evidence) -> dict[str, float]:
    """p of "a modality holds no more than the forecast should take from it", by modality.

    Small when a probe beside the forecast finds more than the smallest miss and than half of what
    the part brings, or when the part is right and so much too small; the two ways are paid for.
    """
    least = evidence.config.smallest_miss
    return {
        m: min(
            1.0,
            2 * max(x.gain.p_above(least), x.beyond.p_above(0.0)),
            2 * max(x.faint.p_above(least), x.fainter.p_above(0.0)),
        )
        for m, x in missed(evidence).items()
    }

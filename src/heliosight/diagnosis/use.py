"""What T8, T9 and T10 measure of a modality: moved by, needed, held by the data, missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from heliosight.core.errors import NotApplicable
from heliosight.diagnosis import probes
from heliosight.diagnosis.blocks import Estimate, discoveries, require_sample
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
    fits, size, known : `(N, L)` products of d with what the rest leaves, d^2, and where both are
        known.
    """

    share: Estimate
    gain: Estimate
    best: Estimate
    rise: Estimate
    gain_by_day: tuple[float, ...]
    fits: np.ndarray
    size: np.ndarray
    known: np.ndarray

    @property
    def brought(self) -> np.ndarray:
        """`(N, L)` terms of the gain."""
        return np.asarray(2 * self.fits - self.size)


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
        both,
        size,
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
    found = [gain_of(sample, g, t, mask) for g, t in zip(less, targets, strict=True)]
    size = config.level_of_test
    seen = [s for s, g in zip(PLANTED, found[1:], strict=True) if g.p_above(0.0) < size]
    return Holding(found[0], seen[0] if seen else None)


def gain_of(sample: Sample, less: np.ndarray, y: np.ndarray, mask: np.ndarray) -> Estimate:
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

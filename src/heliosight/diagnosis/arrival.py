"""T25: does every channel arrive on the scale that it had in the windows learned from?

An instrument fades, a calibration changes, a loader divides by 255 twice. What a channel tells is
still there and the model, trained on another scale, no longer reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding
from heliosight.diagnosis.blocks import Estimate, TooFew, discoveries, jackknife
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.sample import Sample

OUTSIDE = 1.0  # widths of the learned range that a channel may lie outside of it


@final
@dataclass(frozen=True)
class Arrival:
    """Where a channel lies now against the range of its blocks in other windows.

    Attributes
    ----------
    distance : of mean or log deviation, the farther one, from the edge of its range, in widths of
        the range; negative inside. Multiplying a channel, or adding to it, changes nothing.
    what : `level` or `spread`.
    p : of "at most one width outside", both quantities looked at.
    factor, shift : x * factor + shift is on the old scale.
    """

    distance: Estimate
    what: str
    p: float
    factor: float
    shift: float


@final
class ArrivesAsLearned(Check):
    """T25."""

    id: ClassVar[str] = "T25"
    question: ClassVar[str] = "Does every channel arrive on the scale that it was learned on?"
    needs: ClassVar[str] = "other windows of the same data over many solar rotations (data_times)"
    cost: ClassVar[str] = "none; 1 F per window of the subset for a channel that does not"
    rule: ClassVar[str] = (
        "mean and log deviation of what arrives, against the range of the same over blocks of the "
        "other windows: off scale when more than one width outside of that range (jackknife, false "
        "discovery rate 5 %), and a fault when the forecast moves by more than the smallest use as "
        "the channel is put back on the old scale; a model that makes up for it is fine"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a channel that varies."""
        found = arrivals(evidence)
        far = discoveries([a.p for a in found.values()], evidence.config.level_of_test)
        return [
            self._channel(evidence, m, i, a, off)
            for ((m, i), a), off in zip(found.items(), far, strict=True)
        ]

    def _channel(self, evidence: Evidence, m: str, i: int, a: Arrival, off: bool) -> Finding:
        name = f"{m}/{evidence.subject.spec.modalities[m].variables[i]}"
        value, size = a.distance.interval(), evidence.config.level_of_test
        statistic = f"widths outside the range of the other windows ({a.what})"
        if not off:
            reason = "it arrives as in the other windows of these data"
            return self.finding(name, "healthy", statistic, value, reason)
        reason = f"it arrives on another scale: times {a.factor:.3g} it would be on the old one"
        moved, least = put_back(evidence, m, i, a), evidence.config.smallest_use
        if moved.p_below(least) < size:
            reason += "; the forecast is the same on either"
            return self.finding(name, "healthy", statistic, value, reason)
        share = f"{moved.value:.2g} of its variance"
        if moved.p_above(least) < size:
            reason += f", which moves the forecast by {share}"
            action = "Correct the calibration or the normalisation of this channel."
            p = max(a.p, moved.p_above(least))
            return self.finding(name, "fault", statistic, value, reason, "off_scale", action, p)
        reason += f"; whether that moves the forecast ({share}) is not resolved"
        return self.finding(name, "inconclusive", statistic, value, reason)


def arrivals(evidence: Evidence) -> dict[tuple[str, int], Arrival]:
    """Arrival of each channel that varies, by modality and number.

    Raises
    ------
    NotApplicable : there are no other windows to compare with.
    TooFew : they, or these, span too few blocks.
    """
    past, own = other_windows(evidence, "arrival is"), evidence.own_sample
    fewest = min(int(past.rows.max()), int(own.rows.max())) + 1
    if fewest < evidence.config.min_blocks:
        raise TooFew(f"a range needs {evidence.config.min_blocks} blocks", f"{fewest}")
    found = {}
    for m, answers in own.answers.items():
        for i in range(answers.raw.shape[1]):
            now, then = answers.raw[:, i], past.answers[m].raw[:, i]
            if _varies(now) and _varies(then):
                found[m, i] = arrival(own, now, past, then)
    if not found:
        raise NotApplicable("arrival is asked of channels that vary", "none does")
    return found


def other_windows(evidence: Evidence, what: str) -> Sample:
    """Windows apart from those diagnosed, for what is compared with them.

    Raises
    ------
    NotApplicable : there are none.
    """
    if evidence.past is None:
        raise NotApplicable(
            f"{what} compared with other windows of the same data", "none",
            "Pass diagnose(..., data_times=), the windows learned from among them; on the command "
            "line they are the data outside subject.first and subject.end.",
        )  # fmt: skip
    return evidence.past


def _varies(raw: np.ndarray) -> bool:
    """More than rounding."""
    return bool((raw[:, 1] > 1e-9 * np.abs(raw[:, 0])).any())


def arrival(own: Sample, now: np.ndarray, past: Sample, then: np.ndarray) -> Arrival:
    """Arrival from mean and deviation `(N, 2)` of these windows and `(M, 2)` of the others."""
    floor = 1e-6 * float(np.median(then[:, 1])) or 1e-300
    logs = [np.log(np.maximum(x[:, 1], floor)) for x in (now, then)]
    pairs = {"level": (now[:, 0], then[:, 0]), "spread": (logs[0], logs[1])}
    told = {what: _outside(own, a, past, b) for what, (a, b) in pairs.items()}
    what = max(told, key=lambda key: told[key].value)
    p = min(1.0, 2 * min(e.p_above(OUTSIDE) for e in told.values()))
    factor = float(np.exp(logs[1].mean() - logs[0].mean()))
    shift = float(then[:, 0].mean() - factor * now[:, 0].mean())
    return Arrival(told[what], what, p, factor, shift)


def _outside(own: Sample, now: np.ndarray, past: Sample, then: np.ndarray) -> Estimate:
    """Distance of the mean of `now` `(N,)` from the range of block means of `then` `(M,)`."""
    sums, counts = np.bincount(past.rows, then), np.bincount(past.rows)
    blocks = sums / counts
    low, high = float(blocks.min()), float(blocks.max())
    width = max(high - low, 1e-9 * max(abs(low), abs(high)), 1e-300)
    terms = np.stack([now, np.ones_like(now)], 1)
    days = own.config.block_days
    mean = jackknife(terms, own.rows, lambda s: s[..., 0] / s[..., 1], days)
    distance = (abs(mean.value - (low + high) / 2) - (high - low) / 2) / width
    return Estimate(distance, mean.error / width, mean.freedom, days)


def put_back(evidence: Evidence, m: str, i: int, a: Arrival) -> Estimate:
    """Share of forecast variance that moves when a channel is put back on the old scale."""
    rows, size, parts = evidence.spread(2 * evidence.config.subset_count), evidence.config.chunk, []
    axis = 1 if evidence.batch.inputs[m].ndim == 5 else 2
    for start in range(0, len(rows), size):
        piece = rows[start : start + size]
        place = torch.as_tensor(piece)
        x = evidence.batch.inputs[m][place].float()
        channel, seen = x.select(axis, i), evidence.batch.observed[m][place].select(axis, i)
        seen = seen[..., None, None] if x.ndim == 5 else seen
        channel.copy_(torch.where(seen, channel * a.factor + a.shift, channel))
        parts.append(evidence.beside(m, piece, x))
    moved = ((np.concatenate(parts) - evidence.forecast[rows]) ** 2 / 2).mean(1)
    blocks = np.unique(evidence.rows[rows], return_inverse=True)[1]
    terms = np.stack([moved / evidence.variance, np.ones_like(moved)], 1)
    days = evidence.config.block_days
    return jackknife(terms, blocks, lambda s: s[..., 0] / s[..., 1], days)

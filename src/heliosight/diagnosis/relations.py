"""T26: do the channels go together as they did in the windows learned from?

A network may read from one channel what another would have told it. Where the two part, because an
instrument was replaced or a derived index is made otherwise, each still arrives on its old scale
and the forecast goes on relying on what is no longer there: a shortcut that was learned and is gone
(Geirhos et al. 2020, Nat. Mach. Intell. 2, 665).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Outcome
from heliosight.diagnosis import probes
from heliosight.diagnosis.arrival import other_windows
from heliosight.diagnosis.blocks import Estimate, TooFew, jackknife
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.elements import channel_use
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.sample import Sample
from heliosight.diagnosis.use import Use

FEWEST, MOST = 4, 12  # spans of the other windows
WIDTH = 0.1  # the least width of their range that counts
WEAK = 0.2  # a correlation that was ever as low as this is no relation to lose


@final
@dataclass(frozen=True)
class Relation:
    """How well the other channels tell one channel, now and in spans of other windows.

    Attributes
    ----------
    now : mean correlation of the channel's features with what a probe on the others says, learned
        from the other windows.
    low, high, spans : range of the same over spans of the other windows, held out.
    """

    now: Estimate
    low: float
    high: float
    spans: int

    @property
    def width(self) -> float:
        """Of the range, or the least that counts."""
        return max(self.high - self.low, WIDTH)

    @property
    def fall(self) -> Estimate:
        """How far below the range, in widths; negative inside."""
        e = self.now
        return Estimate((self.low - e.value) / self.width, e.error / self.width, e.freedom, e.days)


@final
class GoTogether(Check):
    """T26."""

    id: ClassVar[str] = "T26"
    question: ClassVar[str] = "Do the channels go together as they did in the windows learned from?"
    needs: ClassVar[str] = "other windows of the same data over many solar rotations (data_times)"
    cost: ClassVar[str] = "ridge probes; T11's forwards for a channel that does not"
    rule: ClassVar[str] = (
        "correlation of a channel with what the others say of it, by a probe learned from other "
        "windows: broken when more than one width below the range over spans of those windows "
        "(jackknife), and a fault when the forecast moves with the channel and skill does not need "
        "it any more; a channel that still brings skill is fine"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a channel that the others told something of."""
        found = relations(evidence)
        return [self._channel(evidence, m, i, r) for (m, i), r in found.items()]

    def _channel(self, evidence: Evidence, m: str, i: int, r: Relation) -> Finding:
        name = f"{m}/{evidence.subject.spec.modalities[m].variables[i]}"
        size, statistic = evidence.config.level_of_test, "widths below the range of other windows"
        value, p = r.fall.interval(), r.fall.p_above(1.0)
        text = (
            f"what the others say of it goes with it by {r.now.value:.2f}; in {r.spans} spans of "
            f"the other windows by {r.low:.2f} to {r.high:.2f}"
        )
        if r.low < WEAK or p >= size:
            told = "no lasting relation to lose" if r.low < WEAK else "as before"
            return self.finding(name, "healthy", statistic, value, f"{text}: {told}")
        use = channel_use(evidence, m, i)
        moves = use.share.p_above(evidence.config.smallest_use)
        ending = _worth(evidence, use, moves)
        if ending:
            outcome, said = ending
            return self.finding(name, outcome, statistic, value, f"{text}: {said}")
        text += ": it has parted from the others, and the forecast goes on relying on it"
        action = (
            "Find out what changed in this channel; else train without it, or with modality "
            "dropout, so that the forecast reads the others."
        )
        p = max(p, moves)
        return self.finding(name, "fault", statistic, value, text, "broken_relation", action, p)


def _worth(evidence: Evidence, use: Use, moves: float) -> tuple[Outcome, str] | None:
    """Outcome and words where a parted channel does no harm, or nothing is resolved."""
    size, least = evidence.config.level_of_test, evidence.config.smallest_use
    if min(use.gain.p_above(0.0), use.best.p_above(0.0)) < size:
        return "healthy", "it has parted from the others and still brings skill"
    if use.share.p_below(least) < size:
        return "healthy", "it has parted from the others; the forecast does not move with it"
    if moves >= size:
        return "inconclusive", "it has parted from the others; whether that matters is not resolved"
    return None


def relations(evidence: Evidence) -> dict[tuple[str, int], Relation]:
    """Relation of each channel that varies to all the others, by modality and number.

    Raises
    ------
    NotApplicable : there are no other windows to compare with, or fewer than two channels.
    TooFew : they, or these, span too few blocks.
    """
    past = other_windows(evidence, "relations are")
    own, least = evidence.own_sample, evidence.config.min_blocks
    here, there = int(own.rows.max()) + 1, int(past.rows.max()) + 1
    if here < least or there < FEWEST * least:
        raise TooFew(
            f"a range needs {FEWEST} spans of {least} blocks, and {least} blocks to hold to it",
            f"{there} and {here} blocks",
        )
    columns = _columns(own, past)
    if len(columns) < 2:
        raise NotApplicable("a relation is asked of two channels that vary", f"{len(columns)}")
    spans = np.array_split(np.arange(there), min(MOST, max(FEWEST, there // here)))
    return {which: _relation(own, past, columns, which, spans) for which in columns}


Columns = dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]


def _columns(own: Sample, past: Sample) -> Columns:
    """Standardised features `(N, P)` and `(M, P)` of each channel, those that vary in both."""
    found: Columns = {}
    for m, answers in own.answers.items():
        for i in range(answers.values.shape[1]):
            now, then = (s.answers[m].channel(i).features() for s in (own, past))
            varies = _varies(now) & _varies(then)
            if varies.any():
                found[m, i] = _standard(now[:, varies]), _standard(then[:, varies])
    return found


def _varies(x: np.ndarray) -> np.ndarray:
    """More than rounding."""
    return np.asarray(x.std(0) > 1e-9 * np.abs(x).max(0))


def _standard(x: np.ndarray) -> np.ndarray:
    return np.asarray((x - x.mean(0)) / x.std(0))


def _relation(
    own: Sample, past: Sample, columns: Columns, which: tuple[str, int], spans: list[np.ndarray]
) -> Relation:
    now, then = columns[which]
    others = [pair for other, pair in columns.items() if other != which]
    here, there = (np.concatenate([pair[k] for pair in others], 1) for k in (0, 1))
    said_then, said_now = probes.carried_over(there, then, past.times, here)
    terms = _terms(then, said_then)
    ranges = [float(_agreement(terms[np.isin(past.rows, span)].sum(0))) for span in spans]
    days = own.config.block_days
    now_ = jackknife(_terms(now, said_now), own.rows, _agreement, days)
    return Relation(now_, min(ranges), max(ranges), len(spans))


def _terms(y: np.ndarray, said: np.ndarray) -> np.ndarray:
    """`(N, 1 + 5 P)` what the sums of correlations are made of."""
    return np.concatenate([np.ones((len(y), 1)), y, said, y * y, said * said, y * said], 1)


def _agreement(sums: np.ndarray) -> np.ndarray:
    """`(...)` mean over columns of the correlation, 0 where either is constant."""
    count = np.maximum(sums[..., :1], 1.0)
    y, said, yy, ss, ys = np.split(sums[..., 1:] / count, 5, -1)
    spread = np.maximum(yy - y * y, 0.0) * np.maximum(ss - said * said, 0.0)
    found = np.where(spread > 1e-18, (ys - y * said) / np.sqrt(np.maximum(spread, 1e-18)), 0.0)
    return np.asarray(found.mean(-1))

"""Good, moderate or bad, by rules stated beforehand, for three questions.

A grade needs an interval: a profile without one, divided by its own maximum or of a single sample,
cannot be better than moderate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.records import Interval
from heliosight.core.records_remedy import Grade

FAIR = 0.5  # a range contributes at least this part of its share of the information
SAME = 0.98  # correlation above which maps of different frames are one pattern
RULES = {
    "temporal": (
        "good: every range of frames that adds information to the newer ones (above the noise "
        "floor, as a share of all that is known) moves the forecast, above the same floor and by "
        "at least half of its share; moderate: some do; bad: none"
    ),
    "saliency": (
        "good: the explainer passed its self-test, maps change between frames, and the tracking "
        "slope's interval holds 1 and not 0; moderate: maps change between frames; "
        "bad: one pattern for all frames"
    ),
    "forecast": (
        "good: the forecast varies with its input and its error is below that of every reference "
        "that is told no more than it, the interval excluding 0; moderate: it varies, and beats "
        "climatology; bad: it is constant, or no better than climatology"
    ),
}
REDESIGN = {
    "temporal": "Redesign how frames reach the forecast: the state's memory, or pooling.",
    "saliency": "Redesign the explainer first (one map per call), then what the branch pools away.",
    "forecast": "Redesign what ties input to output: fusion, target transform, head.",
}


@final
@dataclass(frozen=True)
class TemporalEvidence:
    """Ranges of frames, oldest first.

    Attributes
    ----------
    share, low : how much each moves the forecast and the lower bound of that; `low` None where no
        interval is known.
    floor : what a range without any effect would show.
    information, information_low : what each adds to all newer ones, and the lower bound; from the
        world's oracle where there is one, else from a probe. A range that repeats newer ones need
        not be read.
    explained : what all of it together tells. A forecast that takes everything may move with a
        range by no more than what that adds, divided by this: where that lies below the floor,
        nobody can be asked to stand above it.
    """

    share: tuple[float, ...]
    low: tuple[float, ...] | None
    floor: float
    information: tuple[float, ...]
    information_low: tuple[float, ...]
    explained: float
    known_from: str = "a probe"


@final
@dataclass(frozen=True)
class SaliencyEvidence:
    """`correlation` between maps of frames far apart; the tracking slope; the self-test."""

    correlation: float
    slope: Interval | None
    passed: bool
    reason: str = ""


@final
@dataclass(frozen=True)
class ForecastEvidence:
    """`spread` is Var f / Var y; `gains` the error of each reference minus ours, by its name.

    `told_more` names references that see what the model is not given; they are shown, not graded.
    """

    spread: Interval
    gains: Mapping[str, Interval]
    climatology: str = "climatology"
    told_more: tuple[str, ...] = ()


def grade_temporal(e: TemporalEvidence) -> Grade:
    """Is the importance spread over time as the information is?"""
    informative = np.array(e.information_low) > e.floor * max(e.explained, 0.0)
    share, known = np.array(e.share), np.array(e.information)
    above = np.array(e.low if e.low is not None else e.share) > e.floor
    total, all_known = share[informative].sum(), known[informative].sum()
    fair = share * all_known >= FAIR * known * total
    reasons = [
        f"{int(informative.sum())} of {len(share)} ranges add information to newer ones "
        f"(by {e.known_from})",
        f"{int((above & informative).sum())} of these contribute above the noise floor",
        f"{int((above & fair & informative).sum())} in fair proportion",
    ]
    if e.low is None:
        reasons.append("no interval is known")
    if not informative.any():
        return _grade("temporal", "moderate", (*reasons, "nothing to compare with"))
    if not (above & informative).any():
        return _grade("temporal", "bad", reasons)
    good = e.low is not None and bool((above & fair)[informative].all())
    return _grade("temporal", "good" if good else "moderate", reasons)


def grade_saliency(e: SaliencyEvidence) -> Grade:
    """Do the maps change with time as the rotating Sun does?"""
    if np.isnan(e.correlation):
        return _grade("saliency", "bad", ("no frame but one or two has a map at all",))
    reasons = [f"maps of frames far apart correlate at {e.correlation:.2f}"]
    if e.reason:
        reasons.append(e.reason)
    if e.correlation >= SAME:
        return _grade("saliency", "bad", (*reasons, "one pattern for all frames"))
    if e.slope is None or e.slope.low is None or e.slope.high is None:
        return _grade("saliency", "moderate", (*reasons, "no tracking slope is known"))
    low, high = e.slope.low, e.slope.high
    reasons.append(f"tracking slope {e.slope.value:.2f} [{low:.2f}, {high:.2f}]")
    follows = e.passed and low <= 1 <= high and low > 0
    if not e.passed:
        reasons.append("the explainer did not pass its self-test")
    return _grade("saliency", "good" if follows else "moderate", reasons)


def grade_forecast(e: ForecastEvidence) -> Grade:
    """Does the forecast vary with its input, and is it worth having?"""
    reasons = [f"Var f / Var y {e.spread.value:.3f}"]
    beaten = [name for name, gain in e.gains.items() if gain.low is not None and gain.low > 0]
    left = [name for name in e.gains if name not in (*beaten, *e.told_more)]
    reasons.append(f"beats {', '.join(beaten) or 'no reference'}")
    if left:
        reasons.append(f"not shown to beat {', '.join(left)}")
    ahead = [name for name in e.told_more if name not in beaten]
    if ahead:
        reasons.append(f"not graded against {', '.join(ahead)}, which is told the hole area")
    varies = e.spread.low is not None and e.spread.low > 0.01
    if not varies or e.climatology in left:
        return _grade("forecast", "bad", reasons)
    return _grade("forecast", "moderate" if left else "good", reasons)


def _grade(aspect: str, grade: str, reasons: list[str] | tuple[str, ...]) -> Grade:
    redesign = REDESIGN[aspect] if grade == "bad" else ""
    return Grade(aspect, grade, RULES[aspect], tuple(reasons), redesign)  # type: ignore[arg-type]

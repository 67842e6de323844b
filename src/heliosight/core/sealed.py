"""The record of a sealed block that was opened: scores, where they were earned, how calibrated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from heliosight.core.records import Interval, Record, Scorecard, SkillRow


@dataclass(frozen=True)
class Opening:
    """One line of the ledger of seals.

    Attributes
    ----------
    number : of this opening of this block's data, 1 is the first.
    earlier : openings before it, as text. reason : why it was opened again; empty for the first.
    config, weights, data : hashes that were written down before the block was read.
    line : hash of the ledger's line.
    """

    number: int = 0
    start: str = ""
    end: str = ""
    written: str = ""
    config: str = ""
    weights: str = ""
    data: str = ""
    reason: str = ""
    earlier: tuple[str, ...] = ()
    line: str = ""


@dataclass(frozen=True)
class ReliabilityBin:
    """Forecasts of about the same probability: `observed` is how often the storm came."""

    low: float
    high: float
    forecast: float
    observed: Interval
    count: int


@dataclass(frozen=True)
class Reliability:
    """Day probabilities of G1 of one system; day 0 is all days.

    Murphy's (1973, J. Appl. Meteor. 12, 595) parts of the Brier score over the bins shown.
    """

    system: str
    day: int
    bins: tuple[ReliabilityBin, ...]
    reliability: Interval
    resolution: Interval
    uncertainty: float


@dataclass(frozen=True)
class Calibration:
    """How calibrated the distributions of one system are, everywhere and on storms.

    Attributes
    ----------
    pit : share of the PIT in each of ten bins, 0.1 is right. severity : the same of the conditional
        PIT of values above G1. occurrence : storms that came over storms that were expected.
    coverage : by name, `all_50`, `all_90`, `storm_50`, `storm_90` (share of observed storm values
        inside the interval: below the nominal share for any forecast that does not know the
        outcome) and `severity_50`, `severity_90` (inside the interval of the distribution given
        that it is a storm: the nominal share for a calibrated forecast).
    """

    system: str
    pit: tuple[Interval, ...]
    severity: tuple[Interval, ...]
    occurrence: Interval | None
    coverage: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Storms:
    """What the block holds: G1 values, days, independent storms, and rotations with any."""

    values: int = 0
    days: int = 0
    storms: int = 0
    rotations_with: int = 0
    rotations: int = 0
    largest_ap: float = 0.0
    by_class: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SealedScore(Record):
    """The whole result of one opening."""

    schema: ClassVar[str] = "sealed_score"
    opening: Opening = field(default_factory=Opening)
    system: str = ""
    fold: str = ""
    card: Scorecard = field(default_factory=Scorecard)
    phases: tuple[SkillRow, ...] = ()
    activity: tuple[SkillRow, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    storms: Storms = field(default_factory=Storms)
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

"""When a value counts as known: how long after the end of its interval, or after its exposure.

A definitive value is published weeks later, and a forecaster at work uses another archive's early
value in its place. So a definitive source "stands for" the one that was there at the time and
has its latency, and is labelled as what nobody had. A forecast for a 3-hour mark is made some
minutes after the mark (`cutoff`); a latency within them costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, final

from heliosight.core.clock import HOUR
from heliosight.core.errors import ConfigError
from heliosight.core.records import Assumed
from heliosight.core.tables import ImageTable, SeriesTable

CUTOFF_MINUTES = 30.0
T = TypeVar("T", bound=SeriesTable | ImageTable)


@final
@dataclass(frozen=True)
class Latency:
    """Of one source.

    Attributes
    ----------
    hours : from the interval's end or the exposure to the value; what the source itself takes.
    why : where the number comes from.
    stands_for : the early source whose latency a definitive one takes over; empty for an early one.
    """

    hours: float
    why: str
    stands_for: str = ""


_L1 = (
    "NOAA spreads it within 5 min (Zwickl et al. 1998, Space Sci. Rev. 86, 633); on the bow "
    "shock's clock it is 26 min ahead even at 900 km/s"
)
_NRT = "15 to 20 min (README of jsoc1.stanford.edu/data/aia/synoptic)"
_HMI = (
    "at 23:36 the record of 21:48 is asked for (Leka et al. 2018, J. Space Weather Space Clim. 8, "
    "A25, table 4)"
)
_GFZ = "renewed every 15 min; assumed, not verified at GFZ"
_DEFINITIVE_KP = "definitive in the second week of the next month (doi:10.5880/Kp.0001)"
_STAGED = "definitive level 1, about a week after the exposure"

LATENCY = {
    "swpc_wind": Latency(0.0, _L1),
    "swpc_mag": Latency(0.0, _L1),
    "omni2": Latency(21 * 24.0, "weeks; assumed, SPDF names no figure", "swpc_wind"),
    "omni_hapi": Latency(21 * 24.0, "weeks; assumed, SPDF names no figure", "swpc_wind"),
    "gfz_now": Latency(0.25, _GFZ),
    "gfz_kp": Latency(28 * 24.0, _DEFINITIVE_KP, "gfz_now"),
    "gfz_text": Latency(28 * 24.0, _DEFINITIVE_KP, "gfz_now"),
    "gfz_daily": Latency(28 * 24.0, _DEFINITIVE_KP, "gfz_now"),
    "gfz_hpo": Latency(1 / 60, "30 to 60 s after the interval; seen by others, not verified"),
    "swpc_kp": Latency(0.25, "posted after the interval; assumed, NOAA names no figure"),
    "celestrak": Latency(28 * 24.0, _DEFINITIVE_KP, "gfz_now"),
    "coronal_holes": Latency(7 * 24.0, _STAGED, "aia_193_nrt"),
    "events": Latency(0.0, "as published: every value counts as known when it was observed"),
    **{f"aia_{w}_nrt": Latency(1 / 3, _NRT) for w in (193, 211)},
    **{
        f"aia_{w}_{kind}": Latency(7 * 24.0, _STAGED, f"aia_{w}_nrt")
        for w in (193, 211)
        for kind in ("synoptic", "jsoc", "sdoml", "folder")
    },
    "hmi_quick_look": Latency(1.8, _HMI),
    **{
        f"hmi_magnetogram_{kind}": Latency(7 * 24.0, _STAGED, "hmi_quick_look")
        for kind in ("jsoc", "sdoml", "folder")
    },
}


@final
@dataclass(frozen=True)
class Known:
    """What a config assumes.

    Attributes
    ----------
    hours : in place of `LATENCY`, by source; one given for a definitive source is its own.
    cutoff_minutes : from a 3-hour mark to the making of its forecast.

    Raises
    ------
    ConfigError : an unknown source, a negative time, a cutoff beyond the first interval.
    """

    hours: Mapping[str, float]
    cutoff_minutes: float = CUTOFF_MINUTES

    def __post_init__(self) -> None:
        for source, hours in self.hours.items():
            if source not in LATENCY or not 0 <= hours < 10_000:
                raise ConfigError(
                    "a latency is of a known source, in hours from 0", f"{source}: {hours:g}",
                    f"Known: {', '.join(LATENCY)}.", "data.latency",
                )  # fmt: skip
        if not 0 <= self.cutoff_minutes < 180:
            raise ConfigError(
                "a forecast is made before its first interval is over",
                f"{self.cutoff_minutes:g} min after its mark", where="data.cutoff_minutes",
            )  # fmt: skip

    def assumed(self, source: str, table: str) -> Assumed:
        """What is assumed of one source, for the card."""
        own = LATENCY[source]
        early = "" if source in self.hours else own.stands_for
        taken = early or source
        return Assumed(
            table=table,
            source=source,
            stands_for=early,
            latency_hours=self.hours.get(taken, LATENCY[taken].hours),
            published_hours=own.hours,
            why="set by data.latency" if taken in self.hours else LATENCY[taken].why,
            definitive=bool(own.stands_for),
        )

    def seconds(self, source: str) -> int:
        """Latency beyond the cutoff [s]: what a table carries."""
        hours = self.assumed(source, "").latency_hours
        return max(0, round(hours * HOUR - self.cutoff_minutes * 60))

    def late(self, table: T, source: str) -> T:
        """The table of one source with its latency on top of what the table has."""
        return replace(table, latency=table.latency + self.seconds(source))

"""What the references may know at issue time: columns by group, cut by availability.

A column is a value at an exact stamp. It is taken only when the table's row of that stamp was
available at the issue time; otherwise it is missing. There is no other way into the design, so
nothing later than the issue time can enter. Missing values become the training mean (`ridge.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.clock import DAY, HOUR
from heliosight.core.tables import SeriesTable

STEP = 3 * HOUR
HISTORY_STEPS = 56
RECURRENCE_DAYS = (27, 54)
AREA_DAYS = 7
YEAR = 365.25 * DAY
WIND_VARIABLES = ("speed", "density", "temperature", "b_total", "by_gsm", "bz_gsm")
_LOGGED = ("density", "temperature")


@final
@dataclass(frozen=True)
class Design:
    """Columns of all references side by side; a model takes the groups it may see.

    Attributes
    ----------
    issue_time : `(N,)` int64 UTC seconds.
    values : `(N, F)` float64, NaN where missing.
    groups : columns by group name.
    """

    issue_time: np.ndarray
    values: np.ndarray
    groups: Mapping[str, slice]

    def columns(self, groups: tuple[str, ...]) -> np.ndarray:
        """`(F',)` indices of the columns of several groups, in order."""
        every = np.arange(self.values.shape[1])
        return np.concatenate([every[self.groups[g]] for g in groups])

    def missing_share(self) -> dict[str, float]:
        """Share of missing (hence imputed) values by group, over all issue times."""
        return {g: float(np.isnan(self.values[:, s]).mean()) for g, s in self.groups.items()}


def values_at(
    table: SeriesTable, variable: str, stamps: np.ndarray, issue_time: np.ndarray
) -> np.ndarray:
    """Values of one variable at exact stamps, as they were known at issue time.

    Parameters
    ----------
    stamps : `(N, K)` starts of the wanted intervals; issue_time : `(N,)`.

    Returns
    -------
    `(N, K)`, NaN where the row is absent, flagged, or was not yet available.
    """
    row = np.searchsorted(table.times, stamps).clip(0, len(table.times) - 1)
    known = (table.times[row] == stamps) & (table.available[row] <= issue_time[:, None])
    return np.where(known, table.column(variable)[row], np.nan)


def newest_stamps(table: SeriesTable, issue_time: np.ndarray, count: int) -> np.ndarray:
    """`(N, count)` stamps of the newest rows that can be known at issue time, oldest first."""
    if not len(table.times):
        return np.zeros((len(issue_time), count), np.int64)
    delay = table.cadence + table.latency
    phase = int(table.times[0]) % table.cadence
    newest = (issue_time - delay - phase) // table.cadence * table.cadence + phase
    back = np.arange(count - 1, -1, -1) * table.cadence
    return np.asarray(newest[:, None] - back)


def history(
    table: SeriesTable, variable: str, issue_time: np.ndarray, count: int = HISTORY_STEPS
) -> np.ndarray:
    """`(N, count)` newest known values of a variable, oldest first, NaN where missing."""
    return values_at(table, variable, newest_stamps(table, issue_time, count), issue_time)


def recurrence(ap: SeriesTable, issue_time: np.ndarray, days: int, leads: int = 24) -> np.ndarray:
    """`(N, L)` ap of each lead's interval `days` earlier."""
    stamps = issue_time[:, None] + STEP * np.arange(leads) - days * DAY
    return values_at(ap, "ap", stamps, issue_time)


def targets(ap: SeriesTable, issue_time: np.ndarray, leads: int = 24) -> np.ndarray:
    """`(N, L)` ap to be forecast: the one place where the future is read."""
    stamps = issue_time[:, None] + STEP * np.arange(leads)
    return values_at(ap, "ap", stamps, np.full(len(issue_time), np.iinfo(np.int64).max))


def trailing_mean(values: np.ndarray) -> np.ndarray:
    """`(N,)` mean of the known values of each row, NaN where none is known."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(1)
    count = known.sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def ap_group(ap: SeriesTable, issue_time: np.ndarray) -> np.ndarray:
    """Last 7 days of log1p(ap), its 1-, 27- and 81-day level, 27- and 54-day recurrence."""
    long = np.log1p(history(ap, "ap", issue_time, 81 * 8))
    log = long[:, -HISTORY_STEPS:]
    level = [trailing_mean(log[:, -8:]), trailing_mean(long[:, -27 * 8 :]), trailing_mean(long)]
    back = [np.log1p(recurrence(ap, issue_time, days)) for days in RECURRENCE_DAYS]
    return np.concatenate([log, np.stack(level, 1), *back], 1)


def clock_group(issue_time: np.ndarray) -> np.ndarray:
    """Time of day (8 indicators), season (annual and half-yearly), and their products."""
    hour = time_of_day(issue_time)
    angle = 2 * np.pi * (issue_time % YEAR) / YEAR
    season = np.stack([f(k * angle) for k in (1, 2) for f in (np.sin, np.cos)], 1)
    return np.concatenate([hour, season, products(season, hour)], 1)


def time_of_day(issue_time: np.ndarray) -> np.ndarray:
    """`(N, 8)` indicator of the 3-hour slot of the day."""
    return np.eye(8)[(issue_time % DAY) // STEP]


def products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """All products of a column of `left` `(N, A)` with one of `right` `(N, B)`, `(N, A*B)`."""
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)


def wind_group(wind: SeriesTable, issue_time: np.ndarray) -> np.ndarray:
    """Last 7 days of the solar wind; density and temperature as logarithms."""
    parts = []
    for name in WIND_VARIABLES:
        values = history(wind, name, issue_time)
        parts.append(np.log1p(values) if name in _LOGGED else values)
    return np.concatenate(parts, 1)


def area_group(
    coronal_holes: SeriesTable, issue_time: np.ndarray, shift_days: int = 0
) -> np.ndarray:
    """Last seven daily coronal-hole areas, raw and square root, by time of day.

    shift_days : take the series of that many days earlier (the control: the same numbers, the
        same autocorrelation, the wrong time).
    """
    moved = issue_time - shift_days * DAY
    area = history(coronal_holes, "ch_area", moved, AREA_DAYS)
    both = np.concatenate([area, np.sqrt(np.maximum(area, 0.0))], 1)
    return products(both, time_of_day(issue_time))


def build_design(issue_time: np.ndarray, parts: Mapping[str, np.ndarray]) -> Design:
    """A design from groups of columns, each `(N, F)`."""
    edges = np.cumsum([0, *(p.shape[1] for p in parts.values())])
    groups = {
        name: slice(int(a), int(b)) for name, a, b in zip(parts, edges[:-1], edges[1:], strict=True)
    }
    return Design(issue_time, np.concatenate(list(parts.values()), 1), groups)

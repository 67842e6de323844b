"""Curves and frames of the simulated Sun beside the real one, for a page of figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.geomagnetic import KP_LEVELS, kp_step_of_ap
from heliosight.core.tables import ImageTable, SeriesTable, Tables
from heliosight.sun.check import correlation, daily

Points = tuple[np.ndarray, np.ndarray]
Measure = Callable[[Tables], Points | None]
LAGS = np.arange(91)
FOLLOWING = np.arange(-2, 9)
SPEED_EDGES = np.arange(240.0, 901.0, 20.0)
QUANTILES = np.array([1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99], dtype=np.float64)


@final
@dataclass(frozen=True)
class Curve:
    """One quantity of both Suns.

    Attributes
    ----------
    title, x_title, y_title : words, axes with their units.
    simulated, real : `(x, y)`, two arrays of one length, NaN where undefined; None where a table
        is absent.
    log : whether y is told better by its logarithm.
    """

    title: str
    x_title: str
    y_title: str
    simulated: Points | None
    real: Points | None
    log: bool = False


def curves(tables: Tables, real: Tables | None = None) -> list[Curve]:
    """Every curve of the simulated tables, and of the real ones where given.

    Tables as in `check.compare`. A curve that neither side can give is left out.
    """
    observed = real or {}
    found = [
        Curve(title, x, y, measure(tables), measure(observed), log)
        for title, x, y, measure, log in _MEASURES
    ]
    return [c for c in found if c.simulated is not None or c.real is not None]


def sample_frames(table: ImageTable, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """At most `count` evenly spaced good frames `(C, n, H, W)` and their times `(n,)` UTC s."""
    good = np.flatnonzero((table.flags == 0).all(axis=1))
    places = np.linspace(0, len(good) - 1, min(count, len(good))).astype(int)
    chosen = good[places]
    return table.frames[chosen].transpose(1, 0, 2, 3), table.times[chosen]


def _series(tables: Tables, name: str) -> SeriesTable | None:
    table = tables.get(name)
    return table if isinstance(table, SeriesTable) else None


def _values(tables: Tables, name: str, variable: str) -> np.ndarray | None:
    """All observed values of a variable; None without the table or without a value."""
    table = _series(tables, name)
    values = np.empty(0) if table is None else table.column(variable)
    values = values[np.isfinite(values)]
    return values if len(values) else None


def _speed_histogram(tables: Tables) -> Points | None:
    speed = _values(tables, "solar_wind_hourly", "speed")
    if speed is None:
        return None
    count, _ = np.histogram(speed, SPEED_EDGES)
    return (SPEED_EDGES[:-1] + SPEED_EDGES[1:]) / 2, 100 * count / len(speed)


def _speed_quantiles(tables: Tables) -> Points | None:
    speed = _values(tables, "solar_wind_hourly", "speed")
    return None if speed is None else (QUANTILES, np.percentile(speed, QUANTILES))


def _kp_histogram(tables: Tables) -> Points | None:
    """Share of each of the 28 steps [%]; NaN where a step never came, for a logarithmic axis."""
    ap = _values(tables, "geomagnetic", "ap")
    if ap is None:
        return None
    share = 100 * np.bincount(kp_step_of_ap(ap), minlength=28) / len(ap)
    return KP_LEVELS, np.where(share > 0, share, np.nan)


def _autocorrelation(name: str, variable: str, log: bool = False) -> Measure:
    """Autocorrelation of daily means at 0..90 d, of log1p where asked."""

    def of(tables: Tables) -> Points | None:
        table = _series(tables, name)
        if table is None:
            return None
        x = daily(table, variable)[1]
        x = np.log1p(x) if log else x
        return LAGS, np.array([_pairs(x[: max(len(x) - lag, 0)], x[lag:]) for lag in LAGS])

    return of


def _following(name: str, variable: str) -> Measure:
    """Correlation of daily hole area with daily means that follow -2..8 d later."""

    def of(tables: Tables) -> Points | None:
        holes, table = _series(tables, "coronal_holes"), _series(tables, name)
        if holes is None or table is None:
            return None
        (first, area), (second, effect) = daily(holes, "ch_area"), daily(table, variable)
        found = []
        for days in FOLLOWING:
            _, left, right = np.intersect1d(first + days, second, return_indices=True)
            found.append(_pairs(area[left], effect[right]))
        return FOLLOWING, np.array(found)

    return of


def _pairs(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation, NaN with fewer than three pairs."""
    enough = int((np.isfinite(a) & np.isfinite(b)).sum()) > 2
    return correlation(a, b) if enough else float("nan")


_LAG, _CORRELATION = "lag [d]", "correlation"
_MEASURES: tuple[tuple[str, str, str, Measure, bool], ...] = (
    (
        "Solar wind speed: how often",
        "speed, hourly [km/s]",
        "share of hours per 20 km/s [%]",
        _speed_histogram,
        False,
    ),
    (
        "Solar wind speed: quantiles",
        "share of hours below [%]",
        "speed, hourly [km/s]",
        _speed_quantiles,
        False,
    ),
    ("Kp: how often", "Kp [1, in steps of 1/3]", "share of 3-h values [%]", _kp_histogram, False),
    (
        "Kp: how often, storms",
        "Kp [1, in steps of 1/3]",
        "share of 3-h values [%], log",
        _kp_histogram,
        True,
    ),
    (
        "Daily mean ap, log1p: autocorrelation",
        _LAG,
        _CORRELATION,
        _autocorrelation("geomagnetic", "ap", log=True),
        False,
    ),
    (
        "Daily mean speed: autocorrelation",
        _LAG,
        _CORRELATION,
        _autocorrelation("solar_wind_hourly", "speed"),
        False,
    ),
    (
        "Coronal-hole area: autocorrelation",
        _LAG,
        _CORRELATION,
        _autocorrelation("coronal_holes", "ch_area"),
        False,
    ),
    (
        "Coronal-hole area, then speed",
        "speed follows the area by [d]",
        _CORRELATION,
        _following("solar_wind_hourly", "speed"),
        False,
    ),
    (
        "Coronal-hole area, then ap",
        "ap follows the area by [d]",
        _CORRELATION,
        _following("geomagnetic", "ap"),
        False,
    ),
)

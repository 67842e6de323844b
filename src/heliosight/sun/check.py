"""Simulated statistics beside real ones, with the targets the simulated Sun is held to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.geomagnetic import kp_step_of_ap
from heliosight.core.tables import ImageTable, SeriesTable, Tables


@dataclass(frozen=True)
class Row:
    """One statistic of the comparison.

    Attributes
    ----------
    statistic : what was measured, with its unit.
    simulated, real : values; None where a table is absent.
    low, high : the target; None where nothing is demanded.
    """

    statistic: str
    simulated: float | None
    real: float | None
    low: float | None = None
    high: float | None = None

    @property
    def target(self) -> str:
        """The target as text."""
        return "" if self.low is None else f"{self.low:.3g} to {self.high:.3g}"

    @property
    def ok(self) -> bool | None:
        """Whether the simulated value meets the target; None without a target or a value."""
        if self.low is None or self.high is None or self.simulated is None:
            return None
        return bool(self.low <= self.simulated <= self.high)


Measure = Callable[[Tables], float | None]


def compare(tables: Tables, real: Tables | None = None) -> list[Row]:
    """Every statistic of the simulated tables, beside those of the real ones where given.

    Tables by name: `solar_wind_hourly`, `geomagnetic`, `coronal_holes`, `images`; an absent one
    leaves its statistics out (None). Targets are those of 2011-2022 observations: absolute where
    stated in the row, else a tolerance about the real value.
    """
    observed = real or {}
    return [_row(name, measure, tables, observed, target) for name, measure, target in _measures()]


def _row(
    name: str, measure: Measure, tables: Tables, real: Tables, target: tuple[float, ...]
) -> Row:
    mine, theirs = measure(tables), measure(real)
    if len(target) == 2:
        return Row(name, mine, theirs, *target)
    if len(target) == 1 and theirs is not None:
        return Row(name, mine, theirs, theirs - target[0], theirs + target[0])
    return Row(name, mine, theirs)


def _measures() -> Iterator[tuple[str, Measure, tuple[float, ...]]]:
    yield from _wind_measures()
    yield from _index_measures()
    yield from _hole_measures()
    yield from _image_measures()


def _wind_measures() -> Iterator[tuple[str, Measure, tuple[float, ...]]]:
    yield "speed mean [km s-1]", _hourly("speed", np.nanmean), (25.0,)
    yield "speed standard deviation [km s-1]", _hourly("speed", np.nanstd), (12.0,)
    for share, tolerance in ((5, 20.0), (50, 25.0), (95, 45.0), (99, 60.0)):
        yield f"speed {share} % quantile [km s-1]", _hourly("speed", _quantile(share)), (tolerance,)
    for hours in (6, 24, 72, 27 * 24):
        label = f"{hours} h" if hours < 100 else f"{hours // 24} d"
        yield f"speed autocorrelation at {label}", _hourly("speed", _lagged(hours)), (0.1,)
    yield "density median [cm-3]", _hourly("density", _quantile(50)), (1.0,)
    yield "temperature median [K]", _hourly("temperature", _quantile(50)), (2e4,)
    yield "field mean <|B|> [nT]", _hourly("b_scalar", np.nanmean), (0.5,)
    yield "field standard deviation [nT]", _hourly("b_scalar", np.nanstd), (0.6,)
    yield "Bz GSM standard deviation [nT]", _hourly("bz_gsm", np.nanstd), (0.4,)
    yield "Bz GSM autocorrelation at 3 h", _hourly("bz_gsm", _lagged(3)), (0.12,)
    yield "Bx GSE autocorrelation at 3 d", _hourly("bx_gse", _lagged(72)), (0.12,)


def _index_measures() -> Iterator[tuple[str, Measure, tuple[float, ...]]]:
    yield "ap mean [2 nT]", _index(np.nanmean), (1.2,)
    yield "log1p(ap) standard deviation", _index(lambda x: float(np.nanstd(np.log1p(x)))), (0.08,)
    yield "share of ap >= 39 (G1)", _index(lambda x: float(np.mean(x >= 39))), (0.01,)
    yield "share of ap >= 111 (G3)", _index(lambda x: float(np.mean(x >= 111))), (0.002,)
    for step in range(0, 19, 3):
        name = f"share of Kp {step // 3}o, {step // 3}+, {step // 3 + 1}-"
        yield name, _index(_kp_share(step // 3)), (0.05,)
    yield "log1p(ap) autocorrelation at 24 h", _index(_log(_lagged(8))), (0.1,)
    for days, target in ((27, 0.33), (54, 0.22), (81, 0.13)):
        name = f"daily log1p(Ap) autocorrelation at {days} d"
        yield name, _daily_ap(_log(_lagged(days))), (target - 0.08, target + 0.08)


def _hole_measures() -> Iterator[tuple[str, Measure, tuple[float, ...]]]:
    yield "hole area mean", _areas(np.nanmean), (0.015,)
    yield "hole area standard deviation", _areas(np.nanstd), (0.02,)
    yield "hole area autocorrelation at 1 d", _areas(_lagged(1)), (0.15,)
    yield "hole area autocorrelation at 27 d", _areas(_lagged(27)), (0.45, 0.75)
    yield "hole area to speed: best lag [d]", _follow("speed", True), (3.0, 3.0)
    yield "hole area to speed: correlation at 3 d", _follow("speed", False, 3), (0.35, 0.55)
    yield "hole area to ap: best lag [d]", _follow("ap", True), (2.0, 2.0)
    yield "hole area to ap: correlation at 2 d", _follow("ap", False, 2), (0.2, 0.4)


def _image_measures() -> Iterator[tuple[str, Measure, tuple[float, ...]]]:
    yield "193 with 211 on the disc", _frames(lambda f: _pairs(f[:, 0], f[:, 1])), (0.91, 0.97)
    for channel, name in enumerate(("193", "211", "magnetogram")):
        following = _frames(_following(channel))
        targets = {"193": (0.67, 0.87), "211": (0.1,), "magnetogram": (0.0, 0.12)}
        yield f"{name} frame to frame on the disc, 6 h", following, targets[name]
        spread = _frames(_spread(channel))
        yield f"{name} standard deviation on the disc [grey]", spread, (6.0,)
        middle = _frames(_middle(channel))
        yield f"{name} median on the disc [grey]", middle, (10.0,)


def _hourly(variable: str, measure: Callable[[np.ndarray], float]) -> Measure:
    return lambda tables: _of_series(tables, "solar_wind_hourly", variable, measure)


def _index(measure: Callable[[np.ndarray], float]) -> Measure:
    return lambda tables: _of_series(tables, "geomagnetic", "ap", measure)


def _areas(measure: Callable[[np.ndarray], float]) -> Measure:
    return lambda tables: _of_series(tables, "coronal_holes", "ch_area", measure)


def _of_series(
    tables: Tables, name: str, variable: str, measure: Callable[[np.ndarray], float]
) -> float | None:
    table = tables.get(name)
    if not isinstance(table, SeriesTable):
        return None
    return float(measure(_regular(table, variable)))


def _regular(table: SeriesTable, variable: str) -> np.ndarray:
    """Values on the table's full grid, NaN in its holes."""
    place = (table.times - table.times[0]) // table.cadence
    values = np.full(int(place[-1]) + 1, np.nan)
    values[place] = table.column(variable)
    return values


def _quantile(share: float) -> Callable[[np.ndarray], float]:
    return lambda x: float(np.nanpercentile(x, share))


def _lagged(steps: int) -> Callable[[np.ndarray], float]:
    return lambda x: correlation(x[:-steps], x[steps:]) if len(x) > steps + 2 else float("nan")


def _log(measure: Callable[[np.ndarray], float]) -> Callable[[np.ndarray], float]:
    return lambda x: measure(np.log1p(x))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of the pairs in which both are finite; NaN for a constant."""
    good = np.isfinite(a) & np.isfinite(b)
    x, y = a[good] - a[good].mean(), b[good] - b[good].mean()
    scale = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / scale) if scale > 0 else float("nan")


def daily(table: SeriesTable, variable: str) -> tuple[np.ndarray, np.ndarray]:
    """Day numbers since 1970 and daily means of a series, NaN where a day has no value."""
    day = table.times // DAY
    number = np.arange(day[0], day[-1] + 1)
    values = table.column(variable)
    good = np.isfinite(values)
    count = np.bincount(day[good] - day[0], minlength=len(number))
    total = np.bincount(day[good] - day[0], weights=values[good], minlength=len(number))
    return number, np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _daily_ap(measure: Callable[[np.ndarray], float]) -> Measure:
    def of(tables: Tables) -> float | None:
        table = tables.get("geomagnetic")
        return measure(daily(table, "ap")[1]) if isinstance(table, SeriesTable) else None

    return of


def _follow(variable: str, lag: bool, days: int = 0) -> Measure:
    """Correlation of hole area with what follows `days` later, or the lag (0..7) of the best."""

    def of(tables: Tables) -> float | None:
        holes = tables.get("coronal_holes")
        table = tables.get("geomagnetic" if variable == "ap" else "solar_wind_hourly")
        if not isinstance(holes, SeriesTable) or not isinstance(table, SeriesTable):
            return None
        found = [_lag_correlation(holes, table, variable, d) for d in range(8)]
        return float(np.argmax(found)) if lag else found[days]

    return of


def _lag_correlation(holes: SeriesTable, table: SeriesTable, variable: str, days: int) -> float:
    first, area = daily(holes, "ch_area")
    second, effect = daily(table, variable)
    _, left, right = np.intersect1d(first + days, second, return_indices=True)
    return correlation(area[left], effect[right])


def _frames(measure: Callable[[np.ndarray], float]) -> Measure:
    """Measure of at most 400 evenly spaced runs of good frames, `(n, C, pixels on the disc)`."""

    def of(tables: Tables) -> float | None:
        table = tables.get("images")
        return measure(_disc_pixels(table)) if isinstance(table, ImageTable) else None

    return of


def _disc_pixels(table: ImageTable) -> np.ndarray:
    size = table.frames.shape[-1]
    axis = (np.arange(size) + 0.5 - size / 2) / (size / 2)
    on = np.hypot(*np.meshgrid(axis, axis)) < 0.75
    good = np.flatnonzero((table.flags == 0).all(axis=1))
    return table.frames[good[:400]][:, :, on].astype(np.float64)


def _kp_share(third: int) -> Callable[[np.ndarray], float]:
    return lambda x: float(np.mean(kp_step_of_ap(x) // 3 == third))


def _following(channel: int) -> Callable[[np.ndarray], float]:
    return lambda frames: _pairs(frames[:-1, channel], frames[1:, channel])


def _spread(channel: int) -> Callable[[np.ndarray], float]:
    return lambda frames: float(frames[:, channel].std(axis=1).mean())


def _middle(channel: int) -> Callable[[np.ndarray], float]:
    return lambda frames: float(np.median(frames[:, channel]))


def _pairs(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean([correlation(x, y) for x, y in zip(a, b, strict=True)]))

"""The forecast for a paper: Kp with its band, and the drivers on the same time axis."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from heliosight.core.clock import DAY, HOUR, to_datetime64, to_text
from heliosight.core.geomagnetic import KP_NAMES, STORM_AP, kp_of_ap, kp_step_of_ap, snap_ap
from heliosight.report.chart_forecast import PANELS, PAST_DAYS, quartiles
from heliosight.report.colours import NOAA, storm_class
from heliosight.report.inputs import ForecastExample
from heliosight.report.wording import Words

MM = 1 / 25.4
WIDTH = 180 * MM  # two columns
EN = Words("en")


def forecast_figure(example: ForecastExample) -> Figure:
    """Observed and forecast Kp above, solar wind below; 180 mm wide."""
    drivers = [name for name in PANELS if name in example.drivers]
    heights = [2.4] + [1.0] * len(drivers)
    figure = Figure((WIDTH, (48 + 20 * len(drivers)) * MM), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    _kp(axes[0], example)
    for axis, name in zip(axes[1:], drivers, strict=True):
        _driver(axis, example, name)
    for axis in axes:
        axis.axvline(_time(example.issue_time), color="black", lw=1.0)
        axis.axvline(_time(example.last_input_time), color="black", lw=0.8, ls="--")
    last = int(example.valid_time[-1]) + example.lead_hours * HOUR
    axes[0].set_xlim(_time(example.issue_time - PAST_DAYS * DAY), _time(last))
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(axes[-1].xaxis.get_major_locator()))
    axes[-1].set_xlabel("time [UTC]")
    axes[0].set_title(
        f"issued {to_text(example.issue_time)} (solid), last input "
        f"{to_text(example.last_input_time)} (dashed)",
        loc="left",
    )
    return figure


def _kp(axis: Axes, example: ForecastExample) -> None:
    step = example.lead_hours * HOUR
    shown = example.past_time >= example.issue_time - PAST_DAYS * DAY
    median = int(np.argmin(np.abs(example.levels - 0.5)))
    start = np.concatenate([example.past_time[shown], example.valid_time])
    ap = np.concatenate([example.past_ap[shown], example.quantiles[:, median]])
    known = np.isfinite(ap)
    _bars(axis, start[known], ap[known], step)
    middle = to_datetime64(example.valid_time + step // 2)
    kp = kp_of_ap(example.quantiles)
    low, high = quartiles(example.levels)
    axis.vlines(middle, kp[:, 0], kp[:, -1], color="black", lw=0.7, label=_span(example, 0, -1))
    axis.vlines(
        middle, kp[:, low], kp[:, high], color="black", lw=2.0, label=_span(example, low, high)
    )
    seen = np.isfinite(example.observed)
    outcome = kp_of_ap(example.observed)[seen]
    axis.plot(middle[seen], outcome, "_", color="#0072b2", ms=6, mew=1.6, label="observed")
    for name, least in STORM_AP.items():
        level = float(kp_of_ap(np.array(least)))
        axis.axhline(level, color="0.6", lw=0.5, ls=":")
        axis.annotate(name, (1.005, level), xycoords=("axes fraction", "data"), va="center")
    axis.legend(loc="upper left", ncols=3)
    axis.set(ylabel="Kp", ylim=(0, 9.4), yticks=range(10))


def _span(example: ForecastExample, low: int, high: int) -> str:
    return f"forecast {100 * example.levels[low]:g}–{100 * example.levels[high]:g} %"


def _bars(axis: Axes, start: np.ndarray, ap: np.ndarray, step: int) -> None:
    """Bars in the class's colour with the level printed on each."""
    classes = [storm_class(float(a)) for a in snap_ap(ap)]
    middle = to_datetime64(start + step // 2)
    width = np.timedelta64(int(0.86 * step), "s")
    kp = kp_of_ap(ap)
    colours = [NOAA[name] for name in classes]
    axis.bar(middle, np.maximum(kp, 0.08), width, color=colours, edgecolor="0.35", linewidth=0.3)
    for place, level, name in zip(middle, kp_step_of_ap(ap), classes, strict=True):
        text = KP_NAMES[level] if name == "G0" else f"{name}\n{KP_NAMES[level]}"
        axis.annotate(text, (place, 0.1), ha="center", va="bottom", fontsize=3.6)


def _driver(axis: Axes, example: ForecastExample, name: str) -> None:
    time = to_datetime64(example.driver_time + example.lead_hours * HOUR // 2)
    values = np.asarray(example.drivers[name], dtype=np.float64)
    axis.plot(time, values, color="#0072b2")
    if name == "bz_gsm":
        axis.axhline(0, color="black", lw=0.5)
        axis.fill_between(time, np.minimum(values, 0), 0, color="#d55e00", alpha=0.4, lw=0)
    axis.set_ylabel(EN.name("short", name).replace(" [", "\n["))


def _time(seconds: int) -> np.datetime64:
    return np.datetime64(int(seconds), "s")

"""The forecast page: Kp bars with their band, issue and input times, the drivers below."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from heliosight.core.clock import DAY, HOUR, to_text
from heliosight.core.geomagnetic import (
    KP_LEVELS,
    KP_NAMES,
    STORM_AP,
    STORM_KP,
    kp_of_ap,
    kp_step_of_ap,
    snap_ap,
)
from heliosight.report.colours import NOAA, lightened, storm_class
from heliosight.report.inputs import ForecastExample
from heliosight.report.svg import Panel, document, span_of
from heliosight.report.wording import Words

WIDTH, LEFT, RIGHT = 980.0, 62.0, 92.0
PAST_DAYS = 3
PANELS = ("bz_gsm", "speed", "density")


def forecast_chart(example: ForecastExample, words: Words, simulated: bool) -> Markup:
    """Observed and forecast Kp on one time axis, with the drivers under it."""
    start = example.issue_time - PAST_DAYS * DAY
    end = int(example.valid_time[-1]) + example.lead_hours * HOUR
    shown = [name for name in PANELS if name in example.drivers]
    panels = [_kp_panel(example, (start, end), words)]
    top = 300.0
    for name in shown:
        panels.append(_driver_panel(example, name, (start, end), top, words))
        top += 104.0
    _time_axis(panels[-1], (start, end), words)
    stamp = words("simulated_stamp") if simulated else ""
    title = words("forecast_alt", issue=to_text(example.issue_time))
    return document(WIDTH, panels[-1].top + panels[-1].height + 40, panels, title, stamp=stamp)


def _kp_panel(example: ForecastExample, span: tuple[int, int], words: Words) -> Panel:
    panel = Panel(LEFT, 34, WIDTH - LEFT - RIGHT, 236, span, (0.0, 9.6))
    panel.y_axis(range(10), [str(k) for k in range(10)])
    for name, least in STORM_AP.items():
        level = float(kp_of_ap(np.array(least)))
        panel.hline(level, "storm")
        text = f"{name} {words('storm.' + name)}"
        panel.label(panel.left + panel.width + 5, panel.py(level) + 3, text, "tick", "start")
    step = example.lead_hours * HOUR
    for time, ap in zip(example.past_time, example.past_ap, strict=True):
        if span[0] <= time and np.isfinite(ap):
            _kp_bar(panel, int(time), step, float(ap), "kp past")
    median = int(np.argmin(np.abs(example.levels - 0.5)))
    for lead, time in enumerate(example.valid_time):
        _kp_bar(panel, int(time), step, float(example.quantiles[lead, median]), "kp")
        _whisker(
            panel, int(time) + step / 2, example.quantiles[lead], quartiles(example.levels), step
        )
        _outcome(panel, int(time), step, float(example.observed[lead]))
    _marks(panel, example, words)
    panel.frame("Kp")
    return panel


def _kp_bar(panel: Panel, time: int, step: int, ap: float, css: str) -> None:
    """One 3-hour bar: coloured by class, lighter when quieter, its level printed above it."""
    kp, level = float(kp_of_ap(np.array(ap))), int(kp_step_of_ap(np.array(ap)))
    kind = storm_class(float(snap_ap(np.array(ap))))
    strength = 0.3 + 0.7 * min(kp / float(KP_LEVELS[13]), 1.0)
    gap = 0.08 * step
    panel.bar(
        (time + gap, time + step - gap), (0.0, max(kp, 0.08)), css,
        f"fill:{lightened(NOAA[kind], strength)}",
    )  # fmt: skip
    middle = panel.px(time + step / 2)
    panel.label(middle, panel.py(0) - 4, KP_NAMES[level], "level")
    if kind != "G0":
        panel.label(middle, panel.py(0) - 14, kind, "level strong")


def quartiles(levels: np.ndarray) -> tuple[int, int]:
    """Places of the levels nearest to 25 % and 75 %."""
    return int(np.argmin(np.abs(levels - 0.25))), int(np.argmin(np.abs(levels - 0.75)))


def _whisker(panel: Panel, x: float, ap: np.ndarray, inner: tuple[int, int], step: int) -> None:
    """Outermost quantiles as a thin line, the inner ones as a thick one."""
    kp = kp_of_ap(ap)
    panel.bar((x - 0.02 * step, x + 0.02 * step), (kp[0], kp[-1]), "whisker")
    low, high = inner
    panel.bar((x - 0.1 * step, x + 0.1 * step), (kp[low], kp[high]), "whisker")


def _outcome(panel: Panel, time: int, step: int, ap: float) -> None:
    """What was observed afterwards, as a bold tick across the bar."""
    if np.isfinite(ap):
        kp = float(kp_of_ap(np.array(ap)))
        panel.bar((time, time + step), (kp - 0.055, kp + 0.055), "outcome")


def _marks(panel: Panel, example: ForecastExample, words: Words) -> None:
    """Issue time, newest input and end of validity as three different lines."""
    end = int(example.valid_time[-1]) + example.lead_hours * HOUR
    panel.vline(example.issue_time, "issue")
    panel.label(panel.px(example.issue_time) + 4, 30, words("mark_issue"), "axis", "start")
    panel.vline(example.last_input_time, "last-input")
    panel.label(panel.px(example.last_input_time) - 4, 30, words("mark_input"), "axis", "end")
    panel.vline(end, "last-valid")


def _driver_panel(
    example: ForecastExample, name: str, span: tuple[int, int], top: float, words: Words
) -> Panel:
    keep = example.driver_time >= span[0]
    time = (example.driver_time[keep] + example.lead_hours * HOUR / 2).tolist()
    values = [float(v) for v in np.asarray(example.drivers[name])[keep]]
    south = name == "bz_gsm"
    room = span_of(values, zero=south or name == "density")
    panel = Panel(LEFT, top, WIDTH - LEFT - RIGHT, 88, span, room)
    panel.y_axis()
    if south:
        panel.band(time, [min(v, 0.0) for v in values], [0.0] * len(values), "southward")
        panel.hline(0, "zero")
        panel.label(
            panel.left + panel.width + 5, panel.py(0) + 12, words("southward"), anchor="start"
        )
    panel.path(time, values, "driver")
    panel.vline(example.issue_time, "issue")
    panel.vline(example.last_input_time, "last-input")
    panel.frame(words.name("short", name))
    return panel


def _time_axis(panel: Panel, span: tuple[int, int], words: Words) -> None:
    days = list(range(-(-span[0] // DAY) * DAY, span[1] + 1, DAY))
    panel.x_axis(
        days,
        [to_text(t)[5:10] + " 00h" for t in days],
        words("axis_utc", year=to_text(span[0])[:4]),
    )


def storm_table(example: ForecastExample) -> list[list[tuple[str, float]]]:
    """Rows of days, columns of classes: `(class, probability)`."""
    return [
        list(zip(("G1", "G2", "G3"), map(float, day), strict=True))
        for day in example.event_probability
    ]


def storm_columns() -> list[tuple[str, str]]:
    """The classes of the day table with the Kp at which they begin."""
    return [(name, STORM_KP[name]) for name in ("G1", "G2", "G3")]


def lead_rows(example: ForecastExample) -> list[dict[str, str]]:
    """The numbers behind the bars, for people who cannot see them."""
    median = int(np.argmin(np.abs(example.levels - 0.5)))
    rows = []
    for lead, time in enumerate(example.valid_time):
        ap, seen = example.quantiles[lead], float(example.observed[lead])
        level = KP_NAMES[int(kp_step_of_ap(ap[median]))]
        rows.append(
            {
                "time": to_text(time),
                "median": f"{ap[median]:.0f}",
                "kp": level,
                "storm": storm_class(float(snap_ap(ap[median]))),
                "low": f"{ap[0]:.0f}",
                "high": f"{ap[-1]:.0f}",
                "mean": f"{example.mean[lead]:.0f}",
                "observed": f"{seen:.0f}" if np.isfinite(seen) else "",
            }
        )
    return rows

"""Where the forecast came from: per frame, per channel, per variable, on signed common scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from heliosight.core.clock import HOUR, to_seconds
from heliosight.core.records import Explanation
from heliosight.core.spec import ModalitySpec
from heliosight.report.colours import LOWERS, MOST_OPAQUE, RAISES, hex_colour
from heliosight.report.svg import Panel, document, nice_ticks, number, span_of
from heliosight.report.wording import Words

WIDTH, LEFT, RIGHT = 980.0, 150.0, 90.0
MOST_TICKS = 14
NOT_SERIES = {"images", "frames", "structure_sums", "structure_latitude", "structure_longitude"}
Span = tuple[float, float]


def method_words(name: str, words: Words) -> str:
    """A method in the reader's language; what follows it in brackets (its layer) stays."""
    head, bracket, layer = name.partition(" (")
    return words.name("method", head) + bracket + layer


def hours_before(explanation: Explanation) -> np.ndarray:
    """Time of each frame relative to the issue time [h], `(T,)`, negative before it."""
    issue = to_seconds(explanation.issue_time)
    return np.array([(to_seconds(t) - issue) / HOUR for t in explanation.frame_times])


def frame_profile(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Attribution per frame `(T,)`: the record's own profile, else the sum of its maps."""
    if "profile" in arrays:
        return np.asarray(arrays["profile"], dtype=np.float64)
    if "images" not in arrays:
        return None
    maps = as_channels(arrays["images"])
    return np.nansum(maps, axis=(0, 2, 3))


def as_channels(maps: np.ndarray) -> np.ndarray:
    """Maps as `(C, T, H, W)`; one map for all channels becomes C = 1."""
    maps = np.asarray(maps, dtype=np.float64)
    return maps[None] if maps.ndim == 3 else maps


def time_span(explanation: Explanation, series: Sequence[tuple[int, ModalitySpec | None]]) -> Span:
    """One time range [h before issue] for all charts of an explanation, so that they line up.

    series : number of steps and specification of each series modality.
    """
    hours = [hours_before(explanation), np.zeros(1)]
    hours += [series_hours(modality, steps) for steps, modality in series]
    half = spacing(hours[0]) / 2
    every = np.concatenate(hours)
    return float(every.min()) - half, float(every.max()) + half


def profile_chart(
    explanation: Explanation, arrays: Mapping[str, np.ndarray], span: Span, words: Words, stamp: str
) -> Markup | None:
    """Signed bars per frame, with intervals where given, and a marker the slider moves."""
    values = frame_profile(arrays)
    if values is None or not len(values):
        return None
    low, high = arrays.get("profile_low"), arrays.get("profile_high")
    hours = hours_before(explanation)
    extent = [
        *values,
        *arrays.get("response", ()),
        *(low if low is not None else ()),
        *(high if high is not None else ()),
    ]
    panel = Panel(LEFT, 16, WIDTH - LEFT - RIGHT, 150, span, span_of(extent, zero=True))
    panel.y_axis()
    half = 0.4 * spacing(hours)
    for t, value in zip(hours, values, strict=True):
        panel.bar((t - half, t + half), (0, value), "raises" if value >= 0 else "lowers")
    if low is not None and high is not None:
        for t, a, b in zip(hours, low, high, strict=True):
            panel.bar((t - half / 8, t + half / 8), (a, b), "whisker")
    if "response" in arrays:
        panel.path(hours.tolist(), arrays["response"].tolist(), "curve response")
    panel.hline(0, "zero")
    panel.frame(explanation.units)
    hours_axis(panel, words("axis_hours"))
    title = words("profile_alt", method=method_words(explanation.method, words))
    return document(WIDTH, 212, [panel, marker(panel)], title, marks(panel, hours), stamp)


def series_chart(
    name: str, values: np.ndarray, modality: ModalitySpec | None, explanation: Explanation,
    span: Span, words: Words, stamp: str,
) -> Markup:  # fmt: skip
    """Variables against time, signed colours on one scale; sums over time at the right."""
    steps, count = values.shape
    names = variable_names(modality, count, words)
    hours = series_hours(modality, steps)
    frames = hours_before(explanation)
    row = 22.0
    panel = Panel(LEFT, 16, WIDTH - LEFT - RIGHT, row * count, span, (count, 0))
    scale = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    width = spacing(hours)
    for v in range(count):
        panel.label(LEFT - 6, panel.py(v + 0.5) + 4, names[v], anchor="end")
        for s in np.flatnonzero(np.nan_to_num(values[:, v])):
            _cell(panel, float(hours[s]), width, v, float(values[s, v]), scale)
        total = number(float(f"{np.nansum(values[:, v]):.3g}"))
        panel.label(WIDTH - RIGHT + 8, panel.py(v + 0.5) + 4, total, anchor="start")
    panel.label(WIDTH - RIGHT + 8, 11, words("sum_over_time"), anchor="start")
    panel.parts.append(
        f'<rect class="axes" x="{LEFT}" y="16" width="{panel.width}" height="{panel.height}"/>'
    )
    hours_axis(panel, words("axis_hours"))
    title = words(
        "series_alt",
        modality=words.name("modality", name),
        method=method_words(explanation.method, words),
    )
    height = 16 + panel.height + 46
    return document(WIDTH, height, [panel, marker(panel)], title, marks(panel, frames), stamp)


def colour_bar(scale: float, units: str, words: Words) -> Markup:
    """The one colour scale of an explanation, with its unit; the middle is transparent."""
    panel = Panel(30, 4, 320, 12, (-scale or -1, scale or 1), (0, 1))
    steps = np.linspace(-1, 1, 81)
    for a, b in pairwise(steps):
        middle = (a + b) / 2
        colour = hex_colour(RAISES if middle >= 0 else LOWERS)
        panel.bar(
            (a * panel.x[1], b * panel.x[1]), (0, 1), "bar-step",
            f"fill:{colour};fill-opacity:{abs(middle) * MOST_OPAQUE / 255:.3f}",
        )  # fmt: skip
    places = (-scale, -scale / 2, 0.0, scale / 2, scale)
    panel.x_axis(places, [number(float(f"{p:.2g}")) for p in places])
    panel.label(30, 50, words("lowers"), "axis", "start")
    panel.label(190, 50, words("per_pixel", units=units), "axis")
    panel.label(350, 50, words("raises"), "axis", "end")
    return document(380, 56, [panel], words("colour_bar_alt", units=units, scale=number(scale)))


def channel_sums(explanation: Explanation, maps: np.ndarray) -> list[tuple[str, float]]:
    """Sum of the maps over frames and pixels per channel; empty without a channel axis."""
    if maps.ndim != 4:
        return []
    return list(zip(explanation.channels, map(float, np.nansum(maps, axis=(1, 2, 3))), strict=True))


def _cell(panel: Panel, hour: float, width: float, row: int, value: float, scale: float) -> None:
    css = "raises" if value > 0 else "lowers"
    panel.bar((hour, hour + width), (row, row + 1), css, f"fill-opacity:{abs(value) / scale:.3f}")


def series_of(
    arrays: Mapping[str, np.ndarray], modalities: Mapping[str, ModalitySpec]
) -> dict[str, np.ndarray]:
    """Attributions `(S, V)` by series modality; without a specification, every such array."""
    known = {name for name, spec in modalities.items() if spec.kind == "series"}
    names = [k for k in arrays if k in known] if modalities else list(arrays)
    return {
        k: np.asarray(arrays[k], dtype=np.float64)
        for k in names
        if k not in NOT_SERIES and arrays[k].ndim == 2
    }


def variable_names(modality: ModalitySpec | None, count: int, words: Words) -> list[str]:
    """Names of a series' variables with their units; numbered without a specification."""
    if modality is not None:
        return [words.name("short", v) for v in modality.variables]
    return [words("variable_number", n=v + 1) for v in range(count)]


def series_hours(modality: ModalitySpec | None, steps: int) -> np.ndarray:
    """Start of each step relative to issue [h]; the newest interval has ended by then."""
    cadence = modality.cadence_hours if modality else 3
    lag = modality.lag_hours if modality else 0
    return np.arange(-steps, 0) * float(cadence) - lag


def spacing(hours: np.ndarray) -> float:
    """Usual gap between frames [h]."""
    gaps = np.diff(np.unique(hours))
    return float(np.median(gaps)) if len(gaps) else 6.0


def hours_axis(panel: Panel, title: str) -> None:
    """A tick a day, or every few days where more than fit would overlap."""
    step = 24 * int(np.ceil((panel.x[1] - panel.x[0]) / 24 / MOST_TICKS))
    first = int(np.ceil(panel.x[0] / step)) * step
    ticks: Sequence[float] = [float(h) for h in range(first, int(panel.x[1]) + 1, step)]
    ticks = ticks or nice_ticks(*panel.x)
    panel.x_axis(ticks, [number(t) for t in ticks], title)


def marker(panel: Panel) -> Panel:
    """The line that the slider moves."""
    marker = Panel(panel.left, panel.top, panel.width, panel.height, panel.x, panel.y)
    marker.vline(panel.x[1], "marker")
    return marker


def marks(panel: Panel, hours: np.ndarray) -> str:
    """Places of the frames for the script that moves the marker."""
    return 'data-marks="' + ",".join(f"{panel.px(float(h)):.1f}" for h in hours) + '"'

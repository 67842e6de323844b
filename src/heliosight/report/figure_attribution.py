"""Attributions for a paper: chosen frames on one scale, the time profile, the series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from heliosight.core.records import Explanation
from heliosight.core.spec import ModalitySpec
from heliosight.report.chart_attribution import (
    as_channels,
    frame_profile,
    hours_before,
    method_words,
    series_hours,
    series_of,
    variable_names,
)
from heliosight.report.colours import (
    LOWERS,
    MOST_OPAQUE,
    RAISES,
    common_scale,
    hex_colour,
    lightened,
    signed_overlay,
)
from heliosight.report.figure_forecast import MM
from heliosight.report.wording import Words

EN = Words("en")


def signed_map() -> LinearSegmentedColormap:
    """The colours of `signed_overlay` on white: blue lowers, orange raises, white is zero."""
    share = MOST_OPAQUE / 255
    ends = [lightened(hex_colour(rgb), share) for rgb in (LOWERS, RAISES)]
    return LinearSegmentedColormap.from_list("signed", [ends[0], "#ffffff", ends[1]])


def attribution_figure(record: Explanation, arrays: Mapping[str, np.ndarray]) -> Figure | None:
    """First, middle and last frame per channel on one scale over the profile.

    Without maps the profile alone; None where there is neither. What is withheld is told in words.
    """
    if record.withheld:
        return _no_explanation(record)
    if "images" not in arrays or not record.frame_times:
        return _profile_figure(record, arrays)
    maps = as_channels(arrays.get("channel_maps", arrays["images"]))
    shown = sorted({0, len(record.frame_times) // 2, len(record.frame_times) - 1})
    failed = [check for check in record.checks if not check.passed]
    rows = max(len(maps), len(record.channels))
    figure = Figure((120 * MM, (29 * rows + 62) * MM), layout="constrained")
    grid = figure.add_gridspec(rows + 1, len(shown), height_ratios=[29] * rows + [34])
    scale = common_scale(maps)
    axes = []
    for row in range(rows):
        for column, t in enumerate(shown):
            axis = figure.add_subplot(grid[row, column])
            _frame(axis, record, arrays, maps, row, t, scale)
            axes.append(axis)
    limits = Normalize(-scale or -1, scale or 1)
    bar = figure.colorbar(
        ScalarMappable(limits, signed_map()), ax=axes, fraction=0.03, extend="both"
    )
    bar.set_label(f"{record.units} per pixel (one scale for all frames)")
    _profile(figure.add_subplot(grid[rows, :]), record, arrays)
    figure.suptitle(_title(record, [check.name for check in failed]), fontsize=7)
    return figure


def _no_explanation(record: Explanation) -> Figure:
    """With too little evidence the answer is not a picture."""
    figure = Figure((120 * MM, 40 * MM))
    failed = [c for c in record.checks if not c.passed and c.name in record.withheld]
    lines = ["No explanation: too little evidence", ""]
    lines += [f"{c.name}: {c.rule}. {c.reason}" for c in failed]
    figure.suptitle(_title(record, list(record.withheld)), fontsize=7)
    figure.text(0.02, 0.5, "\n".join(lines), fontsize=6, va="top", wrap=True)
    return figure


def _profile_figure(record: Explanation, arrays: Mapping[str, np.ndarray]) -> Figure | None:
    if "profile" not in arrays or not record.frame_times:
        return None
    figure = Figure((120 * MM, 52 * MM), layout="constrained")
    _profile(figure.subplots(), record, arrays)
    failed = [check.name for check in record.checks if not check.passed]
    figure.suptitle(_title(record, failed), fontsize=7)
    return figure


def _title(record: Explanation, failed: list[str]) -> str:
    title = (
        f"{method_words(record.method, EN)}\n{EN.name('target', record.target)}, "
        f"issued {record.issue_time}\nbaseline: {record.baseline}"
    )
    return title + (f"\nFAILED SELF-CHECK: {', '.join(failed)}" if failed else "")


def _frame(
    axis: Axes, record: Explanation, arrays: Mapping[str, np.ndarray], maps: np.ndarray, row: int,
    t: int, scale: float,
) -> None:  # fmt: skip
    """One frame in grey with its signed map, west right and north up."""
    box = (0.0, 1.0, 1.0, 0.0)
    if "frames" in arrays:
        frames = arrays["frames"]
        picture = frames[t] if frames.ndim == 3 else frames[row, t]
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255, extent=box)
    overlay = signed_overlay(maps[min(row, len(maps) - 1), t], scale)
    axis.imshow(overlay, extent=box, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    if t == 0:
        axis.set_ylabel(EN.name("channel", record.channels[row]))
    if row == 0:
        hours = hours_before(record)[t]
        axis.set_title(f"frame {t}, {hours:+g} h\n{record.frame_times[t]}", fontsize=5)


def _profile(axis: Axes, record: Explanation, arrays: Mapping[str, np.ndarray]) -> None:
    values = frame_profile(arrays)
    hours = hours_before(record)
    if values is None:
        return
    width = 0.8 * (float(np.median(np.diff(hours))) if len(hours) > 1 else 6.0)
    colours = [hex_colour(RAISES if v >= 0 else LOWERS) for v in values]
    axis.bar(hours, values, width, color=colours)
    if "response" in arrays:
        words = "signed response, its mean removed"
        axis.plot(hours, arrays["response"], color="black", lw=0.8, ls="--", label=words)
        axis.legend(loc="lower right")
    if "profile_low" in arrays and "profile_high" in arrays:
        axis.vlines(hours, arrays["profile_low"], arrays["profile_high"], color="black", lw=0.7)
    axis.axhline(0, color="black", lw=0.5)
    axis.set(xlabel=EN("axis_hours"), ylabel=f"{record.units} per frame")


def series_figures(
    record: Explanation, arrays: Mapping[str, np.ndarray], modalities: Mapping[str, ModalitySpec]
) -> Iterator[tuple[str, Figure]]:
    """One figure per series modality: variables against time on one signed scale, 120 mm wide.

    None when the explanation is withheld.
    """
    if record.withheld:
        return
    for name, values in series_of(arrays, modalities).items():
        modality = modalities.get(name)
        hours = series_hours(modality, len(values))
        cadence = float(hours[1] - hours[0]) if len(hours) > 1 else 3.0
        figure = Figure((120 * MM, (24 + 6 * values.shape[1]) * MM), layout="constrained")
        axis = figure.subplots()
        limit = float(np.nanmax(np.abs(values))) or 1.0
        image = axis.imshow(
            values.T, aspect="auto", cmap=signed_map(), vmin=-limit, vmax=limit,
            interpolation="nearest",
            extent=(hours[0], hours[-1] + cadence, values.shape[1] - 0.5, -0.5),
        )  # fmt: skip
        axis.set_yticks(range(values.shape[1]), variable_names(modality, values.shape[1], EN))
        axis.set_xlabel(EN("axis_hours"))
        figure.colorbar(image, label=record.units)
        failed = [check.name for check in record.checks if not check.passed]
        axis.set_title(_title(record, failed), fontsize=6, loc="left")
        yield name, figure

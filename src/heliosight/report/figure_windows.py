"""Structures, importance and the survey for a paper: vector, with units and intervals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from heliosight.core.records import Explanation
from heliosight.core.records_explain import AttributionSurvey
from heliosight.core.spec import ModalitySpec
from heliosight.report.chart_attribution import hours_before, method_words, spacing
from heliosight.report.chart_structures import largest, name
from heliosight.report.chart_windows import DISC, importance_axis, label_family
from heliosight.report.colours import LOWERS, RAISES, common_scale, hex_colour
from heliosight.report.figure_attribution import EN, signed_map
from heliosight.report.figure_forecast import MM

Arrays = Mapping[str, np.ndarray]


def structures_figure(record: Explanation, arrays: Arrays) -> Figure | None:
    """What each tracked hole and region did, frame by frame; None when nothing may be shown."""
    sums = arrays.get("structure_sums")
    if record.withheld or sums is None or not sums.size:
        return None
    order = largest(sums)
    hours, names = hours_before(record), [name(arrays, k, EN) for k in order]
    width = spacing(hours)
    figure = Figure((120 * MM, (34 + 6 * len(order)) * MM), layout="constrained")
    axis = figure.subplots()
    limit = float(np.abs(sums[order]).max()) or 1.0
    image = axis.imshow(
        sums[order], aspect="auto", cmap=signed_map(), vmin=-limit, vmax=limit,
        extent=(hours[0] - width / 2, hours[-1] + width / 2, len(order) - 0.5, -0.5),
        interpolation="nearest",
    )  # fmt: skip
    whole = [
        f"{label} ({total:+.2g})" for label, total in zip(names, sums[order].sum(1), strict=True)
    ]
    axis.set_yticks(range(len(order)), whole)
    axis.set_xlabel(EN("axis_hours"))
    figure.colorbar(image, label=f"{record.units} per frame")
    failed = [check.name for check in record.checks if not check.passed]
    title = f"{method_words(record.method, EN)}: {EN.name('target', record.target)}, "
    title += f"issued {record.issue_time}\nin brackets: sum over frames [{record.units}]"
    title += f"\nFAILED SELF-CHECK: {', '.join(failed)}" if failed else ""
    figure.suptitle(title, fontsize=6)
    return figure


def importance_figures(
    profiles: tuple[Mapping[str, Any], ...], modalities: Mapping[str, ModalitySpec]
) -> Iterator[tuple[str, Figure]]:
    """One figure a profile, 90 mm wide: bars with intervals, against time for steps."""
    for profile in profiles:
        stem = "importance_" + re.sub(r"[ .]", "_", profile["name"])
        if profile["name"].endswith(" steps"):
            yield stem, _steps_figure(profile, modalities)
        else:
            yield stem, _bars_figure(profile, modalities)


def _bars_figure(profile: Mapping[str, Any], modalities: Mapping[str, ModalitySpec]) -> Figure:
    family = label_family(profile["name"], modalities)
    names = [EN.name(family, label) for label in profile["labels"]]
    figure = Figure((90 * MM, (26 + 5 * len(names)) * MM), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(names))
    axis.barh(places, profile["value"], 0.65, color=hex_colour(RAISES))
    for k, (low, high) in enumerate(zip(profile["low"], profile["high"], strict=True)):
        if low is not None and high is not None:
            axis.plot([low, high], [k, k], color="black", lw=0.8)
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set_xlabel(importance_axis(profile, EN))
    figure.suptitle(_how(profile), fontsize=5)
    return figure


def _steps_figure(profile: Mapping[str, Any], modalities: Mapping[str, ModalitySpec]) -> Figure:
    modality = modalities.get(profile["name"].removesuffix(" steps"))
    cadence = modality.cadence_hours if modality else 1
    newest = 0 if modality is None or modality.kind == "images" else -cadence
    hours = newest - cadence * np.arange(len(profile["value"]))[::-1]
    figure = Figure((120 * MM, 56 * MM), layout="constrained")
    axis = figure.subplots()
    axis.bar(hours, profile["value"], 0.8 * cadence, color=hex_colour(RAISES))
    for hour, low, high in zip(hours, profile["low"], profile["high"], strict=True):
        if low is not None and high is not None:
            axis.plot([hour, hour], [low, high], color="black", lw=0.7)
    axis.axhline(0, color="black", lw=0.5)
    since = "relative to the newest frame" if newest == 0 else "relative to issue"
    axis.set_xlabel(f"hours {since} [h]" if modality else "step")
    axis.set_ylabel(EN("importance_axis", units=profile["units"]))
    figure.suptitle(_how(profile), fontsize=5)
    return figure


def _how(profile: Mapping[str, Any]) -> str:
    where = EN.name("modality", profile["name"].split(" ")[0])
    return f"importance: {where}\n{profile['how']}"


def survey_figure(record: AttributionSurvey, arrays: Arrays) -> Figure:
    """Mean profile with bounds over the disc and the Sun in Carrington coordinates, 180 mm wide."""
    figure = Figure((180 * MM, 110 * MM), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 1.3], width_ratios=[1, 1.7])
    _survey_profile(figure.add_subplot(grid[0, :]), record, arrays)
    disc, sun = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    _map(disc, arrays["disc"], (-DISC, DISC, -DISC, DISC), record.units)
    disc.add_patch(Circle((0, 0), 1.0, fill=False, lw=0.6))
    disc.set(xlabel=EN("axis_disc_x"), ylabel=EN("axis_disc_y"))
    _map(sun, arrays["sun"], (0, 360, -90, 90), record.units)
    sun.set_facecolor("#dddddd")
    sun.set(xlabel=EN("axis_carrington"), ylabel=EN("axis_latitude"), xticks=range(0, 361, 60))
    title = f"{method_words(record.method, EN)}, {EN.name('target', record.target)}: "
    title += f"{record.windows} windows issued {record.first_issue} to {record.last_issue}\n"
    title += f"agreement of maps (ICC): between windows {record.icc_windows:.2f}, between frames "
    title += f"{record.icc_frames:.2f}; grey was never seen"
    figure.suptitle(title, fontsize=6)
    return figure


def _survey_profile(axis: Axes, record: AttributionSurvey, arrays: Arrays) -> None:
    hours, values = arrays["hours"], arrays["profile"]
    colours = [hex_colour(RAISES if v >= 0 else LOWERS) for v in values]
    axis.bar(hours, values, 0.8 * spacing(hours), color=colours)
    known = np.isfinite(arrays["low"]) & np.isfinite(arrays["high"])
    axis.vlines(hours[known], arrays["low"][known], arrays["high"][known], color="black", lw=0.7)
    axis.axhline(0, color="black", lw=0.5)
    axis.set(xlabel=EN("axis_hours"), ylabel=f"{record.units} per frame")


def _map(
    axis: Axes, values: np.ndarray, extent: tuple[float, float, float, float], units: str
) -> None:
    scale = common_scale(values, 0.99) or 1.0
    image = axis.imshow(
        values, cmap=signed_map(), vmin=-scale, vmax=scale, extent=extent, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    if extent[0] < 0:
        axis.set_aspect("equal")
    assert axis.figure is not None
    axis.figure.colorbar(image, ax=axis, label=f"mean {units} per pixel", extend="both")

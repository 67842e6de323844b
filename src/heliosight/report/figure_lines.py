"""Skill and training for a paper: the same curves as on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heliosight.core.records import Interval, Scorecard
from heliosight.report.colours import LINES
from heliosight.report.figure_forecast import MM
from heliosight.report.views_skill import (
    BETWEEN,
    Line,
    lead_curves,
    metric_words,
    primary_metric,
    slice_order,
    slice_words,
    system_words,
)
from heliosight.report.views_training import CurveSet, training_curves
from heliosight.report.wording import Words

EN = Words("en")
STYLES = ("-", "--", ":", "-.", (0, (1, 2)), (0, (8, 3)), (0, (4, 1)), (0, (3, 3)))


def lead_figure(card: Scorecard, forecaster: str) -> Figure | None:
    """The first metric against lead time, 120 mm wide; None when no lead was scored."""
    found = lead_curves(card, forecaster, EN)
    if found is None:
        return None
    metric, lines = found
    figure = Figure((120 * MM, 70 * MM), layout="constrained")
    axis = figure.subplots()
    _draw(axis, lines)
    axis.set(xlabel=EN("axis_lead"), ylabel=metric_words(metric, EN))
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def differences_figure(card: Scorecard) -> Figure | None:
    """Paired differences per day with their intervals; open marks are not resolved."""
    rows = [row for row in card.differences if slice_order(row.slice)[0] == 0]
    metric = primary_metric(rows)
    if not metric:
        return None
    systems = list(dict.fromkeys(row.system for row in rows))
    days = sorted({row.slice for row in rows}, key=slice_order)
    figure = Figure((120 * MM, (22 + 7 * len(systems)) * MM), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(days), sharey=True))
    for axis, day in zip(axes, days, strict=True):
        axis.axvline(0, color="black", lw=0.6)
        axis.set_title(slice_words(day, EN))
        for row in rows:
            if row.slice == day and metric in row.metrics:
                _difference(axis, row.metrics[metric], -systems.index(row.system))
    names = [system_words(s, EN, card.reference) for s in systems]
    if any(s.endswith(BETWEEN + card.reference) for s in systems):
        figure.supylabel(f"system minus {EN.name('system', card.reference)}", fontsize=7)
    axes[0].set_yticks([-k for k in range(len(systems))], names)
    figure.supxlabel(f"difference in {metric_words(metric, EN)}", fontsize=7)
    return figure


def _difference(axis: Axes, value: Interval, place: int) -> None:
    """One mark with its interval, filled when the interval excludes 0."""
    low, high = value.low, value.high
    resolved = low is not None and high is not None and not low <= 0 <= high
    if low is not None and high is not None:
        axis.plot([low, high], [place, place], color="black")
    face = "black" if resolved else "white"
    axis.plot([value.value], [place], "o", ms=3, color="black", markerfacecolor=face)


def training_figure(log: Sequence[Mapping[str, Any]]) -> Figure | None:
    """All training curves, two panels a row, 180 mm wide; None without a log."""
    sets = training_curves(log, EN)
    if not sets:
        return None
    rows = -(-len(sets) // 2)
    figure = Figure((180 * MM, 50 * rows * MM), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, 2)).ravel()
    for axis, curves in zip(axes, sets, strict=False):
        _training_panel(axis, curves)
    for axis in axes[len(sets) :]:
        axis.set_axis_off()
    return figure


def _training_panel(axis: Axes, curves: CurveSet) -> None:
    _draw(axis, curves.lines)
    if curves.log:
        axis.set_yscale("log")
    axis.set(xlabel=curves.x_title, ylabel=curves.y_title, title=EN("training_" + curves.key))
    axis.legend()


def _draw(axis: Axes, lines: Sequence[Line]) -> None:
    for rank, line in enumerate(lines):
        colour, style = LINES[rank % len(LINES)], STYLES[rank % len(STYLES)]
        if len(line.low):
            axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.2, lw=0)
        width = 1.8 if line.bold else 0.9
        axis.plot(line.x, line.y, color=colour, linestyle=style, lw=width, label=line.name)

"""Before and after for a paper: the curves and maps of the page, vector, with units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from heliosight.core.records_remedy import Improvement
from heliosight.report import views_improve as views
from heliosight.report.colours import LINES
from heliosight.report.figure_forecast import MM
from heliosight.report.figures import save_figures
from heliosight.report.wording import Words

EN = Words("en")
STYLES = ("-", "--", ":", "-.")
KINDS = ("pdf", "svg")


def save_improvement_figures(
    folder: Path, found: Improvement, arrays: Mapping[str, np.ndarray]
) -> list[Path]:
    """Every comparison as PDF and SVG; returns the files in the order written."""
    named = ((f"improve_{name}", figure) for name, figure in improvement_figures(arrays))
    return save_figures(folder, named, found.provenance.simulated, KINDS)


def improvement_figures(arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Figure]]:
    """Name and figure of everything the arrays hold."""
    for spec in views.curves(arrays, EN):
        yield spec.key, _curves(spec)
    if "before/maps" in arrays:
        yield "maps", _maps(arrays)


def _curves(spec: views.CurveSpec) -> Figure:
    figure = Figure((120 * MM, 60 * MM), layout="constrained")
    axis = figure.subplots()
    for rank, line in enumerate(spec.lines):
        colour, style = LINES[rank % len(LINES)], STYLES[rank % len(STYLES)]
        if len(line.low):
            axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.2, lw=0)
        width = 1.8 if line.bold else 0.9
        axis.plot(line.x, line.y, color=colour, linestyle=style, lw=width, label=line.name)
    if spec.log:
        axis.set_yscale("log")
    axis.set(xlabel=spec.x_title, ylabel=spec.y_title)
    axis.legend()
    return figure


def _maps(arrays: Mapping[str, np.ndarray]) -> Figure:
    """First, middle and last frame: the Sun, and both models' maps on one scale."""
    frames = arrays["before/frames"][0]
    places = [0, len(frames) // 2, len(frames) - 1]
    scale = views.common_scale(np.stack([arrays[f"{s}/maps"][places] for s in views.SIDES])) or 1.0
    figure = Figure((120 * MM, 118 * MM), layout="constrained")
    axes = figure.subplots(3, 3)
    for column, t in enumerate(places):
        axes[0, column].imshow(frames[t], cmap="gray", vmin=0, vmax=255)
        axes[0, column].set_title(f"t = {t}")
        for row, side in enumerate(views.SIDES, start=1):
            shown = axes[row, column].imshow(
                arrays[f"{side}/maps"][t], cmap="PuOr_r", vmin=-scale, vmax=scale
            )
    for row, name in enumerate(("sun", *views.SIDES)):
        axes[row, 0].set_ylabel(EN.name("side", name))
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes[1:], label=EN("improve_map_units"), shrink=0.7)
    return figure

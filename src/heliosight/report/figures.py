"""Figures for papers: fixed sizes, vector, colour-blind safe, units on every axis, UTC.

Labels are English whatever the page's language: a journal's font has no Korean. Each figure carries
what a reader must know when it stands alone: `simulated`, and self-checks that failed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from heliosight.core.errors import ConfigError
from heliosight.core.files import write_bytes
from heliosight.report.figure_attribution import attribution_figure, series_figures
from heliosight.report.figure_forecast import forecast_figure
from heliosight.report.figure_lines import differences_figure, lead_figure, training_figure
from heliosight.report.figure_windows import (
    importance_figures,
    structures_figure,
    survey_figure,
)
from heliosight.report.inputs import ReportInputs

FORMATS = ("pdf", "svg", "png")
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "legend.fontsize": 6,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "heliosight",  # the same figure gives the same bytes
    "savefig.dpi": 300,
}
NO_DATE: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {"Software": None},
}


def save_paper_figures(
    folder: Path, inputs: ReportInputs, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Draw every figure the inputs have something for; returns the files in the order written.

    Raises
    ------
    ConfigError : a format is not one of `FORMATS`.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ConfigError(
            "a paper figure has a known format",
            ", ".join(unknown),
            f"Known: {', '.join(FORMATS)}.",
            "report.figures",
        )
    labelled = inputs.simulated or inputs.frames_from_file
    return save_figures(
        folder, paper_figures(inputs), labelled, formats, lambda name: _mark(inputs, name)
    )


def _mark(inputs: ReportInputs, name: str) -> str:
    """What is true of a figure: of frames from a file, and of all else on it."""
    simulated = "SIMULATED" if inputs.simulated else ""
    if not inputs.frames_from_file or not name.startswith("attribution"):
        return simulated
    return "FRAMES FROM A FILE" + (f", THE REST {simulated}" if simulated else "")


def save_figures(
    folder: Path,
    figures: Iterable[tuple[str, Figure]],
    simulated: bool,
    formats: Sequence[str] = FORMATS,
    mark: Callable[[str], str] = lambda _: "SIMULATED",
) -> list[Path]:
    """Named figures at fixed sizes, with their mark where one is asked; the files as written."""
    written = []
    with mpl.rc_context(STYLE):
        for name, figure in figures:
            if simulated:
                stamp(figure, mark(name))
            settle(figure)
            for kind in formats:
                path = folder / f"{name}.{kind}"
                write_bytes(path, encoded(figure, kind))
                written.append(path)
    return written


def paper_figures(inputs: ReportInputs) -> Iterator[tuple[str, Figure]]:
    """Name and figure of everything the inputs hold."""
    card, name = inputs.scorecard, inputs.forecaster
    found: list[tuple[str, Figure | None]] = []
    if inputs.example is not None:
        found.append(("forecast", forecast_figure(inputs.example)))
    if card is not None:
        found.append(("skill_by_lead", lead_figure(card, name)))
        found.append(("skill_differences", differences_figure(card)))
    found.append(("training", training_figure(inputs.training_log or [])))
    modalities = inputs.spec.modalities if inputs.spec else {}
    for number, (record, arrays) in enumerate(inputs.explanations, start=1):
        stem = f"attribution_{number}_{re.sub('[^a-z0-9]+', '_', record.method.lower())}"
        found.append((stem, attribution_figure(record, arrays)))
        found += [
            (f"{stem}_{modality}", figure)
            for modality, figure in series_figures(record, arrays, modalities)
        ]
        found.append((f"{stem}_structures", structures_figure(record, arrays)))
    found += importance_figures(inputs.importance, modalities)
    if inputs.survey is not None:
        found.append(("survey", survey_figure(*inputs.survey)))
    yield from ((stem, figure) for stem, figure in found if figure is not None)


def stamp(figure: Figure, mark: str = "SIMULATED") -> None:
    """Say it in a line of its own above everything else."""
    line = 10 / 72 / figure.get_figheight()
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, 0, 1, 1 - line))
    figure.text(0.995, 0.995, mark, ha="right", va="top", fontsize=6, color="#6a2c91")


def settle(figure: Figure) -> None:
    """Lay the figure out once and round the places: the solver's last bit varies between runs."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axis in figure.axes:
        left, bottom, width, height = axis.get_position(original=True).bounds
        axis.set_position((round(left, 6), round(bottom, 6), round(width, 6), round(height, 6)))


def encoded(figure: Figure, kind: str) -> bytes:
    """The figure as a file of that format, the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=NO_DATE[kind])
    return buffer.getvalue()

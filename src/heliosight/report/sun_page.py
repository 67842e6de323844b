"""The page that draws the simulated Sun beside the real one: curves, frames, statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from markupsafe import Markup, escape

from heliosight.core.files import write_text
from heliosight.report.chart_lines import Chart, Line, line_chart
from heliosight.report.environment import environment
from heliosight.report.images import data_uri
from heliosight.report.svg import Panel, document

STAMP = "SIMULATED"
SIDE, GAP, LEFT, TOP = 140.0, 8.0, 118.0, 34.0


@final
@dataclass(frozen=True)
class SunCurve:
    """One quantity: `(x, y)` of the simulated and of the real Sun, None where one is absent."""

    title: str
    x_title: str
    y_title: str
    simulated: tuple[np.ndarray, np.ndarray] | None
    real: tuple[np.ndarray, np.ndarray] | None
    log: bool = False


@final
@dataclass(frozen=True)
class SunFrames:
    """Frames `(C, n, H, W)` uint8 with a label per channel `(C,)` and per frame `(n,)`."""

    frames: np.ndarray
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    simulated: bool


@final
@dataclass(frozen=True)
class SunStatistic:
    """One line of the table; None where a table is absent, `ok` None without a target."""

    statistic: str
    simulated: float | None
    real: float | None
    target: str
    ok: bool | None


@final
@dataclass(frozen=True)
class SunPage:
    """What the page shows.

    Attributes
    ----------
    about : what was simulated, a sentence.
    real_name : name of the real curves in the legends, with their years.
    """

    about: str
    real_name: str
    curves: tuple[SunCurve, ...]
    frames: tuple[SunFrames, ...]
    statistics: tuple[SunStatistic, ...]


def write_sun_page(path: Path, page: SunPage) -> Path:
    """Write the page as one HTML file, whole or not at all; returns its path."""
    write_text(path, render_sun_page(page))
    return path


def render_sun_page(page: SunPage) -> str:
    """The page as HTML text; every word that was given is escaped."""
    targets = [row for row in page.statistics if row.ok is not None]
    return (
        environment()
        .get_template("sun.html")
        .render(
            page=page,
            stamp=STAMP,
            charts=[(curve, curve_chart(curve, page.real_name)) for curve in page.curves],
            films=[frames_picture(frames) for frames in page.frames],
            targets=len(targets),
            missed=[row for row in targets if not row.ok],
            number=_number,
        )
    )


def curve_chart(curve: SunCurve, real_name: str) -> Chart:
    """Both Suns over one pair of axes; the simulated one is stamped."""
    named = ((STAMP, curve.simulated, True), (real_name, curve.real, False))
    lines = [
        Line(name, [float(v) for v in points[0]], [float(v) for v in points[1]], bold=bold)
        for name, points, bold in named
        if points is not None
    ]
    stamp = STAMP if curve.simulated is not None else ""
    return line_chart(
        lines,
        curve.x_title,
        curve.y_title,
        _spoken(curve, [line.name for line in lines]),
        log=curve.log,
        stamp=stamp,
    )


def _spoken(curve: SunCurve, names: Sequence[str]) -> str:
    return f"{curve.title}: {curve.y_title} against {curve.x_title}, {' and '.join(names)}"


def frames_picture(frames: SunFrames) -> Markup:
    """Rows of channels, columns of frames, grey levels as they are; stamped where simulated."""
    channels, count = frames.frames.shape[:2]
    width, height = LEFT + count * (SIDE + GAP), TOP + channels * (SIDE + GAP)
    panel = Panel(0, 0, width, height, (0, 1), (0, 1))
    for k, label in enumerate(frames.labels):
        panel.label(LEFT + k * (SIDE + GAP) + SIDE / 2, TOP - 6, label)
    for c, channel in enumerate(frames.channels):
        middle = TOP + c * (SIDE + GAP) + SIDE / 2
        panel.label(LEFT - 8, middle, channel, anchor="end")
        for k in range(count):
            panel.parts.append(_image(frames.frames[c, k], k, c))
    title = f"{STAMP if frames.simulated else 'Real'} frames: {', '.join(frames.channels)}"
    return document(width, height, [panel], title, stamp=STAMP if frames.simulated else "")


def _image(frame: np.ndarray, column: int, row: int) -> str:
    x, y = LEFT + column * (SIDE + GAP), TOP + row * (SIDE + GAP)
    return (
        f'<image x="{x:g}" y="{y:g}" width="{SIDE:g}" height="{SIDE:g}" '
        f'style="image-rendering:pixelated" href="{escape(data_uri(frame))}"/>'
    )


def _number(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.4g}".replace("-", "−")

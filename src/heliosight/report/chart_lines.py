"""Line charts: skill by lead, and what happened during training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from markupsafe import Markup

from heliosight.report.colours import DASHES, LINES
from heliosight.report.svg import Panel, document, log_span, nice_ticks, span_of

WIDTH, HEIGHT, LEFT = 620.0, 300.0, 62.0


@final
@dataclass(frozen=True)
class Line:
    """One curve: `x`, `y` and, where known, the interval's `low` and `high`; `bold` stands out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    bold: bool = False


@final
@dataclass(frozen=True)
class Chart:
    """A finished chart with its legend `(name, colour, dash, bold)`."""

    svg: Markup
    legend: tuple[tuple[str, str, str, bool], ...]


def line_chart(
    lines: Sequence[Line], x_title: str, y_title: str, alt: str, *, log: bool = False,
    zero: bool = False, stamp: str = "",
) -> Chart:  # fmt: skip
    """Curves with bands over one pair of axes; colours and dashes in the order given."""
    values = [v for line in lines for part in (line.y, line.low, line.high) for v in part]
    places = [x for line in lines for x in line.x]
    x_range = (min(places), max(places)) if len(set(places)) > 1 else (places[0] - 1, places[0] + 1)
    y_range = log_span(values) if log else span_of(values, zero=zero)
    panel = Panel(LEFT, 18, WIDTH - LEFT - 14, HEIGHT - 62, x_range, y_range, log)
    panel.y_axis()
    if y_range[0] < 0 < y_range[1] and not log:
        panel.hline(0, "zero")
    ticks = nice_ticks(*x_range, wanted=8)
    panel.x_axis(ticks, [f"{t:g}" for t in ticks], x_title)
    legend = tuple(_draw(panel, line, rank) for rank, line in enumerate(lines))
    panel.frame(y_title)
    return Chart(document(WIDTH, HEIGHT, [panel], alt, stamp=stamp), legend)


def _draw(panel: Panel, line: Line, rank: int) -> tuple[str, str, str, bool]:
    colour, dash = LINES[rank % len(LINES)], DASHES[rank % len(DASHES)]
    if len(line.low) and len(line.high):
        panel.band(line.x, line.low, line.high, "band", f"fill:{colour}")
    style = f"stroke:{colour};stroke-dasharray:{dash or 'none'}"
    panel.path(line.x, line.y, "curve bold" if line.bold else "curve", style)
    return line.name, colour, dash or "none", line.bold

"""Reliability diagrams and PIT histograms, with the intervals of every point and bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup

from heliosight.core.records import Interval
from heliosight.core.sealed import Calibration, Reliability
from heliosight.report.colours import LINES
from heliosight.report.svg import Panel, document
from heliosight.report.wording import Words

SIDE, LEFT, COUNTS = 300.0, 58.0, 60.0
WIDE, HIGH = 420.0, 200.0


def reliability_chart(found: Reliability, words: Words, stamp: str) -> Markup:
    """Observed frequency against forecast probability of G1; below it, how often each was said."""
    last = max([b.forecast for b in found.bins] + [_top(b.observed) for b in found.bins], default=1)
    top = min(1.0, max(0.3, 1.08 * last))
    panel = Panel(LEFT, 18, SIDE, SIDE, (0.0, top), (0.0, top))
    panel.y_axis()
    panel.path([0, top], [0, top], "zero")
    colour = LINES[0]
    for b in found.bins:
        if b.observed.low is not None and b.observed.high is not None:
            half = 0.004 * top
            ends = (b.observed.low, min(b.observed.high, top))
            panel.bar((b.forecast - half, b.forecast + half), ends, "whisker")
    places = [b.forecast for b in found.bins]
    panel.path(places, [b.observed.value for b in found.bins], "curve bold", f"stroke:{colour}")
    for b in found.bins:
        x, y = panel.px(b.forecast), panel.py(min(b.observed.value, top))
        panel.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
    panel.frame(words("sealed_observed"))
    said = Panel(LEFT, 18 + SIDE + 14, SIDE, COUNTS, (0.0, top), (0.0, 1.0))
    most = max((b.count for b in found.bins), default=1)
    for b in found.bins:
        right = min(b.high, top)
        if b.low < right:
            said.bar((b.low, right), (0, b.count / most), "said", f"fill:{colour}")
            middle = said.px((b.low + right) / 2)
            if said.px(right) - said.px(b.low) > 26:
                said.label(middle, said.top + 10, f"{b.count:,}", "level light")
    said.frame(words("sealed_said"))
    ticks = panel_ticks(top)
    said.x_axis(ticks, [f"{100 * t:.0f} %" for t in ticks], words("sealed_forecast_p"))
    title = words("sealed_reliability_alt", system=words.name("system", found.system))
    return document(LEFT + SIDE + 14, 18 + SIDE + 14 + COUNTS + 44, [panel, said], title, "", stamp)


def panel_ticks(top: float) -> list[float]:
    """Round probabilities up to `top`."""
    step = 0.1 if top <= 0.65 else 0.2
    return [round(k * step, 2) for k in range(int(top / step + 1e-9) + 1)]


def pit_chart(
    found: Calibration, which: Literal["pit", "severity"], words: Words, stamp: str
) -> Markup:
    """Ten bars with intervals; a calibrated forecast has a tenth in each."""
    bars: Sequence[Interval] = found.pit if which == "pit" else found.severity
    top = 1.1 * max([_top(b) for b in bars] + [0.2])
    panel = Panel(LEFT, 18, WIDE, HIGH, (0.0, 1.0), (0.0, top))
    panel.y_axis()
    for k, bar in enumerate(bars):
        panel.bar((k / 10 + 0.005, k / 10 + 0.095), (0, bar.value), "pit", f"fill:{LINES[0]}")
        if bar.low is not None and bar.high is not None:
            panel.bar((k / 10 + 0.045, k / 10 + 0.055), (bar.low, bar.high), "whisker")
    panel.hline(0.1, "tenth")
    panel.x_axis([0, 0.2, 0.4, 0.6, 0.8, 1.0], ["0", "0.2", "0.4", "0.6", "0.8", "1"],
                 words("sealed_axis_" + which))  # fmt: skip
    panel.frame(words("sealed_share"))
    title = words("sealed_alt_" + which, system=words.name("system", found.system))
    return document(LEFT + WIDE + 14, 18 + HIGH + 44, [panel], title, "", stamp)


def _top(value: Interval) -> float:
    return value.value if value.high is None else max(value.value, value.high)

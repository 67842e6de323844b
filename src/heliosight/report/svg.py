"""Small inline SVG: panels in data coordinates whose colours follow the page's theme."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from markupsafe import Markup, escape


@final
@dataclass(frozen=True)
class Panel:
    """One pair of axes inside an SVG.

    Attributes
    ----------
    left, top, width, height : the plotting box [SVG units].
    x, y : data ranges `(low, high)`; `log` makes y logarithmic.
    parts : the markup drawn so far. powers : of ten that the numbers of y leave out.
    """

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False
    parts: list[str] = field(default_factory=list)
    powers: list[str] = field(default_factory=list)

    def px(self, x: float) -> float:
        """Horizontal place of a data value."""
        return self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * self.width

    def py(self, y: float) -> float:
        """Vertical place of a data value."""
        low, high = self.y
        if self.log:
            low, high, y = np.log10(low), np.log10(high), np.log10(max(y, low * 1e-3))
        return self.top + self.height - (y - low) / (high - low) * self.height

    def path(self, x: Sequence[float], y: Sequence[float], css: str, style: str = "") -> None:
        """A line; it breaks where a value is not finite."""
        steps, pen = [], "M"
        for a, b in zip(x, y, strict=True):
            if not np.isfinite(b):
                pen = "M"
                continue
            steps.append(f"{pen}{self.px(a):.1f} {self.py(b):.1f}")
            pen = "L"
        self.parts.append(f'<path class="{css}" style="{style}" d="{" ".join(steps)}"/>')

    def band(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], css: str,
        style: str = "",
    ) -> None:  # fmt: skip
        """The area between two lines, where both are finite."""
        good = [i for i in range(len(x)) if np.isfinite(low[i]) and np.isfinite(high[i])]
        there = [f"{self.px(x[i]):.1f},{self.py(high[i]):.1f}" for i in good]
        back = [f"{self.px(x[i]):.1f},{self.py(low[i]):.1f}" for i in reversed(good)]
        points = " ".join(there + back)
        self.parts.append(f'<polygon class="{css}" style="{style}" points="{points}"/>')

    def bar(self, x: tuple[float, float], y: tuple[float, float], css: str, style: str = "") -> str:
        """A rectangle between two corners in data coordinates."""
        x0, x1 = sorted((self.px(x[0]), self.px(x[1])))
        y0, y1 = sorted((self.py(y[0]), self.py(y[1])))
        rect = (
            f'<rect class="{css}" style="{style}" x="{x0:.1f}" y="{y0:.1f}" '
            f'width="{max(x1 - x0, 0):.1f}" height="{max(y1 - y0, 0):.1f}"/>'
        )
        self.parts.append(rect)
        return rect

    def hline(self, y: float, css: str) -> None:
        """A horizontal line across the panel."""
        place = self.py(y)
        self._line(self.left, place, self.left + self.width, place, css)

    def vline(self, x: float, css: str) -> None:
        """A vertical line down the panel."""
        place = self.px(x)
        self._line(place, self.top, place, self.top + self.height, css)

    def _line(self, x0: float, y0: float, x1: float, y1: float, css: str) -> None:
        ends = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
        self.parts.append(f'<line class="{css}" {ends}/>')

    def label(
        self, x: float, y: float, words: str, css: str = "tick", anchor: str = "middle",
        turn: float = 0,
    ) -> None:  # fmt: skip
        """Text at a place in SVG units."""
        spin = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(
            f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{spin}>'
            f"{escape(words)}</text>"
        )

    def frame(self, title: str = "") -> None:
        """The panel's border and the label of its y axis, with the power its numbers leave out."""
        self.parts.append(
            f'<rect class="axes" x="{self.left}" y="{self.top}" '
            f'width="{self.width}" height="{self.height}"/>'
        )
        middle = self.top + self.height / 2
        told = " × ".join(part for part in (*self.powers, title) if part)
        self.label(self.left - 42, middle, told, "axis", turn=-90)

    def y_axis(self, ticks: Sequence[float] | None = None, names: Sequence[str] = ()) -> None:
        """Grid lines and numbers on the left; `frame` names the power that they leave out."""
        power = 0 if self.log or ticks is not None else power_of(self.y)
        self.powers[:] = [f"10{superscript(power)}"] if power else []
        ticks = (
            list(log_ticks(*self.y) if self.log else nice_ticks(*self.y))
            if ticks is None
            else ticks
        )
        names = list(names) or [number(float(f"{t / 10.0**power:.10g}")) for t in ticks]
        for value, name in zip(ticks, names, strict=True):
            self.hline(value, "grid")
            self.label(self.left - 5, self.py(value) + 3.5, name, anchor="end")

    def x_axis(self, ticks: Sequence[float], names: Sequence[str], title: str = "") -> None:
        """Ticks, their names and the axis label below the panel."""
        bottom = self.top + self.height
        for value, name in zip(ticks, names, strict=True):
            self._line(self.px(value), bottom, self.px(value), bottom + 4, "tickmark")
            self.label(self.px(value), bottom + 15, name)
        if title:
            self.label(self.left + self.width / 2, bottom + 31, title, "axis")


def document(
    width: float, height: float, panels: Sequence[Panel], title: str, data: str = "",
    stamp: str = "",
) -> Markup:  # fmt: skip
    """An accessible inline SVG of several panels.

    title : read aloud instead of the picture; data : extra attributes, trusted markup;
    stamp : printed in the top left corner (`SIMULATED`).
    """
    body = "".join(part for panel in panels for part in panel.parts)
    if stamp:
        mark = Panel(0, 0, width, height, (0, 1), (0, 1))
        mark.label(4, 11, stamp, "stamp", "start")
        body += "".join(mark.parts)
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}" {data}>'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) between `low` and `high`."""
    span = high - low
    if not np.isfinite(span) or span <= 0:
        return [low]
    power = 10.0 ** np.floor(np.log10(span / wanted))
    step = next(power * f for f in (1, 2, 5, 10) if span / (power * f) <= wanted)
    first = np.ceil(low / step - 1e-9)
    count = int(np.floor(high / step + 1e-9) - first) + 1
    digits = max(0, 2 - int(np.floor(np.log10(step))))
    return [float(round((first + k) * step, digits)) for k in range(count)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten inside the range, at most seven; where there are under two, also 2 and 5."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    whole = [10.0**p for p in powers if low <= 10.0**p <= high]
    if len(whole) < 2:
        return [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    return whole[:: -(-len(whole) // 7)]


def number(value: float) -> str:
    """A tick's number: short, with a true minus sign."""
    small_or_large = bool(value) and not 1e-3 <= abs(value) < 1e5
    text = f"{value:.2e}" if small_or_large else f"{value:g}"
    text = re.sub(r"\.?0*e([+-])0*", lambda power: "e" + power[1].strip("+"), text)
    return text.replace("-", "−")


def power_of(y: tuple[float, float]) -> int:
    """The power of ten that an axis' numbers leave out where plain ones do not fit."""
    ticks = nice_ticks(*y)
    plain = {number(tick) for tick in ticks}
    if len(plain) == len(ticks) and all(len(text) <= 5 and "e" not in text for text in plain):
        return 0
    return int(np.floor(np.log10(max(abs(tick) for tick in ticks))))


def superscript(power: int) -> str:
    """`-5` as `⁻⁵`."""
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def span_of(
    values: Sequence[float], *, zero: bool = False, room: float = 0.06
) -> tuple[float, float]:
    """A y range that holds all finite values, with room around them, and zero when asked."""
    finite = [float(v) for v in values if np.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
        if low == high:  # nothing but zeros
            return 0.0, 1.0
    pad = (high - low) * room or max(abs(high), 1.0) * room
    return (
        (low - pad if low else low, high + pad if high else high)
        if zero
        else (low - pad, high + pad)
    )


def log_span(values: Sequence[float]) -> tuple[float, float]:
    """A range around all positive finite values with a little room, on a logarithmic axis."""
    finite = [float(v) for v in values if np.isfinite(v) and v > 0]
    if not finite:
        return (0.1, 1.0)
    low, high = np.log10(min(finite)), np.log10(max(finite))
    room = max(0.06 * (high - low), 0.15)
    return (float(10 ** (low - room)), float(10 ** (high + room)))

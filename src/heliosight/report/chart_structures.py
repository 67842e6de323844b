"""Tracked coronal holes and active regions: what each did to the forecast, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from heliosight.core.records import Explanation
from heliosight.report import chart_attribution as charts
from heliosight.report.svg import Panel, document, number
from heliosight.report.wording import Words

MOST, ROW = 8, 22.0
FINE = 256  # least side of a frame with outlines [pixel]
KINDS = ("coronal_hole", "active_region")
LINE = (255, 255, 255, 255)


def structure_chart(
    record: Explanation, arrays: Mapping[str, np.ndarray], span: charts.Span, words: Words,
    stamp: str,
) -> Markup | None:  # fmt: skip
    """Structures of the largest effects against time, signed colours on one scale."""
    sums = arrays.get("structure_sums")
    if sums is None or not sums.size:
        return None
    order = largest(sums)
    hours = charts.hours_before(record)
    panel = Panel(
        charts.LEFT, 16, charts.WIDTH - charts.LEFT - charts.RIGHT, ROW * len(order), span,
        (len(order), 0),
    )  # fmt: skip
    scale = float(np.abs(sums[order]).max()) or 1.0
    width = charts.spacing(hours)
    for row, k in enumerate(order):
        panel.label(charts.LEFT - 6, panel.py(row + 0.5) + 4, name(arrays, k, words), anchor="end")
        for t in np.flatnonzero(sums[k]):
            css, share = ("raises" if sums[k, t] > 0 else "lowers"), abs(sums[k, t]) / scale
            box = (float(hours[t]) - width / 2, float(hours[t]) + width / 2)
            panel.bar(box, (row, row + 1), css, f"fill-opacity:{share:.3f}")
        total = number(float(f"{sums[k].sum():.3g}"))
        panel.label(charts.WIDTH - charts.RIGHT + 8, panel.py(row + 0.5) + 4, total, anchor="start")
    panel.label(charts.WIDTH - charts.RIGHT + 8, 11, words("sum_over_time"), anchor="start")
    panel.parts.append(
        f'<rect class="axes" x="{charts.LEFT}" y="16" width="{panel.width}" '
        f'height="{panel.height}"/>'
    )
    charts.hours_axis(panel, words("axis_hours"))
    marks = charts.marks(panel, hours)
    shown = [panel, charts.marker(panel)]
    return document(charts.WIDTH, 62 + panel.height, shown, words("structures_alt"), marks, stamp)


def largest(sums: np.ndarray) -> np.ndarray:
    """Structures of the largest sum over time, largest first, at most `MOST`."""
    return np.argsort(-np.abs(sums.sum(1)), kind="stable")[:MOST]


def name(arrays: Mapping[str, np.ndarray], k: int, words: Words) -> str:
    """`coronal hole N12 W30`, where it stood in the frame that counted most."""
    at = int(np.abs(arrays["structure_sums"][k]).argmax())
    latitude = float(arrays["structure_latitude"][k, at])
    west = float(arrays["structure_longitude"][k, at])
    kind = words("kind_" + KINDS[int(arrays["structure_kind"][k])])
    if not np.isfinite(latitude):
        return kind
    place = f"{'N' if latitude >= 0 else 'S'}{abs(latitude):02.0f}"
    return f"{kind} {place} {'W' if west >= 0 else 'E'}{abs(west):02.0f}"


def outlines(labels: np.ndarray) -> np.ndarray:
    """RGBA `(T, F H, F W, 4)`: a thin white line where a structure `(T, H, W)` ends, in it.

    F makes the picture fine enough for a line that leaves small structures to be seen.
    """
    fine = max(1, FINE // labels.shape[-1])
    grown = labels.repeat(fine, 1).repeat(fine, 2)
    inside = grown > 0
    edge = np.zeros_like(inside)
    for axis in (1, 2):
        for step in (1, -1):
            edge |= inside & (np.roll(grown, step, axis) != grown)
    pixels = np.zeros((*grown.shape, 4), dtype=np.uint8)
    pixels[edge] = LINE
    return pixels

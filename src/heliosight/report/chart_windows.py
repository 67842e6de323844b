"""What explanations say over many windows: importance with intervals, the disc, the Sun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from heliosight.core.records_explain import AttributionSurvey
from heliosight.core.spec import ModalitySpec
from heliosight.report.colours import common_scale, signed_overlay
from heliosight.report.images import data_uri
from heliosight.report.svg import Panel, document, nice_ticks, number, span_of
from heliosight.report.wording import Words

WIDTH, LEFT, ROW = 620.0, 170.0, 20.0
DISC = 1 / 0.78  # half a frame in solar radii
Names = Sequence[str]


AXES = {"shapley": "shapley_axis", "attention": "attention_axis"}


def label_family(name: str, modalities: Mapping[str, ModalitySpec]) -> str:
    """Words for a profile's labels: modalities, channels, or variables with units."""
    if name in ("modalities", "shapley"):
        return "modality"
    modality = modalities.get(name.removesuffix(" variables"))
    return "channel" if modality is not None and modality.kind == "images" else "short"


def importance_axis(profile: Mapping[str, Any], words: Words) -> str:
    """What the bars of a profile are: a change, a share of the credit, or weights."""
    key = AXES.get(profile["name"].split(" ")[0], "importance_axis")
    return words(key, units=profile["units"])


def importance_chart(profile: Mapping[str, Any], names: Names, words: Words, stamp: str) -> Markup:
    """A bar with its interval per modality, channel or variable; without one, the bar alone."""
    values = [float(v) for v in profile["value"]]
    bounds = [v for side in ("low", "high") for v in profile[side] if v is not None]
    panel = Panel(
        LEFT, 16, WIDTH - LEFT - 20, ROW * len(values), span_of([*values, *bounds], zero=True),
        (len(values), 0),
    )  # fmt: skip
    for k, (value, low, high) in enumerate(
        zip(values, profile["low"], profile["high"], strict=True)
    ):
        panel.label(LEFT - 6, panel.py(k + 0.5) + 4, names[k], anchor="end")
        panel.bar((0, value), (k + 0.18, k + 0.82), "raises" if value >= 0 else "lowers")
        if low is not None and high is not None:
            panel.bar((low, high), (k + 0.46, k + 0.54), "whisker")
    panel.vline(0, "zero")
    ticks = nice_ticks(*panel.x)
    panel.x_axis(ticks, [number(t) for t in ticks], importance_axis(profile, words))
    panel.frame()
    title = words("importance_alt", name=words.name("modality", profile["name"].split(" ")[0]))
    return document(WIDTH, 16 + panel.height + 42, [panel], title, stamp=stamp)


def survey_profile(
    record: AttributionSurvey, arrays: Mapping[str, np.ndarray], words: Words, stamp: str
) -> Markup:
    """Mean attribution per frame with bounds over 27-day blocks."""
    hours, values = arrays["hours"], arrays["profile"]
    low, high = arrays["low"], arrays["high"]
    step = float(np.median(np.diff(hours))) if len(hours) > 1 else 6.0
    span = (float(hours[0]) - step / 2, float(hours[-1]) + step / 2)
    panel = Panel(80, 16, WIDTH - 100, 150, span, span_of([*values, *low, *high], zero=True))
    panel.y_axis()
    for t, value, a, b in zip(hours, values, low, high, strict=True):
        panel.bar(
            (t - 0.4 * step, t + 0.4 * step), (0, value), "raises" if value >= 0 else "lowers"
        )
        if np.isfinite(a) and np.isfinite(b):
            panel.bar((t - 0.05 * step, t + 0.05 * step), (a, b), "whisker")
    panel.hline(0, "zero")
    panel.frame(record.units)
    days = [float(h) for h in range(int(np.ceil(span[0] / 24)) * 24, int(span[1]) + 1, 24)]
    panel.x_axis(days, [number(t) for t in days], words("axis_hours"))
    return document(WIDTH, 212, [panel], words("survey_profile_alt"), stamp=stamp)


def disc_map(arrays: Mapping[str, np.ndarray], words: Words, stamp: str) -> Markup:
    """The mean signed map on the disc, north up, west right."""
    side = 260.0
    panel = Panel(60, 20, side, side, (-DISC, DISC), (-DISC, DISC))
    panel.parts.append(_picture(arrays["disc"], panel))
    centre, radius = (panel.px(0), panel.py(0)), side / DISC / 2
    panel.parts.append(
        f'<circle class="axes" cx="{centre[0]:g}" cy="{centre[1]:g}" r="{radius:g}"/>'
    )
    _axes(panel, (-1.0, 0.0, 1.0), (-1.0, 0.0, 1.0), words("axis_disc_x"), words("axis_disc_y"))
    return document(600, side + 66, [panel], words("survey_disc_alt"), stamp=stamp)


def sun_map(arrays: Mapping[str, np.ndarray], words: Words, stamp: str) -> Markup:
    """The mean signed map by latitude and Carrington longitude; grey was never seen."""
    panel = Panel(60, 20, 520, 260, (0, 360), (-90, 90))
    panel.parts.append('<rect class="unseen" x="60" y="20" width="520" height="260"/>')
    panel.parts.append(_picture(arrays["sun"], panel))
    longitudes = tuple(float(k) for k in range(0, 361, 60))
    latitudes = (-90.0, -60.0, -30.0, 0.0, 30.0, 60.0, 90.0)
    _axes(panel, longitudes, latitudes, words("axis_carrington"), words("axis_latitude"))
    return document(600, 326, [panel], words("survey_sun_alt"), stamp=stamp)


def _axes(panel: Panel, x: Sequence[float], y: Sequence[float], x_title: str, y_title: str) -> None:
    panel.x_axis(x, [number(v) for v in x], x_title)
    for value in y:
        panel.label(panel.left - 5, panel.py(value) + 3.5, number(value), anchor="end")
    panel.frame(y_title)


def _picture(values: np.ndarray, panel: Panel) -> str:
    """Signed colours on white, one pixel a cell; what is not known stays see-through."""
    known = np.isfinite(values)
    overlay = signed_overlay(np.nan_to_num(values), common_scale(values, 0.99))
    opaque = overlay[..., 3:].astype(float) / 255
    pixels = np.full((*values.shape, 4), 255, dtype=np.uint8)
    pixels[..., :3] = (opaque * overlay[..., :3] + (1 - opaque) * 255).round()
    pixels[~known] = 0
    return (
        f'<image x="{panel.left:g}" y="{panel.top:g}" width="{panel.width:g}" '
        f'height="{panel.height:g}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="{escape(data_uri(pixels))}"/>'
    )

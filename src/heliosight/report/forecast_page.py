"""The page of one issued forecast: storm or not, when, how sure, and whether to trust it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np

from heliosight.core.clock import to_seconds
from heliosight.core.geomagnetic import kp_of_ap
from heliosight.core.issued import InputState, IssuedArrays, IssuedForecast, PastScore
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.report import chart_forecast
from heliosight.report.chart_attribution import as_channels, method_words
from heliosight.report.chart_lines import Chart, Line, line_chart
from heliosight.report.colours import NOAA, common_scale, signed_overlay
from heliosight.report.environment import environment
from heliosight.report.images import data_uri, strip
from heliosight.report.inputs import Explained, ForecastExample, ReportInputs
from heliosight.report.views_explanation import ExplanationView, Sprites, explanation_views
from heliosight.report.views_skill import cell
from heliosight.report.wording import Words

NETWORK = "network"
Trust = Literal["fine", "open", "fault"]


@final
@dataclass(frozen=True, eq=False)
class ForecastPage:
    """What the page shows.

    Attributes
    ----------
    record, arrays : of one issue time.
    example : the answer with what was observed before it, for the chart.
    frames : newest frame `(H, W)` uint8 by channel, with the time it was taken.
    films : all frames `(T, H, W)` uint8 by channel, oldest first; a missing one is black.
    explanations : records with their arrays, as a report takes them.
    name : of the run.
    """

    record: IssuedForecast
    arrays: IssuedArrays
    example: ForecastExample
    frames: Mapping[str, tuple[str, np.ndarray]] = field(default_factory=dict)
    films: Mapping[str, np.ndarray] = field(default_factory=dict)
    explanations: tuple[Explained, ...] = ()
    modalities: Mapping[str, ModalitySpec] = field(default_factory=dict)
    name: str = ""


def render_forecast(page: ForecastPage, language: str) -> str:
    """The page as one HTML text without a script; every word of the records is escaped."""
    words = Words(language, "issued")
    stamp = words("simulated_stamp") if page.record.provenance.simulated else ""
    context: dict[str, Any] = {
        "page": page,
        "record": page.record,
        "t": words,
        "stamp": stamp,
        "call": headline_call(page.record),
        "usual": faint(page),
        "chart": chart_forecast.forecast_chart(page.example, words, bool(stamp)),
        "beside": _beside(page, words, stamp),
        "chances": _chances(page),
        "lead_rows": chart_forecast.lead_rows(page.example),
        "noaa": NOAA,
        "inputs": input_rows(page.record.inputs, _images(page)),
        "trust": trust(page.record),
        "pictures": _pictures(page),
        "explained": _explained(page, words, stamp),
        "past": _past(page.record.past),
        "hindsight": hindsight(page.record),
        "method_words": method_words,
        "day_words": lambda text: day_words(text, words),
        "span_words": lambda call: span_words(call.start, call.end, words),
        "clock": lambda text: text[11:16],
        "percent": percent,
    }
    return environment().get_template("issued.html").render(context)


def headline_call(record: IssuedForecast) -> Any:
    """The day that the headline is about: the likeliest of those warned of, else of all."""
    warned = [c for c in record.calls if c.storm]
    return max(warned or record.calls, key=lambda c: c.probability, default=None)


def faint(page: ForecastPage) -> float | None:
    """The climatological chance of the headline's day where a watch stands on less than that.

    A weak model's best threshold can lie below what is usual; a watch at such a chance would
    mislead whoever reads the headline alone.
    """
    call, references = headline_call(page.record), page.record.references
    if call is None or not call.storm or call.likely or "climatology" not in references:
        return None
    usual = float(page.arrays.reference_storm[0, references.index("climatology"), call.day - 1, 0])
    return usual if call.probability < usual else None


def day_words(text: str, words: Words) -> str:
    """`Fri 05-26` of an ISO time, in the reader's language."""
    weekday = (to_seconds(text) // 86400 + 3) % 7
    name = words.name("weekday", str(weekday))
    return f"{name} {text[5:10]}"


def span_words(start: str, end: str, words: Words) -> str:
    """`Fri 05-26 12:00 – Sat 12:00` of two ISO times."""
    last = day_words(end, words).split()[0]
    return f"{day_words(start, words)} {start[11:16]} – {last} {end[11:16]}"


def percent(p: float | None) -> str:
    """A probability as the page prints it: counted from draws, so never 0 and never 100."""
    if p is None or not np.isfinite(p):
        return "–"
    if p < 0.01:
        return "<\u00a01\u00a0%"
    return ">\u00a099\u00a0%" if p > 0.99 else f"{100 * p:.0f}\u00a0%"


def trust(record: IssuedForecast) -> list[tuple[str, Trust]]:
    """The three questions of trust, each answered fine, open or at fault."""
    inputs: Trust = {"issued": "fine", "widened": "open", "withheld": "fault"}[record.statuses[0]]  # type: ignore[assignment]
    grade = record.grade
    model: Trust = "fault" if grade.faults else "open" if grade.open else "fine"
    asked = "model" if grade.checks else "undiagnosed"
    return [
        ("inputs", inputs),
        (asked, model if grade.checks else "open"),
        ("skill", _skill_trust(record)),
    ]


def _skill_trust(record: IssuedForecast) -> Trust:
    """Against damped recurrence in CRPS: fine if better and never worse, fault if only worse."""
    found = [
        p.metrics["crps_ap_pooled_minus"]
        for p in record.past
        if p.system == record.system and "crps_ap_pooled_minus" in p.metrics
    ]
    worse = any(d.low is not None and d.low > 0 for d in found)
    better = any(d.high is not None and d.high < 0 for d in found)
    if better and not worse:
        return "fine"
    return "fault" if worse and not better else "open"


def hindsight(record: IssuedForecast) -> list[str]:
    """Definitive sources of a hindcast, whose values nobody had at its issue time."""
    if not record.hindcast or record.as_known:
        return []
    return [a.source for a in record.assumed if a.definitive]


def input_rows(states: Sequence[InputState], images: Collection[str] = ()) -> list[dict[str, Any]]:
    """One row a modality, its variables under it when they differ.

    images : modalities of frames, which carry no mark of what may still be revised.
    """
    rows = []
    for name in dict.fromkeys(s.modality for s in states):
        mine = [s for s in states if s.modality == name]
        ages = [s.age_hours for s in mine]
        oldest = None if any(a is None for a in ages) else max(a for a in ages if a is not None)
        worst = max(mine, key=lambda s: (s.withheld, s.missing))
        rows.append(
            {
                "name": name,
                "age": oldest,
                "newest": min((s.newest for s in mine if s.newest), default=""),
                "missing": worst.missing,
                "steps": worst.steps,
                "usual": worst.usual_missing,
                "stale": any(s.withheld for s in mine),
                "lacking": [s for s in mine if s.withheld],
                "variables": len(mine),
                "observed": sum(s.steps - s.missing for s in mine),
                "preliminary": sum(s.preliminary for s in mine),
                "dated": name not in images,
            }
        )
    return rows


def _beside(page: ForecastPage, words: Words, stamp: str) -> Chart:
    """Median Kp of every system by lead."""
    record, arrays = page.record, page.arrays
    middle = int(np.argmin(np.abs(np.array(record.levels) - 0.5)))
    hours = [record.lead_hours * (k + 1) for k in range(arrays.valid_time.shape[1])]
    lines = []
    if record.answers[0] == NETWORK:
        kp = kp_of_ap(arrays.quantiles[0, :, middle]).tolist()
        lines.append(Line(words("issued_network"), hours, kp, bold=True))
    for r, name in enumerate(record.references):
        kp = kp_of_ap(arrays.reference_quantiles[0, r, :, middle]).tolist()
        lines.append(Line(words.name("system", name), hours, kp, bold=name == record.answers[0]))
    return line_chart(
        lines, words("axis_lead"), words("issued_median_kp"), words("issued_beside_alt"),
        zero=True, stamp=stamp,
    )  # fmt: skip


def _chances(page: ForecastPage) -> list[dict[str, Any]]:
    """Per day: rows of systems with the probabilities of G1..G5."""
    record, arrays = page.record, page.arrays
    days = []
    for d, call in enumerate(record.calls):
        rows = [(NETWORK, arrays.storm[0, d])]
        rows += [(n, arrays.reference_storm[0, r, d]) for r, n in enumerate(record.references)]
        days.append(
            {
                "call": call,
                "rows": [
                    {
                        "system": name,
                        "answer": name == record.answers[0],
                        "cells": list(zip(record.storms, map(float, p), strict=True)),
                    }
                    for name, p in rows
                ],
            }
        )
    return days


def _pictures(page: ForecastPage) -> list[dict[str, Any]]:
    """The newest frame of every channel, with the map of the first explanation over it."""
    maps: np.ndarray | None = None
    scale, failed = 0.0, False
    for explanation, arrays in page.explanations:
        if "images" in arrays:
            maps = as_channels(arrays["images"])
            scale = common_scale(maps)
            failed = not all(check.passed for check in explanation.checks)
            break
    found = []
    for c, (channel, (taken, pixels)) in enumerate(page.frames.items()):
        own = None if maps is None else maps[min(c, len(maps) - 1), -1]
        found.append(
            {
                "channel": channel,
                "taken": taken,
                "uri": data_uri(pixels),
                "overlay": None if own is None else data_uri(signed_overlay(own, scale)),
                "failed": failed,
                "film": data_uri(strip(page.films[channel])) if channel in page.films else "",
            }
        )
    return found


def _explained(page: ForecastPage, words: Words, stamp: str) -> list[ExplanationView]:
    """Explanations as a report prepares them; this page draws their profiles alone."""
    inputs = ReportInputs(
        title=page.name, simulated=bool(stamp), explanations=page.explanations,
        spec=ForecastSpec(dict(page.modalities)), language=words.language,
    )  # fmt: skip
    return explanation_views(inputs, Sprites(), words, stamp)


def _images(page: ForecastPage) -> list[str]:
    return [name for name, modality in page.modalities.items() if modality.kind == "images"]


def _past(past: Sequence[PastScore]) -> dict[str, Any]:
    """Tables of past scores: systems by days, on the test blocks and of both kinds of entries."""
    tables: dict[str, Any] = {"block": None, "live": None, "hindcast": None}
    for where in tables:
        mine = [p for p in past if p.where == where]
        if not mine:
            continue
        facts = {k: v.value for p in mine if not p.system for k, v in p.metrics.items()}
        systems = list(dict.fromkeys(p.system for p in mine if p.system))
        cells = {
            (p.system, p.day, key): cell(value, "crps_ap_pooled" if "minus" in key else "")
            for p in mine
            for key, value in p.metrics.items()
        }
        tables[where] = {"facts": facts, "systems": systems, "cells": cells}
    return tables

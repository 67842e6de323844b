"""One self-contained HTML file: opens without a network, prints, reads in light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heliosight.core.clock import to_text
from heliosight.core.files import write_text
from heliosight.report import chart_forecast, views_diagnosis, views_provenance, views_skill
from heliosight.report.chart_attribution import method_words
from heliosight.report.environment import environment
from heliosight.report.inputs import ForecastExample, ReportInputs
from heliosight.report.views_explanation import Sprites, explanation_views, many_windows
from heliosight.report.views_training import training_charts
from heliosight.report.wording import Words


def write_report(path: Path, inputs: ReportInputs) -> Path:
    """Write the report as one HTML file, whole or not at all; returns its path."""
    write_text(path, render(inputs))
    return path


def render(inputs: ReportInputs) -> str:
    """The report as HTML text; every name and sentence of the records is escaped."""
    words = Words(inputs.language)
    stamp = words("simulated_stamp") if inputs.simulated else ""
    screen = words("file_stamp") if inputs.frames_from_file else stamp
    rest = words("rest_stamp") if stamp and inputs.frames_from_file else ""
    mixed = " · ".join(part for part in (screen, rest) if part)
    sprites = Sprites()
    context: dict[str, Any] = {
        "inputs": inputs,
        "t": words,
        "stamp": screen,
        "explanations": explanation_views(inputs, sprites, words, mixed),
        "many": many_windows(inputs, words, stamp),
        "sprites": sprites.uris,
        "method_words": method_words,
        "training": training_charts(inputs.training_log or [], words, stamp),
        "versions": views_provenance.versions(inputs),
        "records": views_provenance.records(inputs),
        "oracle": views_provenance.oracle_rows(inputs.oracle or {}),
        "config_text": views_provenance.config_text,
        **_forecast(inputs, words),
        **_skill(inputs, words, stamp),
        **_diagnosis(inputs),
    }
    return environment().get_template("report.html").render(context)


def _forecast(inputs: ReportInputs, words: Words) -> dict[str, Any]:
    example = inputs.example
    if example is None:
        return {"forecast": None}
    return {
        "forecast": chart_forecast.forecast_chart(example, words, inputs.simulated),
        "storms": chart_forecast.storm_table(example),
        "storm_columns": chart_forecast.storm_columns(),
        "lead_rows": chart_forecast.lead_rows(example),
        "issue": to_text(example.issue_time),
        "last_input": to_text(example.last_input_time),
        "valid_end": to_text(int(example.valid_time[-1]) + example.lead_hours * 3600),
        "noaa": chart_forecast.NOAA,
        "bands": _bands(example),
    }


def _bands(example: ForecastExample) -> dict[str, str]:
    """Levels of the thin and the thick line over a bar [%]."""
    low, high = chart_forecast.quartiles(example.levels)
    places = {"low": 0, "high": -1, "inner_low": low, "inner_high": high}
    return {name: f"{100 * example.levels[place]:g}" for name, place in places.items()}


def _skill(inputs: ReportInputs, words: Words, stamp: str) -> dict[str, Any]:
    names = {
        "slice_words": views_skill.slice_words,
        "metric_words": views_skill.metric_words,
        "system_words": views_skill.system_words,
    }
    card = inputs.scorecard
    if card is None:
        return {
            **names,
            "scores": ([], []),
            "differences": ([], []),
            "lead": None,
            "skill_days": [],
        }
    forecaster = inputs.forecaster
    metric, days = views_skill.headline_differences(card, forecaster)
    return {
        **names,
        "scores": views_skill.tables(card.rows, forecaster, differences=False),
        "differences": views_skill.tables(card.differences, forecaster, differences=True),
        "lead": views_skill.lead_chart(card, forecaster, words, stamp),
        "skill_metric": metric,
        "skill_days": days,
    }


def _diagnosis(inputs: ReportInputs) -> dict[str, Any]:
    diagnosis = inputs.diagnosis
    if diagnosis is None:
        return {"findings": [], "outcome_counts": [], "subjects": [], "headline": "headline_none"}
    return {
        "findings": views_diagnosis.finding_views(diagnosis),
        "outcome_counts": views_diagnosis.counts(diagnosis),
        "subjects": views_diagnosis.subjects(diagnosis),
        "headline": views_diagnosis.headline(diagnosis),
    }

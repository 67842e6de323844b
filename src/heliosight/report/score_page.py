"""The page that holds explanation methods to known truths: claims, scores, models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from markupsafe import Markup

from heliosight.core.files import write_text
from heliosight.core.records import SkillRow
from heliosight.core.records_explain import ExplanationScore
from heliosight.report.colours import LINES
from heliosight.report.environment import environment
from heliosight.report.svg import Panel, document, nice_ticks, number, span_of
from heliosight.report.views_skill import Cell, cell
from heliosight.report.wording import Words

ROW, LEFT, WIDTH, TOP = 18.0, 270.0, 760.0, 26.0
SHOWN = ("time_correlation", "mass", "average_precision")
KNOWS_NOTHING = ("random_smooth", "centre", "limb", "brightness")


def write_score_page(path: Path, record: ExplanationScore, language: str = "en") -> Path:
    """Write the page as one HTML file, whole or not at all; returns its path."""
    write_text(path, render_score_page(record, language))
    return path


def render_score_page(record: ExplanationScore, language: str = "en") -> str:
    """The page as HTML text; every word that was given is escaped."""
    words = Words(language)
    slices = list(dict.fromkeys(row.slice for row in record.rows))
    return (
        environment()
        .get_template("score.html")
        .render(
            record=record,
            t=words,
            language=language,
            stamp=words("simulated_stamp"),
            missed=[c for c in record.claims if c.passed is False],
            unknown=[c for c in record.claims if c.passed is None],
            charts=[(s, score_chart(record, s, words)) for s in SHOWN if _has(record, s)],
            tables=[_table(record, name) for name in slices],
            number=_number,
        )
    )


def _has(record: ExplanationScore, score: str) -> bool:
    return any(score in row.metrics for row in record.rows)


def _first_slice(record: ExplanationScore) -> list[SkillRow]:
    """Rows over all models."""
    first = record.rows[0].slice if record.rows else ""
    return [row for row in record.rows if row.slice == first]


def score_chart(record: ExplanationScore, score: str, words: Words) -> Markup:
    """A dot with its interval per method over all models; what knows nothing is grey."""
    rows = [(r.system, r.metrics[score]) for r in _first_slice(record) if score in r.metrics]
    rows = sorted(rows, key=lambda row: -row[1].value)
    extent = [v for _, i in rows for v in (i.value, i.low, i.high) if v is not None]
    height = ROW * len(rows)
    panel = Panel(LEFT, TOP, WIDTH - LEFT - 20, height, span_of(extent, zero=True), (len(rows), 0))
    ticks = nice_ticks(*panel.x)
    panel.vline(0, "zero")
    for k, (method, found) in enumerate(rows):
        colour = LINES[6] if learned_nothing(method) else LINES[0]
        panel.label(LEFT - 8, panel.py(k + 0.5) + 4, words.name("method", method), anchor="end")
        if found.low is not None and found.high is not None:
            panel.bar((found.low, found.high), (k + 0.42, k + 0.58), "", f"fill:{colour}")
        wide = (panel.x[1] - panel.x[0]) / 160
        panel.bar(
            (found.value - wide, found.value + wide), (k + 0.2, k + 0.8), "", f"fill:{colour}"
        )
    panel.x_axis(ticks, [number(t) for t in ticks], words.name("truth", score))
    panel.frame()
    alt = words("score_chart_alt", score=words.name("truth", score))
    return document(WIDTH, TOP + height + 42, [panel], alt, stamp=words("simulated_stamp"))


def learned_nothing(method: str) -> bool:
    """Maps that never saw the trained model."""
    return method in KNOWS_NOTHING or "re-initialised" in method


@final
@dataclass(frozen=True)
class _Table:
    """One slice: its name, the scores that head its columns, and rows of cells."""

    slice: str
    scores: list[str]
    rows: list[tuple[str, list[Cell | None]]]


def _table(record: ExplanationScore, name: str) -> _Table:
    rows = [row for row in record.rows if row.slice == name]
    scores = list(dict.fromkeys(key for row in rows for key in row.metrics))
    lines: list[tuple[str, list[Cell | None]]] = [
        (row.system, [cell(row.metrics[s]) if s in row.metrics else None for s in scores])
        for row in rows
    ]
    return _Table(name, scores, lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", "−")

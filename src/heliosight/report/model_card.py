"""The model card of a published forecaster, from the records of its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from heliosight.core.issued import Grade
from heliosight.core.records import DatasetCard, Interval, Scorecard, SkillRow, TrainedRun
from heliosight.core.spec import ForecastSpec
from heliosight.core.variables import variable
from heliosight.report.environment import TEMPLATES

DAYS = ("day 1", "day 2", "day 3")
SCORES = {
    "corr_log_pooled": "correlation of log ap",
    "rmse_ap_pooled": "RMSE of ap",
    "hss_G1_pooled": "HSS of G1 storm days",
    "brier_skill_G1_pooled": "Brier skill of G1 storm days",
}
COMPARED = ("corr_log_pooled", "rmse_ap_pooled")


@final
@dataclass(frozen=True)
class ModelFacts:
    """What a card is written from.

    Attributes
    ----------
    trained_until : end of what it learned from, ISO 8601, UTC.
    scores : of these weights; None when they were not evaluated.
    grade : of the diagnosis of these weights; `checks` is 0 when it was not diagnosed.
    """

    name: str
    licence: str
    contact: str
    spec: ForecastSpec
    trained: TrainedRun
    trained_until: str
    data: DatasetCard
    scores: Scorecard | None
    grade: Grade


def model_card(facts: ModelFacts) -> str:
    """Markdown with the front matter that hubs read."""
    # Markdown, not HTML: what a hub shows of it is the hub's to escape
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("model_card.md").render(
        facts=facts,
        spec=facts.spec,
        trained=facts.trained,
        scores=facts.scores,
        rows=_rows(facts.scores, facts.trained.name) if facts.scores else [],
        simulated=facts.data.provenance.simulated or facts.trained.provenance.simulated,
        units=lambda name: variable(name).units,
    )


def _rows(card: Scorecard, name: str) -> list[tuple[str, list[str]]]:
    """Words and the days' numbers: the system's scores, then its differences to the reference."""
    own = [(words, _days(card.rows, name, key)) for key, words in SCORES.items()]
    pair = f"{name} - {card.reference}"
    less = [
        (f"{SCORES[key]}, less {card.reference}", _days(card.differences, pair, key))
        for key in COMPARED
    ]
    return own + less


def _days(rows: tuple[SkillRow, ...], system: str, key: str) -> list[str]:
    found = {row.slice: row.metrics.get(key) for row in rows if row.system == system}
    return [_number(found.get(day)) for day in DAYS]


def _number(value: Interval | None) -> str:
    if value is None:
        return "-"
    if value.low is None or value.high is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"

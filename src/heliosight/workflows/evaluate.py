"""The evaluation stage: trained systems and every reference on identical rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from heliosight.core import records
from heliosight.core.config import dump
from heliosight.core.files import digest
from heliosight.core.predictions import Predictions
from heliosight.core.records import Scorecard
from heliosight.core.tables import SeriesTable
from heliosight.evaluation.real import (
    Known,
    RealExtras,
    RealTableConfig,
    known_table,
    real_table,
)
from heliosight.evaluation.table import facts_text, full_text, interval_table, leakage_text
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.study import Study, study_of
from heliosight.workflows.sweep import is_job, swept
from heliosight.workflows.trained import predictions, system_hash, thresholds

TABLE = "table.md"
_MADE: dict[str, Known] = {}


def run(run: Run, verb: str = "") -> StageResult:
    """Score what is trained, beside all references; without a trained system, the references.

    `sweep` makes one table of the scores of a sweep's jobs.
    """
    if verb == "sweep":
        return swept(run)
    study = study_of(run)
    forecasts = {s: predictions(study, s) for s in run.config.systems}
    trained = {s: p for s, p in forecasts.items() if p is not None}
    config = run.config.evaluate
    parents = {s: system_hash(study, s) for s in trained}
    key = run.key("evaluate", study.key, config, list(parents), parents)
    folder = run.folder / "evaluate"
    made = run.made(folder, Scorecard, key)
    if made is None:
        made = _score(study, config, trained, key, parents)
    absent = [s for s in run.config.systems if s not in trained]
    return StageResult(made, _lines(run, (folder / TABLE).read_text(), absent))


def _score(
    study: Study,
    config: RealTableConfig,
    trained: Mapping[str, Predictions],
    key: str,
    parents: Mapping[str, str],
) -> Scorecard:
    names, tables = list(trained), _tables(study)
    pairs = [(names[0], other) for other in names[1:]]
    systems, card, extras = real_table(
        *tables,
        study.folds,
        config,
        list(trained.values()),
        {name: thresholds(study, name) for name in trained},
        pairs=pairs,
        provenance=study.run.provenance(key, {"data": study.store.hash, **parents}),
        known=_known(study, config),
    )
    text = _text(card, systems, extras, study.run.config.data.type == "archives")
    records.save(study.run.folder / "evaluate", card, files={TABLE: text.encode()})
    return card


def _tables(study: Study) -> tuple[SeriesTable, SeriesTable, SeriesTable | None]:
    """Index, wind and hole area of the store, the last where it has one."""
    area = study.series("coronal_holes") if study.has_series("coronal_holes") else None
    return study.series("geomagnetic"), study.series("solar_wind"), area


def _known(study: Study, config: RealTableConfig) -> Known:
    """References of the study's past; a sweep's are kept for the next job of this process."""
    key = digest([study.store.hash, study.split_hash, dump(config)])
    known = _MADE.get(key) or known_table(*_tables(study), study.folds, config)
    _MADE.clear()  # one past at a time, and none where no job follows: it holds all their columns
    if is_job(study.run.folder):
        _MADE[key] = known
    return known


def _text(card: Scorecard, systems: Sequence[Predictions], extras: RealExtras, real: bool) -> str:
    parts = [full_text(card)]
    gains = ("corr_log_within", "mse_skill_log_pooled")
    parts += [interval_table(card.differences, metric, difference=True) for metric in gains]
    if extras.leakage:
        parts.append(leakage_text(extras.leakage))
    if real:
        parts.append(facts_text(extras.facts))
    parts.append(f"{len(systems)} systems on {len(systems[0].issue_time)} issue times")
    return "\n\n".join(parts) + "\n"


def _lines(run: Run, table: str, absent: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if absent:
        notes.append(
            f"not trained yet, so not in the table: {', '.join(absent)} "
            f"(heliosight train --config-name {run.config.name})"
        )
    return (table, *notes)


def first_storm(forecast: Predictions, fold: int) -> int:
    """The issue time of a fold whose day-1 mean is largest, among those with known outcome."""
    usable = np.isfinite(forecast.observed).all(1) & (forecast.fold == fold)
    day_1 = np.where(usable, forecast.mean[:, :8].mean(1), -np.inf)
    return int(forecast.issue_time[int(day_1.argmax())])

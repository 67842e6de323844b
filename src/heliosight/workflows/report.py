"""The report stage: every record of the run on one page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heliosight.core import records
from heliosight.core.clock import DAY, to_text
from heliosight.core.files import is_sealed
from heliosight.core.predictions import Predictions
from heliosight.core.records import Diagnosis, Explanation, Scorecard
from heliosight.core.records_explain import AttributionSurvey
from heliosight.core.tables import SeriesTable
from heliosight.report import ForecastExample, ReportInputs, save_paper_figures, write_report
from heliosight.training import read_log
from heliosight.workflows.examined import examined, is_foreign
from heliosight.workflows.explain import IMPORTANCE, explanations_in, issue_time, saved
from heliosight.workflows.explain_survey import FOLDER as SURVEY
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.study import Study, study_of
from heliosight.workflows.trained import (
    LOG,
    finished,
    folder_of,
    main_system,
    predictions,
    system_hash,
)

DRIVERS = ("speed", "bz_gsm", "density")
PAST_DAYS = 3
TITLE = {"en": "heliosight: {name}", "ko": "heliosight: {name}"}


def run(run: Run, verb: str = "") -> StageResult:
    """Write `report.html` (and figures for papers when asked for) from what the run holds."""
    del verb
    config = run.config.report
    inputs, folder = _foreign_inputs(run) if is_foreign(run) else _own_inputs(run)
    path = write_report(folder / _page_name(run), inputs)
    lines = [f"report: {path}"]
    if config.figures == "paper":
        place = "figures.frames" if inputs.frames_from_file else "figures"
        lines += [f"figure: {p}" for p in save_paper_figures(folder / place, inputs)]
    lines += [f"not on it, for it was not made: {run.asking(s)}" for s in _absent(run, inputs)]
    return StageResult(inputs.scorecard, tuple(lines))


def _absent(run: Run, inputs: ReportInputs) -> list[str]:
    """Stages of which the page shows nothing; a model of one's own has no scorecard."""
    made = {
        "evaluate": is_foreign(run) or inputs.scorecard is not None,
        "diagnose": inputs.diagnosis is not None,
        "explain": bool(inputs.explanations),
    }
    return [stage for stage, there in made.items() if not there]


def _page_name(run: Run) -> str:
    """`report.html`; a page of frames from a file, or in another language, says so in its name."""
    frames = ".frames" if run.config.explain.frames else ""
    language = run.config.report.language
    return f"report{frames}{'' if language == 'en' else '.' + language}.html"


def _own_inputs(run: Run) -> tuple[ReportInputs, Path]:
    return report_inputs(study_of(run)), run.folder


def _foreign_inputs(run: Run) -> tuple[ReportInputs, Path]:
    """What is known about a user's model: its data, its diagnosis, its explanations."""
    found = examined(run, -1, "diagnose.fold")
    beside = explanations_in(run, found.folder)
    explained = saved(beside)
    inputs = ReportInputs(
        title=f"heliosight: {found.subject.name}",
        simulated=run.simulated,
        frames_from_file=bool(run.config.explain.frames),
        dataset=found.store.card,
        training_log=found.log or None,
        diagnosis=_current(found.folder / "diagnose", Diagnosis, found.parents),
        explanations=tuple((r, a) for r, a in explained if _fits(r, found.parents)),
        importance=_importance(beside, explained, found.parents),
        survey=_survey(found.folder, found.parents),
        spec=found.windows.spec,
        system=found.subject.name,
        command=run.command,
        created=to_text(_newest(found.folder)),
        language=run.config.report.language,
    )
    return inputs, found.folder


def report_inputs(study: Study) -> ReportInputs:
    """Everything the report shows, as far as it has been made."""
    run, system = study.run, main_system(study.run)
    last = len(study.folds) - 1
    trained = finished(study, system, last)
    log = read_log(folder_of(study, system, last) / LOG) if trained else None
    now = _parents_now(study)
    beside = explanations_in(run, run.folder)
    explained = saved(beside)
    explanations = tuple((record, arrays) for record, arrays in explained if _fits(record, now))
    return ReportInputs(
        title=TITLE[run.config.report.language].format(name=run.config.name),
        simulated=run.simulated,
        frames_from_file=bool(run.config.explain.frames),
        dataset=study.store.card,
        trained=trained,
        training_log=log,
        scorecard=_current(run.folder / "evaluate", Scorecard, now),
        diagnosis=_current(run.folder / "diagnose", Diagnosis, now),
        explanations=explanations,
        importance=_importance(beside, explained, now),
        survey=_survey(run.folder, now),
        example=None if run.config.explain.frames else _example(study),
        spec=run.config.spec(system),
        system=system,
        command=run.command,
        created=to_text(_newest(run.folder)),
        language=run.config.report.language,
    )


def _current(folder: Path, cls: Any, now: Mapping[str, str]) -> Any:
    """A record of this very data and model; an older one is left out, and the page says so."""
    found = records.load(folder, cls) if is_sealed(folder) else None
    return found if found is not None and _fits(found, now) else None


def _importance(
    folder: Path, explained: Sequence[tuple[Explanation, Any]], now: Mapping[str, str]
) -> tuple[dict[str, Any], ...]:
    """Profiles over windows, when the explanations beside them are of this very model."""
    if not explained or not all(_fits(record, now) for record, _ in explained):
        return ()
    return tuple(json.loads((folder / IMPORTANCE).read_text())["profiles"])


def _survey(
    folder: Path, now: Mapping[str, str]
) -> tuple[AttributionSurvey, dict[str, np.ndarray]] | None:
    record = _current(folder / SURVEY, AttributionSurvey, now)
    return None if record is None else (record, records.load_arrays(folder / SURVEY))


def _fits(record: records.Record, now: Mapping[str, str]) -> bool:
    """True when every parent of a record is what the run holds now."""
    return all(now.get(name) == value for name, value in record.provenance.parents.items())


def _parents_now(study: Study) -> dict[str, str]:
    """Hashes of the store and of every trained system; `train` is the main system's."""
    folds = range(len(study.folds))
    now = {"data": study.store.hash}
    for system in study.run.config.systems:
        if all(finished(study, system, k) is not None for k in folds):
            now[system] = system_hash(study, system)
    main = now.get(main_system(study.run))
    return now if main is None else {**now, "train": main}


def _newest(folder: Path) -> float:
    """When the newest record was made: a report's own date is that of what it shows."""
    stamps = [p.stat().st_mtime for p in folder.glob("*/record.json")]
    return max(stamps, default=0.0)


def _example(study: Study) -> ForecastExample | None:
    """The explained window's forecast with what came before and after."""
    forecast = predictions(study, main_system(study.run))
    if forecast is None:
        return None
    issue = _explained_issue(study)
    rows = np.flatnonzero(forecast.issue_time == issue)
    return forecast_example(study, forecast, int(rows[0])) if len(rows) else None


def _explained_issue(study: Study) -> int:
    found = examined(study.run, study.run.config.explain.fold, "explain.fold")
    return issue_time(study.run, found)


def forecast_example(study: Study, forecast: Predictions, row: int) -> ForecastExample:
    """One row of forecasts as the report draws it."""
    issue = int(forecast.issue_time[row])
    index, wind = study.series("geomagnetic"), study.series("solar_wind")
    past, drivers = _before(index, issue), _before(wind, issue)
    valid = issue + 3 * 3600 * np.arange(forecast.mean.shape[1])
    return ForecastExample(
        issue_time=issue,
        last_input_time=int(wind.available[drivers][-1]),
        past_time=index.times[past],
        past_ap=index.column("ap")[past],
        valid_time=valid,
        levels=forecast.levels,
        quantiles=forecast.quantiles[row],
        mean=forecast.mean[row],
        event_probability=forecast.event_probability[row],
        observed=forecast.observed[row],
        driver_time=wind.times[drivers],
        drivers={name: wind.column(name)[drivers] for name in DRIVERS},
    )


def _before(table: SeriesTable, issue: int) -> np.ndarray:
    """Rows of the days before the issue time that were known then."""
    return np.flatnonzero((table.times >= issue - PAST_DAYS * DAY) & (table.available <= issue))

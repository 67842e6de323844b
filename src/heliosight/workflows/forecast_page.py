"""The pages of an issued forecast, with its images and its explanation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from heliosight.core.clock import DAY, HOUR, to_text
from heliosight.core.issued import IssuedArrays, IssuedForecast
from heliosight.core.tables import SeriesTable, Tables
from heliosight.explain import explain
from heliosight.report import ForecastExample
from heliosight.report.forecast_page import ForecastPage, render_forecast
from heliosight.report.inputs import LANGUAGES, Explained
from heliosight.workflows.examined import frame_times
from heliosight.workflows.inputs_now import INDEX, WIND
from heliosight.workflows.issue import NETWORK, Issuer

DRIVERS = ("speed", "bz_gsm", "density")
PAST_DAYS = 3


def pages(issuer: Issuer, record: IssuedForecast, arrays: IssuedArrays) -> dict[str, str]:
    """The page in every language."""
    issue = int(arrays.init_time[0])
    page = ForecastPage(
        record=record,
        arrays=arrays,
        example=_example(issuer.tables, record, arrays),
        frames=newest_frames(issuer, issue),
        films=films(issuer, issue),
        explanations=_explanations(issuer, issue),
        modalities=issuer.spec.modalities,
        name=issuer.system.run.config.name,
    )
    return {language: render_forecast(page, language) for language in LANGUAGES}


def newest_frames(issuer: Issuer, issue: int) -> dict[str, tuple[str, np.ndarray]]:
    """The newest frame of every channel with its time; black and without a time where none is."""
    found: dict[str, tuple[str, np.ndarray]] = {}
    windows = issuer.now
    for name, modality in windows.spec.modalities.items():
        if modality.kind != "images":
            continue
        batch = windows.batch(np.array([issue]))
        times = np.append(windows.cuts[name].table.times, -1)
        stamps = times[windows.cuts[name].rows(np.array([issue]))[0]]
        seen = batch.observed[name][0].numpy()
        for c, channel in enumerate(modality.variables):
            last = int(np.flatnonzero(seen[c])[-1]) if seen[c].any() else -1
            taken = to_text(int(stamps[last])) if seen[c].any() else ""
            found[channel] = taken, batch.inputs[name][0, c, last].numpy()
    return found


def films(issuer: Issuer, issue: int) -> dict[str, np.ndarray]:
    """Every frame of the window `(T, H, W)` by channel."""
    batch = issuer.now.batch(np.array([issue]))
    return {
        channel: batch.inputs[name][0, c].numpy()
        for name, modality in issuer.spec.modalities.items()
        if modality.kind == "images"
        for c, channel in enumerate(modality.variables)
    }


def _explanations(issuer: Issuer, issue: int) -> tuple[Explained, ...]:
    """The window by the methods of the config; compared with windows of the training past."""
    system = issuer.system
    config = system.run.config
    if not config.forecast.explain:
        return ()
    method = replace(
        config.explain.method,
        methods=config.forecast.methods,
        quick=True,
        importance_windows=0,
    )
    some = np.linspace(0, len(issuer.validation) - 1, min(24, len(issuer.validation)))
    context = system.past.batch(issuer.validation[some.astype(int)])
    found = explain(system.subject, issuer.now.batch(np.array([issue])), method, context)
    return tuple(
        (
            replace(
                e, frame_times=frame_times(issuer.now, issue) if e.frame_times else e.frame_times
            ),
            arrays,
        )
        for e, arrays in found.explanations
    )


def _example(tables: Tables, record: IssuedForecast, arrays: IssuedArrays) -> ForecastExample:
    """The answer as the report draws it, after what was observed before."""
    issue = int(arrays.init_time[0])
    quantiles, mean, storm = _answer(record, arrays)
    index, wind = tables.get(INDEX), tables.get(WIND)
    past_time, past_ap = _before(index, "ap", issue)
    drivers = {name: _before(wind, name, issue) for name in DRIVERS if _has(wind, name)}
    newest = [t + 3 * HOUR for t, _ in drivers.values() for t in t[-1:]]
    driver_time = next((t for t, _ in drivers.values()), np.zeros(0, np.int64))
    return ForecastExample(
        issue_time=issue,
        last_input_time=int(min(max([*newest, 0]) or issue, issue)),
        past_time=past_time,
        past_ap=past_ap,
        valid_time=arrays.valid_time[0],
        levels=np.array(record.levels),
        quantiles=quantiles,
        mean=mean,
        event_probability=storm[:, :3],
        observed=np.full(len(mean), np.nan),
        driver_time=driver_time,
        drivers={name: values for name, (_, values) in drivers.items()},
    )


def _answer(
    record: IssuedForecast, arrays: IssuedArrays
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantiles, mean and storm probabilities of the system that the page leads with."""
    if record.answers[0] == NETWORK:
        return arrays.quantiles[0], arrays.mean[0], arrays.storm[0]
    r = record.references.index(record.answers[0])
    return (
        arrays.reference_quantiles[0, r],
        arrays.reference_mean[0, r],
        arrays.reference_storm[0, r],
    )


def _has(table: object, name: str) -> bool:
    return isinstance(table, SeriesTable) and name in table.variables


def _before(table: object, name: str, issue: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of the days before the issue time that were known then."""
    if not isinstance(table, SeriesTable):
        return np.zeros(0, np.int64), np.zeros(0)
    rows = np.flatnonzero((table.times >= issue - PAST_DAYS * DAY) & (table.available <= issue))
    return table.times[rows], table.column(name)[rows]

"""The forecast stage: from what is known at issue time to an archived, readable forecast."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.config import dump
from heliosight.core.errors import ConfigError
from heliosight.core.files import digest
from heliosight.core.issued import DayCall, IssuedArrays, IssuedForecast
from heliosight.core.progress import bar
from heliosight.core.tables import Table, Tables
from heliosight.core.variables import STEP
from heliosight.data.store import Store, load_store
from heliosight.evaluation.at_issue import ISSUED
from heliosight.issuing.archive import Archive, Listed, is_live
from heliosight.issuing.call import day_calls
from heliosight.issuing.cf import forecast_netcdf
from heliosight.issuing.plain import forecast_json
from heliosight.issuing.widen import RULE, STORMS
from heliosight.workflows.forecast_page import pages
from heliosight.workflows.inputs_now import INDEX, known_at, newest
from heliosight.workflows.issue import NETWORK, Issuer, Made
from heliosight.workflows.outcome import past_scores, score_lines, verify_entries
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.standing import grade_in
from heliosight.workflows.store import store_of
from heliosight.workflows.systems import home_of, systems_for

JSON, NETCDF, PAGE = "forecast.json", "forecast.nc", "page.{language}.html"
HOUR_SECONDS = 3600


def run(run: Run, verb: str = "") -> StageResult:
    """Issue one forecast or many; `--serve` shows the archive, `verify` scores what can be."""
    if verb == "verify":
        return _verify(run)
    if "--serve" in run.flags:
        from heliosight.workflows.serve import serve

        return serve(run, archive_of(run))
    config = run.config.forecast
    if bool(config.since) != bool(config.until):
        raise ConfigError(
            "many forecasts have a first and a last issue time", "one of them",
            "Give --from and --to.", "forecast.since",
        )  # fmt: skip
    return _many(run) if config.since else _one(run)


def archive_of(run: Run) -> Archive:
    """The archive of a run's forecasts."""
    return Archive(Path(run.config.forecast.archive or home_of(run) / "forecast"))


@final
@dataclass(frozen=True)
class Source:
    """Where a forecast's inputs come from, and the moment it is made for."""

    store: Store
    tables: dict[str, Table]
    issue: int


def source_of(run: Run) -> Source:
    """Tables and issue time of the config: the newest data, or what was known at `--at`."""
    config = run.config.forecast
    at = to_seconds(config.at) if config.at else None
    store = inputs_of(run)
    last = newest(store.tables)
    present = int(time.time())
    issue = at if at is not None else present // STEP * STEP if config.clock else last
    if config.clock and issue > present:
        raise ConfigError(
            "a forecast is not issued for a moment that has not come", to_text(issue),
            f"It is {to_text(present)}. Leave --at away, or set this machine's clock.",
            "forecast.at",
        )  # fmt: skip
    if not config.clock and issue > last:
        raise ConfigError(
            "a forecast from a store is made within its time", to_text(issue),
            f"Its newest data are of {to_text(last)}. Set forecast.clock=true to forecast later "
            "with what there is.", "forecast.at",
        )  # fmt: skip
    return Source(store, known_at(store.tables, issue), issue)


def inputs_of(run: Run) -> Store:
    """The store that the inputs come from: the run's own, or the one that is named."""
    folder = run.config.forecast.inputs
    return load_store(Path(folder), check_hashes=False) if folder else store_of(run)


def _one(run: Run) -> StageResult:
    source = source_of(run)
    ((system, times),) = systems_for(run, np.array([source.issue]))
    issuer = Issuer(system, source.tables, run.config.forecast.windows)
    made = issuer.issue(times)
    archive = archive_of(run)
    index, data = source.tables.get(INDEX), source.store.hash
    _, problems = verify_entries(archive, run, data, index, source.issue)
    record = replace(
        _record(issuer, made, source.store),
        inputs=issuer.states(source.issue),
        calls=_calls(issuer, made),
        frames=_frames(issuer, source.issue),
        grade=grade_in(system.home, system.parents),
        past=past_scores(system, source.issue, archive),
    )
    entry = _archive_one(archive, issuer, record, made.arrays)
    told = _lines(record, made.arrays, archive.entry(entry.name))
    return StageResult(record, (*told, *_unreadable(problems)))


def _calls(issuer: Issuer, made: Made) -> tuple[DayCall, ...]:
    """What the days of the answer come to, by the answer's own thresholds."""
    arrays, answer = made.arrays, made.answers[0]
    if answer == NETWORK:
        limits = issuer.system.thresholds
        quantiles, storm = arrays.quantiles[0], arrays.storm[0]
    else:
        place = ISSUED.index(answer)
        limits = made.thresholds[answer]
        quantiles = arrays.reference_quantiles[0, place]
        storm = arrays.reference_storm[0, place]
    return day_calls(arrays.valid_time[0], quantiles, storm, made.levels, limits)


def _archive_one(
    archive: Archive, issuer: Issuer, record: IssuedForecast, arrays: IssuedArrays
) -> Listed:
    shown = pages(issuer, record, arrays)
    files = {
        JSON: _json(forecast_json(record, arrays)),
        NETCDF: forecast_netcdf(record, arrays),
        **{PAGE.format(language=k): text.encode() for k, text in shown.items()},
    }
    return archive.add(record, arrays, files)


def _many(run: Run) -> StageResult:
    """Hindcasts from one time to another, a chunk at a time: memory does not grow with them."""
    config = run.config.forecast
    step = config.every_hours * HOUR_SECONDS
    times = np.arange(to_seconds(config.since), to_seconds(config.until) + 1, step)
    if not len(times):
        raise ConfigError(
            "the last issue time is not before the first", f"{config.since} to {config.until}",
            where="forecast.until",
        )  # fmt: skip
    store = inputs_of(run)
    tables = store.tables
    times = times[times <= newest(tables)]
    archive, written = archive_of(run), 0
    counts = dict.fromkeys(("issued", "widened", "withheld"), 0)
    with bar("hindcasts", len(times)) as running:
        for system, mine in systems_for(run, times):
            issuer = Issuer(system, tables, config.windows)
            for start in range(0, len(mine), config.chunk):
                made = issuer.issue(mine[start : start + config.chunk])
                record = _record(issuer, made, store)
                archive.add(record, made.arrays, {NETCDF: forecast_netcdf(record, made.arrays)})
                for status in made.statuses:
                    counts[status] += 1
                written += 1
                running.advance(len(made.statuses), record.issue_times[-1])
    told = ", ".join(f"{n} {status}" for status, n in counts.items())
    return StageResult(
        None, (f"{len(times)} hindcasts in {written} entries of {archive.folder}: {told}",)
    )


def _record(issuer: Issuer, made: Made, store: Store) -> IssuedForecast:
    system, card = issuer.system, store.card
    run, learned = system.run, system.store
    used = {modality.table for modality in issuer.spec.modalities.values()} | {INDEX}
    created = to_text(time.time())
    key = digest([system.weights, made.data, created, time.time_ns()])
    return IssuedForecast(
        provenance=run.provenance(key, {"data": learned.hash}),
        issue_times=tuple(to_text(t) for t in made.arrays.init_time.tolist()),
        created=created,
        hindcast=not is_live(int(made.arrays.init_time[-1]), to_seconds(created)),
        system=system.name,
        fold=issuer.fold.name,
        fold_start=to_text(system.unseen),
        weights=system.weights,
        config=digest(dump(run.config)),
        data=made.data,
        levels=made.levels,
        storms=STORMS,
        references=ISSUED,
        input_names=issuer.names,
        answers=made.answers,
        statuses=made.statuses,
        reasons=made.reasons,
        widenings=made.widenings,
        rule=RULE,
        licences=dict(card.licences),
        assumed=tuple(a for a in card.assumed if a.table in used),
        cutoff_minutes=card.cutoff_minutes,
        as_known=card.as_known,
        trained_as=trained_otherwise(learned.tables, store.tables, used),
    )


def trained_otherwise(trained: Tables, now: Tables, names: Iterable[str]) -> tuple[str, ...]:
    """Tables whose values count as known sooner or later than those the model learned from."""
    both = [(n, trained[n].latency, now[n].latency) for n in names if n in trained and n in now]
    return tuple(
        f"{name}: the model learned from values known {_after(then)}, these are known {_after(its)}"
        for name, then, its in sorted(both)
        if then != its
    )


def _after(seconds: int) -> str:
    return f"{seconds / HOUR_SECONDS:.3g} h after their time"


def _frames(issuer: Issuer, issue: int) -> tuple[str, ...]:
    """Times of the frames the forecast saw, oldest first."""
    windows = issuer.now
    for name, modality in windows.spec.modalities.items():
        if modality.kind == "images":
            cut = windows.cuts[name]
            rows = cut.rows(np.array([issue]))[0]
            return tuple(to_text(int(cut.table.times[r])) for r in rows if r != cut.absent)
    return ()


def _verify(run: Run) -> StageResult:
    store, archive = inputs_of(run), archive_of(run)
    index, last = store.tables.get(INDEX), newest(store.tables)
    done, problems = verify_entries(archive, run, store.hash, index, last)
    verified = archive.verified()
    waiting = len(archive.listed()) - len(verified) - len(problems)
    renewed = sum(record.number > 1 for record in done)
    early = sum(record.preliminary > 0 for _, record, _ in verified)
    line = (
        f"{len(done)} entries verified now ({renewed} of them anew), {waiting} wait for "
        f"observations, {early} rest on preliminary values: {archive.folder}"
    )
    lines = (line, *score_lines(archive), *_unreadable(problems))
    return StageResult(tuple(done), lines, bool(problems))


def _unreadable(problems: list[str]) -> tuple[str, ...]:
    """Entries of the archive that cannot be read, the first with its reason."""
    if not problems:
        return ()
    return (f"{len(problems)} archived forecasts cannot be read, the first: {problems[0]}",)


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _lines(record: IssuedForecast, arrays: IssuedArrays, folder: Path) -> tuple[str, ...]:
    told = forecast_json(record, arrays)
    answer = told["answer"]
    days = (told["forecast"] if answer == "network" else told["references"][answer])["days"]
    chances = "; ".join(
        f"day {d['day']} "
        + ", ".join(f"{g} {100 * p:.0f} %" for g, p in d["storm_probability"].items())
        for d in days
    )
    stale = [s for s in record.inputs if s.withheld]
    first = f"issued for {record.issue_times[0]}: {record.statuses[0]}"
    reason = f" ({record.reasons[0]})" if record.reasons[0] else ""
    lines = [first + reason, f"{answer}: {chances}"]
    lines += [
        f"stale: {s.modality}.{s.variable}, "
        + ("none" if s.age_hours is None else f"{s.age_hours:g} h old")
        + f", {s.missing} of {s.steps} steps missing"
        for s in stale
    ]
    late = [a.source for a in record.assumed if a.definitive]
    if record.hindcast and late and not record.as_known:
        lines.append(f"hindcast from definitive values that nobody had then: {', '.join(late)}")
    beside = "page.ko.html, forecast.json and forecast.nc beside it"
    return (*lines, *record.trained_as, f"page: {folder / PAGE.format(language='en')} ({beside})")

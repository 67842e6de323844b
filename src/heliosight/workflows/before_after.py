"""The end of an improvement: both models on the test block, the grades, the scores, the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from heliosight.core import records
from heliosight.core.clock import HOUR
from heliosight.core.config import dump
from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval, SkillRow
from heliosight.core.records_remedy import Grade, Improvement
from heliosight.remedy import CATALOGUE, named
from heliosight.report import write_improvement
from heliosight.workflows.arms import Bench, Way
from heliosight.workflows.errors_compared import daily, mean_interval, paired_change
from heliosight.workflows.examination import (
    Examined,
    Looked,
    gain_over,
    graded,
    looked_at,
    test_forecast,
    test_times,
)
from heliosight.workflows.knowable import Information, information, references
from heliosight.workflows.run import StageResult
from heliosight.workflows.treatment import Chosen, Progress

BEFORE, AFTER, DAYS = "before", "after", "days 1 to 3"
NAMES = {"temporal": "importance over time", "saliency": "maps over time", "forecast": "forecast"}


def concluded(progress: Progress, proved: Chosen) -> StageResult:
    """The record, the page and the lines that matter; made once for the same trials."""
    bench, folder = progress.bench, progress.bench.folder / "result"
    base = progress.workers.made(Way(), bench.seeds)
    hashes = {f"{r.arm}/{r.seed}": r.provenance.key for r in (*base, *proved.made)}
    rows = [dump(row) for row in progress.rows.values()]
    key = bench.study.run.key("improve", bench.study.key, hashes, rows, bench.config.improve)
    found = bench.study.run.made(folder, Improvement, key)
    if found is None:
        found = _examined(progress, proved, key)
    paths = write_pages(bench, found)
    return StageResult(found, (*lines(found), *(f"page: {p}" for p in paths)))


def _examined(progress: Progress, proved: Chosen, key: str) -> Improvement:
    bench, way = progress.bench, proved.with_remedies((), full=True)
    issue = _strongest(bench)
    ways = list(dict.fromkeys((Way().name, way.name)))
    sides = [_begun(progress, w, issue) for w in (Way(), way)[: len(ways)]]
    others, known = references(bench.study), information(bench)
    done = [
        graded(bench, seen(), [f() for f in forecasts], others, known) for seen, forecasts in sides
    ]
    was, now = done[0], done[-1]
    record = Improvement(
        bench.study.run.provenance(key, {"data": bench.study.store.hash}),
        f"{bench.config.name}/{bench.system}",
        tuple(progress.rows.values()),
        tuple(progress.trials),
        dict(way.patch),
        was.findings,
        now.findings,
        was.grades,
        now.grades,
        scores(bench, was, now, others, known),
        (f"information by {known.source}",),
        time.monotonic() - progress.started,
    )
    records.save(bench.folder / "result", record, _arrays(was, now, issue))
    return record


Later = tuple[Callable[[], Looked], list[Callable[[], Predictions]]]


def _begun(progress: Progress, way: Way, issue: int) -> Later:
    """One model looked at, and all seeds' forecasts, on the test block: begun, to be fetched."""
    workers = progress.workers
    return workers.ask(looked_at, way, issue), [
        workers.ask(test_forecast, way, seed) for seed in progress.bench.seeds
    ]


def _strongest(bench: Bench) -> int:
    """The test window with the largest observed mean ap: a storm, whoever forecast it."""
    times = test_times(bench)
    table = bench.study.series("geomagnetic")
    spec = bench.config.spec(bench.system)
    ahead = HOUR * spec.lead_hours * np.arange(spec.leads)
    rows = np.searchsorted(table.times, times[:, None] + ahead[None])
    size = table.column("ap")[rows].mean(1)
    return int(times[int(np.where(np.isfinite(size), size, -np.inf).argmax())])


def _arrays(was: Examined, now: Examined, issue: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {"issue_time": np.array(issue)}
    for side, model in ((BEFORE, was), (AFTER, now)):
        found |= {f"{side}/{name}": value for name, value in model.arrays.items()}
        first = model.forecasts[0]
        row = int(np.flatnonzero(first.issue_time == issue)[0])
        near = slice(max(0, row - 120), row + 120)
        found[f"{side}/forecast"] = first.mean[row]
        found[f"{side}/day2"] = daily(first.mean)[near, 1]
        found["observed"] = first.observed[row]
        found["day2"] = daily(first.observed)[near, 1]
        found["day2_time"] = first.issue_time[near]
    return found


def scores(
    bench: Bench, was: Examined, now: Examined, others: Sequence[Predictions], known: Information
) -> tuple[SkillRow, ...]:
    """R2 of daily means of log1p(ap) on the test block, and paired differences."""
    rows = [_r2(bench, BEFORE, was.forecasts), _r2(bench, AFTER, now.forecasts)]
    common = was.forecasts[0].issue_time
    rows += [_r2(bench, r.name, (_on(r, common),)) for r in others]
    config = bench.config
    pairs = list(zip(now.forecasts, was.forecasts, strict=True))
    change = paired_change(pairs, config.improve.replicates, config.seed)
    rows.append(SkillRow(f"{AFTER} - {BEFORE}", DAYS, {"r2_gain": _turned(change)}))
    for r in others:
        metrics = {"r2_gain": gain_over(bench, r, now.forecasts)}
        rows.append(SkillRow(f"{AFTER} - {r.name}", DAYS, metrics))
    if known.floor is not None and known.ceiling is not None:
        r2 = rows[1].metrics["r2"].value
        limits = {"floor": known.floor, "ceiling": known.ceiling}
        shares = {f"share_of_{n}": Interval(r2 / v.value) for n, v in limits.items() if v.value > 0}
        rows.append(SkillRow("knowable", DAYS, {**limits, **shares}))
    return tuple(rows)


def _turned(change: Interval) -> Interval:
    """An error's change as a gain."""
    low = None if change.high is None else -change.high
    high = None if change.low is None else -change.low
    return Interval(-change.value, low, high, change.level, change.how)


def _on(forecast: Predictions, times: np.ndarray) -> Predictions:
    keep_rows = np.isin(forecast.issue_time, times)
    arrays = {k: v if k == "levels" else v[keep_rows] for k, v in forecast.arrays().items()}
    return Predictions(name=forecast.name, **arrays)


def _r2(bench: Bench, name: str, forecasts: Sequence[Predictions]) -> SkillRow:
    first = forecasts[0]
    y = daily(np.log1p(first.observed))
    known = np.isfinite(y).all(1)
    error = np.mean([(y - daily(f.mean_log)) ** 2 for f in forecasts], 0)
    config = bench.config
    shared = (config.improve.replicates, config.seed)
    times = first.issue_time[known]
    metrics = {}
    for day in range(y.shape[1]):
        of_day = y[known][:, day : day + 1]
        lost = mean_interval(error[known][:, day], of_day, times, *shared)
        metrics[f"r2_day{day + 1}"] = _share(lost)
    metrics["r2"] = _share(mean_interval(error[known].mean(1), y[known], times, *shared))
    return SkillRow(name, DAYS, metrics)


def _share(lost: Interval) -> Interval:
    turned = _turned(lost)
    low, high = (None if v is None else 1 + v for v in (turned.low, turned.high))
    return Interval(1 + turned.value, low, high, lost.level, lost.how)


def write_pages(bench: Bench, found: Improvement) -> list[str]:
    """The page in the report's language, and figures for papers when asked for."""
    arrays = records.load_arrays(bench.folder / "result")
    language = bench.config.report.language
    name = "improve.html" if language == "en" else f"improve.{language}.html"
    proved = bench.at(Way("proved", dict(found.patch)), bench.config.seed)
    paper = bench.config.report.figures == "paper"
    paths = write_improvement(
        bench.study.run.folder / name,
        found,
        arrays,
        language=language,
        changed=difference(dump(bench.config), dump(proved.run.config)) if found.patch else {},
        command=found.provenance.command,
        figures=bench.study.run.folder / "figures" if paper else None,
        recipes={n: named(n).recipe for n in accepted(found)},
    )
    return [str(path) for path in paths]


def accepted(found: Improvement) -> list[str]:
    """Names of the remedies that were proved."""
    known = {p.name for p in CATALOGUE}
    return [row.name for row in found.plan if row.state == "accepted" and row.name in known]


def difference(
    before: Mapping[str, object], after: Mapping[str, object], at: str = ""
) -> dict[str, str]:
    """Keys that differ, each `old -> new`."""
    found: dict[str, str] = {}
    for key in {**before, **after}:
        a, b = before.get(key), after.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found |= difference(a, b, f"{at}{key}.")
        elif a != b:
            found[f"{at}{key}"] = f"{a} -> {b}"
    return found


def lines(found: Improvement) -> tuple[str, ...]:
    """What a person wants to know first: grades, gain, what helped."""
    told = [
        f"{row.name}: {row.state}" + (f" ({row.note})" if row.note else "") for row in found.plan
    ]
    for old, new in zip(found.grades_before, found.grades_after, strict=True):
        grade = f"{old.grade} -> {new.grade}" if found.patch else new.grade
        told.append(f"grade, {NAMES[old.aspect]}: {grade}{_why(new)}")
    by_name = {row.system: row.metrics for row in found.scores}
    was, now = (_text(by_name[side]["r2"]) for side in (BEFORE, AFTER))
    r2 = f"R2 of daily log ap, days 1 to 3: {was}"
    told += [f"{r2} -> {now}"] if found.patch else [r2, "nothing was repaired: it is one model"]
    if found.patch:
        told.append(f"gain {_text(by_name[f'{AFTER} - {BEFORE}']['r2_gain'])}")
    k = by_name.get("knowable", {})
    if "share_of_floor" in k:
        told.append(
            f"share of what is knowable: {k['share_of_floor'].value:.0%} of its floor "
            f"{k['floor'].value:.3f}, {k['share_of_ceiling'].value:.0%} of its ceiling "
            f"{k['ceiling'].value:.3f}"
        )
    return tuple(told)


def _why(grade: Grade) -> str:
    return "" if grade.grade == "good" else f" ({'; '.join(grade.reasons)})"


def _text(value: Interval) -> str:
    if value.low is None or value.high is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"

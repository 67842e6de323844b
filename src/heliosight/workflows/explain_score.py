"""`explain --score`: methods held to known truths over worlds and seeds, resumable cell by cell."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from heliosight.core import records
from heliosight.core.clock import DAY
from heliosight.core.errors import ConfigError
from heliosight.core.predictions import Predictions
from heliosight.core.records_explain import ExplanationScore, ScoredModel
from heliosight.explain.scoring import BASELINES, score_methods
from heliosight.explain.summary import ALL, claims, summary_rows
from heliosight.explain.targets import target_named
from heliosight.explain.truth import DEFINITIONS
from heliosight.report.score_page import write_score_page
from heliosight.subject import Subject, wrap
from heliosight.workflows.config_data import SunData
from heliosight.workflows.known_sun import KnownSun
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.store import store_of
from heliosight.workflows.study import Study, folds_of
from heliosight.workflows.trained import (
    forecaster,
    key_of,
    main_system,
    predictions,
    trained,
)

FOLDER, PAGE = "explain_score", "explain_score.html"
AGAIN = "{method}, re-initialised model"
OTHER_WEIGHTS = 1_000_003  # added to the seed of the model that learned nothing


def run(run: Run, verb: str = "") -> StageResult:
    """Train, explain and score every world and seed that is not done; then sum up.

    Raises
    ------
    ConfigError : `explain.score.worlds` is empty.
    """
    del verb
    config = run.config.explain.score
    if not config.worlds:
        raise ConfigError(
            "explanations are scored on simulated worlds with known truth",
            "none",
            "Use --config-name score, or name some.",
            "explain.score.worlds",
        )
    models: list[ScoredModel] = []
    total = len(config.worlds) * len(config.seeds)
    for world in config.worlds:
        known = KnownSun(config.worlds[world], config.issues, config.members)
        for seed in config.seeds:
            sys.stderr.write(f"[{len(models) + 1}/{total}] world {world}, seed {seed}\n")
            models.append(_scored(run, world, seed, known))
    record = _record(run, tuple(models))
    records.save(run.folder / FOLDER / "record", record)
    page = write_score_page(run.folder / PAGE, record)
    return StageResult(record, (*lines_of(record), f"page: {page}"))


def _record(run: Run, models: tuple[ScoredModel, ...]) -> ExplanationScore:
    config = run.config.explain.score
    rows = summary_rows(models, config.strong, run.config.seed)
    return ExplanationScore(
        provenance=run.provenance(run.key("explain_score", config, [m.scores for m in models]), {}),
        target=run.config.explain.method.target,
        definitions=DEFINITIONS,
        models=models,
        rows=rows,
        strong=config.strong,
        claims=claims(rows, models, config.strong, config.method),
    )


def _scored(run: Run, world: str, seed: int, known: KnownSun) -> ScoredModel:
    study = world_study(run, world, seed)
    system = main_system(run)
    config = study.run.config.explain
    rules = config.score  # not what is asked of the scores afterwards, nor other cells
    asked = (rules.windows, rules.apart_days, rules.issues, rules.members)
    learned = key_of(study, system, 0)
    key = run.key("scored_model", learned, config.method, config.context, asked, world)
    folder = study.run.folder / "score"
    made = run.made(folder, ScoredModel, key)
    if made is None:
        trained(study, system, 0)
        made = _score(study, world, seed, known, key)
        records.save(folder, made)
    return replace(made, bound=rules.bound)


def world_study(run: Run, world: str, seed: int) -> Study:
    """One world's data, made once, with one seed's weights beside it."""
    sun = run.config.explain.score.worlds[world]
    config = replace(run.config, data=SunData(sun=sun), name=f"{run.config.name}-{world}")
    there = replace(run, config=config, folder=run.folder / FOLDER / world, force=False)
    store = store_of(there)
    own = replace(there, config=replace(config, seed=seed), folder=there.folder / f"seed_{seed}")
    return Study(own, store, folds_of(own, store))


def _score(study: Study, world: str, seed: int, known: KnownSun, key: str) -> ScoredModel:
    system, config = main_system(study.run), study.run.config.explain
    spec = study.run.config.spec(system)
    target = target_named(config.method.target, spec)
    forecast = predictions(study, system)
    assert forecast is not None  # trained just before
    chosen = windows_of(forecast, target.leads, config.score.windows, config.score.apart_days)
    windows = study.windows(system).batch(chosen)
    frames = next(m.steps for m in spec.modalities.values() if m.kind == "images")
    truths = [known.truth(int(issue), target.leads, frames) for issue in chosen]
    context = study.windows(system).batch(_context(forecast, config.context))
    found = score_methods(_model(study, system), windows, truths, config.method, context)
    blank = score_methods(_untrained(study, system), windows, truths, config.method, context)
    found |= {AGAIN.format(method=m): s for m, s in blank.items() if m not in BASELINES}
    return ScoredModel(
        study.run.provenance(key, {"data": study.store.hash}),
        world,
        seed,
        explained_share(forecast, target.leads),
        *known.bracket(target.leads),
        scores=found,
        windows=len(chosen),
    )


def windows_of(forecast: Predictions, leads: range, count: int, apart_days: float) -> np.ndarray:
    """Issue times of the highest forecasts of the leads' mean, at least so far apart, ascending.

    The model's own forecast chooses, never the truth.
    """
    order = np.argsort(-forecast.mean[:, leads.start : leads.stop].mean(1), kind="stable")
    chosen: list[int] = []
    for issue in forecast.issue_time[order]:
        if all(abs(int(issue) - other) >= apart_days * DAY for other in chosen):
            chosen.append(int(issue))
        if len(chosen) == count:
            break
    return np.array(sorted(chosen), dtype=np.int64)


def explained_share(forecast: Predictions, leads: range) -> float:
    """1 - mean square error over variance of the leads' mean log1p(ap), complete rows only."""
    span = slice(leads.start, leads.stop)
    seen = np.log1p(forecast.observed[:, span]).mean(1)
    known = np.isfinite(seen)
    error = seen[known] - forecast.mean_log[known, span].mean(1)
    return float(1 - (error**2).mean() / seen[known].var())


def _context(forecast: Predictions, count: int) -> np.ndarray:
    take = np.linspace(0, len(forecast.issue_time) - 1, count).astype(int)
    return forecast.issue_time[np.unique(take)]


def _model(study: Study, system: str) -> Subject:
    return wrap(forecaster(study, system, 0), study.run.config.spec(system), name=system)


def _untrained(study: Study, system: str) -> Subject:
    """The same architecture and moments with weights that have learned nothing."""
    other = replace(study.run.config, seed=study.run.config.seed + OTHER_WEIGHTS)
    model = replace(study, run=replace(study.run, config=other)).untrained(system, study.folds[0])
    return wrap(model.eval(), study.run.config.spec(system), name=f"{system}, untrained")


def lines_of(record: ExplanationScore) -> tuple[str, ...]:
    """Claims, then methods over all models."""
    told = [
        f"{_verdict(c.passed)} {c.rule}: {_number(c.value)} ({c.reason})" for c in record.claims
    ]
    for row in record.rows:
        if row.slice == ALL:
            parts = [f"{k} {v.value:.2f}" for k, v in row.metrics.items()]
            told.append(f"{row.system:<44} {', '.join(parts)}")
    return tuple(told)


def _verdict(passed: bool | None) -> str:
    return {True: "holds  ", False: "MISSES ", None: "unknown"}[passed]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"

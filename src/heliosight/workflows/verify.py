"""The sealed verification: hashes first, then the block is read, once, and scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from heliosight.core import records
from heliosight.core.clock import DAY, HOUR, to_seconds, to_text
from heliosight.core.config import dump
from heliosight.core.errors import ConfigError
from heliosight.core.files import digest, sha256, write_text
from heliosight.core.folds import Fold
from heliosight.core.predictions import Predictions
from heliosight.core.sealed import SealedScore
from heliosight.evaluation.phase import Turns, real_turns
from heliosight.evaluation.real import RIDGES, real_table
from heliosight.evaluation.scorecard import find
from heliosight.evaluation.sealed import NOTES, sealed_parts
from heliosight.evaluation.table import full_text
from heliosight.issuing.ledger import Ledger
from heliosight.report.inputs import LANGUAGES
from heliosight.report.sealed_page import render_sealed
from heliosight.sun import SunConfig
from heliosight.sun.cycle import CYCLE_HOURS
from heliosight.training import predict
from heliosight.workflows.config import AppConfig
from heliosight.workflows.config_data import SunData
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.seal import open_block, witness_ledger
from heliosight.workflows.study import Study, study_of
from heliosight.workflows.trained import WEIGHTS, folder_of, forecaster, main_system, thresholds

TABLE, PAGE = "table.md", "page.{language}.html"
HORIZON = 72 * HOUR


def run(run: Run, verb: str = "") -> StageResult:
    """Open the config's sealed block with the last fold's model and write what it scored."""
    del verb
    study, system = study_of(run), main_system(run)
    fold = sealed_fold(study)
    number = len(study.folds) - 1
    model = forecaster(study, system, number)
    weights = sha256(folder_of(study, system, number) / WEIGHTS)
    hashes = {
        "config": digest(scored_config(run.config)),
        "weights": weights,
        "data": study.store.hash,
    }
    ledger = Ledger(Path(run.config.verify.ledger or run.folder.parent / "seals.jsonl"))
    opening = open_block(
        ledger, witness_ledger(), study.series("geomagnetic"), fold.test, hashes,
        run.config.verify.reopen,
    )  # fmt: skip
    key = run.key("verify", opening.line)
    folder = run.folder / "verify" / opening.line[:16]
    made = run.made(folder, SealedScore, key)
    if made is None:
        windows = study.windows(system)
        times = windows.issue_times(*fold.test, run.config.verify.stride_hours)
        given = predict(model, windows, times, name=system)
        limits = thresholds(study, system)[number : number + 1]
        made, table = _scored(study, fold, given, limits)
        made = replace(
            made, opening=opening, provenance=run.provenance(key, {"data": study.store.hash})
        )
        pages = {
            PAGE.format(language=k): render_sealed(made, k, run.simulated).encode()
            for k in LANGUAGES
        }
        records.save(folder, made, files={TABLE: table.encode(), **pages})
    page = run.folder / "verify.html"
    kept = (f"ledger: {ledger.path}", f"and: {witness_ledger().path}")
    write_text(page, (folder / PAGE.format(language=run.config.report.language)).read_text())
    return StageResult(made, (*lines(made), *kept, f"page: {page}"))


def sealed_fold(study: Study) -> Fold:
    """The last fold's past with the sealed block as its test span.

    Raises
    ------
    ConfigError : no block is named, or it lies too near to what was looked at before.
    """
    config, last = study.run.config.verify, study.folds[-1]
    if not config.start or not config.end:
        raise ConfigError(
            "a sealed block has a start and an end", "none", "Set verify.start and verify.end.",
            "verify",
        )  # fmt: skip
    span = to_seconds(config.start), to_seconds(config.end)
    gap = last.test[1] + HORIZON + int(last.buffer_days * DAY)
    if span[0] < gap or span[1] <= span[0]:
        raise ConfigError(
            "a sealed block begins after the last test block, its horizon and the buffer",
            f"{config.start} to {config.end}",
            f"Begin at {to_text(gap)} or later, or end the test blocks earlier (split.end).",
            "verify.start",
        )
    return replace(last, name=f"sealed_{config.start[:10]}", test=span)


def scored_config(config: AppConfig) -> dict[str, object]:
    """What the result depends on: not where it lies, how it is shown, or why it is reopened."""
    plain = dump(config)
    plain["verify"].pop("reopen")
    plain["verify"].pop("ledger")
    for name in ("run_dir", "threads", "report", "forecast", "explain", "diagnose"):
        plain.pop(name)
    return dict(plain)


def _scored(
    study: Study, fold: Fold, given: Predictions, limits: np.ndarray
) -> tuple[SealedScore, str]:
    config = replace(study.run.config.evaluate, leakage=False)
    holes = study.series("coronal_holes") if study.has_series("coronal_holes") else None
    best = "ridge_omni_ch" if holes is not None else "ridge_omni"
    predictions, card, _ = real_table(
        study.series("geomagnetic"),
        study.series("solar_wind"),
        holes,
        [fold],
        config,
        [given],
        {given.name: limits},
        pairs=[(given.name, best)],
    )
    parts = sealed_parts(
        predictions,
        study.series("geomagnetic"),
        fold,
        turns_of(study.run.config),
        (given.name, "damped", best, "climatology"),
        config.scoring,
    )
    record = SealedScore(
        system=given.name,
        fold=fold.name,
        card=card,
        phases=parts.phases,
        activity=parts.activity,
        reliability=parts.reliability,
        calibration=parts.calibration,
        storms=parts.storms,
        counts=parts.counts,
        notes=NOTES,
    )
    return record, full_text(card) + "\n"


def turns_of(config: AppConfig) -> Turns:
    """Minima and maxima of the Sun that made the data."""
    if isinstance(config.data, SunData):
        return simulated_turns(config.data.sun)
    return real_turns()


def simulated_turns(sun: SunConfig) -> list[tuple[float, float]]:
    """Minima (whole counts) and maxima (halves) of a simulated Sun."""
    start, cycle = float(sun.start_second), CYCLE_HOURS * HOUR
    return [(start + (count - sun.cycle_phase) * cycle, count) for count in np.arange(0, 6, 0.5)]


def lines(score: SealedScore) -> tuple[str, ...]:
    """The answer in a few lines."""
    o, s = score.opening, score.storms
    told = [
        f"sealed block {o.start} to {o.end}: opening {o.number}"
        + (f", AGAIN because: {o.reason}" if o.number > 1 else ", the first"),
        f"{score.card.issue_times} issue times, {s.storms} independent storms in "
        f"{s.rotations_with} of {s.rotations} rotations, largest ap {s.largest_ap:g}",
    ]
    rivals = [n for n in ("damped", *RIDGES) if n != score.system]
    for rival in rivals:
        days = [
            find(score.card.differences, f"{score.system} - {rival}", f"day {d}", "crps_ap_pooled")
            for d in (1, 2, 3)
        ]
        if all(d is not None for d in days):
            cells = [f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]" for d in days if d]
            told.append(f"CRPS of ap, {score.system} - {rival}, days 1/2/3: {', '.join(cells)}")
    return tuple(told)

"""What became of forecasts: archive entries verified, and past skill as known at an issue time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.errors import HeliosightError
from heliosight.core.issued import ForecastVerification, IssuedArrays, IssuedForecast, PastScore
from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval
from heliosight.core.tables import PRELIMINARY, SeriesTable, Table
from heliosight.evaluation import features
from heliosight.evaluation.at_issue import ISSUED, references_at
from heliosight.evaluation.dressing import join
from heliosight.evaluation.metrics import crps
from heliosight.evaluation.past import day_scores
from heliosight.evaluation.scorecard import on_common_rows
from heliosight.issuing.archive import Archive, Listed
from heliosight.workflows.run import Run
from heliosight.workflows.study import Study
from heliosight.workflows.systems import System
from heliosight.workflows.trained import predictions

BLOCK, LIVE, HINDCAST = "block", "live", "hindcast"
SHOWN = ("crps_ap_pooled", "corr_log_pooled", "brier_skill_G1_pooled")
PAIRED = "crps_ap_pooled"
MOST_DRAWS = 300
FEWEST_DAYS = 27
_HORIZON = 3 * DAY
_MOST_ROWS = 3000


def verify_entries(
    archive: Archive, run: Run, data: str, table: Table | None, known_until: int
) -> tuple[list[ForecastVerification], list[str]]:
    """Verify every entry whose outcome in a table of ap was known at a moment; others wait.

    One that was verified with preliminary values is verified again when fewer of them are.

    Parameters
    ----------
    data : hash of the store that the table is of.

    Returns
    -------
    The new verifications, and what is wrong with entries that cannot be read: an old or altered
    entry is told of, and keeps nobody from tonight's forecast.
    """
    done: list[ForecastVerification] = []
    problems: list[str] = []
    if not isinstance(table, SeriesTable):
        return done, problems
    for entry, before in archive.unsettled(known_until - _HORIZON):
        try:
            record, arrays = archive.read(entry)
        except HeliosightError as error:
            problems.append(f"{entry.name}: {error}")
            continue
        observed = features.values_at(
            table, "ap", arrays.valid_time, np.full(len(arrays.init_time), known_until)
        )
        early = _preliminary(table, arrays.valid_time)
        if np.isfinite(observed).all() and (before is None or early < before.preliminary):
            made = replace(
                _of(run, data, entry, record), preliminary=early,
                number=1 if before is None else before.number + 1,
            )  # fmt: skip
            archive.add_verification(made, _scores(record, arrays, observed))
            done.append(made)
    return done, problems


def _preliminary(table: SeriesTable, times: np.ndarray) -> int:
    """How many of the values of ap at these times the archive may still revise."""
    early = (table.flags[:, table.variables.index("ap")] & PRELIMINARY) > 0
    return int(np.isin(times, table.times[early]).sum())


def _of(run: Run, data: str, entry: Listed, record: IssuedForecast) -> ForecastVerification:
    return ForecastVerification(
        provenance=run.provenance(entry.hash, {"data": data}),
        entry=entry.name,
        entry_hash=entry.hash,
        issue_times=record.issue_times,
        systems=(record.system, *record.references),
        complete=True,
        data=data,
        hindcast=not entry.live,
    )


def _scores(
    record: IssuedForecast, arrays: IssuedArrays, observed: np.ndarray
) -> dict[str, np.ndarray]:
    low, high = arrays.quantiles[..., 0], arrays.quantiles[..., -1]
    inside = np.where(np.isnan(low), np.nan, (observed >= low) & (observed <= high))
    return {
        "observed": observed.astype(np.float32),
        "crps": np.stack([crps(p) for p in systems(record, arrays, observed)], 1),
        "inside_90": inside.astype(np.float32),
    }


def systems(
    record: IssuedForecast, arrays: IssuedArrays, observed: np.ndarray
) -> list[Predictions]:
    """The network and every reference of an entry, with what was observed."""

    def one(name: str, quantiles: np.ndarray, mean: np.ndarray, storm: np.ndarray) -> Predictions:
        return Predictions(
            name=name,
            issue_time=arrays.init_time,
            mean_log=np.log1p(np.maximum(mean, 0.0)),
            mean=mean,
            observed=observed,
            levels=np.array(record.levels),
            quantiles=quantiles,
            event_probability=storm,
            fold=np.zeros(len(mean), np.int64),
        )

    network = one(record.system, arrays.quantiles, arrays.mean, arrays.storm)
    return [network] + [
        one(
            name,
            arrays.reference_quantiles[:, r],
            arrays.reference_mean[:, r],
            arrays.reference_storm[:, r],
        )
        for r, name in enumerate(record.references)
    ]


def past_scores(system: System, issue: int, archive: Archive) -> tuple[PastScore, ...]:
    """How the model and its references did, as far as outcomes were known at `issue`.

    A user's model has no test blocks of ours: its entries in the archive are its past.
    """
    own = () if system.study is None else _block_scores(system.study, system.name, issue)
    return (*own, *_archive_scores(archive, system.name, issue))


def _block_scores(study: Study, system: str, issue: int) -> tuple[PastScore, ...]:
    """On the test blocks before: forecasts of each fold's own model, outcomes known by then."""
    whole = predictions(study, system)
    if whole is None:
        return ()
    past = _until(whole, issue - _HORIZON)
    if not len(past.issue_time) or np.ptp(past.issue_time) < FEWEST_DAYS * DAY:
        return ()
    table = study.series("geomagnetic")
    parts = []
    for number in np.unique(past.fold):
        times = past.issue_time[past.fold == number]
        made = references_at(table, table, study.folds[number], times)
        parts.append([_known(p, past, int(number)) for p, _ in made])
    joined = [join([part[k] for part in parts]) for k in range(len(ISSUED))]
    rows = on_common_rows([past, *joined])
    config = replace(study.run.config.evaluate.scoring, storm="G1")
    config = replace(config, replicates=min(config.replicates, MOST_DRAWS))
    scores = day_scores(rows, "damped", SHOWN, PAIRED, config)
    found = [PastScore(BLOCK, name, day, metrics) for (name, day), metrics in scores.items()]
    span = Interval(float(len(rows[0].issue_time)))
    first, last = (float(rows[0].issue_time[i]) for i in (0, -1))
    facts = {"forecasts": span, "first": Interval(first), "last": Interval(last)}
    return (PastScore(BLOCK, "", 0, facts), *found)


def _archive_scores(archive: Archive, system: str, issue: int) -> tuple[PastScore, ...]:
    """On the archive: forecasts of this system as they were issued, live ones and hindcasts apart.

    A hindcast was made by somebody who could know its outcome: its score is no live one's.
    """
    verified = [
        (record, arrays)
        for _, record, arrays in archive.verified()
        if _last_end(record) <= issue and record.systems == (system, *ISSUED)
    ]
    kinds = {LIVE: False, HINDCAST: True}
    parts = {w: [v for v in verified if v[0].hindcast == past] for w, past in kinds.items()}
    return tuple(score for where, mine in parts.items() for score in _means(where, system, mine))


def score_lines(archive: Archive) -> list[str]:
    """What the archive's verified forecasts came to beside their references, live ones apart."""
    names = sorted({record.systems[0] for _, record, _ in archive.verified()})
    found = {name: _archive_scores(archive, name, np.iinfo(np.int64).max) for name in names}
    return [
        _score_line(where, [score for score in scores if score.where == where])
        for scores in found.values()
        for where in (LIVE, HINDCAST)
        if any(score.where == where for score in scores)
    ]


def _score_line(where: str, scores: list[PastScore]) -> str:
    count = next(s.metrics["forecasts"].value for s in scores if not s.system)
    told = []
    for name in dict.fromkeys(s.system for s in scores if s.system):
        days = [s.metrics.get("crps_ap") for s in scores if s.system == name]
        told.append(f"{name} {' / '.join('-' if d is None else f'{d.value:.2f}' for d in days)}")
    return (
        f"{where}, {count:g} forecasts: mean CRPS of ap on days 1 / 2 / 3 (less is better, no "
        f"interval): {', '.join(told)}"
    )


def _means(
    where: str, system: str, verified: list[tuple[ForecastVerification, dict[str, np.ndarray]]]
) -> list[PastScore]:
    """Mean scores by system and day, and how many forecasts they are of."""
    if not verified:
        return []
    scores = np.concatenate([a["crps"] for _, a in verified])
    inside = np.concatenate([a["inside_90"] for _, a in verified])
    early = sum(record.preliminary > 0 for record, _ in verified)
    facts = {"forecasts": Interval(float(len(scores))), "preliminary": Interval(float(early))}
    found = [PastScore(where, "", 0, facts)]
    for k, name in enumerate((system, *ISSUED)):
        for day in (1, 2, 3):
            leads = slice(8 * (day - 1), 8 * day)
            means = {"crps_ap": _mean(scores[:, k, leads])}
            means |= {"coverage_90": _mean(inside[:, leads])} if k == 0 else {}
            given = {key: value for key, value in means.items() if value is not None}
            found.append(PastScore(where, name, day, given))
    return found


def _mean(values: np.ndarray) -> Interval | None:
    """The mean of what was not withheld, None where everything was."""
    known = values[np.isfinite(values)]
    return Interval(float(known.mean())) if len(known) else None


def _last_end(record: ForecastVerification) -> int:
    return to_seconds(record.issue_times[-1]) + 72 * HOUR


def _until(given: Predictions, last: int) -> Predictions:
    """The rows issued by then whose outcome is known, thinned to a few thousand."""
    keep = np.flatnonzero((given.issue_time <= last) & np.isfinite(given.observed).all(1))
    keep = keep[:: max(1, -(-len(keep) // _MOST_ROWS))]
    rows = {k: v if k == "levels" else v[keep] for k, v in given.arrays().items()}
    return Predictions(name=given.name, **rows)


def _known(given: Predictions, past: Predictions, number: int) -> Predictions:
    """A reference's forecasts with their outcome, G1..G3, in the fold of the network's rows."""
    rows = np.searchsorted(past.issue_time, given.issue_time)
    return replace(
        given,
        observed=past.observed[rows],
        event_probability=given.event_probability[:, :, : past.event_probability.shape[2]],
        fold=np.full(len(rows), number),
    )

"""The references every forecast is read against, on identical rows.

Each learns from the fold's train and validation spans alone and is dressed with its own errors
there. Damped persistence is the honest simple one: raw persistence and raw recurrence have larger
squared errors than a constant beyond a few hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from heliosight.core.errors import DataError
from heliosight.core.folds import Fold, Span
from heliosight.core.forecast import DEFAULT_LEVELS
from heliosight.core.geomagnetic import EVENT_CLASSES
from heliosight.core.predictions import Predictions
from heliosight.core.progress import bar
from heliosight.core.tables import SeriesTable
from heliosight.evaluation import features
from heliosight.evaluation.dressing import Dressing, best_threshold, join, storm_days
from heliosight.evaluation.ridge import Scaling, Sums, fit_ridge

LEADS = 24
SIMPLE = (
    "climatology",
    "trailing_27d",
    "persistence",
    "persistence_24h",
    "recurrence_27d",
    "damped",
)
_THRESHOLD_STRIDE = 5  # 15 h: every time of day, a fifth of the work


@final
@dataclass(frozen=True)
class Guess:
    """Point forecasts on all rows.

    mean_log, mean : `(N, L)`; without `mean` the mean ap follows from the dressing.
    """

    mean_log: np.ndarray
    mean: np.ndarray | None = None


@final
@dataclass(frozen=True)
class Rows:
    """The issue times all references share, and the parts each fold may use.

    Attributes
    ----------
    issue_time : `(N,)` ; target : `(N, L)` ap, every value known.
    """

    issue_time: np.ndarray
    target: np.ndarray
    folds: tuple[Fold, ...]

    @staticmethod
    def of(ap: SeriesTable, folds: Sequence[Fold]) -> Rows:
        """Every 3 h from the first training span to the last test span, target fully known."""
        if not folds:
            raise DataError("walk-forward evaluation has folds", "none", "Cut the store first.")
        start = min(f.train[0] for f in folds)
        end = max(f.test[1] for f in folds)
        step = features.STEP
        issue = np.arange(-(-start // step) * step, end, step)
        target = features.targets(ap, issue, LEADS)
        known = np.isfinite(target).all(1)
        rows = Rows(issue[known], target[known], tuple(folds))
        for fold in folds:
            rows.require(fold)
        return rows

    def require(self, fold: Fold) -> None:
        """Refuse a fold with an empty span."""
        for name in ("train", "validation", "test"):
            if not len(self.within(getattr(fold, name))):
                raise DataError(
                    "each span of a fold has rows whose target is known",
                    f"none in its {name} span",
                    "Cut the folds inside the table of ap.",
                    f"fold {fold.name}",
                )

    def within(self, span: Span) -> np.ndarray:
        """Indices of the rows whose issue time lies in a half-open span."""
        return np.flatnonzero((self.issue_time >= span[0]) & (self.issue_time < span[1]))

    def learn(self, fold: Fold) -> np.ndarray:
        """Indices of the rows a fold learns from, train and validation."""
        return np.concatenate([self.within(fold.train), self.within(fold.validation)])


@final
@dataclass(frozen=True)
class References:
    """What the references give.

    Attributes
    ----------
    predictions : one per system.
    thresholds : `(K, D, G)` probability from which on to warn, per system and fold.
    strengths : the ridge strength per system and fold.
    missing : share of imputed values by group of columns.
    """

    predictions: tuple[Predictions, ...]
    thresholds: Mapping[str, np.ndarray]
    strengths: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    missing: Mapping[str, float] = field(default_factory=dict)


def dressed(
    name: str,
    rows: Rows,
    number: int,
    guess: Guess,
    storms: Sequence[str] = EVENT_CLASSES,
) -> tuple[Predictions, np.ndarray]:
    """One system in one fold: its predictions on the test span, its thresholds `(D, G)`.

    storms : classes whose day probabilities are given.
    """
    fold = rows.folds[number]
    learn, test = rows.learn(fold), rows.within(fold.test)
    residual = np.log1p(rows.target[learn]) - guess.mean_log[learn]
    dressing = Dressing.of(residual)
    mean_log = guess.mean_log[test]
    mean = dressing.mean_ap(mean_log) if guess.mean is None else guess.mean[test]
    given = Predictions(
        name=name,
        issue_time=rows.issue_time[test],
        mean_log=mean_log,
        mean=mean,
        observed=rows.target[test],
        levels=np.array(DEFAULT_LEVELS),
        quantiles=dressing.quantiles(mean_log),
        event_probability=dressing.event_probability(mean_log, storms),
        fold=np.full(len(test), number),
    )
    return given, _thresholds(dressing, guess.mean_log[learn], rows.target[learn], storms)


def _thresholds(
    dressing: Dressing, mean_log: np.ndarray, target: np.ndarray, storms: Sequence[str]
) -> np.ndarray:
    """`(D, G)` thresholds of the best HSS in the training past."""
    p = dressing.event_probability(mean_log[::_THRESHOLD_STRIDE], storms)
    o = storm_days(target[::_THRESHOLD_STRIDE], storms)
    return np.array(
        [
            [best_threshold(p[:, d, g], o[:, d, g]) for g in range(p.shape[2])]
            for d in range(p.shape[1])
        ]
    )


def simple_guesses(ap: SeriesTable, rows: Rows) -> dict[str, Guess]:
    """The references that need no fit, on all rows; a gap in ap is filled per fold later."""
    issue = rows.issue_time
    newest = features.history(ap, "ap", issue, 27 * 8)

    def flat(values: np.ndarray) -> np.ndarray:
        return np.repeat(values[:, None], LEADS, 1)

    def mean(values: np.ndarray) -> Guess:
        log = features.trailing_mean(np.log1p(values))
        return Guess(flat(log), flat(features.trailing_mean(values)))

    back = features.recurrence(ap, issue, 27, LEADS)
    return {
        "trailing_27d": mean(newest),
        "persistence": mean(newest[:, -1:]),
        "persistence_24h": mean(newest[:, -8:]),
        "recurrence_27d": Guess(np.log1p(back), back),
    }


def climatology(rows: Rows, fold: Fold) -> Guess:
    """The mean of the training past, for every lead of every row."""
    past = rows.target[rows.learn(fold)]
    shape = rows.target.shape
    return Guess(np.broadcast_to(np.log1p(past).mean(), shape), np.broadcast_to(past.mean(), shape))


def filled(guess: Guess, fallback: Guess) -> Guess:
    """Missing values replaced by the fold's climatology."""
    log = np.where(np.isnan(guess.mean_log), fallback.mean_log, guess.mean_log)
    if guess.mean is None or fallback.mean is None:
        return Guess(log)
    return Guess(log, np.where(np.isnan(guess.mean), fallback.mean, guess.mean))


def damped(rows: Rows, fold: Fold, simple: Mapping[str, Guess]) -> Guess:
    """Regressed persistence and recurrence.

    log1p(ap)_l = a_l + b_l last 3 h + c_l 24-h mean + d_l 27 days before, by least squares per
    lead on the training past: a coefficient below 1 damps towards climatology.
    """
    names = ("persistence", "persistence_24h", "recurrence_27d")
    learn, out = rows.learn(fold), np.empty(rows.target.shape)
    y = np.log1p(rows.target[learn])
    for lead in range(LEADS):
        given = [simple[n].mean_log[:, lead] for n in names]
        x = np.stack([np.ones(len(out)), *given], 1)
        weights = np.linalg.lstsq(x[learn], y[:, lead], rcond=None)[0]
        out[:, lead] = x @ weights
    return Guess(out)


def simple_references(ap: SeriesTable, rows: Rows) -> References:
    """Climatology, trailing mean, persistences, recurrence and their damped combination."""
    raw = simple_guesses(ap, rows)
    parts: dict[str, list[Predictions]] = {name: [] for name in SIMPLE}
    limits: dict[str, list[np.ndarray]] = {name: [] for name in SIMPLE}
    with bar("simple references", len(rows.folds) * len(SIMPLE)) as running:
        for number, fold in enumerate(rows.folds):
            base = climatology(rows, fold)
            guesses = {"climatology": base, **{n: filled(g, base) for n, g in raw.items()}}
            guesses["damped"] = damped(rows, fold, guesses)
            for name in SIMPLE:
                given, limit = dressed(name, rows, number, guesses[name])
                parts[name].append(given)
                limits[name].append(limit)
                running.advance(note=f"{fold.name} {name}")
    return References(
        tuple(join(p) for p in parts.values()), {n: np.stack(v) for n, v in limits.items()}
    )


def ridge_references(
    rows: Rows,
    parts: Mapping[str, np.ndarray],
    systems: Mapping[str, tuple[str, ...]],
) -> References:
    """Ridges on groups of columns.

    Scaling and imputation are those of the first fold's training span, which lies in the past of
    every fold; so the sums of each span are accumulated once for all systems and strengths.

    Parameters
    ----------
    parts : groups of columns `(N, F)` on `rows`; systems : the groups each ridge sees.
    """
    design = features.build_design(rows.issue_time, parts)
    x = Scaling.of(design.values[rows.within(rows.folds[0].train)]).apply(design.values)
    y = np.log1p(rows.target)
    found: dict[str, list[Predictions]] = {name: [] for name in systems}
    limits: dict[str, list[np.ndarray]] = {name: [] for name in systems}
    strengths: dict[str, list[float]] = {name: [] for name in systems}
    with bar("ridge references", len(rows.folds) * len(systems)) as running:
        for number, fold in enumerate(rows.folds):
            train, validation = (_sums(x, y, rows.within(s)) for s in (fold.train, fold.validation))
            for name, groups in systems.items():
                columns = design.columns(groups)
                fit = fit_ridge(train.block(columns), validation.block(columns))
                weights = np.zeros((x.shape[1], LEADS))
                weights[columns] = fit.weights
                guess = Guess(x @ weights + fit.intercept)
                given, limit = dressed(name, rows, number, guess)
                found[name].append(given)
                limits[name].append(limit)
                strengths[name].append(fit.strength)
                running.advance(note=f"{fold.name} {name}")
    return References(
        tuple(join(p) for p in found.values()),
        {n: np.stack(v) for n, v in limits.items()},
        {n: tuple(v) for n, v in strengths.items()},
        design.missing_share(),
    )


def _sums(x: np.ndarray, y: np.ndarray, index: np.ndarray) -> Sums:
    return Sums.of(x[index], y[index])

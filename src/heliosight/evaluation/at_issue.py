"""The simple references for issue times whose outcome is not known: what is issued beside a model.

They learn from the same fold's past as the references of a scorecard, by the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from heliosight.core.folds import Fold
from heliosight.core.geomagnetic import STORM_AP
from heliosight.core.predictions import Predictions
from heliosight.core.tables import SeriesTable
from heliosight.evaluation import features
from heliosight.evaluation.references import (
    LEADS,
    Guess,
    Rows,
    climatology,
    damped,
    dressed,
    filled,
    simple_guesses,
)

ISSUED = ("climatology", "persistence_24h", "recurrence_27d", "damped")


def references_at(
    past: SeriesTable,
    now: SeriesTable,
    fold: Fold,
    issue_time: np.ndarray,
    names: Sequence[str] = ISSUED,
) -> list[tuple[Predictions, np.ndarray]]:
    """Climatology, persistence, 27-day recurrence and their damped combination, with G1..G5.

    Parameters
    ----------
    past : ap to learn from, in the fold's training and validation spans.
    now : ap as it is at issue time; values not available then are not used.
    issue_time : `(N,)` ascending, not before the fold's test span.

    Returns
    -------
    In the order of `names`: the forecasts, whose `event_probability` is `(N, D, 5)` and whose
    `observed` is unknown, and the thresholds `(D, 5)` from which on to warn.
    """
    learn = _learning(past, fold)
    asked = np.asarray(issue_time, np.int64)
    unknown = np.full((len(asked), LEADS), np.nan)
    span = (int(asked.min()), int(asked.max()) + 1)
    alone = replace(fold, test=span)
    rows = Rows(
        np.concatenate([learn.issue_time, asked]), np.concatenate([learn.target, unknown]), (alone,)
    )
    raw = _joined(simple_guesses(past, learn), simple_guesses(now, Rows(asked, unknown, (alone,))))
    base = climatology(rows, alone)
    guesses = {"climatology": base, **{n: filled(g, base) for n, g in raw.items()}}
    guesses["damped"] = damped(rows, alone, guesses)
    return [dressed(n, rows, 0, guesses[n], tuple(STORM_AP)) for n in names]


def _learning(past: SeriesTable, fold: Fold) -> Rows:
    """Rows of the fold's training and validation spans whose target is known."""
    step = features.STEP
    issue = np.arange(-(-fold.train[0] // step) * step, fold.validation[1], step)
    target = features.targets(past, issue, LEADS)
    inside = np.zeros(len(issue), bool)
    for span in (fold.train, fold.validation):
        inside |= (issue >= span[0]) & (issue < span[1])
    known = np.isfinite(target).all(1) & inside
    return Rows(issue[known], target[known], (fold,))


def _joined(one: dict[str, Guess], other: dict[str, Guess]) -> dict[str, Guess]:
    """Guesses of the learning rows followed by those of the issued ones."""

    def both(name: str) -> Guess:
        a, b = one[name], other[name]
        if a.mean is None or b.mean is None:
            return Guess(np.concatenate([a.mean_log, b.mean_log]))
        return Guess(np.concatenate([a.mean_log, b.mean_log]), np.concatenate([a.mean, b.mean]))

    return {name: both(name) for name in one}

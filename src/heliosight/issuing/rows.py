"""Rows of predictions: one taken out, emptied, repeated, and several put together again."""

from __future__ import annotations

import numpy as np

from heliosight.core.predictions import Predictions


def one_row(given: Predictions, row: int) -> Predictions:
    """One row, still with its axis."""
    arrays = given.arrays()
    one = {k: v if k == "levels" else v[row : row + 1] for k, v in arrays.items()}
    return Predictions(name=given.name, **one)


def nothing_of(one: Predictions) -> Predictions:
    """A withheld forecast: its numbers are not given."""
    gone = {
        key: np.full_like(getattr(one, key), np.nan) for key in ("mean_log", "mean", "quantiles")
    }
    return Predictions(name=one.name, **{**one.arrays(), **gone})


def stacked(parts: list[tuple[Predictions, np.ndarray]]) -> tuple[Predictions, np.ndarray]:
    """Rows with what belongs to each, put together in their order."""
    first = parts[0][0]
    arrays = {
        key: first.levels
        if key == "levels"
        else np.concatenate([getattr(p, key) for p, _ in parts])
        for key in first.arrays()
    }
    return Predictions(name=first.name, **arrays), np.concatenate([s for _, s in parts])


def repeated(climatology: Predictions, past: Predictions) -> Predictions:
    """Climatology on the rows of `past`: the same distribution for each."""
    n = len(past.mean)
    rows = {
        key: np.broadcast_to(
            getattr(climatology, key)[:1], (n, *getattr(climatology, key).shape[1:])
        )
        for key in ("mean_log", "mean", "quantiles", "event_probability")
    }
    return Predictions(
        name=climatology.name,
        issue_time=past.issue_time,
        observed=past.observed,
        levels=climatology.levels,
        fold=past.fold,
        **rows,
    )

"""How a split can fake skill: the same learner and data under three ways to cut them.

A k-nearest-neighbour regression (Cover & Hart 1967, IEEE IT 13, 21) of the day-3 daily mean of
log1p(ap) remembers windows. When issue times are dealt out at random, the neighbour of a test
window is a training window three hours away with nearly the same target; nothing is forecast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.errors import DataError
from heliosight.core.progress import bar
from heliosight.core.seeding import numpy_stream
from heliosight.evaluation.dressing import LEADS_A_DAY
from heliosight.evaluation.references import Rows
from heliosight.evaluation.ridge import Scaling

NEIGHBOURS = 10
BLOCK_DAYS = 730.5
BUFFER_DAYS = 34.0
_TEST_SHARE = 0.2
_STRIDE = 7  # a test row every 21 h meets every time of day
_CHUNK = 128  # distances of so many rows stay in the cache


@final
@dataclass(frozen=True)
class LeakageRow:
    """Correlation of the day-3 mean of log1p(ap) under one split.

    Attributes
    ----------
    split : `random anchors`, `blocks with buffer` (two years, 34 days) or `walk-forward`.
    pooled : over all test rows; within : mean over the blocks or folds (None for one random set).
    rows : test rows scored.
    """

    split: str
    pooled: float
    within: float | None
    rows: int


def nearest_mean(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """`(N,)` mean target of the nearest training rows by Euclidean distance.

    Parameters
    ----------
    train_x : `(M, F)`; train_y : `(M,)`; test_x : `(N, F)`.

    Raises
    ------
    DataError : fewer training rows than neighbours.
    """
    if len(train_x) < neighbours:
        raise DataError(
            f"{neighbours} neighbours need as many training rows", f"{len(train_x)} rows"
        )
    train_x, test_x = train_x.astype(np.float32), test_x.astype(np.float32)
    square = (train_x**2).sum(1)
    out = np.empty(len(test_x))
    for start in range(0, len(test_x), _CHUNK):
        distance = test_x[start : start + _CHUNK] @ train_x.T
        distance *= -2
        distance += square
        nearest = np.argpartition(distance, neighbours - 1, axis=1)[:, :neighbours]
        out[start : start + _CHUNK] = train_y[nearest].mean(1)
    return out


def random_split(issue_time: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A fifth of the rows at random is test: the split that leaks."""
    order = numpy_stream(seed, "leakage").permutation(len(issue_time))
    cut = int(_TEST_SHARE * len(order))
    return [(order[cut:], order[:cut])]


def block_split(
    issue_time: np.ndarray, block_days: float = BLOCK_DAYS, buffer_days: float = BUFFER_DAYS
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each block is test once; training is all the rest, past and future, outside the buffer.

    A block with nothing outside its buffer is left out: data of one block give no split.
    """
    block = ((issue_time - issue_time.min()) / (block_days * DAY)).astype(int)
    out = []
    for number in np.unique(block):
        inside = np.flatnonzero(block == number)
        first, last = issue_time[inside[0]], issue_time[inside[-1]]
        gap = buffer_days * DAY
        far = (issue_time < first - gap) | (issue_time > last + gap)
        if far.any():
            out.append((np.flatnonzero(far), inside))
    return out


def walk_forward_split(rows: Rows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Train and validation spans against the test span of each fold."""
    return [(rows.learn(fold), rows.within(fold.test)) for fold in rows.folds]


def leakage_table(
    rows: Rows,
    columns: np.ndarray,
    seed: int = 0,
    neighbours: int = NEIGHBOURS,
    block_days: float = BLOCK_DAYS,
) -> tuple[LeakageRow, ...]:
    """The inflation by splitting.

    Parameters
    ----------
    columns : `(N, F)` what the learner sees at each of `rows`, NaN where missing.

    Returns
    -------
    One row per split, the leaking one first. Scaling is by the training rows of each split.
    """
    target = np.log1p(rows.target[:, 2 * LEADS_A_DAY :]).mean(1)
    splits: Mapping[str, list[tuple[np.ndarray, np.ndarray]]] = {
        "random anchors": random_split(rows.issue_time, seed),
        "blocks with buffer": block_split(rows.issue_time, block_days),
        "walk-forward": walk_forward_split(rows),
    }
    found = []
    with bar("leakage table", sum(len(s) for s in splits.values())) as running:
        for name, parts in splits.items():
            scored = []
            for train, test in parts:
                scored.append(_forecast(columns, target, train, test[::_STRIDE], neighbours))
                running.advance(note=name)
            if scored:
                found.append(_row(name, scored))
    return tuple(found)


def _forecast(
    columns: np.ndarray, target: np.ndarray, train: np.ndarray, test: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """Forecast and truth on the test rows of one part."""
    scaling = Scaling.of(columns[train])
    x, z = scaling.apply(columns[train]), scaling.apply(columns[test])
    return nearest_mean(x, target[train], z, neighbours), target[test]


def _row(name: str, scored: list[tuple[np.ndarray, np.ndarray]]) -> LeakageRow:
    forecast, truth = (np.concatenate(side) for side in zip(*scored, strict=True))
    each = [np.corrcoef(f, t)[0, 1] for f, t in scored]
    within = float(np.mean(each)) if len(each) > 1 else None
    pooled = float(np.corrcoef(forecast, truth)[0, 1])
    return LeakageRow(name, pooled, within, len(truth))

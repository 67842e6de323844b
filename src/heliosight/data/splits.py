"""Chronological walk-forward folds with a buffer, stored as hashed files.

A span holds issue times in [start, end). The last target of a span ends before
`end + horizon`, so the next span begins no earlier than `end + horizon + buffer`. With the
default horizon of 72 h and 34 days of buffer, the 27 days of a recurrence input and the 7 days of
a look-back of the first window of the next span lie wholly after the last target of this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from heliosight.core import config
from heliosight.core.clock import DAY, HOUR, to_seconds, to_text
from heliosight.core.errors import ConfigError, RecordError
from heliosight.core.files import digest, read_json, write_json
from heliosight.core.folds import Fold, Span
from heliosight.core.seeding import numpy_stream

SCHEMA = "folds"
VERSION = 1
HORIZON_HOURS = 72


@final
@dataclass(frozen=True)
class WalkForward:
    """Where the folds of a study lie, as ISO 8601 UTC texts.

    Attributes
    ----------
    first, last : first moment of the training past, last moment of the data.
    test_blocks : start and end of every test block, in order of time.
    buffer_days : from the end of one span's last target to the next span.
    validation_share : last part of the training past, on which choices are made.
    """

    first: str
    last: str
    test_blocks: tuple[tuple[str, str], ...]
    buffer_days: float = 34.0
    validation_share: float = 0.15
    horizon_hours: int = HORIZON_HOURS
    type: Literal["walk_forward"] = "walk_forward"

    def __post_init__(self) -> None:
        self.folds()

    def folds(self) -> tuple[Fold, ...]:
        """The folds of this config."""
        blocks = [(to_seconds(a), to_seconds(b)) for a, b in self.test_blocks]
        return walk_forward(
            to_seconds(self.first),
            to_seconds(self.last),
            blocks,
            self.buffer_days,
            self.validation_share,
            self.horizon_hours,
        )


def walk_forward(
    first: int,
    last: int,
    test_blocks: Sequence[Span],
    buffer_days: float = 34.0,
    validation_share: float = 0.15,
    horizon_hours: int = HORIZON_HOURS,
) -> tuple[Fold, ...]:
    """One fold per test block: everything before it, less the buffers, is its past.

    Parameters
    ----------
    first, last : UTC seconds between which data lie; a test block is cut at `last`.
    test_blocks : half-open spans of issue times, rising.
    validation_share : 0 or more and under 0.5; 0 gives an empty validation span.

    Raises
    ------
    ConfigError : no block, blocks out of order or outside the data, a past shorter than 30 days,
        a negative buffer, a share outside its range.
    """
    if not 0 <= validation_share < 0.5:
        raise ConfigError(
            "validation_share lies in [0, 0.5)", f"{validation_share}", where="validation_share"
        )
    if not 0 <= buffer_days < np.inf:
        raise ConfigError("buffer_days is 0 or more", f"{buffer_days}", where="buffer_days")
    edges = [first, *(moment for block in test_blocks for moment in block)]
    rising = all(a < b for a, b in test_blocks) and edges == sorted(edges)
    if not test_blocks or not rising or test_blocks[-1][0] >= last:
        raise ConfigError(
            "test blocks rise in time and lie between first and last",
            "; ".join(f"{to_text(a)} to {to_text(b)}" for a, b in test_blocks) or "none",
            where="test_blocks",
        )
    gap = int(buffer_days * DAY) + horizon_hours * HOUR
    return tuple(
        _fold(first, (a, min(b, last)), gap, buffer_days, validation_share) for a, b in test_blocks
    )


def _fold(first: int, test: Span, gap: int, buffer_days: float, share: float) -> Fold:
    past_end = test[0] - gap
    cut = past_end - int(share * (past_end - first)) // DAY * DAY
    validation = (cut, past_end) if share else (past_end, past_end)
    train_end = cut - gap if share else past_end
    if train_end - first < 30 * DAY:
        raise ConfigError(
            "a fold has at least 30 days to train on",
            f"{(train_end - first) / DAY:.1f} days before the test block of {to_text(test[0])}",
            "Start the test blocks later, or shorten the buffer or the validation share.",
            "test_blocks",
        )
    return Fold(f"test_{to_text(test[0])[:10]}", (first, train_end), validation, test, buffer_days)


def within(issue_times: np.ndarray, span: Span) -> np.ndarray:
    """Those of `(N,)` ascending issue times that lie in [start, end)."""
    return issue_times[(issue_times >= span[0]) & (issue_times < span[1])]


def leaky_random_split(
    issue_times: np.ndarray, seed: int, test_share: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """Training and test issue times drawn at random: a demonstration of leakage, nothing else.

    Neighbouring windows share most of their input and of their target, so a test window drawn
    so has near copies in training. Its scores must never be reported as skill.
    """
    chosen = numpy_stream(seed, "leaky_random_split").random(len(issue_times)) < test_share
    return issue_times[~chosen], issue_times[chosen]


def folds_hash(folds: Sequence[Fold]) -> str:
    """The hash a run record gives for its split."""
    return digest(_body(folds))


def save_folds(path: Path, folds: Sequence[Fold]) -> str:
    """Write folds with their hash, whole or not at all; gives the hash."""
    body = _body(folds)
    write_json(Path(path), {**body, "hash": digest(body)})
    return digest(body)


def load_folds(path: Path) -> tuple[Fold, ...]:
    """Folds of a file; one that was altered or cut off raises `RecordError`."""
    try:
        body = read_json(Path(path))
        hashed = body.pop("hash")
        entries = body["folds"]
    except (RecordError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            "a split file is whole JSON with folds and their hash",
            str(error),
            "Write it again with save_folds.",
            str(path),
        ) from error
    if digest(body) != hashed or body.get("version") != VERSION:
        raise RecordError(
            "a split file has the hash and version it was written with",
            f"{digest(body)[:12]} against {str(hashed)[:12]}, version {body.get('version')}",
            "It was edited: write it again with save_folds.",
            str(path),
        )
    return tuple(config.build(Fold, entry, f"folds[{i}]") for i, entry in enumerate(entries))


def _body(folds: Sequence[Fold]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "folds": [config.dump(fold) for fold in folds],
    }

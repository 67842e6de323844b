"""What a store looks like: where it is covered, where it has holes, how its values are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.tables import BAD_FRAME, UNOBSERVED, ImageTable, SeriesTable, Table

BINS = 180
LEVELS = 40
# Frames looked at for a histogram, evenly spaced.
SAMPLE = 256


@final
@dataclass(frozen=True)
class Gap:
    """A hole: its first stamp without a value, the next one with any, and the rows between."""

    start: int
    end: int
    rows: int


@final
@dataclass(frozen=True)
class Spread:
    """A histogram: `edges` `(k + 1,)` and `counts` `(k,)` of finite, observed values."""

    variable: str
    edges: np.ndarray
    counts: np.ndarray


def coverage(table: Table, start: int, end: int, bins: int = BINS) -> np.ndarray:
    """`(V, bins)` share of the rows that a complete axis would have and that are observed.

    Parameters
    ----------
    start, end : the span that is divided into bins, UTC seconds, end exclusive.
    """
    edges = np.linspace(start, max(end, start + 1), bins + 1)
    slot = np.searchsorted(edges, table.times, side="right") - 1
    inside = (slot >= 0) & (slot < bins)
    due = np.maximum((edges[1:] - edges[:-1]) / table.cadence, 1e-9)
    seen = (table.flags & UNOBSERVED) == 0
    counts = [np.bincount(slot[inside & good], minlength=bins) for good in seen.T]
    return np.clip(np.array(counts, dtype=np.float64) / np.maximum(due, 1.0), 0.0, 1.0)


def longest_gaps(table: Table, most: int = 5) -> list[Gap]:
    """The longest holes, longest first: no row, or rows in which nothing was observed.

    An archive that writes a fill for every hour has all its rows and holes none the less.
    """
    if not len(table.times):
        return []
    seen = ((table.flags & UNOBSERVED) == 0).any(1)
    ends = int(table.times[0]) - table.cadence, int(table.times[-1]) + table.cadence
    stamps = np.concatenate([ends[:1], table.times[seen], ends[1:]])
    rows = (np.rint(np.diff(stamps) / table.cadence) - 1).astype(np.int64)
    order = np.argsort(-rows, kind="stable")[:most]
    return [
        Gap(int(stamps[i]) + table.cadence, int(stamps[i + 1]), int(rows[i]))
        for i in order if rows[i] > 0
    ]  # fmt: skip


def spreads(table: Table) -> list[Spread]:
    """A histogram of each variable between its 0.1 and 99.9 % quantiles, or of grey levels."""
    if isinstance(table, ImageTable):
        return _grey(table)
    found = (_spread(table, name) for name in table.variables)
    return [spread for spread in found if spread is not None]


def _spread(table: SeriesTable, name: str) -> Spread | None:
    values = table.column(name)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [0.001, 0.999])
    if high <= low:
        low, high = low - 0.5, low + 0.5
    counts, edges = np.histogram(values, LEVELS, (float(low), float(high)))
    return Spread(name, edges, counts)


def _grey(table: ImageTable) -> list[Spread]:
    edges = np.linspace(0, 256, 65)
    found = []
    for c, name in enumerate(table.variables):
        rows = np.flatnonzero((table.flags[:, c] & UNOBSERVED) == 0)
        counts = np.zeros(64, dtype=np.int64)
        for i in _evenly(rows, SAMPLE):
            counts += np.bincount(table.frames[i, c].ravel() // 4, minlength=64)
        if counts.any():
            found.append(Spread(name, edges, counts))
    return found


def sheet_rows(table: ImageTable, most: int = 24, bad: int = 12) -> list[int]:
    """Rows for a contact sheet in order of time: evenly spaced ones, and those with bad frames."""
    rows = set(_evenly(np.arange(len(table.times)), most))
    flagged = np.flatnonzero(((table.flags & BAD_FRAME) > 0).any(1))
    return sorted(rows | set(_evenly(flagged, bad)))


def _evenly(rows: np.ndarray, most: int) -> list[int]:
    if len(rows) <= most:
        return [int(i) for i in rows]
    return [int(rows[k]) for k in np.linspace(0, len(rows) - 1, most).round().astype(int)]


def bar_line(shares: Sequence[float]) -> str:
    """Shares 0..1 as one line of eighths of a block; nothing at all is a dot."""
    blocks = "▁▂▃▄▅▆▇█"
    return "".join("·" if s <= 0 else blocks[min(int(s * 8 - 1e-9), 7)] for s in shares)

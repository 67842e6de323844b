"""Where in a table a window's steps lie: rows by index, computed for all issue times at once.

A modality with lag g sees at issue time T exactly what was available at T - g. For a series of
cadence c and latency a, a value stamped s is available at s + c + a, so the newest stamp is the
last one of the table's grid with s + c + a <= T - g, and step i of S is (S - 1 - i) c before it.

Recurrence: with 3-h values and 24 leads the value 27 days before lead l is stamped
T + 3 l - 648 h. The newest (l = 23) is stamped T - 579 h and known at T - 576 h. Hence
`lag_hours = 27 * 24 - leads * lead_hours = 576` and `steps = 24` give step l = that value,
exactly, for every issue time on the 3-hour grid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.errors import SpecError
from heliosight.core.spec import ModalitySpec
from heliosight.core.tables import UNOBSERVED, ImageTable, SeriesTable, Table


class Cut(ABC):
    """Rows of one table for one modality. Row `absent` stands for "no such row"."""

    def __init__(self, table: Table, spec: ModalitySpec, where: str) -> None:
        self.table, self.spec = table, spec
        self.step = spec.cadence_hours * HOUR
        self.lag = spec.lag_hours * HOUR
        self.back = np.arange(spec.steps - 1, -1, -1, dtype=np.int64) * self.step
        self.columns = np.array([_column(table, name, where) for name in spec.variables])
        self.absent = len(table.times)
        flags = np.asarray(table.flags)[:, self.columns]
        none = np.zeros((1, len(self.columns)), dtype=bool)
        self.observed = np.concatenate([(flags & UNOBSERVED) == 0, none])

    @abstractmethod
    def stamps(self, issue: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        """Nominal stamps `(B, steps)`, oldest first; `shift` moves them whole steps back."""

    @abstractmethod
    def rows_at(self, stamps: np.ndarray) -> np.ndarray:
        """Row of each stamp, `absent` where the table has none."""

    def rows(self, issue: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        """Rows `(B, steps)`; never one that was not available at `issue`."""
        rows = self.rows_at(self.stamps(issue, shift))
        known = np.append(self.table.available, np.iinfo(np.int64).max)
        return np.where(known[rows] <= issue[:, None], rows, self.absent)

    def begins(self) -> int:
        """First stamp of the table."""
        return int(self.table.times[0])


class SeriesCut(Cut):
    """Steps of a series: the table's own grid."""

    table: SeriesTable

    def __init__(self, table: SeriesTable, spec: ModalitySpec, where: str) -> None:
        super().__init__(table, spec, where)
        if self.step != table.cadence:
            raise SpecError(
                "a series modality has its table's cadence",
                f"{spec.cadence_hours} h against {table.cadence / HOUR:g} h",
                "Average the table first (three_hourly), or change cadence_hours.",
                where,
            )
        self._grid = Grid(table, where)
        values = table.values[:, self.columns]
        values = np.where(self.observed[:-1], values, 0.0).astype(np.float32)
        self.values = np.concatenate([values, np.zeros((1, len(self.columns)), np.float32)])

    def stamps(self, issue: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        """Nominal stamps `(B, S)`."""
        delay = self.lag + self.table.cadence + self.table.latency
        newest = self._grid.floor(issue - delay)
        return newest[:, None] - self.back - _back(shift, self.step)

    def rows_at(self, stamps: np.ndarray) -> np.ndarray:
        """Row of each stamp."""
        return self._grid.rows(stamps)


class ImageCut(Cut):
    """Frames: the newest one known at T - lag, then one every cadence back.

    A frame counts for a slot when it lies within half the table's cadence of it. When the newest
    frame is a cadence old or more the slots run on without it and are unobserved.
    """

    table: ImageTable

    def __init__(self, table: ImageTable, spec: ModalitySpec, where: str) -> None:
        super().__init__(table, spec, where)
        if self.step % table.cadence:
            raise SpecError(
                "an image modality's cadence is a multiple of its table's",
                f"{spec.cadence_hours} h against {table.cadence / HOUR:g} h",
                "Change cadence_hours.",
                where,
            )
        if table.frames.shape[2:] != (spec.size, spec.size):
            raise SpecError(
                "frames have the size the modality asks for",
                f"{table.frames.shape[2:]} against {spec.size} pixels",
                "Change size, or read the frames with another size.",
                where,
            )
        c = len(table.variables)
        self.pixels = table.frames.reshape(-1, *table.frames.shape[2:])
        self.planes = np.arange(len(table.times) + 1)[:, None] * c + self.columns
        self.planes[-1] = 0

    def stamps(self, issue: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        """Nominal stamps `(B, T)`."""
        times = self.table.times
        moment = issue - self.lag - self.table.latency
        newest = times[np.maximum(np.searchsorted(times, moment, side="right") - 1, 0)]
        anchor = newest + (moment - newest) // self.step * self.step
        return anchor[:, None] - self.back - _back(shift, self.step)

    def rows_at(self, stamps: np.ndarray) -> np.ndarray:
        """Row of the nearest frame."""
        times = self.table.times
        after = np.searchsorted(times, stamps).clip(0, len(times) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.abs(times[before] - stamps) <= np.abs(times[after] - stamps)
        row = np.where(nearer, before, after)
        return np.where(2 * np.abs(times[row] - stamps) < self.table.cadence, row, self.absent)


class Grid:
    """A table's regular time axis as a dense lookup from slot to row."""

    def __init__(self, table: SeriesTable, where: str) -> None:
        self._cadence = table.cadence
        self._first = int(table.times[0])
        self.absent = len(table.times)
        slots, rest = np.divmod(table.times - self._first, self._cadence)
        if np.any(rest):
            raise SpecError(
                "a series' stamps lie on one grid of its cadence",
                f"{int(np.count_nonzero(rest))} stamps off the grid",
                "Average onto the grid first.",
                where,
            )
        self._row = np.full(int(slots[-1]) + 3, self.absent)
        self._row[slots + 1] = np.arange(self.absent)

    def floor(self, moments: np.ndarray) -> np.ndarray:
        """The last grid stamp at or before each moment."""
        return self._first + (moments - self._first) // self._cadence * self._cadence

    def rows(self, stamps: np.ndarray) -> np.ndarray:
        """Row of each stamp; `absent` off the grid, before it and after it."""
        since = stamps - self._first
        slots = since // self._cadence  # twice as fast as divmod
        rows = self._row.take(slots + 1, mode="clip")
        return np.where(slots * self._cadence == since, rows, self.absent)


def _column(table: Table, name: str, where: str) -> int:
    if name not in table.variables:
        raise SpecError(
            "a table has the variables a modality asks for",
            f"{name!r} of table {table.name}",
            f"It has: {', '.join(table.variables)}.",
            where,
        )
    return table.variables.index(name)


def _back(shift: np.ndarray | None, step: int) -> np.ndarray | int:
    return 0 if shift is None else np.asarray(shift, dtype=np.int64)[:, None] * step


def make_cut(table: Table, spec: ModalitySpec, where: str) -> SeriesCut | ImageCut:
    """The cut of a modality; a kind that differs from the table's raises `SpecError`."""
    if not len(table.times):
        raise SpecError("a window's table has rows", "an empty table", where=where)
    if isinstance(table, ImageTable) and spec.kind == "images":
        return ImageCut(table, spec, where)
    if isinstance(table, SeriesTable) and spec.kind == "series":
        return SeriesCut(table, spec, where)
    raise SpecError(
        "a modality's kind is its table's", f"{spec.kind} of a {type(table).__name__}", where=where
    )

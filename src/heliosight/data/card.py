"""The dataset card: what a store holds, where it came from, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from heliosight.core.clock import HOUR, to_text
from heliosight.core.records import Assumed, DatasetCard, Provenance, TableCard, VariableCoverage
from heliosight.core.tables import (
    BAD_FRAME,
    INTERPOLATED,
    MISSING,
    OUT_OF_RANGE,
    PRELIMINARY,
    UNOBSERVED,
    ImageTable,
    SeriesTable,
    Table,
    Tables,
)
from heliosight.core.variables import variable

_PIXELS = 1 << 22


def dataset_card(
    tables: Tables,
    name: str,
    sources: Mapping[str, str] | None = None,
    licences: Mapping[str, str] | None = None,
    caveats: Sequence[str] = (),
    store_hash: str = "",
    made: Provenance | None = None,
    assumed: Sequence[Assumed] = (),
    cutoff_minutes: float = 0.0,
    as_known: str = "",
) -> DatasetCard:
    """The card of some tables: coverage, gaps, counts of missing and out-of-range values.

    Parameters
    ----------
    sources, licences : free text by table or file, as the caller knows them.
    caveats : what a reader of the data must know; what the flags show is added to them.
    """
    found = [line for table in tables.values() for line in _remarks(table)]
    return DatasetCard(
        made or Provenance(),
        name,
        tuple(_table_card(table) for table in tables.values()),
        dict(sources or {}),
        dict(licences or {}),
        (*caveats, *found),
        store_hash,
        tuple(assumed),
        cutoff_minutes,
        as_known,
    )


def _table_card(table: Table) -> TableCard:
    times = table.times
    kind: Literal["images", "series"] = "images" if isinstance(table, ImageTable) else "series"
    return TableCard(
        table.name,
        kind,
        to_text(times[0]) if len(times) else "",
        to_text(times[-1]) if len(times) else "",
        table.cadence / HOUR,
        len(times),
        gaps(table),
        table.latency / HOUR,
        tuple(_coverage(table, i) for i in range(len(table.variables))),
    )


def gaps(table: Table) -> int:
    """Number of rows a complete time axis of this cadence would have in addition."""
    if len(table.times) < 2:
        return 0
    return int((np.rint(np.diff(table.times) / table.cadence) - 1).clip(0).sum())


def _coverage(table: Table, i: int) -> VariableCoverage:
    flags = table.flags[:, i]
    name = table.variables[i]
    good = (flags & UNOBSERVED) == 0
    mean, std = _series_moments(table, i, good) if isinstance(table, SeriesTable) else (
        _image_moments(table, i, good)
    )  # fmt: skip
    return VariableCoverage(
        name,
        variable(name).units,
        int(((flags & (MISSING | BAD_FRAME)) > 0).sum()),
        int(((flags & OUT_OF_RANGE) > 0).sum()),
        len(flags),
        mean,
        std,
    )


def _series_moments(
    table: SeriesTable, i: int, good: np.ndarray
) -> tuple[float | None, float | None]:
    values = table.values[good, i].astype(np.float64)
    return (float(values.mean()), float(values.std())) if len(values) else (None, None)


def _image_moments(
    table: ImageTable, i: int, good: np.ndarray
) -> tuple[float | None, float | None]:
    rows = np.flatnonzero(good)
    if not len(rows):
        return None, None
    total = square = count = 0
    step = max(1, _PIXELS // int(np.prod(table.frames.shape[2:])))
    for start in range(0, len(rows), step):
        pixels = table.frames[rows[start : start + step], i].astype(np.int64)
        total, square = total + int(pixels.sum()), square + int((pixels * pixels).sum())
        count += pixels.size
    mean = total / count
    return mean, float(np.sqrt(max(square / count - mean * mean, 0.0)))


def _remarks(table: Table) -> list[str]:
    """A line for each variable never observed or with bad frames, one on means over holes."""
    lines = []
    early = ((table.flags & PRELIMINARY) > 0).sum(0).tolist()
    if any(early):
        counts = zip(table.variables, early, strict=True)
        text = ", ".join(f"{name} {count}" for name, count in counts if count)
        lines.append(f"{table.name}: preliminary values, which may still be revised: {text}")
    if isinstance(table, ImageTable) and table.history:
        lines.append(f"{table.name}: corrections, each made once: {', '.join(table.history)}")
    averaged = ((table.flags & INTERPOLATED) > 0).sum(0).tolist()
    if any(averaged):
        counts = zip(table.variables, averaged, strict=True)
        text = ", ".join(f"{name} {count}" for name, count in counts if count)
        lines.append(f"{table.name}: intervals averaged over the hours that are there: {text}")
    for i, name in enumerate(table.variables):
        flags = table.flags[:, i]
        if len(flags) and bool(((flags & UNOBSERVED) > 0).all()):
            lines.append(f"{table.name}: {name} is never observed")
        elif ((flags & BAD_FRAME) > 0).any():
            count = int(((flags & BAD_FRAME) > 0).sum())
            lines.append(f"{table.name}: {name} has {count} bad exposures or frames, flagged")
    return lines

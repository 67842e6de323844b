"""The tables a forecast reads: the run's own store, another store, or live files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import MISSING, ImageTable, SeriesTable, Table, Tables
from heliosight.core.variables import STEP

INDEX, WIND = "geomagnetic", "solar_wind"


def known_at(tables: Tables, moment: int) -> dict[str, Table]:
    """The tables as they were: rows that were not available at a moment do not exist in them."""
    found: dict[str, Table] = {}
    for name, table in tables.items():
        count = int(np.searchsorted(table.available, moment, side="right"))
        times, flags = table.times[:count], table.flags[:count]
        if isinstance(table, ImageTable):
            found[name] = replace(table, times=times, flags=flags, frames=table.frames[:count])
        else:
            found[name] = replace(table, times=times, flags=flags, values=table.values[:count])
    return found


def newest(tables: Tables) -> int:
    """The last 3-hour mark at or before which something became available."""
    known = [int(t.available[-1]) for t in tables.values() if len(t.times)]
    return max(known) // STEP * STEP


def completed(tables: Tables, spec: ForecastSpec) -> dict[str, Table]:
    """Tables that have everything a specification names; what is absent is there, unobserved.

    An index that the wind's table lacks (real-time wind has none) is taken from the index table.
    """
    found = dict(tables)
    for modality in spec.modalities.values():
        table = found.get(modality.table)
        if table is None or not len(table.times):
            found[modality.table] = _nothing(modality, table)
        elif isinstance(table, SeriesTable):
            found[modality.table] = _with_columns(table, modality.variables, found.get(INDEX))
    return found


def _with_columns(table: SeriesTable, names: tuple[str, ...], index: Table | None) -> SeriesTable:
    """The table with the columns it lacks, from the index table where that has them."""
    for name in names:
        if name in table.variables:
            continue
        column = np.full(len(table.times), np.nan, np.float32)
        if isinstance(index, SeriesTable) and name in index.variables:
            row = np.searchsorted(index.times, table.times).clip(0, len(index.times) - 1)
            same = index.times[row] == table.times
            known = index.available[row] <= table.available
            column = np.where(same & known, index.column(name)[row], np.nan).astype(np.float32)
        flags = np.where(np.isnan(column), MISSING, 0).astype(np.uint8)
        table = replace(
            table,
            variables=(*table.variables, name),
            values=np.column_stack([table.values, column]).astype(np.float32),
            flags=np.column_stack([table.flags, flags]),
        )
    return table


def _nothing(modality: ModalitySpec, table: Table | None) -> Table:
    """A table of one row that nobody observed, long ago."""
    cadence = modality.cadence_hours * HOUR if table is None else table.cadence
    names = modality.variables if table is None else table.variables
    flags = np.full((1, len(names)), MISSING, np.uint8)
    start = np.zeros(1, np.int64)
    if modality.kind == "images":
        frames = np.zeros((1, len(names), modality.size, modality.size), np.uint8)
        return ImageTable(modality.table, start, cadence, names, frames, flags)
    values = np.full((1, len(names)), np.nan, np.float32)
    return SeriesTable(modality.table, start, cadence, names, values, flags)

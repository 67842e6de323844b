"""Several series tables of one cadence as one: years in a row, snapshots over each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heliosight.core.clock import to_text
from heliosight.core.errors import DataError
from heliosight.core.tables import MISSING, OUT_OF_RANGE, SeriesTable

_FEWEST = 10


def overlay(tables: Sequence[SeriesTable], name: str = "") -> SeriesTable:
    """All rows and variables of the tables `(N, V)`; where two give a value, the first one counts.

    The latency is the largest of the tables': a merged row is known when its slowest part is.

    Raises
    ------
    DataError : no table, or two cadences.
    """
    if not tables:
        raise DataError("joining needs at least one table", "none")
    cadences = {table.cadence for table in tables}
    if len(cadences) > 1:
        raise DataError("joined tables have one cadence", f"{sorted(cadences)} s", where=name)
    times = np.unique(np.concatenate([table.times for table in tables]))
    variables = tuple(dict.fromkeys(v for table in tables for v in table.variables))
    values = np.full((len(times), len(variables)), np.nan, dtype=np.float32)
    flags = np.full(values.shape, MISSING, dtype=np.uint8)
    for table in reversed(tables):
        rows = np.searchsorted(times, table.times)
        for i, variable in enumerate(table.variables):
            column = variables.index(variable)
            given = (table.flags[:, i] & MISSING) == 0
            values[rows[given], column] = table.values[given, i]
            flags[rows[given], column] = table.flags[given, i]
    latency = max(table.latency for table in tables)
    return SeriesTable(
        name or tables[0].name, times, cadences.pop(), variables, values, flags, latency
    )


def within(table: SeriesTable, start: int | None = None, end: int | None = None) -> SeriesTable:
    """The rows whose intervals begin at or after `start` and are over at `end` [UTC seconds]."""
    keep = np.ones(len(table.times), dtype=bool)
    if start is not None:
        keep &= table.times >= start
    if end is not None:
        keep &= table.times + table.cadence <= end
    return SeriesTable(
        table.name, table.times[keep], table.cadence, table.variables, table.values[keep],
        table.flags[keep], table.latency,
    )  # fmt: skip


def require_units(table: SeriesTable, where: str) -> SeriesTable:
    """The table itself, unless most values of a variable lie outside its valid range.

    Single values out of range are flagged; when more than half are, the archive speaks in other
    units than it did, and nothing of it can be believed.
    """
    for i, variable in enumerate(table.variables):
        given = (table.flags[:, i] & MISSING) == 0
        outside = given & ((table.flags[:, i] & OUT_OF_RANGE) > 0)
        if given.sum() >= _FEWEST and outside.sum() > given.sum() / 2:
            raise DataError(
                "most values of a variable lie in its valid range",
                f"{variable}: {outside.sum()} of {given.sum()} outside, first "
                f"{table.values[outside, i][0]:g} at {to_text(table.times[outside][0])}",
                "The archive may have changed its units.",
                where,
            )
    return table

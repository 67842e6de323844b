"""Daily coronal-hole area from one AIA 193 frame at 00 UT: the one long image-derived series."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heliosight.core.clock import DAY, to_seconds
from heliosight.core.errors import DataError
from heliosight.core.tables import BAD_FRAME, SeriesTable
from heliosight.data.assemble import check_rising, read_rows, series
from heliosight.data.quality import departure

NAME = "coronal_holes"
COLUMNS = ("date", "ch_area", "disk_median")
# The disc median drifts by a few per cent a day; bad exposures leave it by far more.
GLITCH = np.log(1.6)
MEMORY_DAYS = 27


def read_coronal_holes(path: Path | str) -> SeriesTable:
    """Area fraction and disc median, table "coronal_holes" `(N, 2)`.

    One value comes from ONE frame taken at its stamp, so it is known at its stamp: the table's
    cadence is a day and its latency minus a day, hence `available == times`. A disc median
    that departs from the median of the 27 days before it by more than a factor 1.6 is flagged
    BAD_FRAME; the area, a threshold relative to the disc median, stays observed.

    Raises
    ------
    DataError : another header, a short or unreadable line, duplicated or backward dates.
    """
    path = Path(path)
    rows = read_rows(path, "a coronal-hole CSV")
    if tuple(rows[0]) != COLUMNS:
        raise DataError(
            f"the header is {','.join(COLUMNS)}",
            ",".join(rows[0]),
            "Check that the file is what its name says.",
            str(path),
        )
    parsed = [_row(number, row, path) for number, row in enumerate(rows[1:], 2)]
    times = np.array([row[0] for row in parsed], dtype=np.int64)
    check_rising(times, lambda i: f"line {i + 2}", str(path))
    area, median = (np.array([row[k] for row in parsed], dtype=np.float64) for k in (1, 2))
    table = series(NAME, times, DAY, {"ch_area": area, "disk_median": median}, latency=-DAY)
    table.flags[np.abs(departure(median, MEMORY_DAYS)) > GLITCH, 1] |= BAD_FRAME
    return table


def _row(number: int, row: list[str], path: Path) -> tuple[int, float, float]:
    try:
        date, area, median = row
        return to_seconds(date), float(area or "nan"), float(median or "nan")
    except ValueError as error:
        raise DataError(
            "a line is date,ch_area,disk_median",
            f"{','.join(row)!r} at line {number}",
            "The file is truncated or edited: fetch it again.",
            str(path),
        ) from error

"""GFZ's Kp family: the JSON service and the text files, with their definitive/preliminary status.

Source: GFZ format descriptions at kp.gfz.de (Matzka et al. 2021, doi:10.1029/2020SW002641; Hpo:
Yamazaki et al. 2022, doi:10.1029/2022GL098860). Stamps are interval starts, UT; missing is -1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.errors import DataError
from heliosight.core.geomagnetic import ap_of_kp
from heliosight.core.tables import MISSING, PRELIMINARY, SeriesTable
from heliosight.core.variables import STEP
from heliosight.data.archives.documents import json_of, moments, numbers, refuse_page
from heliosight.data.assemble import check_rising, series, text_of
from heliosight.data.overlay import require_units

# Their name: ours, the table it belongs to, its cadence, its status key.
INDICES: Mapping[str, tuple[str, str, int, str]] = {
    "Kp": ("kp", "geomagnetic", STEP, "status"),
    "ap": ("ap", "geomagnetic", STEP, "status"),
    "Ap": ("ap_daily", "daily_indices", DAY, "Apstatus"),
    "SN": ("sunspot_number", "daily_indices", DAY, "SNstatus"),
    "Fobs": ("f107", "daily_indices", DAY, ""),
    "Hp30": ("hp30", "hp30", HOUR // 2, ""),
    "ap30": ("ap30", "hp30", HOUR // 2, ""),
    "Hp60": ("hp60", "hp60", HOUR, ""),
    "ap60": ("ap60", "hp60", HOUR, ""),
}
_STATES = {"def": 0, "pre": PRELIMINARY, "now": PRELIMINARY}
_THIRDS = ("kp", "hp30", "hp60")
_EPOCH = to_seconds("1932-01-01")  # from which the files count days
_INTERVAL_CELLS, _DAILY_CELLS = 10, 28
_LARGEST = 1e7


def read_gfz_json(data: bytes) -> SeriesTable:
    """One index as the JSON service gives it, `(N, 1)`; `pre` values have the remark PRELIMINARY.

    Raises
    ------
    DataError : a web page, no or another index, lists of different lengths, an unknown status,
        stamps off the cadence, values that are not the index's.
    """
    document = json_of(data, "a GFZ answer")
    name = next((key for key in INDICES if isinstance(document, Mapping) and key in document), "")
    if not name:
        found = ", ".join(map(str, document))[:100] if isinstance(document, Mapping) else ""
        raise DataError(
            f"a GFZ answer holds one of {', '.join(INDICES)}", found or type(document).__name__,
            "The service has changed.",
        )  # fmt: skip
    ours, table, cadence, status = INDICES[name]
    values, stamps = _lists(document, name, "datetime")
    times = moments(stamps, "a GFZ answer")
    check_rising(times, lambda i: f"entry {i + 1}", name)
    _require_grid(times, cadence, name)
    flags = _states(document.get(status), len(times), name) if status else 0
    return _finished(table, times, cadence, {ours: numbers(values, name)}, flags)


def _lists(document: Mapping[str, Any], *keys: str) -> list[Sequence[Any]]:
    found = [document.get(key) for key in keys]
    if any(not isinstance(x, list) for x in found) or len({len(x) for x in found if x}) != 1:
        sizes = ", ".join(
            f"{k} {len(x) if isinstance(x, list) else x!r}"
            for k, x in zip(keys, found, strict=True)
        )
        raise DataError(
            f"a GFZ answer gives {' and '.join(keys)} as lists of one length", sizes[:120],
            "The answer is cut off, or nothing is published for these days.",
        )  # fmt: skip
    return [x for x in found if isinstance(x, list)]


def _states(states: Any, count: int, name: str) -> np.ndarray:
    if not isinstance(states, list) or len(states) != count:
        raise DataError(f"every {name} has its status", repr(states)[:80])
    unknown = sorted({str(s) for s in states} - set(_STATES))
    if unknown:
        raise DataError(f"a status is one of {', '.join(_STATES)}", repr(unknown[0]), where=name)
    return np.array([[_STATES[s]] for s in states], dtype=np.uint8)


def _require_grid(times: np.ndarray, cadence: int, where: str) -> None:
    if np.any(times % cadence):
        raise DataError(
            f"stamps lie on the grid of {cadence // 60} min",
            str(np.datetime64(int(times[np.argmax(times % cadence > 0)]), "s")),
            "The service has changed.",
            where,
        )


def _finished(
    table: str,
    times: np.ndarray,
    cadence: int,
    columns: Mapping[str, np.ndarray],
    remarks: np.ndarray | int,
) -> SeriesTable:
    """A flagged table: -1 is missing, Kp and Hpo are decimal thirds."""
    clean = {}
    for name, values in columns.items():
        known = np.where(values < 0, np.nan, values)
        clean[name] = _thirds(name, known) if name in _THIRDS else known
    made = series(table, times, cadence, clean)
    flags = made.flags | np.where(made.flags & MISSING, 0, remarks).astype(np.uint8)
    return require_units(
        SeriesTable(table, made.times, cadence, made.variables, made.values, flags), table
    )


def _thirds(name: str, values: np.ndarray) -> np.ndarray:
    """Exact thirds of printed ones (2.667 is 8/3); anything else is not this index."""
    if (np.abs(values) > 1e4).any():
        raise DataError(f"{name} is below 10000", f"{np.nanmax(values):g}", "A damaged file?")
    steps = np.rint(values * 3)
    if np.any(np.abs(values * 3 - steps)[np.isfinite(values)] > 0.01):
        i = int(np.nanargmax(np.abs(values * 3 - steps)))
        raise DataError(
            f"{name} is given in thirds", f"{values[i]:g} at row {i + 1}", "Other units?"
        )
    if name == "kp" and np.any(values[np.isfinite(values)] > 9.01):
        raise DataError(
            "Kp is at most 9", f"{np.nanmax(values):g}", "Ten times Kp? Check the source."
        )
    return steps / 3.0


def read_gfz_intervals(data: bytes) -> SeriesTable:
    """A file of intervals, `(N, 2)`: `Kp_ap_*`, `Hp30_ap30_*` or `Hp60_ap60_*`, told by its stamps.

    Kp and ap with D = 0 have the remark PRELIMINARY; Hp files always print 0 there, so they have
    none.

    Raises
    ------
    DataError : a web page, a line of another length, an unreadable number, a day count that
        contradicts its date, times that do not rise, a Kp and an ap that do not belong together.
    """
    cells = _cells(data, _INTERVAL_CELLS, "a GFZ file of intervals")
    begin, middle = cells[:, 3], cells[:, 4]
    cadence = round(2 * (middle[0] - begin[0]) * HOUR)
    kinds = {STEP: ("kp", "ap", "geomagnetic"), HOUR // 2: ("hp30", "ap30", "hp30"),
             HOUR: ("hp60", "ap60", "hp60")}  # fmt: skip
    if cadence not in kinds:
        raise DataError("intervals last 30 min, 1 h or 3 h", f"{cadence} s", where="GFZ file")
    first, second, table = kinds[cadence]
    times = _times(cells[:, :3], cells[:, 5], begin)
    made = _finished(
        table, times, cadence, {first: cells[:, 7], second: cells[:, 8]},
        np.where(cells[:, 9:] == 0, PRELIMINARY, 0) if table == "geomagnetic" else 0,
    )  # fmt: skip
    if table == "geomagnetic":
        _require_scale(made)
    return made


def _require_scale(table: SeriesTable) -> None:
    kp, ap = table.column("kp"), table.column("ap")
    wrong = np.isfinite(kp) & np.isfinite(ap) & (ap_of_kp(kp) != ap)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise DataError(
            "ap is the equivalent of its Kp", f"Kp {kp[i]:.3f}, ap {ap[i]:g} at row {i + 1}",
            "The columns have moved: fetch the file again.",
        )  # fmt: skip


def read_gfz_daily(data: bytes) -> tuple[SeriesTable, SeriesTable]:
    """Tables "geomagnetic" `(8N, 2)` and "daily_indices" `(N, 3)` of a `Kp_ap_Ap_SN_F107_*` file.

    D = 0 marks Kp and the sunspot number as preliminary, D = 1 the sunspot number alone. The
    sunspot number is not for commercial use (SILSO, CC BY-NC 4.0). Errors as `read_gfz_intervals`.
    """
    cells = _cells(data, _DAILY_CELLS, "a GFZ daily file")
    days = _times(cells[:, :3], cells[:, 3], np.zeros(len(cells)))
    definitive = cells[:, 27]
    times = (days[:, None] + STEP * np.arange(8)).ravel()
    early = np.repeat(np.where(definitive == 0, PRELIMINARY, 0), 8)[:, None]
    columns = {"kp": cells[:, 7:15].ravel(), "ap": cells[:, 15:23].ravel()}
    indices = _finished("geomagnetic", times, STEP, columns, early)
    _require_scale(indices)
    remarks = np.stack([definitive == 0, definitive < 2, np.zeros_like(definitive)], axis=1)
    names = {"ap_daily": cells[:, 23], "sunspot_number": cells[:, 24], "f107": cells[:, 25]}
    return indices, _finished("daily_indices", days, DAY, names, remarks * PRELIMINARY)


def _cells(data: bytes, count: int, what: str) -> np.ndarray:
    """`(N, count)` numbers of the lines that are no comment."""
    text = text_of(data, what, PurePosixPath(what))  # type: ignore[arg-type]
    refuse_page(text, what)
    numbered = [
        (i, line.split())
        for i, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not numbered:
        raise DataError(f"{what} has lines of numbers", "none", "Fetch it again.")
    for i, row in numbered:
        if len(row) != count:
            raise DataError(
                f"a line of {what} has {count} numbers", f"{len(row)} at line {i}",
                "The file is cut off or of another layout: fetch it again.",
            )  # fmt: skip
    try:
        cells = np.array([row for _, row in numbered], dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{what} holds numbers", str(error)[:80], "Fetch it again.") from error
    if not np.all(np.abs(cells) < _LARGEST):
        raise DataError(
            f"{what} holds finite numbers", f"{np.abs(cells).max():g}", "Fetch it again."
        )
    return cells


def _times(dates: np.ndarray, days: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """UTC seconds of year, month, day and hour; the file's own count of days must agree."""
    year, month, day = dates.astype(np.int64).T
    good = (year > 1800) & (year < 2300) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    begin = months.astype("datetime64[s]").astype(np.int64) + (day - 1) * DAY
    seconds = begin + np.rint(hours * HOUR).astype(np.int64)
    counted = _EPOCH + days * DAY
    off = ~good | (np.abs(counted - seconds) > 60)
    if off.any():
        i = int(np.argmax(off))
        raise DataError(
            "a line's date and its count of days agree",
            f"{dates[i].astype(int).tolist()} and {days[i]:g} at row {i + 1}",
            "The line is damaged: fetch the file again.",
        )
    check_rising(seconds, lambda i: f"row {i + 1}", "GFZ file")
    return seconds

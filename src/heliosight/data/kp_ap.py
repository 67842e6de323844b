"""Kp and ap: CelesTrak's `SW-All` file (fixed width) and GFZ's `Kp_ap_since_1932` file.

Kp and ap are GFZ's (Matzka et al. 2021, doi:10.1029/2020SW002641, CC BY 4.0). Only the OBSERVED
section of `SW-All` is read; its predicted sections never enter.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.errors import DataError
from heliosight.core.tables import SeriesTable
from heliosight.core.variables import STEP
from heliosight.data.assemble import check_rising, read_text, series
from heliosight.data.omni2 import kp_from_tenths

KIND = "a CelesTrak SW-All file"
NAME = "geomagnetic"
# FORMAT(I4,I3,I3,I5,I3,8I3,I4,8I4,I4,F4.1,I2,I4,F6.1,I2,5F6.1)
_WIDTH = 130
_DATE = ((0, 4), (4, 7), (7, 10))
_KP = tuple((18 + 3 * i, 21 + 3 * i) for i in range(8))
_AP = tuple((46 + 4 * i, 50 + 4 * i) for i in range(8))
_AP_DAILY, _F107 = (78, 82), (112, 118)


def read_kp_ap(path: Path | str) -> SeriesTable:
    """3-hourly Kp (decimal thirds) and ap of the OBSERVED section, table "geomagnetic" `(N, 2)`.

    Raises
    ------
    DataError : not such a file, fewer observed days than the header counts (truncated), a short
        line, an unreadable field, duplicated or backward days.
    """
    days, lines = _observed(Path(path))
    kp = kp_from_tenths(_fields(lines, _KP, Path(path)))
    ap = _fields(lines, _AP, Path(path))
    times = (days[:, None] + STEP * np.arange(8)).ravel()
    return series(NAME, times, STEP, {"kp": kp.ravel(), "ap": ap.ravel()})


def read_daily_indices(path: Path | str) -> SeriesTable:
    """Daily Ap and observed F10.7, table "daily_indices" `(N, 2)`; errors as `read_kp_ap`."""
    days, lines = _observed(Path(path))
    ap = _fields(lines, (_AP_DAILY,), Path(path))[:, 0]
    f107 = _fields(lines, (_F107,), Path(path))[:, 0]
    f107[f107 <= 0] = np.nan
    return series("daily_indices", days, DAY, {"ap_daily": ap, "f107": f107})


def _observed(path: Path) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Day stamps `(N,)` and numbered lines of the OBSERVED section."""
    lines = read_text(path, KIND).splitlines()
    marks = {line.strip(): i for i, line in enumerate(lines)}
    if not lines[0].startswith("DATATYPE CssiSpaceWeather") or "BEGIN OBSERVED" not in marks:
        raise DataError(
            f"{KIND} begins with DATATYPE CssiSpaceWeather and has BEGIN OBSERVED",
            repr(lines[0][:40]),
            "Give SW-All.txt as CelesTrak serves it.",
            str(path),
        )
    begin = marks["BEGIN OBSERVED"] + 1
    rows = [(i + 1, lines[i]) for i in range(begin, marks.get("END OBSERVED", len(lines)))]
    _require_whole(path, lines, rows, "END OBSERVED" in marks)
    times = np.array([_day(number, line, path) for number, line in rows], dtype=np.int64)
    check_rising(times, lambda i: f"line {rows[i][0]}", str(path))
    return times, rows


def _require_whole(path: Path, lines: list[str], rows: list[tuple[int, str]], ended: bool) -> None:
    counted = [line[19:].strip() for line in lines if line.startswith("NUM_OBSERVED_POINTS")]
    if not ended or (counted and counted[0] != str(len(rows))):
        raise DataError(
            "the OBSERVED section is whole: END OBSERVED and as many days as the header counts",
            f"{len(rows)} days of {counted[0] if counted else 'an unknown number'}",
            "The file is truncated: fetch it again.",
            str(path),
        )
    for number, line in rows:
        if len(line) < _WIDTH:
            raise DataError(
                f"a line of the OBSERVED section has {_WIDTH} characters",
                f"{len(line)} at line {number}",
                "The file is truncated or edited: fetch it again.",
                str(path),
            )


def _day(number: int, line: str, path: Path) -> int:
    try:
        year, month, day = (int(line[a:b]) for a, b in _DATE)
        return int(np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "s").astype(np.int64))
    except ValueError as error:
        raise DataError(
            "a line begins with year, month and day",
            f"{line[:10]!r} at line {number}",
            "The line is damaged: fetch the file again.",
            str(path),
        ) from error


def _fields(
    rows: list[tuple[int, str]], spans: tuple[tuple[int, int], ...], path: Path
) -> np.ndarray:
    """`(N, spans)` numbers, NaN where blank."""
    values = np.empty((len(rows), len(spans)))
    for i, (number, line) in enumerate(rows):
        for j, (a, b) in enumerate(spans):
            text = line[a:b].strip()
            try:
                values[i, j] = float(text) if text else np.nan
            except ValueError as error:
                raise DataError(
                    "a field is a number or blank",
                    f"{text!r} at line {number}, columns {a + 1}-{b}",
                    "The line is damaged: fetch the file again.",
                    str(path),
                ) from error
    return values

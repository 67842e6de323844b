"""What every reader shares: opening a file plainly, checking its times, flagging its values."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from heliosight.core.clock import to_text
from heliosight.core.errors import DataError
from heliosight.core.tables import MISSING, OUT_OF_RANGE, SeriesTable
from heliosight.core.variables import variable


def require_file(path: Path) -> Path:
    """The path of an existing file; a missing file or a folder raises `DataError`."""
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataError("a reader is given an existing file", found, "Check the path.", str(path))
    return path


def read_text(path: Path, kind: str) -> str:
    """The text of an ASCII or UTF-8 file; other bytes raise `DataError`."""
    return text_of(require_file(path).read_bytes(), kind, path)


def text_of(data: bytes, kind: str, path: Path) -> str:
    """The text of a document that came from `path`, as `read_text`."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_text(path, kind) from error
    if "\0" in text:
        raise _not_text(path, kind)
    if not text.strip():
        raise DataError(f"{kind} holds lines", "an empty file", "Fetch it again.", str(path))
    return text


def read_rows(path: Path, kind: str) -> list[list[str]]:
    """The cells of a CSV file; what no reader of CSV can take apart raises `DataError`."""
    try:
        return list(csv.reader(read_text(path, kind).splitlines()))
    except csv.Error as error:
        do = "Check that the file is what its name says."
        raise DataError(f"{kind} is CSV", str(error), do, str(path)) from error


def _not_text(path: Path, kind: str) -> DataError:
    return DataError(
        f"{kind} is plain text", "binary bytes", "Check that the file is what its name says.",
        str(path),
    )  # fmt: skip


def check_rising(times: np.ndarray, place: Callable[[int], str], where: str) -> None:
    """Raise `DataError` at the first row whose time does not follow the row before.

    Parameters
    ----------
    times : `(N,)` int64 UTC seconds.
    place : says where row i stands in the file ("line 12").
    """
    steps = np.diff(times)
    if np.all(steps > 0):
        return
    i = int(np.argmax(steps <= 0)) + 1
    kind = "duplicated" if steps[i - 1] == 0 else "backward"
    raise DataError(
        "times rise strictly",
        f"{kind} time {to_text(times[i])} at {place(i)}",
        "Remove the repeated rows, or give files in order of time.",
        where,
    )


def flags_of(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """`(N, V)` uint8: MISSING where NaN, OUT_OF_RANGE where the vocabulary's range is left."""
    low = np.array([variable(name).low for name in names])
    high = np.array([variable(name).high for name in names])
    missing = np.isnan(values)
    with np.errstate(invalid="ignore"):
        outside = ~missing & ((values < low) | (values > high))
    return (missing * MISSING + outside * OUT_OF_RANGE).astype(np.uint8)


def series(
    name: str,
    times: np.ndarray,
    cadence: int,
    columns: dict[str, np.ndarray],
    latency: int = 0,
) -> SeriesTable:
    """A flagged series table of columns `(N,)` by variable name, NaN where missing."""
    names = tuple(columns)
    exact = np.stack([np.asarray(columns[n], dtype=np.float64) for n in names], axis=1)
    flags = flags_of(exact, names)
    return SeriesTable(
        name, times.astype(np.int64), cadence, names, exact.astype(np.float32), flags, latency
    )

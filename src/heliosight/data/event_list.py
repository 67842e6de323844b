"""Published event lists in CSV: issue times with labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from heliosight.core.clock import DAY, to_seconds
from heliosight.core.errors import DataError
from heliosight.data.assemble import check_rising, read_rows
from heliosight.data.events import Events


@final
@dataclass(frozen=True)
class EventList:
    """Issue times with their published labels.

    Attributes
    ----------
    times : `(E,)` int64 issue times, ascending.
    storm : `(E, D)` bool, D is 1 (whole 72 h) or 3 (per day); the study's label is ap >= 48.
    split : the published `train` or `test` of each, empty texts where the list has none.
    max_ap : `(E, D)` largest ap, NaN where the list does not give it.
    """

    times: np.ndarray
    storm: np.ndarray
    split: tuple[str, ...]
    max_ap: np.ndarray


_TIME_HEADER = ["time", "class", "split"]
_DAYS = (1, 2, 3)
_DAY_HEADER = [
    "file_name",
    *(f"max_day_{day}" for day in _DAYS),
    *(f"class_day_{day}" for day in _DAYS),
]
_POSITIVE = {
    "positive": True,
    "negative": False,
    "1": True,
    "0": False,
    "true": True,
    "false": False,
}


def read_event_list(path: Path | str) -> EventList:
    """A CSV event list, `time,class,split` or `file_name,max_day_1..3,class_day_1..3`.

    Raises
    ------
    DataError : another header, an unreadable line, duplicated or backward times.
    """
    path = Path(path)
    rows = read_rows(path, "an event list")
    header = [cell.strip() for cell in rows[0]]
    if header not in (_TIME_HEADER, _DAY_HEADER):
        raise DataError(
            f"the header is {','.join(_TIME_HEADER)} or {','.join(_DAY_HEADER)}",
            ",".join(header),
            "Check that the file is what its name says.",
            str(path),
        )
    parse = _time_row if header == _TIME_HEADER else _day_row
    parsed = []
    for number, row in enumerate(rows[1:], 2):
        try:
            parsed.append(parse(row))
        except (ValueError, KeyError) as error:
            raise DataError(
                f"a line is {','.join(header)}",
                f"{','.join(row)!r} at line {number}",
                "The file is truncated or edited: fetch it again.",
                str(path),
            ) from error
    times = np.array([row[0] for row in parsed], dtype=np.int64)
    check_rising(times, lambda i: f"line {i + 2}", str(path))
    return EventList(
        times,
        np.array([row[1] for row in parsed], dtype=bool),
        tuple(row[2] for row in parsed),
        np.array([row[3] for row in parsed], dtype=np.float64),
    )


def listed_without_window(events: Events, entries: EventList) -> np.ndarray:
    """`(M,)` listed issue times that no event file has, ascending UTC seconds."""
    return np.setdiff1d(entries.times, events.issue_times)


def share_near_training(entries: EventList, days: float) -> float:
    """Share of the test events that lie within `days` of a training event: what a split leaks.

    Raises
    ------
    DataError : the list does not say which events train and which test.
    """
    split = np.array(entries.split)
    train, test = (entries.times[split == name] for name in ("train", "test"))
    if not len(train) or not len(test):
        raise DataError(
            "a leak is looked for between training and test events",
            f"{len(train)} and {len(test)}",
            "Give a list whose column `split` names both.",
        )
    place = np.searchsorted(train, test)
    before = test - train[np.maximum(place - 1, 0)]
    after = train[np.minimum(place, len(train) - 1)] - test
    gap = np.minimum(np.abs(before), np.abs(after))
    return float((gap <= days * DAY).mean())


_Row = tuple[int, list[bool], str, list[float]]


def _time_row(row: list[str]) -> _Row:
    time, label, split = row
    return to_seconds(time), [_POSITIVE[label.strip().lower()]], split, [np.nan]


def _day_row(row: list[str]) -> _Row:
    name, *cells = row
    found = re.fullmatch(r"(\d{4})(\d{2})(\d{2})(\d{2})(\.h5)?", Path(name).name)
    if not found or len(cells) != 6:
        raise ValueError(name)
    year, month, day, hour = found.groups()[:4]
    storm = [_POSITIVE[cell.strip().lower().removesuffix(".0")] for cell in cells[3:]]
    return to_seconds(f"{year}-{month}-{day}T{hour}:00"), storm, "", [float(c) for c in cells[:3]]

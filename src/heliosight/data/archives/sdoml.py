"""SDOML v2: the machine-learning archive of SDO in zarr, one array a year and channel.

Source: the SDOMLv2 repository and its paper (Galvez et al. 2019, doi:10.3847/1538-4365/ab1005).
Frames are already divided by exposure and degradation and scaled to one disc radius, so nothing of
that is done again. Frames can be out of order in time, HMI stamps are TAI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.data.archives.documents import json_of
from heliosight.data.tai import seconds_of_tai_text

BUCKET = "https://gov-nasa-hdrl-data1.s3.amazonaws.com/contrib/fdl-sdoml/fdl-sdoml-v2"
PLACES = {
    "aia_193": ("sdomlv2.zarr", "193A", "DN/s"),
    "aia_211": ("sdomlv2.zarr", "211A", "DN/s"),
    "hmi_magnetogram": ("sdomlv2_hmi.zarr", "Bz", "Gauss"),
}


@final
@dataclass(frozen=True)
class Index:
    """Frames of one array in stored order: UTC seconds `(N,)` and quality words `(N,)`."""

    channel: str
    times: np.ndarray
    quality: np.ndarray

    def newest(self, wanted: Sequence[int], reach: int) -> dict[int, int]:
        """Row of the newest good frame at or before each wanted time, at most `reach` s before."""
        good = np.flatnonzero(self.quality == 0)
        order = good[np.argsort(self.times[good], kind="stable")]
        last = np.searchsorted(self.times[order], np.asarray(wanted), side="right") - 1
        return {
            int(time): int(order[k])
            for time, k in zip(wanted, last, strict=True)
            if k >= 0 and time - self.times[order[k]] <= reach
        }


def array_url(channel: str, year: int) -> str:
    """The address of one array's folder."""
    store, name, _ = PLACES[channel]
    return f"{BUCKET}/{store}/{year}/{name}"


def read_index(data: bytes, channel: str) -> Index:
    """Times and quality of `.zattrs`, whose every keyword is a list over the frames.

    Raises
    ------
    DataError : not JSON, a missing keyword, lists of different lengths, another pixel unit, an
        unreadable time.
    """
    plain = json_of(data, "SDOML's .zattrs")
    lists = {key: _list(plain, key) for key in ("T_OBS", "QUALITY", "PIXLUNIT")}
    if len({len(values) for values in lists.values()}) != 1:
        sizes = ", ".join(f"{key} {len(values)}" for key, values in lists.items())
        raise DataError("every keyword of SDOML has a value a frame", sizes, "Fetch it again.")
    unit = PLACES[channel][2]
    other = sorted({str(u) for u in lists["PIXLUNIT"]} - {unit})
    if other:
        raise DataError(
            f"SDOML's {channel} is in {unit}, exposure and degradation divided out",
            f"PIXLUNIT {other[0]!r}", "These pixels are not what they were.",
        )  # fmt: skip
    times = np.array([_time(text) for text in lists["T_OBS"]], dtype=np.int64)
    return Index(channel, times, np.array([_word(q) for q in lists["QUALITY"]], dtype=np.int64))


def _list(plain: Any, key: str) -> list[Any]:
    values = plain.get(key) if isinstance(plain, Mapping) else None
    if not isinstance(values, list) or not values:
        raise DataError(f"SDOML's attributes list {key}", repr(values)[:60], "Another layout.")
    return values


def _time(text: Any) -> int:
    """UTC seconds of `2016-01-01T00:00:05.84Z` or `2010.05.01_00:12:04_TAI`."""
    if str(text).endswith("_TAI"):
        return round(seconds_of_tai_text(str(text)))
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d(?:\.\d+)?)Z?", str(text))
    try:
        if not found or float(found[2]) >= 61:
            raise ValueError(str(text)[:40])
        return round(to_seconds(f"{found[1]}:00") + float(found[2]))
    except ValueError as error:
        raise DataError("SDOML's T_OBS is a time", repr(text)[:60], "Another layout.") from error


def _word(value: Any) -> int:
    """A quality word: a number, or hexadecimal text as HMI writes it."""
    try:
        word = int(value, 16) if isinstance(value, str) else int(value)
        return int(np.int64(word))
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("QUALITY is a whole number", repr(value)[:40]) from error

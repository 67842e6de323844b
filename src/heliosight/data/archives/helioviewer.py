"""Helioviewer: which image lies closest to a time. For display only.

Source: Helioviewer API v2. Its JPEG 2000 files are 8-bit, scaled for the eye with calibrations that
change, so no table is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.clock import to_text
from heliosight.core.errors import DataError
from heliosight.data.archives.documents import json_of, moments, numbers

HOST = "https://api.helioviewer.org"
SOURCE_IDS = {"aia_193": 11, "aia_211": 12, "hmi_magnetogram": 19}
_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


@final
@dataclass(frozen=True)
class Closest:
    """An image of Helioviewer: its number, time (UTC seconds) and scale [arcsec a pixel]."""

    id: int
    time: int
    scale: float


def closest_url(channel: str, time: int) -> str:
    """The address that names the image closest to a time."""
    return f"{HOST}/v2/getClosestImage/?date={to_text(time)}&sourceId={SOURCE_IDS[channel]}"


def image_url(channel: str, time: int) -> str:
    """The address of the JPEG 2000 file closest to a time."""
    return f"{HOST}/v2/getJP2Image/?date={to_text(time)}&sourceId={SOURCE_IDS[channel]}"


def read_closest(data: bytes) -> Closest:
    """The image that Helioviewer names.

    Raises
    ------
    DataError : a web page, an error inside HTTP 200, a missing field, an unreadable time.
    """
    answer = json_of(data, "a Helioviewer answer")
    if not isinstance(answer, Mapping) or "error" in answer:
        told = answer.get("error") if isinstance(answer, Mapping) else answer
        raise DataError("Helioviewer names an image", repr(told)[:120], "Try another time.")
    missing = [key for key in ("id", "date", "scale") if key not in answer]
    if missing:
        raise DataError(f"a Helioviewer answer has {missing[0]}", ", ".join(answer)[:120])
    what = "a Helioviewer answer"
    number, scale = numbers([answer["id"], answer["scale"]], what)
    time = moments([str(answer["date"]).replace(" ", "T")], what)
    return Closest(int(np.nan_to_num(number)), int(time[0]), float(scale))


def require_jp2(data: bytes) -> None:
    """Raise `DataError` unless the bytes begin as a JPEG 2000 file (ISO/IEC 15444-1, annex I)."""
    if not data.startswith(_JP2):
        raise DataError("a Helioviewer image is a JPEG 2000 file", repr(data[:24]))

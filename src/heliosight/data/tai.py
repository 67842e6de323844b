"""International Atomic Time to UTC, through every leap second.

Source: IERS Bulletin C; TAI - UTC has been 37 s since 2017-01-01 and no later leap second is
announced. HMI stamps its images in TAI, AIA in UTC.
"""

from __future__ import annotations

import re

import numpy as np

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError

# From each date on (00:00 UTC), TAI - UTC is 10 s, 11 s, ... 37 s.
_LEAPS = (
    "1972-01-01", "1972-07-01", "1973-01-01", "1974-01-01", "1975-01-01", "1976-01-01",
    "1977-01-01", "1978-01-01", "1979-01-01", "1980-01-01", "1981-07-01", "1982-07-01",
    "1983-07-01", "1985-07-01", "1988-01-01", "1990-01-01", "1991-01-01", "1992-07-01",
    "1993-07-01", "1994-07-01", "1996-01-01", "1997-07-01", "1999-01-01", "2006-01-01",
    "2009-01-01", "2012-07-01", "2015-07-01", "2017-01-01",
)  # fmt: skip
_UTC = np.array([to_seconds(day) for day in _LEAPS])
_OFFSET = 10 + np.arange(len(_LEAPS))
_TAI = _UTC + _OFFSET
_STAMP = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)_(\d\d):(\d\d):(\d\d(?:\.\d+)?)_TAI")


def utc_of_tai(tai: np.ndarray | float) -> np.ndarray:
    """UTC seconds of seconds counted on the TAI clock face, any shape.

    A moment within a leap second, which UTC seconds cannot name, is the second after it.

    Raises
    ------
    DataError : a moment before 1972.
    """
    tai = np.asarray(tai, dtype=np.float64)
    if np.any(tai < _TAI[0]):
        raise DataError("TAI is turned to UTC from 1972 on", f"{tai.min():.0f} s", where="TAI")
    row = np.searchsorted(_TAI, tai, side="right") - 1
    # in the last TAI second before a step, the old offset would reach past midnight
    leaping = (row + 1 < len(_TAI)) & (tai >= _TAI[np.minimum(row + 1, len(_TAI) - 1)] - 1)
    return np.where(leaping, _UTC[np.minimum(row + 1, len(_UTC) - 1)], tai - _OFFSET[row])


def tai_of_utc(utc: np.ndarray | float) -> np.ndarray:
    """Seconds on the TAI clock face of UTC seconds, any shape, from 1972 on."""
    utc = np.asarray(utc, dtype=np.float64)
    row = np.searchsorted(_UTC, utc, side="right") - 1
    return utc + _OFFSET[np.maximum(row, 0)]


def seconds_of_tai_text(text: str) -> float:
    """UTC seconds of `2014.01.01_00:00:37_TAI`; the seconds may read 60.

    Raises
    ------
    DataError : no such text, or a date that does not exist.
    """
    found = _STAMP.fullmatch(text.strip())
    if not found or float(found[6]) >= 61:
        raise DataError("a TAI stamp is YYYY.MM.DD_hh:mm:ss_TAI", repr(text[:60]))
    year, month, day, hour, minute, second = found.groups()
    try:
        begin = to_seconds(f"{year}-{month}-{day}T{hour}:{minute}:00")
    except ValueError as error:
        raise DataError("a TAI stamp is a date that exists", repr(text), str(error)) from error
    return float(utc_of_tai(begin + float(second)))


def tai_text(tai: int) -> str:
    """`YYYYMMDD_hhmmss_TAI` of seconds on the TAI clock face, as HMI's files are named."""
    plain = str(np.datetime64(int(tai), "s")).replace("-", "").replace(":", "").replace("T", "_")
    return f"{plain}_TAI"

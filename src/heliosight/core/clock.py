"""UTC time as integer seconds since 1970, and its text form.

Every interval is stamped with its start. Three faces of time are kept apart: `issue` (when the
forecast is made), `valid` (what it is about), `available` (when a value could first be known).
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

HOUR = 3600
DAY = 24 * HOUR


def to_seconds(text: str) -> int:
    """Seconds since 1970-01-01T00:00:00Z of an ISO 8601 text; a text without zone is UTC."""
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


def to_text(seconds: float) -> str:
    """ISO 8601 text with Z, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_datetime64(seconds: np.ndarray) -> np.ndarray:
    """`datetime64[s]` of integer seconds, any shape."""
    return np.asarray(seconds, dtype="int64").astype("datetime64[s]")


def from_datetime64(stamps: np.ndarray) -> np.ndarray:
    """Integer seconds of `datetime64` of any unit, any shape."""
    return np.asarray(stamps).astype("datetime64[s]").astype("int64")


def year_start(year: int) -> int:
    """Seconds of the first moment of a year."""
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())

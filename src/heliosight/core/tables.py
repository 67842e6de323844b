"""Values on one time axis with flags: what readers and the Sun give and a store holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from heliosight.core.errors import DataError

# Flags, a bit each. A flagged value is unobserved for a model unless the flag is only a remark.
MISSING = 1  # the archive says so (fill value, no row, no frame)
OUT_OF_RANGE = 2  # outside the vocabulary's valid range
BAD_FRAME = 4  # black, constant, truncated or badly exposed image
INTERPOLATED = 8  # a remark: value was averaged over an interval with holes
PRELIMINARY = 16  # a remark: the archive may still revise the value
UNOBSERVED = MISSING | OUT_OF_RANGE | BAD_FRAME


def _check_axis(name: str, times: np.ndarray, cadence: int) -> None:
    if times.ndim != 1 or (len(times) > 1 and np.any(np.diff(times) <= 0)):
        raise DataError(
            "times rise strictly", "duplicated or backward times", "Sort and merge first.", name
        )
    if cadence <= 0:
        raise DataError("a cadence is positive", f"{cadence} s", where=name)


@dataclass(frozen=True)
class SeriesTable:
    """Interval values.

    Attributes
    ----------
    times : `(N,)` int64, start of each interval, UTC seconds, strictly rising; holes allowed.
    cadence : length of an interval [s].
    variables : names of the vocabulary, `(V,)`.
    values : `(N, V)` float32, NaN where missing (a fill value never survives).
    flags : `(N, V)` uint8.
    latency : time after the interval's end at which its value is known [s].
    """

    name: str
    times: np.ndarray
    cadence: int
    variables: tuple[str, ...]
    values: np.ndarray
    flags: np.ndarray
    latency: int = 0

    def __post_init__(self) -> None:
        _check_axis(self.name, self.times, self.cadence)
        shape = (len(self.times), len(self.variables))
        if self.values.shape != shape or self.flags.shape != shape:
            raise DataError(
                "values and flags are (times, variables)",
                f"{self.values.shape}, {self.flags.shape} instead of {shape}",
                where=self.name,
            )

    @property
    def available(self) -> np.ndarray:
        """`(N,)` time at which each row is known: end of its interval plus latency [s]."""
        return self.times + self.cadence + self.latency

    def column(self, variable: str) -> np.ndarray:
        """`(N,)` values of one variable, NaN where missing or out of range."""
        i = self._index(variable)
        bad = (self.flags[:, i] & UNOBSERVED) > 0
        return np.where(bad, np.nan, self.values[:, i])

    def _index(self, variable: str) -> int:
        if variable not in self.variables:
            raise DataError(
                "a table has the variable asked for",
                repr(variable),
                f"It has: {', '.join(self.variables)}.",
                self.name,
            )
        return self.variables.index(variable)


@dataclass(frozen=True)
class ImageTable:
    """Instantaneous frames.

    Attributes
    ----------
    times : `(N,)` int64 observation times, UTC seconds, strictly rising; holes allowed.
    cadence : nominal spacing [s].
    variables : channel names, `(C,)`.
    frames : `(N, C, H, W)` uint8 (may be memory-mapped), north up, solar west right.
    flags : `(N, C)` uint8.
    latency : time after the observation at which a frame is known [s].
    history : corrections the frames have had, in order; each is made once and only once.
    """

    name: str
    times: np.ndarray
    cadence: int
    variables: tuple[str, ...]
    frames: np.ndarray
    flags: np.ndarray
    latency: int = 0
    history: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_axis(self.name, self.times, self.cadence)
        n, c = len(self.times), len(self.variables)
        good = self.frames.ndim == 4 and self.frames.shape[:2] == (n, c)
        if not good or self.flags.shape != (n, c) or self.frames.dtype != np.uint8:
            raise DataError(
                "frames are uint8 (times, channels, H, W) and flags (times, channels)",
                f"{self.frames.dtype} {self.frames.shape}, {self.flags.shape} for {n} x {c}",
                where=self.name,
            )

    @property
    def available(self) -> np.ndarray:
        """`(N,)` time at which each frame is known [s]."""
        return self.times + self.latency


Table = SeriesTable | ImageTable
Tables = Mapping[str, Table]


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation per variable or channel, `(V,)` each, in physical units.

    Attributes
    ----------
    frame : `(C, H, W)` mean frame, images only; `std` is then the spread in time about it. The
        step from disc to sky is four times what ever changes on the disc, so a deviation over all
        pixels would make a coronal hole a quarter of its size.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    frame: np.ndarray | None = field(default=None, compare=False)

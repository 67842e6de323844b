"""Single frames to one image table: uint8, one size, north up, solar west right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from heliosight.core.clock import HOUR, to_text
from heliosight.core.errors import DataError
from heliosight.core.tables import BAD_FRAME, MISSING, ImageTable
from heliosight.core.variables import IMAGE_CHANNELS
from heliosight.data.quality import bad_frames

NAME = "images"
CADENCE = 6 * HOUR
AS_FOUND = "as found"
STRIP = 64  # rows at a time


@final
@dataclass(frozen=True)
class Frame:
    """One image: `pixels` `(H, W)` uint8.

    Attributes
    ----------
    broken : part of its disc had no number, or its archive calls it bad.
    history : the corrections it has had, each once.
    """

    channel: str
    time: int
    pixels: np.ndarray
    broken: bool = False
    history: tuple[str, ...] = ()


def resize(frames: np.ndarray, size: int) -> np.ndarray:
    """Frames `(..., H, W)` averaged over areas to `(..., size, size)` float32; enlarging repeats.

    Every output pixel is the mean of the input area under it, fractions of pixels included, so
    the mean brightness of a frame does not change.
    """
    if frames.shape[-2:] == (size, size):
        return frames.astype(np.float32)
    rows = _shares(frames.shape[-2], size)
    columns = _shares(frames.shape[-1], size)
    return np.einsum("ih,...hw,jw->...ij", rows, frames.astype(np.float32), columns, optimize=True)


def cut(
    frame: np.ndarray,
    top: float,
    left: float,
    width: float,
    size: int,
    grey: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> np.ndarray:
    """A square of a frame `(H, W)`, averaged over areas to `(size, size)` float32.

    Pixel i covers [i, i + 1); the square may reach beyond the frame, where everything is 0.

    grey : what is averaged, of the frame's values; asked for strips of rows, which stay in the
        processor's cache where 4096 pixels on a side do not.
    """
    rows = _shares(frame.shape[0], size, top, top + width)
    columns = _shares(frame.shape[1], size, left, left + width).T.copy()
    found = np.zeros((size, size), np.float32)
    for start in range(0, len(frame), STRIP):
        share = rows[:, start : start + STRIP]
        if share.any():
            strip = grey(frame[start : start + STRIP]).astype(np.float32, copy=False)
            found += share @ (strip @ columns)
    return found


def _shares(old: int, new: int, begin: float = 0.0, end: float | None = None) -> np.ndarray:
    """`(new, old)` share of each old pixel in the mean of each new one of [begin, end).

    Rows sum to 1 where the new pixel lies within the old ones.
    """
    edges = np.linspace(begin, old if end is None else end, new + 1)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)
    overlap = np.minimum(right, pixel + 1) - np.maximum(left, pixel)
    return (np.clip(overlap, 0.0, None) * (new / (edges[-1] - edges[0]))).astype(np.float32)


def to_uint8(frames: np.ndarray) -> np.ndarray:
    """Nearest grey level 0..255."""
    return np.rint(frames).clip(0, 255).astype(np.uint8)


def image_table(
    frames: Iterable[Frame],
    channels: Sequence[str] = IMAGE_CHANNELS,
    size: int = 64,
    cadence: int = CADENCE,
    name: str = NAME,
    tolerance: int | None = None,
) -> ImageTable:
    """A table `(N, C, size, size)` of single frames, one row per cadence slot with any frame.

    Frames within `tolerance` seconds of a slot (a quarter of the cadence by default) belong to
    it; the row is stamped with the LATEST of its frames, the moment all of them are there.

    Raises
    ------
    DataError : no frame, an unknown channel, two frames of one channel for a slot, a frame that
        belongs to no slot.
    """
    reach = cadence // 4 if tolerance is None else tolerance
    slots: dict[int, dict[str, Frame]] = {}
    for frame in frames:
        slot = (frame.time + cadence // 2) // cadence * cadence
        _require_place(frame, slot, reach, slots.get(slot, {}), channels)
        slots.setdefault(slot, {})[frame.channel] = frame
    if not slots:
        raise DataError("an image table has frames", "none", "Give at least one file.", name)
    rows = [slots[slot] for slot in sorted(slots)]
    times = np.array([max(f.time for f in row.values()) for row in rows], dtype=np.int64)
    pixels = np.zeros((len(rows), len(channels), size, size), dtype=np.uint8)
    flags = np.full(pixels.shape[:2], MISSING, dtype=np.uint8)
    for i, row in enumerate(rows):
        for channel, frame in row.items():
            c = list(channels).index(channel)
            pixels[i, c] = to_uint8(resize(frame.pixels, size))
            flags[i, c] = BAD_FRAME if frame.broken else 0
    history = common_history(frame for row in rows for frame in row.values())
    return judged_table(name, times, cadence, tuple(channels), pixels, flags, history)


def common_history(frames: Iterable[Frame]) -> tuple[str, ...]:
    """What was done to the frames of each channel, `channel: correction` or `channel: as found`.

    Raises
    ------
    DataError : two frames of one channel have had different corrections.
    """
    known: dict[str, tuple[str, ...]] = {}
    for frame in frames:
        if known.setdefault(frame.channel, frame.history) != frame.history:
            raise DataError(
                "all frames of a channel have had the same corrections",
                f"{', '.join(frame.history) or 'none'} beside "
                f"{', '.join(known[frame.channel]) or 'none'}",
                "Prepare them in one way: one archive and one level a channel.",
                f"{frame.channel} frame of {to_text(frame.time)}",
            )
    return tuple(
        f"{channel}: {step}"
        for channel, steps in sorted(known.items())
        for step in steps or (AS_FOUND,)
    )


def _require_place(
    frame: Frame, slot: int, reach: int, taken: Mapping[str, Frame], channels: Sequence[str]
) -> None:
    where = f"{frame.channel} frame of {to_text(frame.time)}"
    if frame.channel not in channels:
        raise DataError(
            "a frame's channel is one of the table's", repr(frame.channel),
            f"Channels: {', '.join(channels)}.", where,
        )  # fmt: skip
    if abs(frame.time - slot) > reach:
        raise DataError(
            "a frame lies near a slot of the cadence",
            f"{abs(frame.time - slot)} s away, at most {reach}",
            "Choose frames on the cadence, or raise the tolerance.",
            where,
        )
    if frame.channel in taken:
        raise DataError(
            "a slot has one frame of a channel", "a second one", "Remove one of them.", where
        )


def judged_table(
    name: str,
    times: np.ndarray,
    cadence: int,
    channels: tuple[str, ...],
    frames: np.ndarray,
    flags: np.ndarray,
    history: tuple[str, ...] = (),
) -> ImageTable:
    """A table whose frames were looked at: bad ones get BAD_FRAME beside the flags given."""
    judged = flags | np.where(flags & MISSING, 0, bad_frames(frames)).astype(np.uint8)
    return ImageTable(name, times, cadence, channels, frames, judged, history=history)


def require_square(pixels: np.ndarray, path: Path) -> None:
    """Raise `DataError` unless a frame `(H, W)` is square and at least 4 pixels wide."""
    h, w = pixels.shape
    if h != w or h < 4:
        raise DataError(
            "a frame is square, the disc in its middle", f"{h} x {w}", "Crop or pad it.", str(path)
        )

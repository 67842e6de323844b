"""Frame stacks in npz files: one array per channel, times given by the caller."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from heliosight.core.arrays import BROKEN, member, members
from heliosight.core.errors import DataError
from heliosight.core.tables import BAD_FRAME, ImageTable
from heliosight.core.variables import IMAGE_CHANNELS
from heliosight.data.assemble import check_rising, require_file
from heliosight.data.frames import CADENCE, NAME, judged_table, resize, to_uint8


def read_npz(
    path: Path | str,
    times: np.ndarray | Sequence[int],
    channels: Sequence[str] = IMAGE_CHANNELS,
    size: int = 64,
    cadence: int = CADENCE,
    name: str = NAME,
) -> ImageTable:
    """A stack of frames: keys are channels, arrays `(N, H, W)` or `(N, 1, H, W)`, 0..255.

    Parameters
    ----------
    times : `(N,)` UTC seconds; a stack does not know its own.

    Raises
    ------
    DataError : not an npz or an encrypted one, a missing channel, another shape, as
        many times as frames not given, duplicated or backward times, values outside 0..255. A NaN
        frame is flagged.
    """
    path = require_file(Path(path))
    stamps = np.asarray(times, dtype=np.int64)
    check_rising(stamps, lambda i: f"frame {i}", str(path))
    arrays = _stacks(path, channels)
    parts = [_stack(arrays[c], c, len(stamps), path) for c in channels]
    broken = np.stack([~np.isfinite(p).all((1, 2)) for p in parts], axis=1)
    frames = np.stack([to_uint8(resize(np.nan_to_num(p), size)) for p in parts], axis=1)
    frames[broken] = 0
    flags = (broken * BAD_FRAME).astype(np.uint8)
    return judged_table(name, stamps, cadence, tuple(channels), frames, flags)


def frame_count(path: Path | str, channel: str) -> int:
    """How many frames a stack has; errors as `read_npz`."""
    path = require_file(Path(path))
    return len(_flat(_stacks(path, (channel,))[channel], f"{path} [{channel}]"))


def _stacks(path: Path, channels: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as handle:
            archive = zipfile.ZipFile(handle)
            found = members(archive)
            arrays = {c: member(archive, c) for c in channels if c in found}
    except BROKEN as error:
        raise DataError(
            "a frame stack is a whole npz without pickled objects",
            str(error),
            "Check that the file is what its name says, or make it again.",
            str(path),
        ) from error
    for channel in channels:
        if channel not in arrays:
            raise DataError(
                "a frame stack has every channel asked for",
                f"no {channel!r}",
                f"It has: {', '.join(found)}.",
                str(path),
            )
    return arrays


def _flat(array: np.ndarray, place: str) -> np.ndarray:
    """`(N, H, W)` numbers without the axis of one."""
    flat = array[:, 0] if array.ndim == 4 and array.shape[1] == 1 else array
    if flat.ndim != 3 or flat.dtype.kind not in "uif":
        raise DataError(
            "a channel is (frames, H, W) numbers",
            f"{array.dtype} {array.shape}",
            "Save one array of frames a channel.",
            place,
        )
    return flat


def _stack(array: np.ndarray, channel: str, count: int, path: Path) -> np.ndarray:
    """`(N, H, W)` of one channel, checked."""
    place = f"{path} [{channel}]"
    flat = _flat(array, place)
    if len(flat) != count:
        raise DataError(
            "a channel has one frame a time",
            f"{array.dtype} {array.shape} for {count} times",
            "Give as many times as frames.",
            place,
        )
    finite = flat[np.isfinite(flat)]
    if finite.size and (finite.min() < 0 or finite.max() > 255):
        raise DataError(
            "grey levels lie in 0..255",
            f"{finite.min():g} to {finite.max():g}",
            "Scale physical values to grey levels first (read_fits does).",
            place,
        )
    return flat

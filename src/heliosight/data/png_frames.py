"""PNG frames: one image a file, its time in the name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.core.progress import track
from heliosight.data.assemble import require_file
from heliosight.data.frames import Frame, require_square, resize, to_uint8

BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError)
MOST_PIXELS = 4096 * 4096
_STAMP = re.compile(r"(\d{4})[_-]?(\d{2})[_-]?(\d{2})T(\d{2})[_-]?(\d{2})[_-]?(\d{2})")


def read_png(
    path: Path | str, channel: str = "aia_193", time: int | None = None, size: int | None = None
) -> Frame:
    """One PNG as grey levels (ITU-R 601 luma of a false-colour image).

    Parameters
    ----------
    time : UTC seconds; read from `YYYY_MM_DDTHH_MM_SS` in the file name when None.
    size : pixels on a side, by area averaging; the file's own when None.

    Raises
    ------
    DataError : not an image, cut off, not square, no time in the name.
    """
    path = require_file(Path(path))
    try:
        with Image.open(path) as picture:
            _require_size(picture.size, path)
            pixels = np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, *BOMB) as error:
        raise DataError(
            "a PNG frame is a whole image",
            str(error).replace(str(path), path.name),
            "Check that the file is what its name says, or fetch it again.",
            str(path),
        ) from error
    stamp = _time_in_name(path) if time is None else time
    require_square(pixels, path)
    small = pixels if size is None else to_uint8(resize(pixels, size))
    return Frame(channel, stamp, small)


def _require_size(size: tuple[int, int], path: Path) -> None:
    """Before anything is decompressed."""
    if size[0] * size[1] > MOST_PIXELS:
        raise DataError(
            "a solar image has at most 4096 x 4096 pixels", f"{size[0]} x {size[1]}",
            "Not an SDO image.", str(path),
        )  # fmt: skip


def _time_in_name(path: Path) -> int:
    found = _STAMP.search(path.name)
    if not found:
        raise DataError(
            "a PNG's name holds its time as YYYY_MM_DDTHH_MM_SS",
            repr(path.name),
            "Rename it, or give the time.",
            str(path),
        )
    y, m, d, hh, mm, ss = found.groups()
    try:
        return to_seconds(f"{y}-{m}-{d}T{hh}:{mm}:{ss}")
    except ValueError as error:
        raise DataError(
            "a PNG's name holds a date that exists", repr(found[0]), "Rename it.", str(path)
        ) from error


def read_pngs(folder: Path | str, channel: str = "aia_193", size: int = 64) -> tuple[Frame, ...]:
    """All PNG frames of a folder in order of time; an empty folder raises `DataError`."""
    paths = sorted(Path(folder).glob("*.png"))
    if not paths:
        raise DataError("a frame folder holds PNG files", "none", "Check it.", str(folder))
    read = (read_png(path, channel, size=size) for path in paths)
    return tuple(sorted(track(read, f"reading {channel}", len(paths)), key=lambda f: f.time))

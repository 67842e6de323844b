"""A folder of frames: one sub-folder a channel, PNG and FITS files in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heliosight.core.errors import DataError
from heliosight.core.progress import track
from heliosight.core.tables import ImageTable
from heliosight.core.variables import IMAGE_CHANNELS
from heliosight.data.fits_frames import read_fits
from heliosight.data.frames import CADENCE, Frame, image_table
from heliosight.data.png_frames import read_png

_KINDS = (".png", ".fits")
MOST_SIDE = 4096


def read_image_folder(
    folder: Path | str,
    channels: Sequence[str] = IMAGE_CHANNELS,
    size: int = 64,
    cadence: int = CADENCE,
) -> ImageTable:
    """The table "images" `(N, C, size, size)` of `<channel>/*.png` and `<channel>/*.fits`.

    A PNG has its time in its name, a FITS file its time and channel in its header. Rows, their
    stamps and holes are those of `image_table`; files of other kinds and sub-folders of other
    channels are left aside.

    Parameters
    ----------
    cadence : nominal spacing of the frames [s].

    Raises
    ------
    DataError : no spacing or size, no folder, an unknown channel, a channel without a sub-folder
        or without frames, a FITS file in another channel's sub-folder; what `read_png`,
        `read_fits` and `image_table` refuse.
    """
    folder = Path(folder)
    if cadence < 1 or not 1 <= size <= MOST_SIDE:
        raise DataError(
            f"frames have a spacing, and 1 to {MOST_SIDE} pixels a side",
            f"{cadence} s, {size} pixels", where=str(folder),
        )  # fmt: skip
    if not folder.is_dir():
        raise DataError("frames lie in an existing folder", "none", "Check the path.", str(folder))
    listed = [(channel, path) for channel in channels for path in _files(folder, channel)]
    frames = (_frame(path, channel, size) for channel, path in listed)
    return image_table(track(frames, "reading frames", len(listed)), channels, size, cadence)


def _files(folder: Path, channel: str) -> list[Path]:
    if channel not in IMAGE_CHANNELS:
        raise DataError(
            "an image channel is known",
            repr(channel),
            f"Known: {', '.join(IMAGE_CHANNELS)}.",
            str(folder),
        )
    if not (folder / channel).is_dir():
        found = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir()))
        raise DataError(
            "every channel has a sub-folder of its name",
            f"no {channel}; sub-folders: {found or 'none'}",
            "Rename it, or leave the channel out.",
            str(folder),
        )
    paths = sorted(p for p in (folder / channel).iterdir() if p.suffix.lower() in _KINDS)
    if not paths:
        raise DataError(
            "a channel's sub-folder holds PNG or FITS files", "none", "Check it.",
            str(folder / channel),
        )  # fmt: skip
    return paths


def _frame(path: Path, channel: str, size: int) -> Frame:
    if path.suffix.lower() == ".png":
        return read_png(path, channel, size=size)
    frame = read_fits(path, size=size)
    if frame.channel != channel:
        raise DataError(
            "a FITS frame lies in its own channel's sub-folder",
            f"{frame.channel} in {channel}",
            f"Move it to {frame.channel}.",
            str(path),
        )
    return frame

"""Which file, or which row of which chunk, shows the Sun for which slot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.core.variables import IMAGE_CHANNELS
from heliosight.data.archives.sdoml import read_index
from heliosight.data.archives.zarr2 import read_zarray

KINDS = (".fits", ".png", ".jpg", ".jpeg")
NEAR = 900
_STAMP = re.compile(r"(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)[T_](\d\d)[:_-]?(\d\d)[:_-]?(\d\d)(_TAI)?")


@final
@dataclass(frozen=True)
class Piece:
    """One image: its channel, its slot [UTC seconds], its file, its row where it is a chunk."""

    channel: str
    slot: int
    path: str
    row: int = -1


@final
@dataclass(frozen=True)
class Day:
    """The pieces of one UTC day, in order of slot and channel."""

    start: int
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        """`2014-01-31`."""
        return to_text(self.start)[:10]


def days_of(
    root: Path, channels: Sequence[str], cadence: int, start: int | None, end: int | None
) -> list[Day]:
    """The days [start, end) of a folder that have images, each with its pieces.

    Files lie in `images/<channel>/` (or `<channel>/`), their time in the name; SDOML's chunks in
    `sdoml/<channel>/<year>/`. Where both have a slot, the file counts.

    Raises
    ------
    DataError : an unknown channel, no image at all, a name without time, two files for a slot.
    """
    for channel in channels:
        if channel not in IMAGE_CHANNELS:
            known = ", ".join(IMAGE_CHANNELS)
            raise DataError("an image channel is known", repr(channel), f"Known: {known}.")
    found: dict[tuple[int, str], Piece] = {}
    for channel in channels:
        for piece in _chunks(root, channel, cadence):
            found[piece.slot, channel] = piece
        for piece in _files(root, channel, cadence):
            old = found.get((piece.slot, channel))
            if old is not None and old.row < 0:
                raise DataError(
                    "a slot has one file of a channel", f"{Path(old.path).name} and {piece.path}",
                    "Remove one of them.", to_text(piece.slot),
                )  # fmt: skip
            found[piece.slot, channel] = piece
    kept = [found[key] for key in sorted(found) if _inside(key[0], start, end)]
    if not kept:
        raise DataError(
            "a folder has images of the span",
            f"none in {', '.join(f'images/{c}' for c in channels)}",
            "Fetch some, or set data.channels=[].",
            str(root),
        )
    return _by_day(kept)


def _inside(time: int, start: int | None, end: int | None) -> bool:
    return (start is None or time >= start) and (end is None or time < end)


def _by_day(pieces: Sequence[Piece]) -> list[Day]:
    days: dict[int, list[Piece]] = {}
    for piece in pieces:
        days.setdefault(piece.slot // DAY * DAY, []).append(piece)
    return [Day(start, tuple(days[start])) for start in sorted(days)]


def _files(root: Path, channel: str, cadence: int) -> Iterator[Piece]:
    folders = [root / "images" / channel, root / channel]
    for folder in (f for f in folders if f.is_dir()):
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in KINDS):
            yield Piece(channel, _slot(_time(path), cadence), str(path))


def _slot(time: int, cadence: int) -> int:
    return (time + cadence // 2) // cadence * cadence


def _time(path: Path) -> int:
    """The stamp in a name; TAI is near enough to find the slot, the header has the exact time."""
    found = _STAMP.search(path.name)
    try:
        if found:
            y, m, d, hh, mm, ss = found.groups()[:6]
            return to_seconds(f"{y}-{m}-{d}T{hh}:{mm}:{ss}")
    except ValueError:
        pass
    raise DataError(
        "an image's name holds its time, as 20140101T000000Z", repr(path.name),
        "Rename it, or move it away.", str(path),
    )  # fmt: skip


def _chunks(root: Path, channel: str, cadence: int) -> Iterator[Piece]:
    """Of the frames whose chunks are here, the newest before each slot."""
    for folder in sorted((root / "sdoml" / channel).glob("[0-9]" * 4)):
        heads = folder / "zarray.json", folder / "zattrs.json"
        if not all(head.is_file() for head in heads):
            continue
        array = read_zarray(heads[0].read_bytes())
        index = read_index(heads[1].read_bytes(), channel)
        first, last = int(index.times.min()), int(index.times.max())
        slots = range(_slot(first, cadence), last + cadence, cadence)
        for slot, row in index.newest(slots, NEAR).items():
            path = folder / f"chunk_{row // array.chunks[0]}.zarr"
            if path.is_file():
                yield Piece(channel, slot, str(path), row)

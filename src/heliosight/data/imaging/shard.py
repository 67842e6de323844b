"""One day of images to one file: read, corrected once, made small, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import final

import numpy as np

from heliosight.core.arrays import BROKEN
from heliosight.core.clock import HOUR, to_text
from heliosight.core.errors import DataError, RecordError
from heliosight.core.files import digest, read_npz, sha256, write_npz
from heliosight.core.tables import BAD_FRAME, MISSING
from heliosight.data.archives.sdoml import Index, read_index
from heliosight.data.archives.zarr2 import ZarrArray, decode_chunk, read_zarray
from heliosight.data.degradation import Throughput, throughput_of
from heliosight.data.fits_frames import read_fits
from heliosight.data.frames import Frame, common_history, resize, to_uint8
from heliosight.data.imaging.pieces import Day, Piece
from heliosight.data.png_frames import read_png
from heliosight.data.prepare import DEGRADATION, EXPOSURE, NORTH, RADIUS, Image, is_bad, to_frame

FORMAT = 2
_ARRAYS = ("slots", "times", "frames", "flags")


@final
@dataclass(frozen=True)
class Recipe:
    """How every image is made; it enters the shards' names.

    Attributes
    ----------
    channels : of the table, in order.
    size, hours : pixels on a side, and spacing of the slots.
    degradation : folder of curves or table file; empty leaves AIA as it dims.
    ignore_quality : bits of QUALITY that do not make an image bad.
    """

    channels: tuple[str, ...]
    size: int = 64
    hours: int = 6
    degradation: str = ""
    ignore_quality: int = 0


@final
@dataclass(frozen=True)
class Task:
    """A day to build, into which file. Tasks share nothing: any process may do any of them.

    hashes : what its files were when they were fetched, by path; of others nothing is known.
    """

    day: Day
    recipe: Recipe
    path: str
    hashes: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Shard:
    """A finished day.

    Attributes
    ----------
    slots : `(n,)` UTC seconds; times : `(n, C)` of each frame, 0 where there is none.
    frames : `(n, C, size, size)` uint8; flags : `(n, C)` uint8.
    history : corrections made, `channel: step`.
    problems : files that could not be read, each with its reason.
    """

    slots: np.ndarray
    times: np.ndarray
    frames: np.ndarray
    flags: np.ndarray
    history: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default_factory=tuple)


def task_of(
    day: Day,
    recipe: Recipe,
    folder: Path,
    marks: Mapping[str, str],
    fetched: Mapping[str, str] | None = None,
) -> Task:
    """The task of a day; its file's name changes with the recipe and with the day's files.

    Parameters
    ----------
    marks : what tells one version of a file from another, by path: its hash where it is known.
    fetched : hashes of the files that were fetched.
    """
    pieces = [(p.channel, p.slot, p.path, p.row, marks[p.path]) for p in day.pieces]
    curve = _mark(Path(recipe.degradation)) if recipe.degradation else ""
    key = digest([FORMAT, asdict(recipe), curve, pieces])
    hashes = {p.path: fetched[p.path] for p in day.pieces if fetched and p.path in fetched}
    return Task(day, recipe, str(folder / f"{day.name}_{key[:16]}.npz"), hashes)


def _mark(path: Path) -> str:
    files = sorted(path.glob("*")) if path.is_dir() else [path]
    return digest([(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files])


def build_day(task: Task) -> str:
    """Make the task's file if it is not there; returns its path.

    A file that cannot be read is a missing frame with its reason kept; the others are still read.
    """
    path = Path(task.path)
    if not path.is_file():
        save_shard(path, _shard(task.day, task.recipe, task.hashes))
    return task.path


def save_shard(path: Path, shard: Shard) -> None:
    """Write a day whole or not at all."""
    texts = json.dumps({"history": shard.history, "problems": shard.problems})
    arrays = {name: getattr(shard, name) for name in _ARRAYS}
    write_npz(path, arrays | {"texts": np.frombuffer(texts.encode(), np.uint8)})


def load_shard(path: Path) -> Shard:
    """A finished day.

    Raises
    ------
    DataError : the file is not one that `save_shard` wrote.
    """
    try:
        arrays = read_npz(path)
        texts = json.loads(arrays["texts"].tobytes())
        history, problems = (tuple(map(str, texts[key])) for key in ("history", "problems"))
        slots, times, frames, flags = (arrays[name] for name in _ARRAYS)
        shard = Shard(slots, times, frames, flags, history, problems)
    except (*BROKEN, RecordError) as error:
        raise _damaged(path, f"{type(error).__name__} {error}") from error
    n, c = shard.times.shape if shard.times.ndim == 2 else (-1, -1)
    shapes = shard.slots.shape == (n,) and shard.flags.shape == (n, c)
    kinds = shard.frames.dtype == shard.flags.dtype == np.uint8 and shard.times.dtype == np.int64
    if not (shapes and kinds and shard.frames.ndim == 4 and shard.frames.shape[:2] == (n, c)):
        raise _damaged(path, f"{shard.frames.dtype} {shard.frames.shape} for {shard.times.shape}")
    return shard


def _damaged(path: Path, came: str) -> DataError:
    return DataError(
        "a finished day is as it was written", came, "Remove it; it is built again.", str(path)
    )


def _shard(day: Day, recipe: Recipe, hashes: Mapping[str, str]) -> Shard:
    slots = np.array(sorted({piece.slot for piece in day.pieces}), dtype=np.int64)
    shape = (len(slots), len(recipe.channels))
    frames = np.zeros((*shape, recipe.size, recipe.size), dtype=np.uint8)
    times, flags = np.zeros(shape, dtype=np.int64), np.full(shape, MISSING, dtype=np.uint8)
    made: list[Frame] = []
    problems: list[str] = []
    for piece in day.pieces:
        try:
            _require_as_fetched(piece.path, hashes)
            frame = read_piece(piece, recipe)
        except DataError as error:
            problems.append(str(error))
            continue
        i, c = int(np.searchsorted(slots, piece.slot)), recipe.channels.index(piece.channel)
        frames[i, c], times[i, c] = frame.pixels, frame.time
        flags[i, c] = BAD_FRAME if frame.broken else 0
        made.append(frame)
    return Shard(slots, times, frames, flags, common_history(made), tuple(problems))


def _require_as_fetched(path: str, hashes: Mapping[str, str]) -> None:
    if path in hashes and sha256(Path(path)) != hashes[path]:
        raise DataError(
            "a fetched file is as it was fetched", "other bytes", "Remove it and fetch again.", path
        )


def read_piece(piece: Piece, recipe: Recipe) -> Frame:
    """The frame of a piece, of the recipe's size.

    Raises
    ------
    DataError : as the reader of its kind; an image of another channel than its folder says, or
        of another time than its name says.
    """
    frame = _read(piece, recipe)
    off = abs(frame.time - piece.slot)
    if off > recipe.hours * HOUR // 4:
        raise DataError(
            "an image was observed near the slot that its name says",
            f"{to_text(frame.time)}, {off} s from {to_text(piece.slot)}",
            "Choose a cadence that the times fit, or look at its name and header.",
            piece.path,
        )
    return frame


def _read(piece: Piece, recipe: Recipe) -> Frame:
    path = Path(piece.path)
    if piece.row >= 0:
        return _of_chunk(piece, recipe)
    if path.suffix.lower() == ".fits":
        bends = _throughput(recipe.degradation, recipe.channels)
        frame = read_fits(path, None, recipe.size, bends, recipe.ignore_quality)
        _require_channel(frame, piece)
        return frame
    picture = read_png(path, piece.channel)
    return Frame(piece.channel, picture.time, to_uint8(resize(picture.pixels, recipe.size)))


def _require_channel(frame: Frame, piece: Piece) -> None:
    if frame.channel != piece.channel:
        raise DataError(
            "an image lies in its own channel's folder", f"{frame.channel} in {piece.channel}",
            f"Move it to {frame.channel}.", piece.path,
        )  # fmt: skip


@cache
def _throughput(place: str, channels: tuple[str, ...]) -> Throughput | None:
    return throughput_of(place, channels) if place else None


def _of_chunk(piece: Piece, recipe: Recipe) -> Frame:
    """SDOML: exposed, undimmed and of one radius already; only made grey and small."""
    path = Path(piece.path)
    array, index = _heads(str(path.parent), piece.channel)
    values = decode_chunk(array, path.read_bytes())[piece.row % array.chunks[0]]
    done = (
        (NORTH, RADIUS)
        if piece.channel.startswith("hmi")
        else (EXPOSURE, DEGRADATION, NORTH, RADIUS)
    )
    bad = is_bad(int(index.quality[piece.row]), recipe.ignore_quality)
    image = Image(piece.channel, int(index.times[piece.row]), values[::-1], done, None, bad)
    return to_frame(image, recipe.size)


@cache
def _heads(folder: str, channel: str) -> tuple[ZarrArray, Index]:
    """Attributes are tens of MB of JSON: read once a process and year."""
    array = read_zarray((Path(folder) / "zarray.json").read_bytes())
    return array, read_index((Path(folder) / "zattrs.json").read_bytes(), channel)


def history_of(shards: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """What all days have in common for each channel.

    Raises
    ------
    DataError : two days of one channel with different corrections.
    """
    known: dict[str, tuple[str, ...]] = {}
    for history in shards:
        steps: dict[str, list[str]] = {}
        for line in history:
            channel, _, step = line.partition(": ")
            steps.setdefault(channel, []).append(step)
        for channel, done in steps.items():
            if known.setdefault(channel, tuple(done)) != tuple(done):
                raise DataError(
                    "all frames of a channel have had the same corrections",
                    f"{', '.join(done)} beside {', '.join(known[channel])}",
                    "Build from one archive and one level a channel.",
                    channel,
                )
    return tuple(f"{channel}: {step}" for channel, done in sorted(known.items()) for step in done)

"""All days of a folder to one image table, in parallel, with the memory of one day a process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.errors import DataError
from heliosight.core.files import reserve
from heliosight.core.processes import die_with_parent
from heliosight.core.progress import bar
from heliosight.core.tables import MISSING, ImageTable
from heliosight.data.frames import NAME, judged_table
from heliosight.data.imaging.pieces import Day, days_of
from heliosight.data.imaging.shard import (
    Recipe,
    Shard,
    Task,
    build_day,
    history_of,
    load_shard,
    task_of,
)
from heliosight.data.net.ledger import LEDGER, Ledger


@final
@dataclass(frozen=True)
class Built:
    """A table with the files that could not be read."""

    table: ImageTable
    problems: tuple[str, ...]


def plan(
    root: Path,
    recipe: Recipe,
    shards: Path,
    start: int | None = None,
    end: int | None = None,
    at: int | None = None,
) -> list[Task]:
    """The days to build, in order; a day whose file is there already costs nothing.

    Parameters
    ----------
    at : UTC seconds; images of later slots, or known to have come later, are left out.
    """
    fetched = _marks(root)
    marks = dict(fetched)
    days = days_of(root, recipe.channels, recipe.hours * HOUR, start, end)
    if at is not None:
        days = _known_by(at, days, root)
    for day in days:
        for piece in day.pieces:
            if piece.path not in marks:
                facts = Path(piece.path).stat()
                marks[piece.path] = f"{facts.st_size} {facts.st_mtime_ns}"
    return [task_of(day, recipe, shards, marks, fetched) for day in days]


def _known_by(at: int, days: Sequence[Day], root: Path) -> list[Day]:
    came = Ledger(root).since() if (root / LEDGER).is_file() else {}
    late = {str(root / name) for name, when in came.items() if when > at}
    kept = [
        Day(day.start, tuple(p for p in day.pieces if p.slot <= at and p.path not in late))
        for day in days
    ]
    return [day for day in kept if day.pieces]


def _marks(root: Path) -> dict[str, str]:
    """Hashes of what was fetched, by path."""
    if not (root / LEDGER).is_file():
        return {}
    entries = Ledger(root).entries
    return {str(root / name): entry.sha256 for name, entry in entries.items()}


def part_of(tasks: Sequence[Task], shard: str) -> list[Task]:
    """Every n-th task of `i/n`: the share of one of n workers, i from 0.

    Raises
    ------
    DataError : not of that form, or i not below n.
    """
    index, _, count = shard.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise DataError(
            "a shard is i/n, i from 0 to n - 1", repr(shard),
            "For a Slurm array: data.shard=$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT.",
        )  # fmt: skip
    return list(tasks[int(index) :: int(count)])


def build_days(tasks: Sequence[Task], workers: int) -> int:
    """Build the days that are not there yet; gives their number."""
    todo = [task for task in tasks if not Path(task.path).is_file()]
    if not todo:
        return 0
    Path(todo[0].path).parent.mkdir(parents=True, exist_ok=True)
    with bar("building days", len(todo)) as running:
        for path in _done(todo, workers):
            running.advance(note=Path(path).name[:10])
    return len(todo)


def _done(tasks: Sequence[Task], workers: int) -> Iterator[str]:
    """Paths of finished days as they come; fresh processes, so that no thread of ours is copied."""
    if workers <= 1 or len(tasks) == 1:
        yield from map(build_day, tasks)
        return
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), fresh, die_with_parent) as pool:
        futures = [pool.submit(build_day, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def join(tasks: Sequence[Task], scratch: Path) -> Built:
    """The table of all days; its frames lie in `scratch` and are mapped, not loaded.

    A row is stamped with the latest of its frames, the moment all of them are there. Frames are
    judged here, against the days before.

    Raises
    ------
    DataError : a day is not built; no frame could be read; days with different corrections.
    """
    missing = [task.day.name for task in tasks if not Path(task.path).is_file()]
    if missing:
        raise DataError(
            "every day is built before days are joined",
            f"{len(missing)} missing, first {missing[0]}",
            "Run the other shards, then heliosight data build.",
        )  # fmt: skip
    recipe = tasks[0].recipe
    shape = (sum(len({p.slot for p in task.day.pieces}) for task in tasks), len(recipe.channels))
    scratch.parent.mkdir(parents=True, exist_ok=True)
    large = (*shape, recipe.size, recipe.size)
    frames = np.lib.format.open_memmap(scratch, "w+", np.uint8, large)
    reserve(scratch)
    stamps, flags = np.zeros(shape[0], dtype=np.int64), np.zeros(shape, dtype=np.uint8)
    history: list[tuple[str, ...]] = []
    problems: list[str] = []
    row = 0
    for task in tasks:
        shard = load_shard(Path(task.path))
        rows = slice(row, row + len(shard.slots))
        frames[rows], flags[rows], stamps[rows] = shard.frames, shard.flags, _stamps(shard)
        row = rows.stop
        history.append(shard.history)
        problems += shard.problems
    frames.flush()
    _require_some(flags, problems)
    table = judged_table(
        NAME, stamps, recipe.hours * HOUR, recipe.channels, frames, flags, history_of(history)
    )
    return Built(table, tuple(problems))


def _stamps(shard: Shard) -> np.ndarray:
    """`(n,)` the latest frame of each row; the slot of a row whose files could not be read."""
    latest = shard.times.max(1)
    return np.where(latest > 0, latest, shard.slots)


def _require_some(flags: np.ndarray, problems: Sequence[str]) -> None:
    if (flags & MISSING).all():
        first = problems[0] if problems else "no image"
        raise DataError("at least one image can be read", first, "Look at the files.")

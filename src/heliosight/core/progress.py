"""Progress with rate and time left, on standard error; silent when nobody looks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import parent_process
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

Item = TypeVar("Item")


class Bar(Protocol):
    """A running bar."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Move on; `note` replaces the text at the end of the bar."""
        ...


# Room for everything but the note, which is cut to what is left of the line.
_FIXED_WIDTH = 76
SHORT_SECONDS, LINE_SECONDS = 2.0, 30.0


class _RichBar:
    def __init__(self, progress: Progress, total: float, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total, note="", rate="")
        self._room = max(0, progress.console.width - _FIXED_WIDTH)

    def advance(self, steps: float = 1, note: str = "") -> None:
        task = self._progress.tasks[0]
        rate = f"{task.speed:.3g}/s" if task.speed else ""
        shown = note[: self._room] if note else task.fields["note"]
        self._progress.update(self._task, advance=steps, note=shown, rate=rate)


class _LineBar:
    """Lines in a file or a log: one every half minute and one at the end, none of a short job."""

    def __init__(self, total: float, label: str) -> None:
        self._total, self._label, self._note, self._done = total, label, "", 0.0
        self._start = self._told = time.monotonic()

    def advance(self, steps: float = 1, note: str = "") -> None:
        self._done, self._note = self._done + steps, note or self._note
        now = time.monotonic()
        if now - self._told >= LINE_SECONDS and self._done < self._total:
            self._told = now
            self._tell(now)

    def close(self) -> None:
        now = time.monotonic()
        if now - self._start >= SHORT_SECONDS:
            self._tell(now)

    def _tell(self, now: float) -> None:
        rate = self._done / max(now - self._start, 1e-9)
        left = timedelta(seconds=round((self._total - self._done) / rate)) if rate else "?"
        words = (f"{self._label:<26.26}", f"{self._done:g}/{self._total:g}", f"{rate:.3g}/s")
        sys.stderr.write(f"{' '.join(words)} left {left} {self._note}".rstrip() + "\n")


class _SilentBar:
    def advance(self, steps: float = 1, note: str = "") -> None:
        """Do nothing."""


def silent() -> bool:
    """True when `HELIOSIGHT_QUIET` is set."""
    return bool(os.environ.get("HELIOSIGHT_QUIET"))


def note(line: str) -> None:
    """One line on standard error about something that happened on the way."""
    if not silent():
        sys.stderr.write(f"heliosight: {line}\n")


@contextmanager
def bar(label: str, total: float) -> Iterator[Bar]:
    """A bar on standard error that says what is done, how fast, and how long it still takes."""
    if silent():
        yield _SilentBar()
        return
    console = Console(stderr=True)
    if not console.is_terminal or parent_process() is not None:  # one process draws on a terminal
        lines = _LineBar(total, label)
        yield lines
        lines.close()
        return
    one_line = Column(no_wrap=True)
    columns = (
        TextColumn("{task.description:<26.26}", table_column=one_line),
        BarColumn(bar_width=10),
        TaskProgressColumn(table_column=one_line),
        MofNCompleteColumn(table_column=one_line),
        TextColumn("{task.fields[rate]:>8}", table_column=one_line),
        TextColumn("left", table_column=one_line),
        TimeRemainingColumn(table_column=one_line),
        TextColumn("{task.fields[note]}", table_column=one_line, markup=False),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        yield _RichBar(progress, total, label)


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Yield `items` while a bar of `total` steps runs."""
    with bar(label, total) as running:
        for item in items:
            yield item
            running.advance()

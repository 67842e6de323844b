"""Progress with rate and time left, on standard error; silent when nobody looks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
_FIXED_WIDTH = 72


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
    one_line = Column(no_wrap=True)
    columns = (
        TextColumn("{task.description:<22.22}", table_column=one_line),
        BarColumn(bar_width=10),
        TaskProgressColumn(table_column=one_line),
        MofNCompleteColumn(table_column=one_line),
        TextColumn("{task.fields[rate]:>8}", table_column=one_line),
        TextColumn("left", table_column=one_line),
        TimeRemainingColumn(table_column=one_line),
        TextColumn("{task.fields[note]}", table_column=one_line, markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        yield _RichBar(progress, total, label)


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Yield `items` while a bar of `total` steps runs."""
    with bar(label, total) as running:
        for item in items:
            yield item
            running.advance()

"""Progress with rate and time left, on standard error; silent when nobody looks."""

from __future__ import annotations

import os
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
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")


class Bar(Protocol):
    """A running bar."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Move on; `note` replaces the text at the end of the bar."""
        ...


class _RichBar:
    def __init__(self, progress: Progress, total: float, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total, note="", rate="")

    def advance(self, steps: float = 1, note: str = "") -> None:
        task = self._progress.tasks[0]
        rate = f"{task.speed:.3g}/s" if task.speed else ""
        self._progress.update(
            self._task, advance=steps, note=note or task.fields["note"], rate=rate
        )


class _SilentBar:
    def advance(self, steps: float = 1, note: str = "") -> None:
        """Do nothing."""


def silent() -> bool:
    """True when `HELIOSIGHT_QUIET` is set."""
    return bool(os.environ.get("HELIOSIGHT_QUIET"))


@contextmanager
def bar(label: str, total: float) -> Iterator[Bar]:
    """A bar on standard error that says what is done, how fast, and how long it still takes."""
    if silent():
        yield _SilentBar()
        return
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        yield _RichBar(progress, total, label)


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Yield `items` while a bar of `total` steps runs."""
    with bar(label, total) as running:
        for item in items:
            yield item
            running.advance()

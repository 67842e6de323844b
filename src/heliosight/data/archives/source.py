"""What every archive is asked for: the span and cadence wanted, and how a source answers to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from heliosight.core.clock import DAY, HOUR, to_text, year_start
from heliosight.data.net.download import Item, Terms


@final
@dataclass(frozen=True)
class Wish:
    """What a user wants.

    Attributes
    ----------
    root : folder of fetched files.
    start, end : span [start, end), UTC seconds.
    hours : spacing of images.
    now : the time of the run, UTC seconds.
    email : address registered at JSOC.
    """

    root: Path
    start: int
    end: int
    hours: int
    now: int
    email: str = ""

    @property
    def years(self) -> range:
        """Calendar years of the span, none after the present one."""
        last = min(self.end - 1, self.now)
        return range(_year(self.start), _year(max(last, self.start)) + 1)

    @property
    def slots(self) -> Sequence[int]:
        """Times of images: the cadence's slots of the span that are not in the future."""
        step = self.hours * HOUR
        first = -(-self.start // step) * step
        return range(first, min(self.end, self.now + 1), step)

    def fresh(self, year: int) -> float | None:
        """How long a file of that year stays as it is [s]: None when it is two years old.

        Definitive values come within two years; the present year's file grows every day.
        """
        age = _year(self.now) - year
        return (6 * HOUR, 30 * DAY)[age] if age in (0, 1) else None


# A plan yields stages; the items of one are on disk before the next is asked for.
Plan = Callable[[Wish], Iterator[list[Item]]]
Reader = Callable[[bytes], object]


@final
@dataclass(frozen=True)
class Source:
    """An archive's collection.

    Attributes
    ----------
    what, latency, traps : for people.
    expect : number of files and bytes for a wish, without asking the archive.
    hosts : where a redirect may lead besides the host itself.
    """

    name: str
    what: str
    terms: Terms
    latency: str
    traps: str
    plan: Plan
    expect: Callable[[Wish], tuple[int, int]]
    hosts: tuple[str, ...] = ()


def _year(seconds: int) -> int:
    return int(str(np.datetime64(int(seconds), "s"))[:4])


def stamp(seconds: int) -> str:
    """`20261125T074500Z`, for the name of a snapshot."""
    return to_text(seconds).replace("-", "").replace(":", "")


def year_span(wish: Wish, year: int) -> tuple[int, int]:
    """The part of a year that is not in the future, whole days: [start, end) UTC seconds."""
    return year_start(year), min(year_start(year + 1), (wish.now // DAY + 1) * DAY)


def counted(size: int, count: Callable[[Wish], int]) -> Callable[[Wish], tuple[int, int]]:
    """Files of one size each."""
    return lambda wish: (count(wish), count(wish) * size)


def known(plan: Plan) -> Callable[[Wish], tuple[int, int]]:
    """Files and bytes of a plan of one stage, from its items."""

    def expect(wish: Wish) -> tuple[int, int]:
        items = next(plan(wish), [])
        return len(items), sum(item.estimate for item in items)

    return expect

"""What a person with these causes before them would be told to try."""

from __future__ import annotations

from collections.abc import Iterable

from heliosight.remedy.catalogue import REPAIRS
from heliosight.remedy.quick import LOST


def prescribed(causes: Iterable[str], lost: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the repairs that answer any of the causes, in the catalogue's order.

    An input to remove and "more data" are no repairs and do not count.

    Parameters
    ----------
    causes : of the faults found. lost : branches that do not arrive at the fusion.
    """
    there = set(causes) | ({LOST} if tuple(lost) else set())
    return tuple(p.name for p in REPAIRS if there & set(p.answers))

"""Tables with where they came from, before they are stored."""

from __future__ import annotations

from dataclasses import dataclass

from heliosight.core.records import Assumed
from heliosight.core.tables import Table


@dataclass(frozen=True)
class Raw:
    """Tables by name; all else goes to the dataset card, as it names it."""

    tables: dict[str, Table]
    sources: dict[str, str]
    licences: dict[str, str]
    caveats: tuple[str, ...] = ()
    assumed: tuple[Assumed, ...] = ()
    cutoff_minutes: float = 0.0
    as_known: str = ""

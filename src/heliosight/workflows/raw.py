"""Tables with where they came from, before they are stored."""

from __future__ import annotations

from dataclasses import dataclass

from heliosight.core.tables import Table


@dataclass(frozen=True)
class Raw:
    """Tables by name; sources, licences and caveats go to the dataset card."""

    tables: dict[str, Table]
    sources: dict[str, str]
    licences: dict[str, str]
    caveats: tuple[str, ...] = ()

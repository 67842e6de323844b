"""What a run of fetching leaves for `--json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from heliosight.core.records import Record


@dataclass(frozen=True)
class FetchRun(Record):
    """What one run of fetching did; the files themselves are in their folder's ledger.

    Attributes
    ----------
    fetched : paths of new or changed files; `bytes` their size, `kept` the number of the others.
    gaps, failed : by path, what the archive has not published and what went wrong.
    """

    schema: ClassVar[str] = "fetch_run"
    folder: str = ""
    sources: tuple[str, ...] = ()
    fetched: tuple[str, ...] = ()
    bytes: int = 0
    kept: int = 0
    gaps: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

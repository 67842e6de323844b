"""A run directory: where records lie, and when one can be used again."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from heliosight import __version__
from heliosight.core import records
from heliosight.core.config import dump
from heliosight.core.errors import RecordError
from heliosight.core.files import digest, is_sealed
from heliosight.core.making import sweep
from heliosight.workflows.config import AppConfig
from heliosight.workflows.config_data import StoreData

R = TypeVar("R", bound=records.Record)


@dataclass(frozen=True)
class Run:
    """One config in one directory.

    Attributes
    ----------
    command : what was typed, for the record.
    force : make records again even if nothing changed.
    flags : every flag of the command line, such as `--check`.
    """

    config: AppConfig
    folder: Path
    command: str = ""
    force: bool = False
    flags: tuple[str, ...] = ()

    def asking(self, stage: str, *words: str, without: Collection[str] = ()) -> str:
        """The command of another stage with all else as typed, less the words `without`."""
        typed = shlex.split(self.command)[2:]
        kept = [word for word in typed if word not in ("--force", "--json", *without)]
        return shlex.join(["heliosight", stage, *kept, *words])

    @property
    def simulated(self) -> bool:
        """True when the images come from the simulated Sun, also through a store built before."""
        data = self.config.data
        if isinstance(data, StoreData):
            return records.load(
                Path(data.folder), records.DatasetCard, hashes=False
            ).provenance.simulated
        return data.type in ("sun", "driven")

    def key(self, *parts: Any) -> str:
        """What a record depends on: the given parts and the version that makes it."""
        return digest([__version__, *(dump(part) for part in parts)])

    def made(self, folder: Path, cls: type[R], key: str) -> R | None:
        """The finished record of that key, or None when this stage must make it."""
        return None if self.force else self.found(folder, cls, key)

    def found(self, folder: Path, cls: type[R], key: str) -> R | None:
        """The finished record of that key, forced or not: what an earlier stage left."""
        if not is_sealed(folder):
            return None
        sweep(folder)
        try:
            record = records.load(folder, cls)
        except RecordError:
            return None
        return record if record.provenance.key == key else None

    def provenance(self, key: str, parents: Mapping[str, str]) -> records.Provenance:
        """Provenance of a record made now by this run."""
        return records.provenance(
            self.command, self.config.seed, key, parents, simulated=self.simulated
        )


@dataclass(frozen=True)
class StageResult:
    """What a stage hands back to the command line: its record, or all of them."""

    record: records.Record | tuple[records.Record, ...] | None
    lines: tuple[str, ...] = ()
    fault: bool = False

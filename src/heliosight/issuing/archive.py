"""The archive of issued forecasts: entries are added, never overwritten, never altered.

    archive/ledger.jsonl            one line an entry: its name and hash
    archive/entries/NAME/           a sealed folder: record, arrays, JSON, netCDF, pages
    archive/verification/NAME/      what was observed afterwards, added later
    archive/verification/NAME_2/    the same once more, when fewer values could still be revised
    archive/verifications.jsonl     one line a verification: its entry, number and hash

A forecast issued again for the same time is an entry of its own: its name carries the issue time,
the moment it was made to the microsecond, and its key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import final

import numpy as np

from heliosight.core import records
from heliosight.core.clock import to_seconds
from heliosight.core.errors import RecordError
from heliosight.core.issued import ForecastVerification, IssuedArrays, IssuedForecast
from heliosight.core.variables import STEP
from heliosight.issuing.ledger import Entry, Ledger

Verified = tuple["Listed", ForecastVerification, dict[str, np.ndarray]]
NAME = re.compile(r"\d{8}T\d{6}Z_\d{8}T\d{12}Z_[0-9a-f]{8}")


@final
@dataclass(frozen=True)
class Listed:
    """One entry as the ledger lists it."""

    name: str
    hash: str
    issue_times: tuple[str, ...]

    @property
    def live(self) -> bool:
        """True when it was made before the first interval of its last issue time was over."""
        made = self.name.split("_")[1]
        return is_live(to_seconds(self.issue_times[-1]), to_seconds(f"{made[:15]}Z"))


def is_live(issue: int, made: int) -> bool:
    """True of a forecast made before the first of its intervals was over [UTC seconds].

    Whatever was made later is a hindcast, however it was asked for: its outcome had begun.
    """
    return made < issue + STEP


@final
class Archive:
    """The archive in a folder; it need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.scores = Ledger(folder / "verifications.jsonl")

    def add(
        self, record: IssuedForecast, arrays: IssuedArrays, files: Mapping[str, bytes]
    ) -> Listed:
        """A new entry, whole before it is listed."""
        name = f"{_compact(record.issue_times[0])}_{_now()}_{record.provenance.key[:8]}"
        folder = self.entry(name)
        if folder.exists():
            raise RecordError("an archived forecast is never overwritten", name, where=str(folder))
        hashed = records.save(folder, record, arrays.arrays(), files)
        self.ledger.append({"entry": name, "hash": hashed, "issue_times": list(record.issue_times)})
        return Listed(name, hashed, record.issue_times)

    def listed(self) -> list[Listed]:
        """All entries in the order they were issued; the ledger's chain is checked."""
        return [_listed(e, self.ledger.path) for e in self.ledger.entries()]

    def entry(self, name: str) -> Path:
        """The folder of an entry.

        Raises
        ------
        RecordError : no name of an entry, or a link in its place: what it leads to is not listed.
        """
        if not NAME.fullmatch(name):
            raise RecordError("an entry's name is one of the archive's", repr(name))
        folder = self.folder / "entries" / name
        if folder.is_symlink() or folder.parent.is_symlink():
            raise RecordError(
                "an archive's entries are folders of its own", "a link",
                "Put the folder itself there.", str(folder),
            )  # fmt: skip
        return folder

    def read(self, listed: Listed) -> tuple[IssuedForecast, IssuedArrays]:
        """One entry, checked against the ledger.

        Raises
        ------
        RecordError : it is gone, half there, or not as it was when it was issued.
        """
        folder = self.entry(listed.name)
        record = records.load(folder, IssuedForecast)
        if records.record_hash(folder) != listed.hash:
            raise RecordError(
                "an archived forecast is as it was issued", listed.name,
                "Its folder was altered: restore it.", str(folder),
            )  # fmt: skip
        return record, IssuedArrays.of(records.load_arrays(folder))

    def verification(self, name: str, number: int = 1) -> Path:
        """Where a verification of an entry lies, or will lie."""
        self.entry(name)
        return self.folder / "verification" / (name if number == 1 else f"{name}_{number}")

    def add_verification(
        self, record: ForecastVerification, arrays: Mapping[str, np.ndarray]
    ) -> None:
        """One more verification of an entry, whole before it is listed; earlier ones stay."""
        folder = self.verification(record.entry, record.number)
        hashed = records.save(folder, record, arrays)
        self.scores.append({"entry": record.entry, "number": record.number, "hash": hashed})

    def verified(self) -> list[Verified]:
        """Every verified entry with its latest verification and that record's arrays.

        A verification that is not as it was listed is passed over: it can be made again.
        """
        listed: dict[str, list[tuple[int, str]]] = {}
        for line in self.scores.entries():
            name, number, hashed = _scored(line, self.scores.path)
            listed.setdefault(name, []).append((number, hashed))
        found = []
        for entry in self.listed():
            for number, hashed in reversed(listed.get(entry.name, [])):
                folder = self.verification(entry.name, number)
                with suppress(RecordError, OSError):
                    if records.record_hash(folder) == hashed:
                        record = records.load(folder, ForecastVerification)
                        found.append((entry, record, records.load_arrays(folder)))
                        break
        return found

    def unsettled(self, until: int) -> list[tuple[Listed, ForecastVerification | None]]:
        """Entries whose last issue time lies at or before `until`, with what may be renewed.

        An entry is settled when its latest verification has no value that may still be revised.
        """
        latest = {entry.name: record for entry, record, _ in self.verified()}
        return [
            (e, latest.get(e.name))
            for e in self.listed()
            if to_seconds(e.issue_times[-1]) <= until
            and (e.name not in latest or latest[e.name].preliminary)
        ]


def _scored(line: Entry, path: Path) -> tuple[str, int, str]:
    try:
        name, number, hashed = line.body["entry"], line.body["number"], line.body["hash"]
        if not NAME.fullmatch(name) or not 1 <= int(number) < 10_000:
            raise ValueError(f"{name} {number}")
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            "a line of verifications names an entry, a number and a hash", repr(error),
            where=str(path),
        ) from error  # fmt: skip
    return name, int(number), str(hashed)


def _listed(entry: Entry, path: Path) -> Listed:
    body = entry.body
    try:
        name, hashed, times = str(body["entry"]), str(body["hash"]), tuple(body["issue_times"])
        for text in times:
            to_seconds(text)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(
            "a line of the archive's ledger names an entry, its hash and its issue times",
            repr(error), where=str(path),
        ) from error  # fmt: skip
    if not NAME.fullmatch(name) or not times:
        raise RecordError("an entry's name is one of the archive's", repr(name), where=str(path))
    return Listed(name, hashed, times)


def _compact(text: str) -> str:
    return text.replace("-", "").replace(":", "")


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S%fZ")

"""An append-only ledger: one JSON line an entry, each bound to the one before by its hash.

An entry that was altered, moved or taken from the middle breaks the chain and is refused. A line
that was cut off while being written was never acknowledged: it is dropped. Nothing can tell that
the newest lines were removed, unless their hash was written down elsewhere.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, final

from heliosight.core.errors import RecordError
from heliosight.core.files import digest

FIRST = "0" * 64


@final
@dataclass(frozen=True)
class Entry:
    """One line: its number, when it was written, what it says, and its hash."""

    number: int
    written: str
    body: Mapping[str, Any]
    hash: str


@final
class Ledger:
    """A ledger file; it need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        """All entries in the order written.

        Raises
        ------
        RecordError : a line is unreadable, or the chain is broken at it.
        """
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            return _read(file, self.path)

    def append(self, body: Mapping[str, Any]) -> Entry:
        """Write one more entry, flushed to disk before this returns; other writers wait."""
        with self.opened() as file:
            return self._append(file, body)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file under an exclusive lock."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def append_if(self, allowed: Any, body: Mapping[str, Any]) -> Entry:
        """Append after `allowed(entries)` has not raised, with no other writer in between."""
        with self.opened() as file:
            allowed(_read(file, self.path))
            return self._append(file, body)

    def _append(self, file: BinaryIO, body: Mapping[str, Any]) -> Entry:
        before = _read(file, self.path)
        previous = before[-1].hash if before else FIRST
        written = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = {"number": len(before), "written": written, "previous": previous, "body": dict(body)}
        entry = Entry(len(before), written, dict(body), digest(line))
        whole = json.dumps({**line, "hash": entry.hash}, sort_keys=True, allow_nan=False)
        file.seek(0)
        data = file.read()
        if data and not data.endswith(b"\n"):
            file.truncate(data.rfind(b"\n") + 1)
        file.write(whole.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        return entry


def _read(file: BinaryIO, path: Path) -> list[Entry]:
    file.seek(0)
    *lines, _ = file.read().split(b"\n")
    found: list[Entry] = []
    previous = FIRST
    for number, line in enumerate(lines):
        try:
            content = json.loads(line)
            hashed = content.pop("hash")
            good = content["number"] == number and content["previous"] == previous
            good = good and digest(content) == hashed
            entry = Entry(number, content["written"], content["body"], hashed)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise RecordError(
                "every line of a ledger is bound to the one before it",
                f"line {number + 1} is not",
                "It was altered: restore the file; a ledger is never edited.",
                str(path),
            )
        found.append(entry)
        previous = entry.hash
    return found

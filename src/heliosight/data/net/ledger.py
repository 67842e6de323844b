"""The ledger of a folder of fetched files: one JSON line for each, written after its bytes."""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, final

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.core.files import sha256

LEDGER = "fetched.jsonl"
LOCK = ".fetching"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")


@final
@dataclass(frozen=True)
class Entry:
    """One retrieved file: where it lies, where it came from, when, and under which terms.

    Attributes
    ----------
    path : relative to the ledger's folder, with `/`.
    retrieved : ISO 8601, UTC.
    etag, modified : what the server called this version.
    """

    path: str
    source: str
    url: str
    sha256: str
    bytes: int
    retrieved: str
    licence: str
    citation: str
    etag: str = ""
    modified: str = ""


def place(root: Path, relative: str) -> Path:
    """The file of that relative name under `root`.

    Raises
    ------
    DataError : a part is no plain name, or the path leads out of `root` (also through a link).
    """
    parts = relative.split("/")
    path = root.joinpath(*parts)
    plain = all(_PLAIN.fullmatch(part) and len(part) <= 200 for part in parts)
    if not plain or not path.resolve().is_relative_to(root.resolve()):
        raise DataError(
            "a fetched file has a plain name inside its folder", repr(relative[:200]),
            "Report it: the archive or the ledger names a strange path.", str(root),
        )  # fmt: skip
    return path


@final
class Ledger:
    """What a folder holds; a later line about a file replaces the earlier ones."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.path = self.root / LEDGER
        self._lock = threading.Lock()
        self.entries = {entry.path: entry for entry in self.history()}

    def history(self) -> list[Entry]:
        """Every line, oldest first. A last line that was cut off is left out: its file is new."""
        if not self.path.is_file():
            return []
        lines = self.path.read_bytes().split(b"\n")
        return [self._entry(number, line) for number, line in enumerate(lines[:-1], 1) if line]

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            entry = Entry(**_known(json.loads(line)))
            place(self.root, entry.path)
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(
                "every line of a ledger describes a file",
                f"line {number}: {type(error).__name__} {error}",
                "Remove that line; its file is fetched again.",
                str(self.path),
            ) from error
        return entry

    def add(self, entry: Entry) -> None:
        """Append one line and flush it to the disk; a cut-off line before it is ended first."""
        line = json.dumps(asdict(entry), sort_keys=True).encode() + b"\n"
        with self._lock:
            self.root.mkdir(parents=True, exist_ok=True)
            if _is_torn(self.path):
                _cut_last_line(self.path)
            with self.path.open("ab") as stream:
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
            self.entries[entry.path] = entry

    def since(self) -> dict[str, int]:
        """When the bytes that a file has now first came [UTC seconds], by path."""
        found: dict[str, int] = {}
        for entry in self.history():
            if entry.sha256 == self.entries[entry.path].sha256:
                found.setdefault(entry.path, to_seconds(entry.retrieved))
        return found

    def whole(self, relative: str) -> Entry | None:
        """The entry of a file that is there with the size it had, else None."""
        entry = self.entries.get(relative)
        path = place(self.root, relative)
        good = entry is not None and path.is_file() and path.stat().st_size == entry.bytes
        return entry if good else None

    def verify(self) -> list[str]:
        """Files whose bytes are gone or no longer have their hash."""
        lost = []
        for name, entry in sorted(self.entries.items()):
            path = place(self.root, name)
            if not path.is_file() or sha256(path) != entry.sha256:
                lost.append(name)
        return lost


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """One run a folder: two would append to the same half-fetched files.

    Raises
    ------
    DataError : another run, of any process, fetches into the folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                "one run at a time fetches into a folder", "another one at work",
                "Wait for it, or set fetch.folder.", str(root),
            ) from error  # fmt: skip
        yield


def _known(plain: Any) -> dict[str, Any]:
    """The fields of an entry; a later version's further ones are left aside."""
    names = {f.name: f.type for f in fields(Entry)}
    kept = {key: value for key, value in plain.items() if key in names}
    for key, value in kept.items():
        if not isinstance(value, int if key == "bytes" else str):
            raise TypeError(f"{key} is {type(value).__name__}")
    return kept


def _is_torn(path: Path) -> bool:
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def _cut_last_line(path: Path) -> None:
    data = path.read_bytes()
    with path.open("r+b") as stream:
        stream.truncate(data.rfind(b"\n") + 1)

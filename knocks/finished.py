"""What a long knock has done already, so that the same command goes on where it was stopped."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Finished:
    """One line for each finished piece of work: its key, what came out, on which commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.code = commit()
        self.rows = {row["key"]: row for row in _rows(path)}

    def __contains__(self, key: str) -> bool:
        return key in self.rows

    def add(self, key: str, **result: Any) -> None:
        """Write one piece down, as a whole line."""
        row = {"key": key, "code": self.code, **result}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            torn = file.tell() > 0 and (file.seek(-1, 2), file.read(1))[1] != b"\n"
            file.write((torn * "\n" + json.dumps(row) + "\n").encode())
        self.rows[key] = row

    def of(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """What came out of these pieces, as far as they are done."""
        return [self.rows[key] for key in keys if key in self.rows]


def _rows(path: Path) -> list[dict[str, Any]]:
    """Every whole line; one that a kill cut off is left out."""
    found = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def commit() -> str:
    """The commit of the checkout, and whether it was changed since."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def fingerprint(*paths: Path) -> str:
    """Eight letters that change when one of the files does."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:8]


def by_commit(rows: list[dict[str, Any]]) -> str:
    """How many pieces were done on which commit."""
    counted = collections.Counter(row["code"] for row in rows)
    return ", ".join(f"{code} {number}" for code, number in counted.items())

"""The training log: one JSON record a line, what the report draws.

Records have `kind`: `start`, `stage`, `step`, `epoch` or `end`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, final

from heliosight.core.arrays import require_file
from heliosight.core.errors import RecordError

LOG = "log.jsonl"


@final
class Journal:
    """Appends records; a checkpoint keeps its length, so a resumed run drops what came after."""

    def __init__(self, path: Path, length: int = 0, active: bool = True) -> None:
        self.path, self.active = path, active
        if active:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.truncate(path, length)

    def write(self, kind: str, **values: Any) -> None:
        """One record; a process that does not lead writes nothing."""
        if self.active:
            line = json.dumps({"kind": kind, **values}, allow_nan=False)
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(line + "\n")

    def flushed_length(self) -> int:
        """Bytes so far, safely on the disk."""
        if not self.active:
            return 0
        with self.path.open("ab") as handle:
            os.fsync(handle.fileno())
            return handle.tell()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All records of a log; a last line torn by a crash is left out.

    Raises
    ------
    RecordError : no readable text; a line before the last is not JSON.
    """
    try:
        require_file(path)
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError("a log is readable text", str(error), "", str(path)) from None
    records = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            where = f"{path}, line {number}"
            raise RecordError("a log holds one JSON record a line", str(error), "", where) from None
    return records

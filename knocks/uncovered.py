"""Tells what the tests ran of each room, and every function that has lines they never ran.

    python knocks/uncovered.py build/coverage.json [LEAST]

The file is what `make coverage` leaves. LEAST is the number of lines from which a function is
named (3 by default); functions that never ran at all are named whatever their length.
"""

from __future__ import annotations

import collections
import json
import sys
from pathlib import Path
from typing import Any

SOURCES = "src/heliosight/"


def main(report: str, least: str = "3") -> int:
    """Print both tables."""
    files = json.loads(Path(report).read_text())["files"]
    for room, (run, count) in sorted(by_room(files).items()):
        print(f"{room:<14}{100 * run / count:6.1f} %  {count - run:5d} of {count} lines not run")
    for name, found in sorted(files.items()):
        if never := uncovered(found["functions"], int(least)):
            print(f"{name.removeprefix(SOURCES)}: {', '.join(never)}")
    return 0


def by_room(files: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Lines run and lines there are, of each room and of all."""
    counted: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for name, found in files.items():
        parts = name.removeprefix(SOURCES).split("/")
        for room in (parts[0] if len(parts) > 1 else "(top)", "all"):
            counted[room][0] += found["summary"]["covered_lines"]
            counted[room][1] += found["summary"]["num_statements"]
    return {room: (run, max(1, count)) for room, (run, count) in counted.items()}


def uncovered(functions: dict[str, Any], least: int) -> list[str]:
    """Names of functions with missing lines, and which."""
    found = []
    for name, function in functions.items():
        missing = function["missing_lines"]
        never = missing and not function["executed_lines"]
        if name and (never or len(missing) >= least):
            found.append(f"{name} ({'never' if never else _spans(missing)})")
    return found


def _spans(lines: list[int]) -> str:
    return str(lines[0]) if len(lines) == 1 else f"{lines[0]}-{lines[-1]}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

"""Improves and certifies on a disk that refuses, and twice at once; prints what was not as asked.

    python knocks/disk.py

As root no permission is missing, so the errors are those that the system would give, put in its
place. Asked: exit code 2, the error's own words, no file changed, and the same command ends well
afterwards; of two runs in one directory both end well or one is refused, and the directory is byte
for byte that of one run, nothing left over. Clocks stand still in the runs.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import stopped

stopped.stop()

from stages import Stage, stages  # noqa: E402
from wholeness import differences, half_read, tree  # noqa: E402

REFUSED: tuple[tuple[Any, str, int], ...] = (
    (os, "fsync", errno.ENOSPC),
    (tempfile, "mkstemp", errno.EROFS),
    (tempfile, "mkstemp", errno.EACCES),
    (Path, "replace", errno.EIO),
)
FORCE = "--force"


def main() -> int:
    """How many knocks were not answered as asked."""
    os.environ["HELIOSIGHT_QUIET"] = "1"
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        for stage in stages(Path(name))[2:]:
            folder = Path(name) / stage.name
            quiet(stage, folder)
            told = [refused(stage, folder, *how) for how in REFUSED] + [twice(stage, folder)]
            wrong = [text for text in told if text]
            faults += len(wrong)
            print(f"{stage.name}: {len(told)} knocks, {len(wrong)} at fault", *wrong, sep="\n  ")
    return faults


def refused(stage: Stage, folder: Path, where: Any, name: str, number: int) -> str:
    """What was wrong about a run whose system call fails; empty when nothing was."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    before = tree(folder)
    with mock.patch.object(where, name, fail):
        code, said = quiet(stage, folder, FORCE)
    label = f"{name} {errno.errorcode[number]}"
    if code != 2 or os.strerror(number) not in said:
        return f"{label}: exit code {code}, {said[-200:]!r}"
    if tree(folder) != before:
        return f"{label}: files were changed"
    return "" if quiet(stage, folder)[0] == stage.code else f"{label}: it does not go on"


def twice(stage: Stage, folder: Path) -> str:
    """What was wrong about two runs at once in a directory."""
    quiet(stage, folder, FORCE)
    before, children = tree(folder), []
    for _ in range(2):
        children.append(os.fork())
        if not children[-1]:
            os._exit(quiet(stage, folder, FORCE)[0])
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if stage.code not in codes or not set(codes) <= {stage.code, 2}:
        return f"two at once: exit codes {codes}"
    wrong = half_read(folder, before) + differences(folder, before)
    return f"two at once: {'; '.join(wrong)}" if wrong else ""


def quiet(stage: Stage, folder: Path, *words: str) -> tuple[int, str]:
    """Exit code, and what was said on standard error."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        return stage.run(folder, *words), said.getvalue()


if __name__ == "__main__":
    sys.exit(min(main(), 1))

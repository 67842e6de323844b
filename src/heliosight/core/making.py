"""Hidden names for what is being made: whole when renamed, swept when their maker was killed."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from heliosight.core.errors import RecordError
from heliosight.core.locks import alone, held, is_abandoned, take

MARK, FOLDER = ".making-", ".d"


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """An empty hidden file beside `target`; gone when the block ends, unless it was renamed.

    It is locked until then: what nobody locks was left by a process that was killed, and the next
    maker of the same target removes it.
    """
    with held(target.parent) as has_locks:
        if has_locks:
            _sweep(target)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}{MARK}")
        take(handle, wait=False)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """An empty hidden folder beside `target`; gone when the block ends, unless it was renamed."""
    with temporary_file(target) as guard:
        folder = _folder_of(guard)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def replace_folder(made: Path, folder: Path, seal: str) -> None:
    """Put a finished folder where another may lie; the other one is then `made`, or gone.

    On Linux a reader finds one or the other at every moment; elsewhere, for an instant, none.

    Raises
    ------
    RecordError : the other one holds something and has no `seal`: it is not ours to remove.
    """
    with held(folder.parent):
        if folder.is_dir() and any(folder.iterdir()) and not (folder / seal).is_file():
            raise RecordError(
                "only a finished folder of ours is replaced", f"other files in {folder}",
                "Give another run_dir, or move that folder away.",
            )  # fmt: skip
        _guard_of(made).unlink()  # first: a kill after the last step then leaves nothing
        if not folder.exists():
            made.replace(folder)
        elif not _exchange(made, folder):
            old = made.with_name(f"{made.name}{FOLDER}")
            folder.replace(old)
            made.replace(folder)
            shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step (renameat2 with RENAME_EXCHANGE); False where that is unknown."""
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2
    return call is not None and not call(here, os.fsencode(one), here, os.fsencode(other), exchange)


@contextmanager
def workplace(folder: Path, key: str) -> Iterator[Path]:
    """A folder beside `folder` for what is not finished, one process at a time.

    Kept when the block fails or its process is killed, so that the next one goes on; removed when
    it ends well.

    Raises
    ------
    RecordError : another process works in it.
    """
    work = workplace_of(folder, key)
    work.mkdir(parents=True, exist_ok=True)
    with alone(work):
        yield work
        shutil.rmtree(work)


def workplace_of(folder: Path, key: str) -> Path:
    """Where `workplace` keeps what is not finished."""
    return folder.with_name(f"{folder.name}.work-{key[:12]}")


def clear_workplace(folder: Path, key: str) -> None:
    """Remove the workplace of something that is finished: its maker was killed in between."""
    shutil.rmtree(workplace_of(folder, key), ignore_errors=True)


def _folder_of(guard: Path) -> Path:
    return guard.with_name(f"{guard.name}{FOLDER}")


def _guard_of(folder: Path) -> Path:
    return folder.with_name(folder.name.removesuffix(FOLDER))


def sweep(target: Path) -> None:
    """Remove what killed processes left of a target."""
    with held(target.parent) as has_locks:
        if has_locks:
            _sweep(target)


def _sweep(target: Path) -> None:
    ours = re.compile(rf"\.{re.escape(target.name)}{MARK}[a-z0-9_]{{8}}((?:{re.escape(FOLDER)})*)")
    for entry in os.scandir(target.parent):
        if found := ours.fullmatch(entry.name):
            path = Path(entry.path)
            guard = path.with_name(path.name[: len(path.name) - len(found[1])])
            with suppress(OSError):  # gone meanwhile, or another user's
                if found[1] and not guard.exists():
                    shutil.rmtree(path)
                elif not found[1] and is_abandoned(guard):
                    shutil.rmtree(_folder_of(guard), ignore_errors=True)
                    guard.unlink()

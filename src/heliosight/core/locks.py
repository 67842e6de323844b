"""Locks that end with the process that holds them, so that a killed run blocks nobody."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heliosight.core.errors import RecordError

# A file system without locks (Lustre and NFS may be mounted so): everything works, unguarded.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


def take(handle: int, wait: bool) -> bool | None:
    """Lock an open file or folder; False when another holds it, None where there are no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """An exclusive lock on a file or folder, waited for; False where there are no locks."""
    handle = os.open(path, os.O_RDONLY)
    try:
        yield bool(take(handle, wait=True))
    finally:
        os.close(handle)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time works in a folder; the folder itself stays free for `held`.

    Raises
    ------
    RecordError : another process, of this or another run, works in it.
    """
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if take(handle, wait=False) is False:
            raise RecordError(
                "one run at a time works in a folder", "another one at work",
                "Wait for it, or give this one another run_dir.", str(folder),
            )  # fmt: skip
        yield
    finally:
        os.close(handle)


def is_abandoned(path: Path) -> bool:
    """True when nobody holds the lock that the maker of a temporary file took."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return take(handle, wait=False) is True
    finally:
        os.close(handle)

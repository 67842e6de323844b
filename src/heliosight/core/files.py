"""Files that are whole or absent: written beside their place, flushed, then renamed."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from heliosight.core import arrays
from heliosight.core.errors import RecordError
from heliosight.core.making import replace_folder, temporary_file, temporary_folder

MANIFEST = "manifest.json"


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Hex digest of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_file(path) as temporary:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)  # made private; a report is to be handed on
        temporary.replace(path)


def reserve(path: Path) -> None:
    """Take the room on the disk that a mapped file will need; `OSError` where there is none.

    Writing to a mapping of a full disk ends the process without a word (SIGBUS).
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, path.stat().st_size)


def write_text(path: Path, text: str) -> None:
    """UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Sorted, indented JSON; a value JSON has no word for (NaN, infinity) is refused."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Arrays without pickle, whole or not at all.

    Raises
    ------
    RecordError : an array holds objects, which only pickle could store.
    """
    objects = [name for name, array in arrays.items() if np.asarray(array).dtype.hasobject]
    if objects:
        found, do = f"objects in {', '.join(objects)}", "Give numbers or text of one width."
        raise RecordError("arrays are stored without pickle", found, do, str(path))
    buffer, named = io.BytesIO(), dict[str, Any](arrays)
    np.savez_compressed(buffer, **named)  # numpy below 2.1 would store `allow_pickle`
    write_bytes(path, buffer.getvalue())


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an npz; what is torn, pickled or above 512 MiB raises `RecordError`."""
    try:
        return arrays.read_npz(path)
    except arrays.BROKEN as error:
        again = "Make it again."
        raise RecordError("arrays are a whole, plain npz", str(error), again, str(path)) from error


def read_json(path: Path) -> Any:
    """The value of a JSON file; what is torn or nested without end raises `RecordError`."""
    try:
        arrays.require_file(path)
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError("a record is readable JSON", str(error), where=str(path)) from error


@contextmanager
def folder_in_making(folder: Path) -> Iterator[Path]:
    """A sibling folder to fill; sealed and moved to `folder` when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder) as making:
        yield making
        seal(making)
        replace_folder(making, folder, MANIFEST)


def seal(folder: Path) -> None:
    """Write the manifest, last: name, size and hash of every file."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    files = {
        p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, "sha256": sha256(p)}
        for p in paths
    }
    write_json(folder / MANIFEST, {"files": files})


def is_sealed(folder: Path) -> bool:
    """True when the folder has a manifest, hence was finished."""
    return (folder / MANIFEST).is_file()


def verify(folder: Path, hashes: bool = True) -> None:
    """Raise `RecordError` when a file of a sealed folder is missing or altered."""
    where, again = str(folder), "Make it again; nothing half-written is read."
    if not is_sealed(folder):
        raise RecordError("a finished folder has a manifest", "none", again, where)
    for name, facts in _listed(folder).items():
        path = folder / name
        if not _inside(path, folder):
            raise RecordError("a manifest names files of its own folder", name, again, where)
        if not path.is_file() or path.stat().st_size != facts["bytes"]:
            raise RecordError("every listed file is present and whole", name, again, where)
        if hashes and sha256(path) != facts["sha256"]:
            raise RecordError("a file has the hash its manifest gives", name, again, where)


def _inside(path: Path, folder: Path) -> bool:
    """True when the path leads into the folder; a NUL in it or a circle of links leads nowhere."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def _listed(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return {
            str(name): {k: facts[k] for k in ("bytes", "sha256")} for name, facts in files.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError("a manifest is readable", repr(error), where=str(folder)) from error

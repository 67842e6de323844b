"""Arrays from files that may be broken or hostile: no pickle, nothing larger than it says."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

# One array beside a record, or one channel of a stack: 12 years of 64-pixel frames as float32 fit.
LARGEST = 1 << 29
# RuntimeError: zipfile's word for encryption; SyntaxError, TokenError: numpy's for a torn header.
BROKEN = (
    OSError, ValueError, EOFError, KeyError, TypeError, OverflowError, RuntimeError, SyntaxError,
    RecursionError, MemoryError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def require_file(path: Path) -> None:
    """Raise `OSError` for a folder, a device, or a pipe, which would be waited for without end."""
    if not path.is_file():
        raise OSError(f"{path} is no file")


def members(archive: zipfile.ZipFile) -> list[str]:
    """Names of the arrays of an open npz, without `.npy`."""
    return [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]


def member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array of an open npz; raises one of `BROKEN` when it is torn or a bomb."""
    facts = archive.getinfo(f"{name}.npy")
    if facts.file_size > LARGEST:
        raise ValueError(f"{name} holds {facts.file_size} bytes, {LARGEST} are the most")
    with archive.open(facts) as stream:
        return read_array(stream, facts.file_size)


def read_array(stream: IO[bytes], size: int) -> np.ndarray:
    """The npy array of a stream of `size` bytes, read only after its header was found true."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"npy version {version} is not 1.0 or 2.0")
    old = version == (1, 0)
    head = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = head(stream)
    if dtype.hasobject:
        raise ValueError("an array of objects would need pickle")
    count = 1
    for length in shape:
        count *= int(length)
    if min(shape, default=0) < 0 or count * dtype.itemsize > size:
        raise ValueError(f"the header promises {shape} of {dtype}, more than the {size} bytes")
    data = stream.read(count * dtype.itemsize)
    flat = np.frombuffer(data, dtype, count).copy()
    return flat.reshape(shape, order="F" if fortran else "C")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz; what is torn, pickled or too large raises one of `BROKEN`."""
    require_file(path)
    with zipfile.ZipFile(path) as archive:
        return {name: member(archive, name) for name in members(archive)}


def read_npy(path: Path) -> np.ndarray:
    """The array of an npy file; raises one of `BROKEN`."""
    require_file(path)
    with path.open("rb") as stream:
        return read_array(stream, path.stat().st_size)

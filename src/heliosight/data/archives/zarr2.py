"""Zarr version 2 arrays, chunk by chunk: enough to read an object store over plain HTTPS.

Source: Zarr storage specification 2. Chunks are decoded by numcodecs (extra `cloud`) where they are
Blosc, else by the standard library; a chunk never decodes to more than its array says.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from heliosight.core.errors import DataError
from heliosight.data.archives.documents import json_of

MOST_CHUNK_BYTES = 1 << 28
_BLOSC_HEADER = 16


@final
@dataclass(frozen=True)
class ZarrArray:
    """What `.zarray` says: shapes, type, codec name ('' for none), separator of chunk names."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    codec: str
    separator: str
    fill: float

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one decoded chunk."""
        return int(np.prod(self.chunks)) * self.dtype.itemsize

    def key(self, *index: int) -> str:
        """The name of a chunk."""
        return self.separator.join(str(i) for i in index)


def read_zarray(data: bytes) -> ZarrArray:
    """The description of an array.

    Raises
    ------
    DataError : not JSON, version 3, a filter, Fortran order, a type that is no plain number, a
        codec this reader has not, shapes that are no shapes, chunks above 256 MiB.
    """
    plain = json_of(data, "a .zarray")
    if not isinstance(plain, Mapping) or plain.get("zarr_format") != 2:
        raise DataError("a .zarray is of zarr version 2", repr(plain)[:80], "Not version 3.")
    if plain.get("filters") or plain.get("order") != "C":
        raise DataError(
            "chunks are in C order without filters",
            f"order {plain.get('order')!r}, filters {plain.get('filters')!r}",
        )
    separator = plain.get("dimension_separator", ".")
    if separator not in (".", "/"):
        raise DataError("chunk names are joined by . or /", repr(separator))
    shape, chunks = (_lengths(plain.get(key), key) for key in ("shape", "chunks"))
    fill = plain.get("fill_value")
    array = ZarrArray(
        shape, chunks, _dtype(plain.get("dtype")), _codec(plain.get("compressor")), separator,
        float(fill) if isinstance(fill, (int, float)) else np.nan,
    )  # fmt: skip
    if len(chunks) != len(shape) or not 0 < array.chunk_bytes <= MOST_CHUNK_BYTES:
        raise DataError("a chunk is at most 256 MiB", f"{chunks} of {shape}", where=".zarray")
    return array


def _lengths(value: Any, key: str) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 40 for n in value)
    if not whole or not value:
        raise DataError(f"{key} of a .zarray is a list of lengths", repr(value)[:80])
    return tuple(value)


def _dtype(text: Any) -> np.dtype:
    if not isinstance(text, str) or text not in ("<f4", "<f8", "<i2", "<i4", "|u1", "<u2", "|i1"):
        raise DataError("a zarr array holds plain little-endian numbers", repr(text)[:40])
    return np.dtype(text)


def _codec(value: Any) -> str:
    name = "" if value is None else str(value.get("id") if isinstance(value, Mapping) else value)
    if name not in ("", "blosc", "zlib", "gzip"):
        raise DataError("a chunk is plain, blosc, zlib or gzip", repr(name)[:40])
    return name


def decode_chunk(array: ZarrArray, data: bytes) -> np.ndarray:
    """One chunk, `array.chunks` in shape; a chunk at an edge is padded by whoever wrote it.

    Raises
    ------
    DataError : the bytes do not decode to exactly one chunk; numcodecs is absent.
    """
    plain = _DECODERS[array.codec](data, array.chunk_bytes)
    if len(plain) != array.chunk_bytes:
        raise DataError(
            "a chunk decodes to its array's chunk size",
            f"{len(plain)} of {array.chunk_bytes} bytes",
            "The chunk is cut off: fetch it again.",
        )  # fmt: skip
    return np.frombuffer(plain, dtype=array.dtype).reshape(array.chunks)


def _inflate(data: bytes, size: int) -> bytes:
    decoder = zlib.decompressobj(wbits=47)  # zlib or gzip, by its header
    try:
        plain = decoder.decompress(data, size + 1)
    except zlib.error as error:
        raise DataError("a chunk is whole zlib data", str(error), "Fetch it again.") from error
    return plain


def _blosc(data: bytes, size: int) -> bytes:
    """Blosc says in its header how long the result is: compared before anything is allocated."""
    if len(data) < _BLOSC_HEADER:
        raise DataError("a Blosc chunk has a header", f"{len(data)} bytes", "Fetch it again.")
    decoded, _, encoded = struct.unpack("<III", data[4:16])
    if decoded != size or encoded != len(data):
        raise DataError(
            "a Blosc chunk has the sizes its header gives",
            f"{decoded} for {size} decoded, {encoded} for {len(data)} encoded",
            "The chunk is cut off or of another array: fetch it again.",
        )
    try:
        from numcodecs.blosc import decompress
    except ImportError as error:
        raise DataError(
            "Blosc chunks need numcodecs", str(error), 'Install "heliosight[cloud]".'
        ) from error
    try:
        return bytes(decompress(data))
    except (RuntimeError, ValueError) as error:
        raise DataError("a Blosc chunk decodes", str(error), "Fetch it again.") from error


_DECODERS = {"": lambda data, size: data[: size + 1], "zlib": _inflate, "gzip": _inflate,
             "blosc": _blosc}  # fmt: skip

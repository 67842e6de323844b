"""Ways in which a file arrives broken, or was made to break its reader."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]
BOMB = 1 << 31


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut off anywhere."""
    return data[: int(rng.integers(0, max(1, len(data))))]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """One to thirty bits turned."""
    array = np.frombuffer(data, np.uint8).copy()
    for _ in range(int(rng.integers(1, 31)) if len(array) else 0):
        array[rng.integers(0, len(array))] ^= np.uint8(1 << int(rng.integers(0, 8)))
    return array.tobytes()


def swapped(data: bytes, rng: np.random.Generator) -> bytes:
    """Two halves exchanged, as a bad resume leaves them."""
    cut = int(rng.integers(0, max(1, len(data))))
    return data[cut:] + data[:cut]


def repeated(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece twice."""
    first, last = sorted(rng.integers(0, max(1, len(data)), 2).tolist())
    return data[:last] + data[first:]


def huge_numbers(data: bytes, rng: np.random.Generator) -> bytes:
    """A run of digits made enormous: counts, shapes and sizes in headers."""
    places = [i for i, byte in enumerate(data) if 48 <= byte < 58]
    if not places:
        return data
    at = places[int(rng.integers(0, len(places)))]
    return data[:at] + b"9" * int(rng.choice([1, 9, 18, 300])) + data[at + 1 :]


def huge_words(data: bytes, rng: np.random.Generator) -> bytes:
    """Eight bytes of a binary header made the largest number."""
    at = int(rng.integers(0, max(1, min(len(data), 4096))))
    return data[:at] + b"\xff" * 8 + data[at + 8 :]


def noise(data: bytes, rng: np.random.Generator) -> bytes:
    """Nothing but random bytes."""
    return rng.bytes(max(1, len(data) // 2))


def other_encoding(data: bytes, rng: np.random.Generator) -> bytes:
    """The same letters in UTF-16, UTF-32, with a byte-order mark, or in EBCDIC."""
    text = data.decode("latin-1")
    return text.encode(str(rng.choice(["utf-16", "utf-32", "utf-8-sig", "cp500"])), "replace")


def spoiled_text(data: bytes, rng: np.random.Generator) -> bytes:
    """NUL, a control code, a wrong minus or a word where a number stood."""
    at = int(rng.integers(0, max(1, len(data))))
    word = rng.choice([b"\0", b"\x1b[2J", "−".encode(), b"nan", b"1e999", b"None", b"\r", b'"'])
    return data[:at] + bytes(word) + data[at + 1 :]


def web_page(data: bytes, rng: np.random.Generator) -> bytes:
    """The page that a server sends instead of a file."""
    return b"<!DOCTYPE html><html><body><h1>503 Service Unavailable</h1></body></html>"


def json_swapped(data: bytes, rng: np.random.Generator) -> bytes:
    """One JSON value replaced by another kind, by a path, or nested a thousand deep."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return flipped(data, rng)
    poison = [None, -1, 1e308, [], {}, "../../x", "/etc/passwd", "<script>", True, "\0"]
    return json.dumps(_replaced(content, poison[int(rng.integers(0, len(poison)))], rng)).encode()


def _replaced(value: object, poison: object, rng: np.random.Generator) -> object:
    if rng.random() < 0.15 or not value or not isinstance(value, dict | list):
        return poison
    if isinstance(value, list):
        at = int(rng.integers(0, len(value)))
        return [*value[:at], _replaced(value[at], poison, rng), *value[at + 1 :]]
    key = list(value)[int(rng.integers(0, len(value)))]
    if rng.random() < 0.3:
        return {**{k: v for k, v in value.items() if k != key}, f"../{key}": value[key]}
    return {**value, key: _replaced(value[key], poison, rng)}


def deep_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Brackets, a hundred thousand deep."""
    return b"[" * 100_000 + b"]" * 100_000


def zip_bomb(data: bytes, rng: np.random.Generator) -> bytes:
    """A small archive whose members claim, or hold, two gigabytes."""
    buffer = io.BytesIO()
    names = _members(data) or ["aia_193.npy"]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        head = _npy_header((BOMB // 2, 1, 2))
        for name in names:
            archive.writestr(name, head + b"\0" * (1 << 20))
    return buffer.getvalue()


def climbing_names(data: bytes, rng: np.random.Generator) -> bytes:
    """An archive whose members want to be written elsewhere."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("../../evil.npy", "/evil.npy", "aia_193.npy", "..\\evil.npy"):
            archive.writestr(name, _npy_header((1, 1, 1)) + b"\0")
    return buffer.getvalue()


def gzipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Compressed although its name does not say so, at times enormous."""
    return gzip.compress(b"\0" * (1 << 26) if rng.random() < 0.3 else data)


def _members(data: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return []


def _npy_header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    head = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, head)
    return buffer.getvalue()


DAMAGES: tuple[Damage, ...] = (
    truncated, flipped, swapped, repeated, huge_numbers, huge_words, noise, other_encoding,
    spoiled_text, web_page, json_swapped, deep_json, zip_bomb, climbing_names, gzipped,
)  # fmt: skip


def misplaced(path: Path, rng: np.random.Generator) -> str:
    """The file replaced by something that is no file of one's own; returns what it is."""
    kind = str(rng.choice(["link", "loop", "folder", "pipe", "empty", "unreadable", "absent"]))
    path.unlink()
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "absent":
        path.write_bytes(b"")
        path.chmod(0o000 if kind == "unreadable" else 0o644)
    return kind

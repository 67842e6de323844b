"""Compile a C++ source of this package once per machine and load it; never at import.

The library lies in the user's cache, under a name that carries the source, the compiler and the
processor, so nothing stale or foreign is ever loaded. It is written beside its place and renamed,
so processes that build at the same time do not meet.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from heliosight.core.progress import note

FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")
SHARED = ("-shared", "-fPIC", "-pthread")
COMPILE_SECONDS = 180


class CannotBuild(Exception):
    """No library, with the reason in one line."""


def load_native(source: Path) -> ctypes.CDLL:
    """The compiled source, built on first use.

    Raises
    ------
    CannotBuild : no compiler, no place to write, or the compiler failed.
    """
    path = library_path(source)
    if not path.is_file():
        _build(source, path)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CannotBuild(f"{path} cannot be loaded ({error})") from error


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/heliosight`, by default `~/.cache/heliosight`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "heliosight"


def library_path(source: Path) -> Path:
    """Where the library of this source, compiler and processor lies; `CannotBuild` without one."""
    parts = (source.read_bytes(), " ".join(FLAGS).encode(), _version(compiler()), _processor())
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]
    return cache_folder() / f"{source.stem}-{key}.so"


def compiler() -> str:
    """`$CXX`, or the first of g++, clang++ and c++ that is installed."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        found = name and shutil.which(name)
        if found:
            return found
    raise CannotBuild("no C++ compiler was found (g++, clang++ or $CXX)")


@cache
def _version(path: str) -> bytes:
    return _run([path, "--version"]).encode()


def _processor() -> bytes:
    """What `-march=native` depends on: a home shared by machines holds one file for each kind."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    kinds = {x for x in lines if x.split("\t")[0] in ("flags", "Features", "model name")}
    return " ".join([platform.machine(), platform.processor(), *sorted(kinds)]).encode()


def _build(source: Path, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CannotBuild(f"{path.parent} cannot be written ({error.strerror})") from error
    os.close(handle)
    temporary = Path(name)
    try:
        note(f"compiling {source.name} once, some seconds, into {path.parent}")
        _run([compiler(), *FLAGS, *SHARED, str(source), "-o", str(temporary)])
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotBuild(f"{command[0]} did not run ({error})") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[0]
        raise CannotBuild(f"{command[0]} failed ({said[:200]})")
    return done.stdout

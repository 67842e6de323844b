"""What a killed run left: nothing half written may be readable as whole, nothing may differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from heliosight.core.errors import RecordError
from heliosight.core.files import MANIFEST, read_npz, sha256, verify
from heliosight.training.journal import read_log


def _page(path: Path) -> None:
    if not path.read_text().rstrip().endswith("</html>"):
        raise ValueError("a page is cut off")


READERS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda p: json.loads(p.read_bytes()),
    ".jsonl": read_log,
    ".npz": read_npz,
    ".pt": lambda p: torch.load(p, weights_only=True),
    ".safetensors": lambda p: load(p.read_bytes()),
    ".html": _page,
}


def tree(folder: Path) -> dict[str, str]:
    """Hash of every file, hidden ones too, by its path."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): sha256(p) for p in files}


def half_read(folder: Path, whole: dict[str, str]) -> list[str]:
    """What a reader would take for finished although it is not as a finished run leaves it."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in Path(name).parts):
            continue  # hidden: no reader looks there
        sealed = next((p for p in path.parents if (p / MANIFEST).is_file()), None)
        problem = _torn(path) if sealed is None else _altered(path, sealed, name, whole)
        found += [f"{name}: {problem}"] if problem else []
    return found


def _torn(path: Path) -> str:
    try:
        READERS.get(path.suffix, Path.read_bytes)(path)
    except Exception as error:  # noqa: BLE001 - whatever it is, the file is not whole
        return f"{type(error).__name__} {error}"
    return ""


def _altered(path: Path, sealed: Path, name: str, whole: dict[str, str]) -> str:
    try:
        verify(sealed)
    except RecordError:
        return ""  # refused, as it should be
    return "" if whole.get(name) == sha256(path) else "sealed, and not as at the end"


def differences(folder: Path, whole: dict[str, str]) -> list[str]:
    """How a finished folder differs from that of an undisturbed run."""
    found = tree(folder)
    return (
        [f"{name} is missing" for name in sorted(whole.keys() - found.keys())]
        + [f"{name} is left over" for name in sorted(found.keys() - whole.keys())]
        + [f"{name} differs" for name in sorted(whole.keys() & found.keys())
           if whole[name] != found[name]]
    )  # fmt: skip

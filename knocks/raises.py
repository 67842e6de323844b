"""Lists every `raise` of ours whose words no test asks for.

    python knocks/raises.py

A raise counts as asked for when a test holds a `match=`, or any other text, of at least twelve
letters that its rule contains, or that contains its rule filled in. Bare re-raises, and errors
without words of their own, are left out. Exit code 1 when one is not asked for.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES, TESTS = ROOT / "src" / "heliosight", ROOT / "tests"
LEAST = 12


@dataclass(frozen=True)
class Raised:
    """One raise: where, and the constant pieces of its rule."""

    where: str
    pieces: tuple[str, ...]


def raises() -> Iterator[Raised]:
    """Every raise with words, in order."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                pieces = tuple(_words(node.exc))
                if len("".join(pieces).strip()) >= LEAST // 2:
                    yield Raised(where, pieces)


def _words(call: ast.Call) -> Iterator[str]:
    """Constant pieces of the first argument."""
    first = call.args[0] if call.args else None
    parts = first.values if isinstance(first, ast.JoinedStr) else [first]
    for part in parts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def texts() -> list[str]:
    """Every string of the tests, as a pattern and as it stands."""
    found = set()
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {piece.strip() for piece in re.split(r"\.\*|\n", node.value)}
    plain = {t.replace("\\", "") for t in found}
    return sorted(t for t in plain if LEAST <= len(t) < 200)


def unasked() -> tuple[list[Raised], int]:
    """Raises whose rule no test names, and how many there are in all."""
    known = texts()
    together, every = "\n".join(known), list(raises())
    return [r for r in every if not _names(r, known, together)], len(every)


def _names(raised: Raised, known: list[str], together: str) -> bool:
    if any(len(p) >= LEAST and p.strip() in together for p in raised.pieces):
        return True
    filled = ".+".join(re.escape(p) for p in raised.pieces).strip("\\ ")
    joined = " ".join(raised.pieces)
    return re.search(filled, together) is not None or any(text in joined for text in known)


if __name__ == "__main__":
    missing, count = unasked()
    print(f"{count} raises with words, {len(missing)} that no test asks for")
    print("\n".join(f"{r.where}: {' ... '.join(r.pieces)}" for r in missing))
    sys.exit(1 if missing else 0)

"""Mutation testing: small faults in `evaluation`, `diagnosis` statistics and `data` windows.

    python knocks/mutate.py [--mutants 60] [--seed 0] [FILE ...]

One comparison, operator, number or return is changed at a time; the tests of that file must fail. A
mutant that survives is printed with its line. Every mutant is a forked process whose import of the
file gives the changed code; nothing on disk is touched.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "heliosight"
# A file, and the tests that cover it.
COVERED = {
    "evaluation/metrics.py": ["tests/evaluation/test_evaluation_metrics.py"],
    "diagnosis/blocks.py": ["tests/diagnosis/test_diagnosis_blocks.py"],
    "data/windows.py": ["tests/data/test_data_windows.py"],
    "data/splits.py": ["tests/data/test_data_splits.py"],
}
SECONDS = 90
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip


def places(tree: ast.AST) -> list[ast.AST]:
    """Every node that can be changed; annotations and texts are left alone."""
    return [node for node in _inside(tree) if _can_change(node)]


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise):
                yield from _inside(child)


def _can_change(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float, bool)
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in OPERATORS
    if isinstance(node, ast.BinOp | ast.BoolOp):
        return type(node.op) in OPERATORS
    return isinstance(node, ast.Return) and node.value is not None


def change(node: Any) -> None:
    """Change one node in place."""
    if isinstance(node, ast.Constant):
        node.value = (not node.value) if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.Compare):
        node.ops[0] = OPERATORS[type(node.ops[0])]()
    elif isinstance(node, ast.Return):
        node.value = ast.Constant(None)
    else:
        node.op = OPERATORS[type(node.op)]()


class Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Gives one module another source."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """The spec of that module alone."""
        here = fullname == self.name
        return (
            importlib.util.spec_from_loader(fullname, self, origin=str(self.path)) if here else None
        )

    def get_data(self, path: Any) -> bytes:
        """The changed source."""
        return self.source.encode()

    def get_filename(self, fullname: str) -> str:
        """Where the unchanged one lies."""
        return str(self.path)


def survives(name: str, source: str) -> bool:
    """True when the tests of a file pass on that source."""
    child = os.fork()
    if not child:
        signal.alarm(SECONDS)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        module = "heliosight." + name.removesuffix(".py").replace("/", ".")
        sys.meta_path.insert(0, Changed(module, SOURCES / name, source))
        sys.dont_write_bytecode = True
        code = 1
        try:
            tests = [str(ROOT / t) for t in COVERED[name]]
            code = int(pytest.main([*tests, "-x", "-q", "-p", "no:cacheprovider"]))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def main(words: list[str]) -> int:
    """A sample of the mutants of every file; returns how many survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("file", nargs="*")
    asked = parser.parse_args(words)
    rng, killed, alive = random.Random(asked.seed), 0, []
    every = [
        (name, k)
        for name in asked.file or COVERED
        for k in range(len(places(ast.parse((SOURCES / name).read_text()))))
    ]
    for name in asked.file or COVERED:
        if not survives(name, (SOURCES / name).read_text()):
            sys.exit(f"the tests of {name} fail unchanged")
    for name, k in rng.sample(every, min(asked.mutants, len(every))):
        tree = ast.parse((SOURCES / name).read_text())
        node: Any = places(tree)[k]
        was = ast.unparse(node)
        change(node)
        if survives(name, ast.unparse(ast.fix_missing_locations(tree))):
            alive.append(f"{name}:{node.lineno}: {was} -> {ast.unparse(node)}")
            print(f"survives {alive[-1]}", flush=True)
        else:
            killed += 1
        print(f"{killed} killed, {len(alive)} survive", flush=True)
    print(f"{killed + len(alive)} mutants of {len(every)}, {killed} killed, {len(alive)} survive")
    return len(alive)


if __name__ == "__main__":
    import heliosight.core
    import heliosight.models  # noqa: F401

    sys.exit(1 if main(sys.argv[1:]) else 0)

"""The small faults that can be put into a file, and how a running process gets one."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from finished import ROOT, fingerprint

SOURCES = ROOT / "src" / "heliosight"
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
TWINS = {"maximum": "minimum", "min": "max", "any": "all", "floor": "ceil", "sf": "cdf"}
ALL = "*"  # every function of a file
TWINS |= {other: name for name, other in TWINS.items()}


@dataclass(frozen=True)
class Mutant:
    """One change. `function` is where it lies, empty at the top of the module."""

    file: str
    number: int
    line: int
    function: str
    change: str
    source: str
    kind: str

    @property
    def key(self) -> str:
        """Another text of the file is another mutant."""
        return f"{self.file} {self.kind} {self.number}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: {self.change}"


def mutants(file: str) -> list[Mutant]:
    """Every change of a file."""
    path = SOURCES / file
    text, kind = path.read_text(), fingerprint(path)
    found = []
    for number in range(len(_places(ast.parse(text)))):
        tree = ast.parse(text)
        node, function = _places(tree)[number]
        was = _shown(node)
        _change(node)
        source = ast.unparse(ast.fix_missing_locations(tree))
        change = f"{was} -> {_shown(node)}"
        found.append(Mutant(file, number, node.lineno, function, change, source, kind))
    return found


def unchanged(file: str) -> list[Mutant]:
    """The file as it is, put in place in both ways in which a change is: exchanged, read anew."""
    source, kind = (SOURCES / file).read_text(), fingerprint(SOURCES / file)
    return [Mutant(file, -1, 0, name, "nothing", source, kind) for name in ("", ALL)]


def _shown(node: Any) -> str:
    return ast.unparse(node.test if isinstance(node, ast.If | ast.IfExp) else node)


def _places(tree: ast.AST) -> list[tuple[Any, str]]:
    """Every node that can be changed; annotations, texts and raises are left alone."""
    return [(node, where) for node, where in _inside(tree, "", False) if _can_change(node)]


def _inside(node: ast.AST, where: str, in_function: bool) -> Iterator[tuple[ast.AST, str]]:
    yield node, where if in_function else ""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        inner, body = where, in_function
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and name == "body" and not in_function:
            inner = f"{where}.{node.name}".lstrip(".")
            body = isinstance(node, ast.FunctionDef)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise):
                yield from _inside(child, inner, body)


def _can_change(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float, bool)
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in OPERATORS
    if isinstance(node, ast.BinOp | ast.BoolOp):
        return type(node.op) in OPERATORS
    if isinstance(node, ast.Attribute):
        return node.attr in TWINS
    if isinstance(node, ast.Name):
        return node.id in TWINS
    if isinstance(node, ast.Return):
        return node.value is not None and ast.unparse(node.value) != "None"
    return isinstance(node, ast.If | ast.IfExp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert | ast.USub)
    )


def _change(node: Any) -> None:
    """Change one node in place."""
    if isinstance(node, ast.Constant):
        node.value = (not node.value) if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.Compare):
        node.ops[0] = OPERATORS[type(node.ops[0])]()
    elif isinstance(node, ast.Return):
        node.value = ast.Constant(None)
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.UnaryOp):
        node.operand = ast.UnaryOp(node.op, node.operand)  # twice is not at all
    elif isinstance(node, ast.Attribute):
        node.attr = TWINS[node.attr]
    elif isinstance(node, ast.Name):
        node.id = TWINS[node.id]
    else:
        node.op = OPERATORS[type(node.op)]()


def put_in_place(mutant: Mutant) -> bool:
    """Give this process the changed file; True when what is loaded already has the change.

    A function's code is exchanged where it is, so that whoever imported it has the change; a
    change outside of functions needs the file, and all that imports it, read again.
    """
    module = "heliosight." + mutant.file.removesuffix(".py").replace("/", ".")
    places = _functions(mutant.file) if mutant.function == ALL else {mutant.function} - {""}
    before = importlib.import_module(module)
    if places and all(_exchanged(before, mutant, place) for place in sorted(places)):
        return True
    for name, loaded in list(sys.modules.items()):
        if str(getattr(loaded, "__file__", None)).startswith((str(SOURCES), str(ROOT / "tests"))):
            del sys.modules[name]
    sys.meta_path.insert(0, _Changed(module, mutant))
    return False


def _functions(file: str) -> set[str]:
    return {mutant.function for mutant in mutants(file)} - {""}


def _exchanged(module: Any, mutant: Mutant, function: str) -> bool:
    found: Any = module
    for part in function.split("."):
        found = vars(found)[part]
    found = getattr(found, "__func__", getattr(found, "fget", found))
    code = _code(compile(mutant.source, str(SOURCES / mutant.file), "exec"), function)
    try:
        found.__code__ = code
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def _code(outer: CodeType, name: str) -> CodeType | None:
    for const in outer.co_consts:
        if isinstance(const, CodeType):
            if const.co_qualname == name:
                return const
            if inner := _code(const, name):
                return inner
    return None


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Gives one module another source."""

    def __init__(self, name: str, mutant: Mutant) -> None:
        self.name, self.mutant = name, mutant

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """The spec of that module alone."""
        here = str(SOURCES / self.mutant.file)
        if fullname != self.name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=here)

    def get_data(self, path: Any) -> bytes:
        """The changed source."""
        return self.mutant.source.encode()

    def get_filename(self, fullname: str) -> str:
        """Where the unchanged one lies."""
        return str(SOURCES / self.mutant.file)

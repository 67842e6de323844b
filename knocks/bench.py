"""Tests that are collected once; each run of some of them is a forked process.

Which tests call a function, and which run one of its lines, is looked up first: only these can
notice a change of it, and those that run the line are asked first, the quickest before others.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from mutants import ALL, SOURCES, Mutant, put_in_place

QUIET = ["-x", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:timeout", "-o", "addopts="]
SECONDS, MEMORY = 20, 2 << 30  # more processor time or room and a mutant counts as noticed


@dataclass
class Seen:
    """What one test ran of the files: outermost functions, lines; and the seconds it took."""

    functions: list[list[str]]
    lines: list[list[Any]]
    seconds: float


class Bench:
    """A plugin: what was collected is not run, `work(self)` is done instead."""

    def __init__(self, files: Iterable[str], work: Callable[[Bench], None]) -> None:
        self.files = {str(SOURCES / file): file for file in files}
        self.work = work
        self.seen: dict[Any, Seen] = {}

    def start(self, tests: Iterable[Path]) -> None:
        """Collect these files, then work."""
        code = pytest.main([*QUIET, *map(str, tests)], plugins=[self])
        if not self.seen:
            sys.exit(f"no test was collected: pytest ends with {code}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Before the first test is read: the same examples for every mutant, made no smaller."""
        from hypothesis import Phase, settings  # not earlier: pytest reads its plugins first

        few = (Phase.explicit, Phase.generate)
        settings.register_profile(
            "mutants", deadline=None, database=None, derandomize=True, phases=few
        )
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """See what each test runs, then work."""
        for item in session.items:
            found = _in_a_fork(lambda item=item: asdict(self._trace(item)))
            if found is None:
                sys.exit(f"{item.nodeid} fails although nothing is changed")
            self.seen[item] = Seen(**found)
        self.work(self)
        return True

    def survives(self, mutant: Mutant, tests: list[Path]) -> bool:
        """True when no test notices the change; `tests` are the files where one could."""
        return bool(_in_a_fork(lambda: self._all_pass(mutant, tests)))

    def noticing(self, mutant: Mutant) -> list[Any]:
        """The tests that can notice it, the likeliest and quickest first."""
        called, line = [mutant.file, mutant.function], [mutant.file, mutant.line]
        every = mutant.function == ALL
        able = [item for item, seen in self.seen.items() if every or called in seen.functions]
        return sorted(able, key=lambda i: (line not in self.seen[i].lines, self.seen[i].seconds))

    def _all_pass(self, mutant: Mutant, tests: list[Path]) -> bool:
        _limit()
        if not put_in_place(mutant):
            return pytest.main([*QUIET, *map(str, tests)]) == 0
        items = self.noticing(mutant)
        return all(_passes(*pair) for pair in zip(items, [*items[1:], None], strict=True))

    def _trace(self, item: Any) -> Seen:
        functions, lines, started = set(), set(), time.process_time()

        def step(frame: FrameType, event: str, _: Any) -> Any:
            file = self.files.get(frame.f_code.co_filename)
            if file is None:
                return None
            functions.add((file, frame.f_code.co_qualname.split(".<locals>")[0]))
            lines.add((file, frame.f_lineno))
            return step

        sys.settrace(step)
        passed = _passes(item, None)
        sys.settrace(None)
        if not passed:
            raise RuntimeError("a test must pass where nothing is changed")
        seconds = time.process_time() - started
        return Seen([list(pair) for pair in functions], [list(pair) for pair in lines], seconds)


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))


def _passes(item: Any, following: Any) -> bool:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    return not item.session.testsfailed


def _in_a_fork(work: Callable[[], Any]) -> Any:
    """What it gives, or None when its process ends before that."""
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(source)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            with os.fdopen(sink, "w") as pipe:
                pipe.write(json.dumps(work()))
        finally:
            os._exit(0)
    os.close(sink)
    with os.fdopen(source) as pipe:
        given = pipe.read()
    os.waitpid(child, 0)
    return json.loads(given) if given else None

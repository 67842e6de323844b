"""Arms on several cores: one process of one thread each, every arm of a seed made once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch

from heliosight.core.processes import die_with_parent
from heliosight.core.records_remedy import TrialRun
from heliosight.workflows.arms import AS_GIVEN, Bench, Way, ill_weights
from heliosight.workflows.run import Run
from heliosight.workflows.seen import arm_findings, made_arm, seen
from heliosight.workflows.study import study_of

Where = tuple[Run, str, int]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_KNOWN: dict[str, Bench] = {}  # of a worker process, which sees one bench


@final
@dataclass(frozen=True)
class Workers:
    """Makes arms, ahead of time where there are processes to do it.

    Attributes
    ----------
    executor : takes tasks in the order given; None makes everything here, when it is asked for.
    """

    bench: Bench
    executor: Executor | None = None
    _waiting: dict[str, Future[Any]] = field(default_factory=dict)

    def begin(self, seeds: Sequence[int]) -> None:
        """Start to train the ill models."""
        for seed in seeds:
            self._submit(f"ill {seed}", ill_weights, seed)

    def ill(self, seed: int) -> TrialRun:
        """The ill model of a seed, asked every check."""
        return self.seen(AS_GIVEN, [seed])[0]

    def start(self, way: Way, seeds: Sequence[int]) -> None:
        """Start what will be asked for, once the ill models it starts from are there."""
        for seed in seeds:
            self._wait(f"ill {seed}")
            self._submit(_label(way, seed), arm_findings, way, seed)

    def made(self, way: Way, seeds: Sequence[int]) -> tuple[TrialRun, ...]:
        """The asked seeds of an arm, trained; nothing is asked of them."""
        for seed in seeds:
            if _label(way, seed) not in self._waiting:
                self._submit(f"trained {_label(way, seed)}", made_arm, way, seed)
        for seed in seeds:
            self._wait(_label(way, seed))
            self._wait(f"trained {_label(way, seed)}")
        return tuple(made_arm(self.bench, way, seed) for seed in seeds)

    def seen(self, way: Way, seeds: Sequence[int]) -> tuple[TrialRun, ...]:
        """The asked seeds of an arm, with what the checks say of them."""
        self.start(way, seeds)
        for seed in seeds:
            self._wait(_label(way, seed))
        return tuple(seen(self.bench, way, seed) for seed in seeds)

    def ask(self, what: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        """The answer of `what(bench, *args)`, worked on while the caller does something else."""
        if self.executor is None:
            return lambda: what(self.bench, *args)
        return self.executor.submit(_done, self._where, what, *args).result

    @property
    def _where(self) -> Where:
        run = replace(self.bench.study.run, force=False)
        return run, self.bench.system, self.bench.number

    def _submit(self, label: str, what: Callable[..., Any], *args: Any) -> None:
        if self.executor is not None and label not in self._waiting:
            self._waiting[label] = self.executor.submit(_quietly, self._where, what, *args)

    def _wait(self, label: str) -> None:
        if label in self._waiting:
            self._waiting[label].result()


@contextmanager
def workers(bench: Bench) -> Iterator[Workers]:
    """As many processes as the config has threads; none for a single one."""
    with processes(bench.config.threads) as executor:
        yield Workers(bench, executor)


@contextmanager
def processes(count: int, begin: Callable[[], None] = die_with_parent) -> Iterator[Executor | None]:
    """So many processes of one thread each; None for a single one, which is this one.

    begin : what each of them does first.
    """
    torch.set_num_threads(1)  # the same numbers however many run at once
    if count < 2:
        yield None
        return
    spawn = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(count, spawn, begin) as executor:
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What is started here gives linear algebra one thread: as many as cores would crowd them."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _label(way: Way, seed: int) -> str:
    return f"{'short ' if way.short else ''}{way.name} {seed}"


def _done(where: Where, what: Callable[..., Any], *args: Any) -> Any:
    torch.set_num_threads(1)
    run, system, number = where
    key = f"{run.folder}/{system}/{number}"
    if key not in _KNOWN:
        _KNOWN[key] = Bench(study_of(run), system, number)
    return what(_KNOWN[key], *args)


def _quietly(where: Where, what: Callable[..., Any], *args: Any) -> None:
    """Without the answer, which lies in the run directory."""
    _done(where, what, *args)

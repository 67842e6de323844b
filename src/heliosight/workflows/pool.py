"""Seeds of an arm on several cores: one process of one thread each."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from heliosight.core.processes import die_with_parent
from heliosight.core.records_remedy import TrialRun
from heliosight.workflows.arms import Bench, arm_run
from heliosight.workflows.run import Run
from heliosight.workflows.study import study_of

Asked = tuple[Run, tuple[str, int], str, dict[str, Any], int, tuple[str, ...]]
_KNOWN: dict[str, Bench] = {}  # of a worker process, which sees one bench


@contextmanager
def workers(bench: Bench) -> Iterator[Executor | None]:
    """As many processes as the config has threads and seeds; None for a single one."""
    count = min(bench.config.threads, len(bench.seeds))
    torch.set_num_threads(1)  # the same numbers however many run at once
    if count < 2:
        yield None
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, spawn, die_with_parent) as pool:
        yield pool


def arms(
    bench: Bench, pool: Executor | None, name: str, patch: Mapping[str, Any],
    seeds: Sequence[int], fresh: Sequence[str],
) -> list[TrialRun]:  # fmt: skip
    """The asked seeds of an arm, made where there are none."""
    if pool is not None:
        run = replace(bench.study.run, force=False)
        where = (bench.system, bench.number)
        asked = [(run, where, name, dict(patch), seed, tuple(fresh)) for seed in seeds]
        list(pool.map(_made, asked))
    return [arm_run(bench, name, patch, seed, fresh) for seed in seeds]


def _made(asked: Asked) -> None:
    torch.set_num_threads(1)
    run, where, name, patch, seed, fresh = asked
    key = f"{run.folder}/{where}"
    if key not in _KNOWN:
        _KNOWN[key] = Bench(study_of(run), *where)
    arm_run(_KNOWN[key], name, patch, seed, fresh)

"""The certificate: the diagnosis itself examined on models of known health."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from heliosight.core import records
from heliosight.core.config import dump
from heliosight.core.errors import ConfigError
from heliosight.core.processes import die_with_parent
from heliosight.core.progress import bar
from heliosight.core.records_certificate import CertifiedCase
from heliosight.diagnosis import DiagnosisConfig
from heliosight.report.certificate_page import write_certificate_page
from heliosight.workflows.certify_cases import Bench, run_one, train_one
from heliosight.workflows.certify_models import code_hash
from heliosight.workflows.certify_worlds import keep_sun
from heliosight.workflows.prescriptions import with_prescriptions
from heliosight.workflows.run import Run, StageResult
from heliosight.zoo.cases import FULL, HALVES, QUICK, cases
from heliosight.zoo.catalogue import Half
from heliosight.zoo.score import certificate
from heliosight.zoo.table import text

Answer = TypeVar("Answer")
DECIDED_BY = (
    "core", "diagnosis", "subject", "zoo", "evaluation/bootstrap.py", "workflows/certify_cases.py",
    "workflows/certify_windows.py",
)  # fmt: skip
DIAGNOSIS = DiagnosisConfig(windows=512, shifts=8, subset=24, chunk=64, explained=16)
QUICK_DIAGNOSIS = replace(DIAGNOSIS, shifts=4, subset=12, probed=192)


def run(run: Run, verb: str = "") -> StageResult:
    """Diagnose every case of a half and score; finished models and cases are never made again."""
    del verb
    config = replace(run.config.certify, quick=run.config.certify.quick or "--quick" in run.flags)
    size = QUICK if config.quick else FULL
    _require_known(config.half, config.only)
    size = replace(size, kinds=config.only) if config.only else size
    folder = run.folder / "certify" / ("quick" if config.quick else config.half)
    spectrum = HALVES[config.half][1]
    store = keep_sun(run.folder / "certify" / "suns", spectrum, config.quick)
    asked_of = QUICK_DIAGNOSIS if config.quick else DIAGNOSIS
    bench = Bench(folder, store, asked_of, code_hash(DECIDED_BY), config.quick)
    asked = cases(config.half, size)
    done = _made(bench, asked, config.workers)
    found = certificate(done, config.half, bench.code)
    key = run.key("certify", config, bench.code, dump(asked_of))
    found = with_prescriptions(found, done)
    found = replace(found, provenance=run.provenance(key, {"sun": store.name}))
    records.save(folder / "certificate", found)
    page = write_certificate_page(folder / "certificate.html", found)
    lines = (*text(found).split("\n"), f"page: {page}")
    return StageResult(found, lines, bool(found.missed))


def _require_known(half: Half, only: Sequence[str]) -> None:
    """A slip in a name would leave a certificate of healthy models alone."""
    known = list(dict.fromkeys(case.kind for case in cases(half)))
    if unknown := [name for name in only if name not in known]:
        raise ConfigError(
            "a certificate is of faults and hard kinds that the half has",
            ", ".join(map(repr, unknown)), f"Known: {', '.join(known)}.", "certify.only",
        )  # fmt: skip


def _made(bench: Bench, asked: Sequence[Any], workers: int) -> list[CertifiedCase]:
    """Train what is needed, then diagnose, each over all workers."""
    wanted = list(dict.fromkeys(w for case in asked for w in bench.models(case)))
    with _pool(workers) as each:
        for _ in each("train zoo models", train_one, bench, wanted):
            pass
        return list(each("diagnose zoo models", run_one, bench, asked))


@contextmanager
def _pool(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A way to do something to each item, in their order, in one process or in several."""
    if workers < 2:
        yield _one_by_one
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin) as pool:

        def each(
            label: str, do: Callable[..., Answer], bench: Bench, items: Sequence[Any]
        ) -> Iterator[Answer]:
            futures = {pool.submit(do, bench, item): i for i, item in enumerate(items)}
            found: dict[int, Answer] = {}
            with bar(label, len(items)) as running:
                for future in as_completed(futures):
                    found[futures[future]] = future.result()
                    running.advance()
            return iter([found[i] for i in range(len(items))])

        yield each


def _one_by_one(
    label: str, do: Callable[..., Answer], bench: Bench, items: Sequence[Any]
) -> Iterator[Answer]:
    with bar(label, len(items)) as running:
        for item in items:
            yield do(bench, item)
            running.advance()


def _begin() -> None:
    os.environ["HELIOSIGHT_QUIET"] = "1"
    die_with_parent()

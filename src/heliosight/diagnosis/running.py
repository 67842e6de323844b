"""Runs checks one after another or several at once; one that fails never stops the others.

A check that changes global state (exact checks switch the default precision) runs alone. The others
may run beside each other, each worker on its own copy of the module: hooks and replaced parts of
one are not seen by another.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import torch

from heliosight.core.errors import HeliosightError, NotApplicable
from heliosight.core.progress import Bar, bar
from heliosight.core.records import Finding, Outcome
from heliosight.diagnosis.blocks import TooFew
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence


def run(check: Check, evidence: Evidence) -> list[Finding]:
    """A check's findings with their cost; what cannot be asked or fails is told as a finding."""
    start = time.perf_counter()
    try:
        findings: Sequence[Finding] = check.run(evidence)
    except NotApplicable as error:
        outcome: Outcome = "inconclusive" if isinstance(error, TooFew) else "not_applicable"
        findings = [check.finding("subject", outcome, "", None, str(error))]
    except HeliosightError as error:
        findings = [check.finding("subject", "inconclusive", "", None, str(error))]
    except Exception as error:  # noqa: BLE001 - the other checks still run; the reason is kept
        reason = f"the check failed: {type(error).__name__}: {error}"
        findings = [check.finding("subject", "inconclusive", "", None, reason)]
    seconds = (time.perf_counter() - start) / max(1, len(findings))
    return [replace(_finite(f), seconds=seconds) for f in findings]


def _finite(f: Finding) -> Finding:
    """A finding whose number has no end is left open: no record could hold it."""
    ends = () if f.value is None else (f.value.value, f.value.low, f.value.high)
    if all(end is None or math.isfinite(end) for end in ends):
        return f
    reason = f"{f.reason}; not resolved: its number is not finite"
    return replace(f, outcome="inconclusive", value=None, reason=reason, cause="", action="")


def run_all(
    checks: Sequence[Check], evidence: Evidence, workers: int
) -> tuple[list[Finding], dict[str, float]]:
    """Findings in the order of the checks, and the seconds of each check and of encoding."""
    found: dict[str, list[Finding]] = {}
    seconds: dict[str, float] = {}
    _encode(checks, evidence, seconds)  # has bars of its own, and is no part of a check's pace
    with bar("diagnose", len(checks)) as running:
        together = [c for c in checks if not c.alone] if workers > 1 else []
        for check in (c for c in checks if c not in together):
            _one(check, evidence, found, seconds, running)
        if together:
            _beside(together, evidence, workers, found, seconds, running)
    return [f for check in checks for f in found[check.id]], seconds


def _encode(checks: Sequence[Check], evidence: Evidence, seconds: dict[str, float]) -> None:
    """Encoder passes that all checks share, made once before any of them."""
    if all(check.alone for check in checks):
        return
    start = time.perf_counter()
    # what fails here fails again in each check that needs it, which tells the reason
    with suppress(Exception):
        evidence.prepare(statistics=any(check.level != "quick" for check in checks))
    seconds["encode"] = time.perf_counter() - start


def _one(
    check: Check, evidence: Evidence, found: dict[str, list[Finding]], seconds: dict[str, float],
    running: Bar,
) -> None:  # fmt: skip
    running.advance(0, f"{check.id} is asked")
    start = time.perf_counter()
    found[check.id] = run(check, evidence)
    seconds[check.id] = time.perf_counter() - start
    running.advance(note=f"{check.id} {seconds[check.id]:.1f} s")


def _beside(
    checks: Sequence[Check], evidence: Evidence, workers: int,
    found: dict[str, list[Finding]], seconds: dict[str, float], running: Bar,
) -> None:  # fmt: skip
    """Let workers take checks from a queue, each with its own copy of the module."""
    waiting: queue.SimpleQueue[Check] = queue.SimpleQueue()
    for check in checks:
        waiting.put(check)

    def work(mine: Evidence) -> None:
        while True:
            try:
                check = waiting.get_nowait()
            except queue.Empty:
                return
            with torch.enable_grad():
                _one(check, mine, found, seconds, running)

    twins = [evidence, *_twins(evidence, min(workers, len(checks)) - 1)]
    with _threads(max(1, torch.get_num_threads() // workers)):
        threads = [threading.Thread(target=work, args=(twin,)) for twin in twins]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _twins(evidence: Evidence, count: int) -> list[Evidence]:
    """Evidence on copies of the subject; none where it cannot be copied."""
    try:
        return [evidence.twin() for _ in range(count)]
    except Exception:  # noqa: BLE001 - somebody else's module may refuse to be copied
        return []


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

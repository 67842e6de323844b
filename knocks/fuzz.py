"""Feeds broken files to every reader and record loader; prints what was not refused rightly.

    python knocks/fuzz.py [COUNT] [SEED]        # 10,000 files by default, goes on where it stopped

A file passes when it is read or refused with our own error, within ten seconds, with less than
1 GiB more memory, and nothing is written outside its folder. Exit code 1 when one fails. Finished
batches of 100 stand in `runs/knocks/fuzz.jsonl`; remove it to begin anew.
"""

from __future__ import annotations

import argparse
import collections
import io
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from damage import DAMAGES, misplaced
from finished import ROOT, Finished, by_commit, fingerprint
from samples import SAMPLES, Sample

from heliosight.core.errors import HeliosightError
from heliosight.core.progress import track

CHUNK, SECONDS, MEMORY = 100, 10, 1 << 30
Job = tuple[int, int, int]  # seed, first file, number of files
Outcome = tuple[collections.Counter[str], list[str]]  # how files ended, what failed


class TooSlow(BaseException):
    """Above Exception, so that no reader can take it for a broken file."""


def main(words: list[str]) -> int:
    """All batches that are not done yet, then the sum of all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--ledger", type=Path, default=ROOT / "runs" / "knocks" / "fuzz.jsonl")
    asked = parser.parse_args(words)
    finished, jobs = Finished(asked.ledger), batches(asked.count, asked.seed)
    todo = {key: job for key, job in jobs.items() if key not in finished}
    for key, (tally, failures) in track(broken(todo, asked.processes), "fuzzing", len(todo)):
        finished.add(key, tally=tally, failures=failures)
    return summary(finished.of(jobs))


def broken(todo: dict[str, Job], processes: int) -> Iterator[tuple[str, Outcome]]:
    """Outcomes of the batches in their order; processes are new after ten each.

    Pools of their own do it: one that replaces its processes (max_tasks_per_child) stood still in
    Python 3.11 as soon as all of them had ended.
    """
    size = 10 * processes
    for keys in (list(todo)[k : k + size] for k in range(0, len(todo), size)):
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            yield from zip(keys, pool.map(chunk, [todo[key] for key in keys]), strict=True)


def batches(count: int, seed: int) -> dict[str, Job]:
    """What there is to do, by its key; other samples or damages are other files."""
    here = Path(__file__).parent
    kind = fingerprint(*(here / f"{n}.py" for n in ("samples", "archive_samples", "damage")))
    jobs = [(seed, start, min(CHUNK, count - start)) for start in range(0, count, CHUNK)]
    return {
        f"{kind} {seed} {start} {number}": (seed, start, number) for seed, start, number in jobs
    }


def summary(rows: list[dict[str, Any]]) -> int:
    """Print outcomes and failures; returns the exit code."""
    tally: collections.Counter[str] = collections.Counter()
    for row in rows:
        tally.update(row["tally"])
    failures = [failure for row in rows for failure in row["failures"]]
    for outcome, number in sorted(tally.items()):
        print(f"{outcome:<40}{number:>8}")
    refused = sum(number for outcome, number in tally.items() if outcome.endswith(": refused"))
    print(f"batches by commit: {by_commit(rows)}")
    print(f"{sum(tally.values())} files, {refused} refused, {len(failures)} failures")
    print("\n".join(failures[:200]))
    return 1 if failures else 0


def chunk(job: Job) -> Outcome:
    """Some files, each in a folder of its own below a guarded one."""
    seed, start, count = job
    _limit_memory()
    sys.stderr = io.StringIO()  # readers show their progress there
    signal.signal(signal.SIGALRM, _too_slow)
    tally: collections.Counter[str] = collections.Counter()
    failures = []
    for number in range(start, start + count):
        sample = SAMPLES[number % len(SAMPLES)]
        outcome, problem = attempt(sample, np.random.default_rng([seed, number]))
        tally[f"{sample.name}: {outcome}"] += 1
        failures += [f"--- file {number}, {sample.name}, {problem}"] if problem else []
    return tally, failures


def attempt(sample: Sample, rng: np.random.Generator) -> tuple[str, str]:
    """The outcome of one broken file, and the problem if there is one."""
    with tempfile.TemporaryDirectory() as guarded:
        folder = Path(guarded) / "given"
        folder.mkdir()
        path = sample.make(folder)
        what = _damage(path / sample.victim if sample.victim else path, rng)
        before = _listing(guarded)
        outcome, problem = _read(sample, path)
        if _listing(guarded) != before:
            outcome, problem = "failed", "something was written beside the file"
        return outcome, f"{what}: {problem}" if problem else ""


def _read(sample: Sample, path: Path) -> tuple[str, str]:
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sample.read(path)
    except HeliosightError:
        return "refused", ""
    except TooSlow:
        return "failed", f"longer than {SECONDS} s"
    except BaseException:  # noqa: BLE001 - whatever else comes out is what is looked for
        return "failed", traceback.format_exc(limit=-3)
    finally:
        signal.alarm(0)
    return "read", ""


def _damage(path: Path, rng: np.random.Generator) -> str:
    """Break the file once or twice; returns how."""
    if rng.random() < 0.05:
        return misplaced(path, rng)
    chosen = [DAMAGES[int(i)] for i in rng.integers(0, len(DAMAGES), rng.integers(1, 3))]
    data = path.read_bytes()
    for damage in chosen:
        data = damage(data, rng)
    path.write_bytes(data)
    return " then ".join(damage.__name__ for damage in chosen)


def _listing(folder: str) -> list[str]:
    return sorted(str(p) for p in Path(folder).rglob("*"))


def _limit_memory() -> None:
    """At most 1 GiB beyond what the process already has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _too_slow(*_: object) -> None:
    raise TooSlow


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

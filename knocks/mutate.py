"""Mutation testing: small faults in `evaluation`, `diagnosis` statistics and `data` windows.

    python knocks/mutate.py [--mutants 0] [--seed 0] [FILE ...]     # goes on where it stopped

One comparison, operator, number, condition, function of numpy or return is changed at a time; the
tests of that file must fail. All mutants by default. Those that survive are printed with the answer
`knocks/answers.py` has for them; exit code 1 when one has none. What is done stands in
`runs/knocks/mutate.jsonl`: a mutant once killed is not tried again until its file changes, one that
lived is as soon as its tests do. Every mutant is a forked process; nothing on disk is touched.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from answers import ANSWERS
from finished import ROOT, Finished, by_commit, fingerprint
from mutants import Mutant, mutants, put_in_place, unchanged

TESTS = ROOT / "tests"
# A file, and the tests that cover it.
COVERED = {
    "evaluation/metrics.py": ("evaluation/test_evaluation_metrics.py",),
    "evaluation/bootstrap.py": ("evaluation/test_evaluation_scorecard.py",),
    "diagnosis/blocks.py": (
        "diagnosis/test_diagnosis_statistics.py",
        "diagnosis/test_diagnosis_blocks.py",
    ),
    "diagnosis/shifts.py": ("diagnosis/test_diagnosis_statistics.py",),
    "diagnosis/sums.py": ("diagnosis/test_diagnosis_statistics.py",),
    "data/windows.py": ("data/test_data_windows.py",),
    "data/splits.py": ("data/test_data_splits.py",),
}
SECONDS = 60  # of processor time, after which a mutant counts as one that never ends
QUIET = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:timeout", "-o", "addopts="]


def main(words: list[str]) -> int:
    """All mutants, or a sample, that are not done yet; then what lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=0, help="a sample of so many; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ledger", type=Path, default=ROOT / "runs" / "knocks" / "mutate.jsonl")
    parser.add_argument("--told", action="store_true", help="only print what is done already")
    parser.add_argument("file", nargs="*")
    asked = parser.parse_args(words)
    every = [mutant for name in asked.file or COVERED for mutant in mutants(name)]
    count = min(asked.mutants or len(every), len(every))
    chosen = random.Random(asked.seed).sample(every, count)
    finished = Finished(asked.ledger)
    todo = [m for m in chosen if not asked.told and not _is_done(m, finished)]
    if todo:
        _prepare({m.file for m in todo})
    for done, mutant in enumerate(todo, 1):
        lives = survives(mutant)
        finished.add(mutant.key, lives=lives, tests=_tests_of(mutant.file))
        print(f"{done}/{len(todo)} {'LIVES' if lives else 'killed'} {mutant}", flush=True)
    return summary([m for m in chosen if m.key in finished], finished)


def _is_done(mutant: Mutant, finished: Finished) -> bool:
    row = finished.rows.get(mutant.key)
    return row is not None and (not row["lives"] or row["tests"] == _tests_of(mutant.file))


def _tests_of(file: str) -> str:
    return fingerprint(*(TESTS / name for name in COVERED[file]))


def _prepare(files: set[str]) -> None:
    """Import every test once, so that a mutant's process need not; refuse tests that fail."""
    tests = sorted({str(TESTS / name) for file in files for name in COVERED[file]})
    with Path(os.devnull).open("w") as sink, contextlib.redirect_stdout(sink):
        pytest.main(["--collect-only", *QUIET, *tests])
    for file in sorted(files):
        for mutant in unchanged(file):
            if not survives(mutant):
                sys.exit(f"the tests of {file} fail although nothing is changed")


def survives(mutant: Mutant) -> bool:
    """True when the tests of a file pass with that change."""
    child = os.fork()
    if not child:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            put_in_place(mutant)
            tests = [str(TESTS / name) for name in COVERED[mutant.file]]
            code = int(pytest.main([*QUIET, *tests]))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def summary(chosen: list[Mutant], finished: Finished) -> int:
    """Print numbers and survivors; returns the exit code."""
    rows: dict[str, Any] = finished.rows
    alive = [m for m in chosen if rows[m.key]["lives"]]
    for name in COVERED:
        here = [m for m in chosen if m.file == name]
        lives = sum(m in alive for m in here)
        print(f"{name:<28}{len(here):4d} mutants, {lives} live")
    unanswered = 0
    for mutant in sorted(alive, key=lambda m: (m.file, m.line)):
        answer = ANSWERS.get((mutant.file, mutant.function, mutant.change), "")
        unanswered += not answer
        print(f"LIVES {mutant}: {answer or 'NOT ANSWERED'}")
    print(f"on {by_commit(finished.of(m.key for m in chosen))}")
    print(f"{len(chosen)} mutants, {len(chosen) - len(alive)} killed, "
          f"{len(alive) - unanswered} answered, {unanswered} not answered")  # fmt: skip
    return 1 if unanswered else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

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
import random
import sys
from pathlib import Path
from typing import Any

from answers import ANSWERS
from bench import Bench
from finished import ROOT, Finished, by_commit, fingerprint
from mutants import Mutant, mutants, unchanged

TESTS = ROOT / "tests"
# A file, and the tests that cover it.
COVERED = {
    "evaluation/metrics.py": ("evaluation/test_evaluation_metrics.py",),
    "evaluation/bootstrap.py": ("evaluation/test_evaluation_scorecard.py",),
    "diagnosis/blocks.py": (
        "diagnosis/test_diagnosis_statistics.py",
        "diagnosis/test_diagnosis_blocks.py",
    ),
    "diagnosis/family.py": ("diagnosis/test_diagnosis_family.py",),
    "diagnosis/shifts.py": ("diagnosis/test_diagnosis_statistics.py",),
    "diagnosis/sums.py": ("diagnosis/test_diagnosis_statistics.py",),
    "data/windows.py": ("data/test_data_windows.py",),
    "data/splits.py": ("data/test_data_splits.py",),
}


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
    number = min(asked.mutants or len(every), len(every))
    chosen = random.Random(asked.seed).sample(every, number)
    finished = Finished(asked.ledger)
    todo = [m for m in chosen if not asked.told and not _is_done(m, finished)]
    if todo:
        files = sorted({m.file for m in todo})
        tests = sorted({path for file in files for path in _tests(file)})
        Bench(files, lambda bench: count(bench, todo, finished)).start(tests)
    return summary([m for m in chosen if m.key in finished], finished)


def count(bench: Bench, todo: list[Mutant], finished: Finished) -> None:
    """Every mutant to its end; first, tests must pass where nothing is changed."""
    for file in sorted({mutant.file for mutant in todo}):
        if not all(bench.survives(mutant, _tests(file)) for mutant in unchanged(file)):
            sys.exit(f"the tests of {file} fail although nothing is changed")
    for done, mutant in enumerate(todo, 1):
        lives = bench.survives(mutant, _tests(mutant.file))
        finished.add(mutant.key, lives=lives, tests=_tests_of(mutant.file))
        print(f"{done}/{len(todo)} {'LIVES' if lives else 'killed'} {mutant}", flush=True)


def _is_done(mutant: Mutant, finished: Finished) -> bool:
    row = finished.rows.get(mutant.key)
    return row is not None and (not row["lives"] or row["tests"] == _tests_of(mutant.file))


def _tests_of(file: str) -> str:
    return fingerprint(*_tests(file))


def _tests(file: str) -> list[Path]:
    return [TESTS / name for name in COVERED[file]]


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

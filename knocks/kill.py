"""Kills stages with SIGKILL at random moments and runs them again; prints what was not as before.

    python knocks/kill.py [--rounds 50] [--seed 0] [STAGE ...]        # goes on where it stopped

Half of the moments are spread over the processor time of a run, half over its file operations (just
before one is made); every third rerun is killed once more. A round passes when what the kill left
is refused or whole, the same command ends well, and the run directory is byte for byte that of an
undisturbed run, nothing left over. Clocks stand still in the runs, so that no stamp can differ.
Finished rounds stand in `runs/knocks/kill.jsonl`; remove it to begin anew.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import stopped

stopped.stop()

from finished import ROOT, Finished, by_commit  # noqa: E402
from stages import Stage, stages  # noqa: E402
from wholeness import differences, half_read, tree  # noqa: E402


@dataclass(frozen=True)
class Undisturbed:
    """What a run without kills leaves and takes."""

    tree: dict[str, str]
    seconds: float
    operations: int


def main(words: list[str]) -> int:
    """All stages asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ledger", type=Path, default=ROOT / "runs" / "knocks" / "kill.jsonl")
    parser.add_argument("stage", nargs="*")
    asked = parser.parse_args(words)
    os.environ["HELIOSIGHT_QUIET"] = "1"
    finished, faults = Finished(asked.ledger), 0
    with tempfile.TemporaryDirectory() as name:
        for stage in stages(Path(name) / "shared"):
            if not asked.stage or stage.name in asked.stage:
                faults += knock(stage, Path(name), (asked.rounds, asked.seed), finished)
    return 1 if faults else 0


def knock(stage: Stage, root: Path, which: tuple[int, int], finished: Finished) -> int:
    """All rounds of a stage that are not done yet, then the sum of all; returns how many failed."""
    rounds, seed = which
    keys = {f"{stage.name} {rounds} {seed} {number}": number for number in range(rounds)}
    todo = {key: number for key, number in keys.items() if key not in finished}
    known = undisturbed(stage, root) if todo else None
    for key, number in todo.items():
        share = (number // 2 + random.Random(key).random()) / ((rounds + 1) // 2)
        problems = one_round(stage, root, known, (share, number % 2 == 1, number % 3 == 2))
        finished.add(key, share=share, problems=problems[:5])
        print("x" if problems else ".", end="", flush=True)
    rows = finished.of(keys)
    failed = [f"{row['key']}, {row['share']:.3f}: {row['problems']}" for row in rows
              if row["problems"]]  # fmt: skip
    print(f"\n{stage.name}: {len(rows)} kills on {by_commit(rows)}, {len(failed)} rounds at fault")
    if known:
        print(f"a run takes {known.seconds:.1f} s of CPU, {known.operations} file operations, "
              f"{len(known.tree)} files")  # fmt: skip
    print("\n".join(failed), flush=True)
    return len(failed)


def undisturbed(stage: Stage, root: Path) -> Undisturbed:
    """Two runs, in folders of one name; they must agree before anything is killed."""
    folder, note = root / "run", root / "note"
    found = []
    for _ in range(2):
        shutil.rmtree(folder, ignore_errors=True)
        started = os.times()
        code = _wait(_start(stage, folder, note=note))
        ended = os.times()
        if code != stage.code:
            said = (root / "said").read_text()[-2000:]
            sys.exit(f"{stage.name} ends with {code} when nobody disturbs it:\n{said}")
        spent = ended.children_user + ended.children_system
        seconds = spent - started.children_user - started.children_system
        found.append(Undisturbed(tree(folder), seconds, int(note.read_text())))
    if changed := differences(folder, found[0].tree):
        sys.exit(f"{stage.name} is not the same twice: {changed[:5]}")
    return found[1]


def one_round(
    stage: Stage, root: Path, known: Undisturbed, when: tuple[float, bool, bool]
) -> list[str]:
    """Kill, look, run again (perhaps kill again), compare; returns what was wrong."""
    share, by_operation, twice = when
    folder = root / "run"
    shutil.rmtree(folder, ignore_errors=True)
    problems: list[str] = []
    for part in (share, share * 0.37)[: 2 if twice else 1]:
        operation = 1 + int(part * known.operations) if by_operation else 0
        child = _start(stage, folder, die_at=operation)
        code = _wait(child) if operation else _kill(child, part * known.seconds)
        if code not in (-signal.SIGKILL, stage.code):
            problems.append(f"ended by itself with {code}")
        problems += [f"half read: {p}" for p in half_read(folder, known.tree)]
    code = _wait(_start(stage, folder))
    if code != stage.code:
        return [*problems, f"the run after the kill ends with {code}"]
    return problems + differences(folder, known.tree)


def _start(stage: Stage, folder: Path, die_at: int = 0, note: Path | None = None) -> int:
    """A process of its own; everything is imported in it already."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        _silence(folder.parent / "said")
        seen = stopped.FileOperations(str(folder), die_at)
        code = stage.run(folder)
        if note is not None:
            note.write_text(str(seen.count))
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _silence(place: Path) -> None:
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)


def _kill(child: int, seconds: float) -> int:
    """Kill a process when it has used so much processor time; returns how it ended."""
    clock = (~child << 3) | 2  # Linux: the clock of another process's CPU time
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.clock_gettime(clock) >= seconds:
            os.kill(child, signal.SIGKILL)
            return _wait(child)
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(ended[1])


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

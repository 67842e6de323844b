"""What a job of a sweep costs: two checkouts run the same six jobs in turn.

    heliosight data run_dir=runs/sweep          # the store of the demo's Sun, once
    python benchmarks/sweep.py [--store runs/sweep/data] [--against OTHER_CHECKOUT] [--rounds 1]

CPU seconds of the whole sweep by checkout and round, and whether every weight and every table of
scores has the same bytes in both.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

GRID = ("model.series.type=transformer,linear", "inputs.images.steps=4,16,28")
FIXED = ("model.images.type=convlstm", "model.fusion.type=concat", "inputs.solar_wind.steps=56")
SAME = ("train/full/*/weights.safetensors", "train/full/*/arrays.npz", "evaluate/table.md")


def swept(checkout: Path, store: Path, folder: Path, epochs: int) -> float:
    """CPU seconds of the six jobs in one process of a checkout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shipped = (checkout / "src/heliosight/conf/sweep.yaml").read_text().split("\nhydra:")[0]
    configs = folder.parent / "configs"  # without a grid of its own, which older code multiplies
    configs.mkdir(exist_ok=True)
    (configs / "six.yaml").write_text(shipped)
    words = ["train", "--score", "-m", "--config-dir", str(configs), "--config-name", "six"]
    words += [*GRID, *FIXED]
    words += [f"data.folder={store}", f"run_dir={folder}", f"training.epochs={epochs}"]
    env = {**os.environ, "PYTHONPATH": str(checkout / "src"), "HELIOSIGHT_QUIET": "1"}
    subprocess.run(
        [sys.executable, "-m", "heliosight", *words],
        env=env, cwd=folder.parent, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def same(one: Path, other: Path) -> tuple[int, int]:
    """How many files of results have the same bytes, of how many."""
    files = [p.relative_to(one) for pattern in SAME for p in one.glob(f"*/{pattern}")]
    alike = sum((one / p).read_bytes() == (other / p).read_bytes() for p in files)
    return alike, len(files)


def main() -> None:
    """Both checkouts in turn, round by round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("runs/sweep/data"))
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1)
    asked = parser.parse_args()
    if not asked.store.is_dir():
        print(f"no store at {asked.store}: heliosight data run_dir=runs/sweep makes it")
        return
    sides = {"this": Path(__file__).resolve().parents[1]}
    if asked.against:
        sides = {"other": asked.against.resolve(), **sides}
    with tempfile.TemporaryDirectory() as text:
        for number in range(asked.rounds):
            folders = {name: Path(text) / f"{name}{number}" for name in sides}
            for name, checkout in sides.items():
                cpu = swept(checkout, asked.store.resolve(), folders[name], asked.epochs)
                print(f"round {number + 1} {name:6} {cpu:7.1f} s of CPU, {cpu / 6:.1f} a job")
            alike, of = same(*folders.values()) if asked.against else (0, 0)
            print(f"round {number + 1} {alike} of {of} files of results are the same bytes")


if __name__ == "__main__":
    main()

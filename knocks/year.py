"""A year of hindcasts, one every three hours, in one process: memory flat, files bounded.

    python knocks/year.py

Trains a tiny forecaster on a simulated Sun, issues 2,920 hindcasts with the shipped command, and
follows the resident memory meanwhile. Exit code 1 when the second half grows by more than
20 MiB per 1,000 forecasts, or leaves more than 200 files (four for 64 forecasts).
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from heliosight.cli import main

CONFIG = [
    "--config-dir", str(Path(__file__).parent / "configs"), "--config-name", "small",
    "data.sun.end='2014-01-01'", "split.test_starts=['2012-06-01']",
    "systems={full:[images,solar_wind]}",
]  # fmt: skip
SPAN = ["--from", "2012-07-01", "--to", "2013-06-30T21:00", "--every", "3h"]
FORECASTS, MOST_GROWTH, MOST_FILES = 2920, 20.0, 200


def memory() -> float:
    """Resident memory of this process [MiB]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch(threading.Thread):
    """Notes the resident memory five times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[float, float]] = []
        self.over = False

    def run(self) -> None:
        """Until it is over."""
        while not self.over:
            self.seen.append((time.monotonic(), memory()))
            time.sleep(0.2)


def year(folder: Path) -> int:
    """Train, hindcast, report; returns the exit code."""
    os.environ["HELIOSIGHT_QUIET"] = "1"
    run = f"run_dir={folder / 'run'}"
    if main(["train", *CONFIG, run]):
        return 2
    before = {p for p in folder.rglob("*") if p.is_file()}
    spent, watch = time.process_time(), Watch()
    watch.start()
    code = main(["forecast", *SPAN, *CONFIG, run])
    watch.over = True
    watch.join()
    if code:
        return 2
    spent = time.process_time() - spent
    new = {p for p in folder.rglob("*") if p.is_file()} - before
    when, what = np.array(watch.seen).T
    share = (when - when[0]) / (when[-1] - when[0])
    late = share > 0.5
    slope = float(np.polyfit(share[late] * FORECASTS / 1000, what[late], 1)[0])
    size = sum(p.stat().st_size for p in new) / 2**20
    print(
        f"{FORECASTS} hindcasts in {spent:.0f} s of CPU; resident memory {what[0]:.0f} MiB at the "
        f"start, {what.max():.0f} at most, {what[-1]:.0f} at the end; second half "
        f"{slope:+.1f} MiB per 1,000 forecasts; {len(new)} files, {size:.1f} MiB"
    )
    return 1 if slope > MOST_GROWTH or len(new) > MOST_FILES else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.exit(year(Path(name)))

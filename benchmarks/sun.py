"""Time and memory of the simulated Sun against its budget: 12 years in 60 s and 1.5 GiB.

python benchmarks/sun.py            # 12 years, and a quarter of them: cost is linear
"""

import argparse
import resource
import time

from heliosight.sun import SunConfig, simulate

BUDGET_SECONDS, BUDGET_GIB = 60.0, 1.5


def measure(end: str, size: int, workers: int) -> tuple[int, float]:
    """Frames and seconds of one run."""
    begun = time.perf_counter()
    tables = simulate(SunConfig(end=end, size=size), workers=workers).tables
    return len(tables["images"].times), time.perf_counter() - begun


def main() -> None:
    """Print a line per run and whether the largest keeps its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    for end, size in (("2014-01-01", 64), ("2014-01-01", 128), ("2023-01-01", 64)):
        frames, seconds = measure(end, size, workers)
        pixels = frames * 3 * size**2
        each = 1e9 * seconds / pixels
        print(f"{frames:6d} frames of {size:3d} px: {seconds:6.1f} s, {each:.0f} ns/px")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    kept = seconds < BUDGET_SECONDS and peak < BUDGET_GIB
    print(f"peak {peak:.2f} GiB; budget {'kept' if kept else 'MISSED'}")


if __name__ == "__main__":
    main()

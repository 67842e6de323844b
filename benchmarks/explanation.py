"""What a full explanation costs: one window, every method with its self-checks, importance.

    python benchmarks/explanation.py [--size 64] [--threads 2] [--context 16]

The default forecaster (images with patches of 4, solar wind) with fresh weights on random windows:
wall and CPU seconds, peak memory of the process with everything it imports.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time

import torch

from diagnosis import CHANNELS, WIND, random_windows
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import Moments
from heliosight.explain import ExplainConfig, explain
from heliosight.models import ForecasterConfig, build_forecaster
from heliosight.subject import wrap


def spec_of(size: int) -> ForecastSpec:
    """A week of images and a week of solar wind."""
    return ForecastSpec(
        {
            "images": ModalitySpec("images", "images", CHANNELS, 28, 6, size=size),
            "solar_wind": ModalitySpec("series", "solar_wind", WIND, 56, 3),
        }
    )


def main() -> None:
    """Print one line: what was made, seconds, memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=16, help="other windows")
    asked = parser.parse_args()
    os.environ["HELIOSIGHT_QUIET"] = "1"
    torch.set_num_threads(asked.threads)
    spec = spec_of(asked.size)
    moments = {
        "images": Moments((100.0,) * 3, (20.0,) * 3),
        "solar_wind": Moments((0.0,) * 8, (1.0,) * 8),
        "target": Moments((2.0,), (0.6,)),
    }
    subject = wrap(build_forecaster(ForecasterConfig(), spec, moments), spec, name="default")
    windows = random_windows(asked.context + 1, spec)
    one, others = windows.select([0]), windows.select(slice(1, None))
    wall, cpu = time.perf_counter(), time.process_time()
    made = explain(subject, one, ExplainConfig(), others)
    sys.stdout.write(
        f"{len(made.explanations)} explanations, {len(made.importance)} profiles: "
        f"{time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} s of CPU, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB\n"
    )


if __name__ == "__main__":
    main()

"""What a diagnosis costs, and that the cost grows linearly with windows and with frames.

    python benchmarks/diagnosis.py [--windows 64 128 256] [--frames 7 14 28] [--size 32]
                                   [--level standard] [--workers 1]

The default forecaster (ConvLSTM with patches of 8, Transformer, attention fusion) with fresh
weights on random windows, each case in its own process: wall and CPU seconds of the diagnosis,
peak memory of the process with everything it imports, seconds by check. One case of every list
varies at a time; the others stay at their largest.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import Moments
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.models import ForecasterConfig, build_forecaster
from heliosight.models.images import ConvLSTMConfig
from heliosight.subject import wrap
from heliosight.workflows.explainers import explainers

CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")
WIND = ("speed", "density", "temperature", "b_total", "bx_gse", "by_gsm", "bz_gsm", "ap")


def case(windows: int, frames: int, size: int, level: str, workers: int) -> dict[str, Any]:
    """Seconds and memory of one diagnosis in this process."""
    spec = ForecastSpec(
        {
            "images": ModalitySpec("images", "images", CHANNELS, frames, 6, size=size),
            "solar_wind": ModalitySpec("series", "solar_wind", WIND, 56, 3),
        }
    )
    moments = {
        "images": Moments((100.0,) * 3, (20.0,) * 3),
        "solar_wind": Moments((0.0,) * 8, (1.0,) * 8),
        "target": Moments((2.0,), (0.6,)),
    }
    config = ForecasterConfig(images=ConvLSTMConfig(patch=8))
    subject = wrap(build_forecaster(config, spec, moments), spec, name="default")
    batch = random_windows(windows, spec)
    wall, cpu = time.perf_counter(), time.process_time()
    found = diagnose(
        subject, batch, DiagnosisConfig(level=level, windows=windows),  # type: ignore[arg-type]
        explainers=explainers(("grad_cam", "integrated_gradients")), workers=workers,
    )  # fmt: skip
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "checks": found.seconds,
    }


def random_windows(count: int, spec: ForecastSpec) -> Batch:
    """Windows a day apart, grey levels and standard normal series."""
    rng = np.random.default_rng(0)
    images, wind = spec.modalities["images"], spec.modalities["solar_wind"]
    shape = (count, len(images.variables), images.steps, images.size, images.size)
    x = torch.from_numpy(rng.integers(0, 255, shape, dtype=np.uint8))
    w = torch.from_numpy(rng.standard_normal((count, wind.steps, 8)).astype(np.float32))
    y = torch.from_numpy(np.expm1(rng.normal(2, 0.6, (count, spec.leads)).clip(0)).astype("f4"))
    return Batch(
        {"images": x, "solar_wind": w},
        {"images": torch.ones(shape[:3], dtype=torch.bool), "solar_wind": w == w},
        torch.arange(count) * DAY, y, torch.ones(y.shape, dtype=torch.bool),
    )  # fmt: skip


def apart(asked: argparse.Namespace, windows: int, frames: int) -> dict[str, Any]:
    """One case in a process of its own."""
    words = [
        sys.executable, __file__, "--one", "--windows", str(windows), "--frames", str(frames),
        "--size", str(asked.size), "--level", asked.level, "--workers", str(asked.workers),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print one line a case, and the growth against the largest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--frames", type=int, nargs="+", default=[7, 14, 28])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--level", default="standard")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--one", action="store_true")
    asked = parser.parse_args()
    os.environ["HELIOSIGHT_QUIET"] = "1"
    torch.set_num_threads(asked.workers)
    if asked.one:
        one = case(asked.windows[0], asked.frames[0], asked.size, asked.level, asked.workers)
        sys.stdout.write(json.dumps(one))
        return
    n, t = max(asked.windows), max(asked.frames)
    cases = [(k, t) for k in asked.windows] + [(n, k) for k in asked.frames if k != t]
    for windows, frames in cases:
        one = apart(asked, windows, frames)
        slow = sorted(one["checks"].items(), key=lambda item: -item[1])[:4]
        told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in slow)
        sys.stdout.write(
            f"{windows:>4} windows, {frames:>2} frames of {asked.size}: {one['cpu']:.1f} s of CPU, "
            f"{one['wall']:.1f} s, {one['GiB']:.2f} GiB ({told})\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()

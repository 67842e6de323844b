"""Every switch of the architecture: parameters and training samples per CPU second.

    python benchmarks/architectures.py [--rounds N] [--batch N]

One training step is a forward, a pinball-like loss with the auxiliary heads, and a backward, on
28 frames of 3 x 64 x 64 bytes, 56 solar-wind steps and 7 daily areas. Rows are interleaved within
a round, the median over rounds is printed. Each row changes the default by what its name says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch

from heliosight.core.batch import Batch
from heliosight.core.config import build
from heliosight.core.progress import bar
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import Moments
from heliosight.models import Forecaster, ForecasterConfig, build_forecaster

CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")
WIND = ("b_total", "bx_gse", "by_gsm", "bz_gsm", "speed", "density", "temperature", "ap")
MODALITIES = {
    "images": ModalitySpec("images", "images", CHANNELS, steps=28, cadence_hours=6),
    "solar_wind": ModalitySpec("series", "solar_wind", WIND, steps=56, cadence_hours=3),
    "ch_area": ModalitySpec("series", "coronal_holes", ("ch_area",), steps=7, cadence_hours=24),
}
FULL = {"type": "convlstm", "stem": "none", "hidden": 64, "layers": 2}


def convlstm(**changes: object) -> dict[str, Any]:
    """A config that changes the image encoder."""
    return {"images": {"type": "convlstm", **changes}}


ROWS: dict[str, dict[str, Any]] = {
    "default": {},
    "full resolution, hidden 64, 2 layers": {"images": FULL},
    "the same behind a 4x4 patch stem": convlstm(hidden=64, layers=2),
    "the same behind a strided stem": convlstm(hidden=64, layers=2, stem="strided"),
    "stem none": convlstm(stem="none"),
    "stem strided": convlstm(stem="strided"),
    "patch 8": convlstm(patch=8),
    "2 layers": convlstm(layers=2),
    "hidden 24": convlstm(hidden=24),
    "kernel 5": convlstm(kernel=5),
    "peepholes": convlstm(peepholes=True),
    "accelerate off": convlstm(accelerate=False),
    "linear stem (pixel_channels 0)": convlstm(pixel_channels=0),
    "grid 8, pooling last, heads at every frame": {
        "images": {"type": "convlstm", "grid": 8, "pooling": "last"},
        "auxiliary": {"every_frame": True, "area": 7},
    },
    "forget bias zero": convlstm(forget_bias="zero"),
    "pooling last": convlstm(pooling="last"),
    "pooling mean": convlstm(pooling="mean"),
    "pooling self_attention": convlstm(pooling="self_attention"),
    "no position code": convlstm(position=False),
    "conv3d": {"images": {"type": "conv3d"}},
    "tcn": {"series": {"type": "tcn"}},
    "lstm": {"series": {"type": "lstm"}},
    "linear": {"series": {"type": "linear"}, "fusion": {"type": "gated"}},
    "learned position": {"series": {"type": "transformer", "position": "learned"}},
    "fusion concat": {"fusion": {"type": "concat"}},
    "fusion gated": {"fusion": {"type": "gated"}},
    "no branch norm": {"branch_norm": False},
    "head gaussian": {"head": {"type": "gaussian"}},
    "head split_normal": {"head": {"type": "split_normal"}},
    "no auxiliary head": {"auxiliary": {"image": False}},
    "speed head and alignment": {"auxiliary": {"speed": True, "alignment": 32}},
    "images alone": {},
    "solar wind alone": {},
}
ONLY = {"images alone": ("images",), "solar wind alone": ("solar_wind",)}
CHECKPOINTED = "activation checkpointing"
# Rows that take this many times fewer samples a step, so that rounds stay short.
HEAVY = {
    "full resolution, hidden 64, 2 layers": 32,
    "the same behind a 4x4 patch stem": 8,
    "the same behind a strided stem": 8,
    "stem none": 8,
}


def moments() -> Mapping[str, Moments]:
    """Plausible moments; the speed of arithmetic does not depend on them."""
    found = {
        name: Moments((1.0,) * len(m.variables), (1.0,) * len(m.variables))
        for name, m in MODALITIES.items()
    }
    return {**found, "images": Moments((90.0,) * 3, (40.0,) * 3), "target": Moments((1.9,), (0.7,))}


def random_batch(size: int) -> Batch:
    """Random windows in which everything was observed."""
    stream = torch.Generator().manual_seed(0)
    inputs = {}
    for name, m in MODALITIES.items():
        if m.kind == "images":
            shape = (size, len(m.variables), m.steps, m.size, m.size)
            inputs[name] = torch.randint(0, 256, shape, dtype=torch.uint8, generator=stream)
        else:
            inputs[name] = torch.randn(size, m.steps, len(m.variables), generator=stream)
    observed = {name: torch.ones(x.shape[:3], dtype=torch.bool) for name, x in inputs.items()}
    target = 20 * torch.rand(size, 24, generator=stream)
    return Batch(inputs, observed, torch.arange(size), target, torch.ones(size, 24) > 0)


def step(model: Forecaster, batch: Batch) -> float:
    """CPU seconds of one training step without the optimiser."""
    start = time.process_time()
    output = model(batch)
    y = torch.log1p(batch.target)
    gap = y[..., None] - output.forecast.quantiles
    loss = torch.maximum(output.forecast.levels * gap, (output.forecast.levels - 1) * gap).mean()
    loss = loss + (output.forecast.mean - y).square().mean()
    for name, x in output.auxiliary.items():
        loss = loss + 0.3 * (x - (y if name == "image" else 430.0)).square().mean()
    loss.backward()
    return time.process_time() - start


def models() -> dict[str, Forecaster]:
    """One model a row."""
    found = {}
    for name, changes in ROWS.items():
        wanted = ONLY.get(name, tuple(MODALITIES))
        spec = ForecastSpec({modality: MODALITIES[modality] for modality in wanted})
        found[name] = build_forecaster(build(ForecasterConfig, changes), spec, moments())
    found[CHECKPOINTED] = build_forecaster(
        ForecasterConfig(), ForecastSpec(dict(MODALITIES)), moments()
    )
    found[CHECKPOINTED].set_activation_checkpointing(True)
    return found


def measure(rounds: int, size: int) -> dict[str, list[float]]:
    """Samples per CPU second of every row in every round, after one round to warm up."""
    batches = {n: random_batch(n) for n in {max(1, size // k) for k in (1, *HEAVY.values())}}
    speed: dict[str, list[float]] = {}
    with bar("architectures", (rounds + 1) * (len(ROWS) + 1)) as running:
        built = models()
        for k in range(rounds + 1):
            for name, model in built.items():
                batch = batches[max(1, size // HEAVY.get(name, 1))]
                seconds = step(model.train(), batch)
                running.advance(note=name)
                if k:
                    speed.setdefault(name, []).append(len(batch) / seconds)
    return speed


def main() -> None:
    """Print one JSON line per row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    built = models()
    speed = measure(wanted.rounds, wanted.batch)
    slow = speed["full resolution, hidden 64, 2 layers"]
    for name, found in speed.items():
        ratio = statistics.median(a / b for a, b in zip(found, slow, strict=True))
        row = {
            "row": name,
            "parameters": sum(p.numel() for p in built[name].parameters()),
            "samples_per_cpu_second": round(statistics.median(found), 2),
            "times_full_resolution": round(ratio, 1),
        }
        print(json.dumps(row))


if __name__ == "__main__":
    main()

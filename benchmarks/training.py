"""What every switch of training costs: CPU time of one optimiser step, each switch alone.

    python benchmarks/training.py [--rounds N] [--batch N] [--json]

A step is everything `training.step.take_step` does: read windows from a store in memory, augment,
forward, backward, clip, move, log. The model is the default one on 28 frames of 3 x 64 x 64 bytes
and 56 steps of 12 solar-wind values. Rows take turns within a round; printed is the median over
rounds of each row's time and of its ratio to the plain step of the same round (above 1 is dearer).
`compile` (minutes of compilation) is left out unless --compile is given, and bf16 is refused on a
CPU. Learning rates, warm-up and early stopping change which numbers are computed, not how many.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heliosight.core.clock import DAY, HOUR
from heliosight.core.config import build
from heliosight.core.progress import bar
from heliosight.core.seeding import numpy_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import ImageTable, Moments, SeriesTable, Tables
from heliosight.core.variables import IMAGE_CHANNELS, STEP
from heliosight.data.windows import Windows
from heliosight.models import Forecaster, ForecasterConfig, build_forecaster
from heliosight.training import ProgressiveColumns, TrainingConfig
from heliosight.training.run import Run, Times
from heliosight.training.step import take_step

VARIABLES = (
    "bx_gse", "by_gsm", "bz_gsm", "b_total", "speed", "density", "temperature", "kp", "ap", "dst",
    "f107", "sunspot_number",
)  # fmt: skip
FRAMES = ModalitySpec("images", "images", IMAGE_CHANNELS, 28, 6, 6, 64)
SPEC = ForecastSpec(
    {"images": FRAMES, "wind": ModalitySpec("series", "solar_wind", VARIABLES, 56, 3)}
)
EVENTS = 160


@dataclass(frozen=True)
class Row:
    """A switch: changes to the training config, to the model's, and to what is built of them."""

    training: dict[str, Any]
    model: dict[str, Any]
    columns: bool = False


def switch(model: dict[str, Any] | None = None, columns: bool = False, **training: Any) -> Row:
    """A row by its changes."""
    return Row(training, model or {}, columns)


def augmented(**changes: float) -> Row:
    """A row of one augmentation."""
    return switch(augmentation=changes)


def curriculum(how: str) -> Row:
    """A row in which 7 of 28 frames are seen."""
    return switch(curriculum={"steps": [{"frames": 7, "epochs": 1}], "how": how})


def stage(*groups: str, main_weight: float = 1.0) -> Row:
    """A row in which only some groups learn."""
    one = {"epochs": 1, "groups": list(groups), "main_weight": main_weight, "auxiliary_weight": 1}
    return switch(stages=[one])


G_SCALE = {"G1": 2.0, "G2": 3.0, "G3": 4.0, "G4": 6.0, "G5": 8.0}
PLAIN = "plain"
ROWS: dict[str, Row] = {
    PLAIN: switch(),
    "accumulation=2, half the batch": switch(accumulation=2),
    "precision=float64": switch(precision="float64"),
    "activation_checkpointing": switch(activation_checkpointing=True),
    "clipping off": switch(clipping={"total": None, "groups": {}}),
    "clipping of the ConvLSTM at 1e-6": switch(clipping={"groups": {"convlstm": 1e-6}}),
    "storm_weights": switch(loss={"storm_weights": G_SCALE}),
    "terms: crps": switch(loss={"terms": {"crps": 1.0}}),
    "terms: quantile, huber": switch(loss={"terms": {"quantile": 1.0, "huber": 0.5}}),
    "auxiliary_weight=0": switch(loss={"auxiliary_weight": 0.0}),
    "contrastive infonce": switch(loss={"contrastive": {"kind": "infonce"}}),
    "contrastive consistency": switch(loss={"contrastive": {"kind": "consistency"}}),
    "stage: images alone": stage("convlstm", "auxiliary", main_weight=0.0),
    "stage: fusion and head": stage("fusion", "head"),
    "curriculum T=7, mask": curriculum("mask"),
    "curriculum T=7, slice": curriculum("slice"),
    "image_shift=2": augmented(image_shift=2),
    "frame_dropout=0.1": augmented(frame_dropout=0.1),
    "reversal=0.5": augmented(reversal=0.5),
    "rotation_degrees=3": augmented(rotation_degrees=3.0),
    "series_jitter=0.1": augmented(series_jitter=0.1),
    "series_masking=0.1": augmented(series_masking=0.1),
    "modality_dropout=0.1": augmented(modality_dropout=0.1),
    "peepholes": switch({"images": {"type": "convlstm", "peepholes": True}}),
    "speed head": switch({"auxiliary": {"speed": True}}),
    "accelerate off": switch({"images": {"type": "convlstm", "accelerate": False}}),
    "progressive columns": switch(columns=True),
}
COMPILED = {"compile": switch(compile=True)}


def world() -> Tables:
    """Random continuous tables, long enough for `EVENTS` issue times 6 h apart and their leads."""
    rng = numpy_stream(0, "benchmark", "training")
    n = EVENTS + FRAMES.steps
    frames = rng.integers(0, 256, (n, 3, 64, 64)).astype(np.uint8)
    times = 2 * STEP * np.arange(n, dtype=np.int64)
    tables: Tables = {
        "images": ImageTable(
            "images", times, 2 * STEP, IMAGE_CHANNELS, frames, np.zeros((n, 3), np.uint8)
        )
    }
    stamps = STEP * np.arange(2 * n + 48, dtype=np.int64)
    values = rng.uniform(5, 50, (len(stamps), len(VARIABLES))).astype(np.float32)
    none = np.zeros(values.shape, np.uint8)
    ap = VARIABLES.index("ap")
    wind = SeriesTable("solar_wind", stamps, STEP, VARIABLES, values, none)
    index = SeriesTable("geomagnetic", stamps, STEP, ("ap",), values[:, [ap]], none[:, [ap]])
    return {**tables, "solar_wind": wind, "geomagnetic": index}


def forecaster(config: dict[str, Any]) -> Forecaster:
    """A model of plausible moments."""
    found = {
        "images": Moments((127.0,) * 3, (74.0,) * 3),
        "wind": Moments((27.0,) * len(VARIABLES), (13.0,) * len(VARIABLES)),
        "target": Moments((3.0,), (0.6,)),
        "speed": Moments((430.0,), (90.0,)),
    }
    return build_forecaster(build(ForecasterConfig, config), SPEC, found)


def start(row: Row, windows: Windows, times: Times, batch: int, folder: Path) -> Run:
    """A run of this row, ready for its first step."""
    given = {"device": "cpu", "epochs": 1, "batch_size": batch, **row.training}
    given["batch_size"] //= given.get("accumulation", 1)
    if "stages" in given:
        del given["epochs"]
    model: Any = forecaster(row.model)
    if row.columns:
        model = ProgressiveColumns(forecaster(row.model), model, windows.batch(times.train[:2]))
    run = Run(model, windows, times, build(TrainingConfig, given), folder)
    run.open_journal(resume=False)
    return run


@contextmanager
def runs(rows: dict[str, Row], batch: int) -> Iterator[tuple[dict[str, Run], Times]]:
    """One run a row, each with a folder of its own for its log."""
    windows = Windows(world(), SPEC)
    issue = 7 * DAY + 6 * HOUR * np.arange(EVENTS, dtype=np.int64)
    times = Times(issue[:-8], issue[-8:])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = {}
        for k, (name, row) in enumerate(rows.items()):
            (folder / str(k)).mkdir()
            found[name] = start(row, windows, times, batch, folder / str(k))
        yield found, times


def measure(rows: dict[str, Row], rounds: int, batch: int) -> dict[str, list[float]]:
    """CPU seconds of a step of every row in every round, after one round to warm up."""
    seconds: dict[str, list[float]] = {}
    with runs(rows, batch) as (ready, times), bar("steps", (rounds + 1) * len(rows)) as running:
        for k in range(rounds + 1):
            for name, run in ready.items():
                begin = time.process_time()
                take_step(run, times.train[k : k + batch])
                spent = time.process_time() - begin
                running.advance(note=name)
                if k:
                    seconds.setdefault(name, []).append(spent)
    return seconds


def main() -> None:
    """Print a line a row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--compile", action="store_true", help="time torch.compile as well")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    seconds = measure(ROWS | (COMPILED if wanted.compile else {}), wanted.rounds, wanted.batch)
    for name, found in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(found, seconds[PLAIN], strict=True))
        spent = 1e3 * statistics.median(found)
        if wanted.json:
            print(json.dumps({"row": name, "ms": round(spent, 1), "times_plain": round(ratio, 2)}))
        else:
            print(f"{name:<36}{spent:>9.1f} ms{ratio:>7.2f}")


if __name__ == "__main__":
    main()

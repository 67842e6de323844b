"""Windows from the continuous store against one HDF5 file per event.

Run: python benchmarks/windows.py [--events 1000] [--rounds 7] [--json]

Both ways give the same 28 x 3 x 64 x 64 uint8 frames, 56 x 12 solar-wind values and 24 targets for
events that follow each other every 6 h. The two are timed in turn, round by round, in CPU seconds
of one thread; medians and ratios are printed. Both sides are warm: every file lies in the page
cache before timing begins. The third line compares the statistics of all windows, gathered file by
file (Welford) with one weighted pass over the continuous arrays.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from heliosight.core.clock import DAY, HOUR, to_seconds, to_text
from heliosight.core.progress import track
from heliosight.core.seeding import numpy_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import ImageTable, SeriesTable, Tables
from heliosight.core.variables import IMAGE_CHANNELS, STEP
from heliosight.data.moments import moments
from heliosight.data.store import load_store, save_store
from heliosight.data.windows import Windows

VARIABLES = (
    "bx_gse", "by_gsm", "bz_gsm", "b_total", "speed", "density", "temperature", "kp", "ap", "dst",
    "f107", "sunspot_number",
)  # fmt: skip
FRAMES, STEPS, LEADS, SIZE = 28, 56, 24, 64
START = to_seconds("2015-01-01")
SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", IMAGE_CHANNELS, FRAMES, 6, 6, SIZE),
        "wind": ModalitySpec("series", "solar_wind", VARIABLES, STEPS, 3),
    }
)


def world(events: int) -> Tables:
    """Continuous tables long enough for `events` issue times, 6 h apart."""
    rng = numpy_stream(0, "benchmark", "windows")
    n = events + FRAMES
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    disc = 120 * (np.hypot(x, y) < 25)
    frames = (disc + rng.integers(0, 100, (n, 3, SIZE, SIZE))).astype(np.uint8)
    times = START + 2 * STEP * np.arange(n)
    flags = np.zeros((n, 3), np.uint8)
    images = ImageTable("images", times, 2 * STEP, IMAGE_CHANNELS, frames, flags)
    rows = 2 * n + LEADS
    values = rng.normal(50, 10, (rows, len(VARIABLES))).astype(np.float32)
    stamps = START + STEP * np.arange(rows)
    none = np.zeros(values.shape, np.uint8)
    wind = SeriesTable("solar_wind", stamps, STEP, VARIABLES, values, none)
    ap = VARIABLES.index("ap")
    index = SeriesTable("geomagnetic", stamps, STEP, ("ap",), values[:, ap : ap + 1], none[:, :1])
    return {"images": images, "solar_wind": wind, "geomagnetic": index}


def write_events(folder: Path, tables: Tables, issue: np.ndarray) -> list[Path]:
    """One HDF5 file per issue time in the published layout."""
    images, wind = tables["images"], tables["solar_wind"]
    assert isinstance(images, ImageTable) and isinstance(wind, SeriesTable)
    paths = []
    for moment in track(issue.tolist(), "writing event files", len(issue)):
        start = (moment - 7 * DAY - START) // STEP
        path = folder / f"{to_text(moment)[:13].replace('-', '').replace('T', '')}.h5"
        with h5py.File(path, "w") as file:
            for i, name in enumerate(VARIABLES):
                file[f"omni/{name}"] = wind.values[start : start + STEPS + LEADS, i]
            for c, name in enumerate(IMAGE_CHANNELS):
                file[f"sdo/{name}"] = images.frames[start // 2 : start // 2 + FRAMES, c]
            file.attrs["t_target"] = to_text(moment)
        paths.append(path)
    return paths


def read_event(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames `(C, T, H, W)`, series `(S, V)` and target `(L,)` of one file."""
    with h5py.File(path, "r") as file:
        frames = np.stack([file[f"sdo/{name}"][:] for name in IMAGE_CHANNELS])
        values = np.stack([file[f"omni/{name}"][:] for name in VARIABLES], axis=-1)
    return frames, values[:STEPS], values[STEPS:, VARIABLES.index("ap")]


def read_batch(paths: list[Path]) -> tuple[torch.Tensor, ...]:
    """The same batch from files."""
    parts = zip(*(read_event(path) for path in paths), strict=True)
    return tuple(torch.from_numpy(np.stack(part)) for part in parts)


def online_statistics(paths: list[Path]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation by one file after another (Chan's merge of Welford sums)."""
    count: dict[str, int] = {}
    mean: dict[str, float] = {}
    m2: dict[str, float] = {}
    for path in paths:
        frames, values, _ = read_event(path)
        parts = {name: frames[c] for c, name in enumerate(IMAGE_CHANNELS)}
        parts |= {name: values[:, i] for i, name in enumerate(VARIABLES)}
        for name, part in parts.items():
            x = part.astype(np.float64)
            n, old, delta = x.size, count.get(name, 0), x.mean() - mean.get(name, 0.0)
            count[name] = old + n
            m2[name] = m2.get(name, 0.0) + x.var() * n + delta**2 * old * n / (old + n)
            mean[name] = mean.get(name, 0.0) + delta * n / (old + n)
    return {name: (mean[name], float(np.sqrt(m2[name] / count[name]))) for name in count}


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process for one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(events: int, rounds: int, batch: int = 32) -> dict[str, float]:
    """All numbers of the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = world(events)
        issue = START + 7 * DAY + 6 * HOUR * np.arange(events)
        (folder / "events").mkdir()
        paths = write_events(folder / "events", tables, issue)
        save_store(folder / "store", tables, "benchmark")
        windows = Windows(load_store(folder / "store").tables, SPEC)
        require_same(windows, paths, issue)
        result = speeds(windows, paths, issue, rounds, batch)
        result["files_mb"] = folder_bytes(folder / "events") / 1e6
        result["store_mb"] = folder_bytes(folder / "store") / 1e6
    return result


def require_same(windows: Windows, paths: list[Path], issue: np.ndarray) -> None:
    """Both ways give the same batch and the same statistics, or the comparison means nothing."""
    frames, values, target = read_batch(paths[:8])
    batch = windows.batch(issue[:8])
    assert torch.equal(frames, batch.inputs["images"])
    assert torch.equal(values, batch.inputs["wind"])
    assert torch.equal(target, batch.target)
    slow, fast = online_statistics(paths), moments(windows, issue)
    for names, modality in ((IMAGE_CHANNELS, "images"), (VARIABLES, "wind")):
        for i, variable in enumerate(names):
            found = fast[modality]
            # the loop's spread is over pixels too: that in time plus that of the mean frame
            still = 0.0 if found.frame is None else found.frame[i].astype(np.float64).var()
            got = found.mean[i], float(np.sqrt(found.std[i] ** 2 + still))
            np.testing.assert_allclose(got, slow[variable], rtol=1e-6)


def speeds(
    windows: Windows, paths: list[Path], issue: np.ndarray, rounds: int, batch: int
) -> dict[str, float]:
    """Medians of interleaved rounds, and medians of the per-round ratios."""
    rng = numpy_stream(1, "benchmark", "order")
    kinds = ("files", "store", "online", "one_pass", "series_pass")
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    series_spec = ForecastSpec({"wind": SPEC.modalities["wind"]})
    tables = {cut.table.name: cut.table for cut in windows.cuts.values()}
    tables["geomagnetic"] = tables["solar_wind"]
    series_only = Windows(tables, series_spec)
    for _ in track(range(rounds), "timing", rounds):
        chosen = rng.permutation(len(paths))[: 8 * batch].reshape(8, batch)
        seconds["files"].append(cpu_seconds(lambda c=chosen: [
            read_batch([paths[i] for i in row]) for row in c]))  # fmt: skip
        seconds["store"].append(cpu_seconds(lambda c=chosen: [
            windows.batch(issue[row]) for row in c]))  # fmt: skip
        seconds["online"].append(cpu_seconds(lambda: online_statistics(paths)))
        seconds["one_pass"].append(cpu_seconds(lambda: moments(windows, issue)))
        seconds["series_pass"].append(cpu_seconds(lambda: moments(series_only, issue)))
    middle = {kind: statistics.median(values) for kind, values in seconds.items()}
    ratio = {
        f"{a}_over_{b}": statistics.median(
            x / y for x, y in zip(seconds[a], seconds[b], strict=True)
        )
        for a, b in (("files", "store"), ("online", "one_pass"), ("online", "series_pass"))
    }
    samples = 8 * batch
    rates = {f"{kind}_samples_per_s": samples / middle[kind] for kind in ("files", "store")}
    return {**rates, **{f"{k}_s": middle[k] for k in kinds[2:]}, **ratio}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    r = measure(options.events, options.rounds)
    if options.json:
        print(json.dumps(r, indent=1))
        return
    print(f"{options.events} windows, medians of {options.rounds} interleaved rounds, one thread")
    print(f"{'':<34}{'files':>12}{'store':>12}{'ratio':>10}")
    print(f"{'samples per CPU-second':<34}{r['files_samples_per_s']:>12.0f}"
          f"{r['store_samples_per_s']:>12.0f}{r['files_over_store']:>10.1f}")  # fmt: skip
    print(f"{'megabytes on disk':<34}{r['files_mb']:>12.1f}{r['store_mb']:>12.1f}"
          f"{r['files_mb'] / r['store_mb']:>10.1f}")  # fmt: skip
    print(f"{'statistics [ms], images and series':<34}{1e3 * r['online_s']:>12.0f}"
          f"{1e3 * r['one_pass_s']:>12.2f}{r['online_over_one_pass']:>10.0f}")  # fmt: skip
    print(f"{'  the series alone in one pass':<34}{1e3 * r['online_s']:>12.0f}"
          f"{1e3 * r['series_pass_s']:>12.2f}{r['online_over_series_pass']:>10.0f}")  # fmt: skip


if __name__ == "__main__":
    main()

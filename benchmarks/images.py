"""A year of images to a store: seconds a frame on this machine, one process against two.

Run: python benchmarks/images.py [--frames 24] [--rounds 3] [--size 64] [--real DIR | --hmi]

Frames of 1024 x 1024 pixels are written first (16-bit counts, Rice-compressed FITS as JSOC serves
them, or the same as PNG); then they are built to days of `--size` pixels in turn by one process and
by two, round by round. Printed are medians of CPU and wall time a frame (CPU of all processes with
their start; wall says little on a busy machine) and what a year of 6-hourly frames in three
channels (4,383) would take at that CPU time on two idle cores: an extrapolation, and named so.
Peak memory is that of the largest process. `--real` times PNG files of a folder, as they are.
`--hmi` times one magnetogram of 4096 x 4096 pixels, in turn as it is read now and as it was read
before 2026-11-25 (astropy's scaling, grey levels of the whole frame at once), and compares both.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from heliosight.core.clock import HOUR, to_seconds, to_text
from heliosight.data.fits_frames import read_fits
from heliosight.data.frames import _shares, to_uint8
from heliosight.data.imaging.images import build_days, plan
from heliosight.data.imaging.pieces import Piece
from heliosight.data.imaging.shard import Recipe, read_piece
from heliosight.data.prepare import DISC, SCALINGS

CHANNELS = ("aia_193",)
YEAR = 3 * 1461
START = to_seconds("2014-01-01")


def main() -> None:
    """Time both kinds of file and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--hmi", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if chosen.hmi:
        print(_magnetogram(chosen))
        return
    rows = _real(chosen) if chosen.real else _synthetic(chosen)
    print(json.dumps(rows, indent=1) if chosen.json else "\n".join(map(_line, rows)))


def _synthetic(chosen: argparse.Namespace) -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for kind, write in (("fits", _fits), ("png", _png)):
            root = Path(scratch) / kind
            size = sum(write(root, k) for k in range(chosen.frames)) / chosen.frames
            rows += _timed(root, kind, size, chosen)
    return rows


def _timed(root: Path, kind: str, size: float, chosen: argparse.Namespace) -> list[dict]:
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for turn in range(chosen.rounds):
        for workers in (1, 2):
            tasks = plan(root, Recipe(CHANNELS, chosen.size), root / f"days_{turn}_{workers}")
            before = _clocks()
            build_days(tasks, workers)
            found[workers].append(_since(before, chosen.frames))
    return [_row(kind, size, workers, times) for workers, times in found.items()]


def _clocks() -> tuple[float, float]:
    """CPU seconds of this process and its finished children, and wall seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used), time.perf_counter()


def _since(before: tuple[float, float], frames: int) -> tuple[float, float]:
    now = _clocks()
    return (now[0] - before[0]) / frames, (now[1] - before[1]) / frames


def _row(kind: str, size: float, workers: int, times: list[tuple[float, float]]) -> dict:
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu, wall = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "kind": kind, "megabytes": size / 1e6, "workers": workers, "cpu_seconds_a_frame": cpu,
        "wall_seconds_a_frame": wall, "year_minutes_two_idle_cores_extrapolated": cpu * YEAR / 120,
        "peak_mib": peak / 1024,
    }  # fmt: skip


def _line(row: dict) -> str:
    cpu, wall = (1000 * row[f"{clock}_seconds_a_frame"] for clock in ("cpu", "wall"))
    year = row["year_minutes_two_idle_cores_extrapolated"]
    return (
        f"{row['kind']:<5} {row['megabytes']:.2f} MB a frame, {row['workers']} process(es): "
        f"CPU {cpu:.0f} ms, wall {wall:.0f} ms a frame; a year of three channels on two idle cores "
        f"(extrapolated) {year:.1f} min; peak {row['peak_mib']:.0f} MiB"
    )


def _counts(k: int) -> np.ndarray:
    """A disc of grains, loops and a hole, so that it compresses as an image does."""
    rng = np.random.default_rng(k)
    y, x = (np.mgrid[:1024, :1024] - 512) / 400
    disc = np.hypot(x, y) < 1
    coarse = np.kron(rng.gamma(3.0, 60.0, (64, 64)), np.ones((16, 16)))
    values = np.where(disc, 200 + coarse, 20 * np.exp(-np.hypot(x, y)))
    return rng.poisson(values).astype(np.int16)


def _fits(root: Path, k: int) -> int:
    from astropy.io import fits

    unit = fits.CompImageHDU(_counts(k), compression_type="RICE_1")
    unit.header.update({
        "INSTRUME": "AIA_2", "WAVELNTH": 193, "EXPTIME": 2.0, "LVL_NUM": 1.5, "QUALITY": 0,
        "T_OBS": f"{to_text(START + 6 * HOUR * k - 60)[:-1]}.84Z", "CROTA2": 0.0, "CRPIX1": 512.5,
        "CRPIX2": 512.5, "CDELT1": 2.4, "RSUN_OBS": 960.0,
    })  # fmt: skip
    path = _path(root, k, "fits")
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
    return path.stat().st_size


def _png(root: Path, k: int) -> int:
    path = _path(root, k, "png")
    Image.fromarray(np.clip(_counts(k) / 2, 0, 255).astype(np.uint8)).save(path)
    return path.stat().st_size


def _path(root: Path, k: int, kind: str) -> Path:
    folder = root / "images" / CHANNELS[0]
    folder.mkdir(parents=True, exist_ok=True)
    stamp = to_text(START + 6 * HOUR * k).replace("-", "").replace(":", "")
    return folder / f"{stamp}.{kind}"


def _magnetogram(chosen: argparse.Namespace) -> str:
    """CPU seconds of a magnetogram now and before, medians of interleaved rounds."""
    times: dict[str, list[float]] = {"now": [], "before": []}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "hmi.fits"
        _write_magnetogram(path)
        for _ in range(chosen.rounds):
            found = {}
            for name, read in (("now", _as_now), ("before", _as_before)):
                before = time.process_time()
                found[name] = read(path, chosen.size)
                times[name].append(time.process_time() - before)
            apart = int(np.abs(found["now"].astype(int) - found["before"]).max())
    cpu = {name: statistics.median(values) for name, values in times.items()}
    year = {name: seconds * YEAR / 3 / 120 for name, seconds in cpu.items()}
    ratio = statistics.median(b / n for n, b in zip(times["now"], times["before"], strict=True))
    return (
        f"HMI 4096 px to {chosen.size}: CPU now {cpu['now']:.2f} s, before {cpu['before']:.2f} s, "
        f"{ratio:.2f} times as fast ({chosen.rounds} rounds); frames at most {apart} grey level "
        f"apart; a year (1,461) on two idle cores (extrapolated) {year['now']:.1f} min, before "
        f"{year['before']:.1f}"
    )


def _as_now(path: Path, size: int) -> np.ndarray:
    return read_fits(path, size=size).pixels


def _as_before(path: Path, size: int) -> np.ndarray:
    """The whole frame at every step: the slow twin."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as units:
        values = np.asarray(units[1].data, dtype=np.float32)[:, ::-1]
        radius = units[1].header["RSUN_OBS"] / units[1].header["CDELT1"]
    scaling = SCALINGS["hmi_magnetogram"]
    np.isnan(values[1024:-1024, 1024:-1024]).any()
    grey = scaling(np.nan_to_num(values))
    sky, width = float(scaling(np.zeros(()))), radius / DISC
    shares = _shares(4096, size, 2048 - width / 2, 2048 + width / 2)
    return to_uint8(shares @ (grey - sky).astype(np.float32) @ shares.T + sky)


def _write_magnetogram(path: Path) -> None:
    """Tenths of Gauss as whole numbers, blank off the disc, Rice-compressed, as JSOC writes it."""
    from astropy.io import fits

    rng = np.random.default_rng(0)
    y, x = (np.mgrid[:4096, :4096] - 2047.5) / 1905
    field = np.rint(10 * rng.normal(0.0, 30.0, (4096, 4096))).astype(np.int32)
    field[np.hypot(x, y) >= 1] = np.iinfo(np.int32).min
    unit = fits.CompImageHDU(field, compression_type="RICE_1")
    unit.header.update({
        "INSTRUME": "HMI_SIDE1", "CROTA2": 180.0, "CRPIX1": 2048.5, "CRPIX2": 2048.5,
        "CDELT1": 0.504, "RSUN_OBS": 960.0, "QUALITY": 0, "T_OBS": "2014.01.01_00:00:04_TAI",
    })  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
    with fits.open(
        path, mode="update", do_not_scale_image_data=True, disable_image_compression=True
    ) as units:
        units[1].header.update({"BSCALE": 0.1, "BZERO": 0.0, "BLANK": -2147483648})


def _real(chosen: argparse.Namespace) -> list[dict]:
    """Isolated dates fit no slots, so the files are read one by one, in one process."""
    paths = sorted(chosen.real.glob("*.png"))
    recipe = Recipe(CHANNELS, chosen.size, 24)
    times = []
    for _ in range(chosen.rounds):
        before = _clocks()
        for path in paths:
            found = read_piece(Piece(CHANNELS[0], _stamp(path), str(path)), recipe)
            assert found.pixels.shape == (chosen.size, chosen.size)
        times.append(_since(before, len(paths)))
    size = sum(path.stat().st_size for path in paths) / len(paths)
    return [_row("real", size, 1, times)]


def _stamp(path: Path) -> int:
    from heliosight.data.png_frames import read_png

    return read_png(path, size=8).time


if __name__ == "__main__":
    main()

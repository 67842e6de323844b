"""Run the simulated Sun and lay its observations out as tables."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from heliosight.core.clock import DAY, HOUR
from heliosight.core.progress import bar
from heliosight.core.tables import ImageTable, SeriesTable, Table
from heliosight.sun.config import SunConfig
from heliosight.sun.drive import VARIABLE, held
from heliosight.sun.render import BLOCK_FRAMES, CHANNELS, frame_times, painter, render_block
from heliosight.sun.slice import slice_areas
from heliosight.sun.wind import WIND_VARIABLES, Wind
from heliosight.sun.world import World, build_world, coloured_noise, run_index, run_wind

STEP = 3 * HOUR


@dataclass(frozen=True)
class SimulatedSun:
    """Observations of a Sun that does not exist, and nothing of its causes.

    Attributes
    ----------
    config : the dials.
    tables : `images` `(N, C, H, W)`; `solar_wind_hourly`, `solar_wind` (3-hourly, with past ap),
        `geomagnetic` (kp, ap; 3-hourly), `coronal_holes` (ch_area, daily at 00 UT).
    simulated : always True; whoever writes these data down says so.
    source : one sentence for a card.
    """

    config: SunConfig
    tables: Mapping[str, Table]
    simulated: bool = field(default=True, init=False)
    source: str = field(default="Simulated by heliosight's Sun; not observations.", init=False)


def simulate(config: SunConfig, drive: SeriesTable | None = None, workers: int = 1) -> SimulatedSun:
    """Observe a simulated Sun.

    Parameters
    ----------
    config : the dials.
    drive : a daily series with `ch_area`; the central-meridian coronal-hole area follows it, using
        at every moment only values already available then.
    workers : threads that render; the result does not depend on it.
    """
    world = build_world(config, drive)
    begin, end = config.start_second // HOUR, config.stop_second // HOUR
    noise = coloured_noise(world)
    wind = run_wind(world, world.first, world.last, noise=noise)
    index = run_index(world, world.first, wind, noise)
    tables: dict[str, Table] = {
        **_wind_tables(world, wind, index, begin, end),
        "coronal_holes": _hole_table(world, begin, end),
        "images": _render(world, workers),
    }
    return SimulatedSun(config, tables)


def _series(
    name: str, times: np.ndarray, cadence: int, columns: Mapping[str, np.ndarray], latency: int = 0
) -> SeriesTable:
    values = np.stack(list(columns.values()), axis=1).astype(np.float32)
    flags = np.zeros(values.shape, dtype=np.uint8)
    return SeriesTable(name, times, cadence, tuple(columns), values, flags, latency)


def _wind_tables(
    world: World, wind: Wind, index: Mapping[str, np.ndarray], begin: int, end: int
) -> dict[str, SeriesTable]:
    """Hourly and 3-hourly wind and the index; the redundancy dial shifts the wind forward."""
    shift = 3 * round(24 * world.config.redundancy)
    low, high = begin + shift - world.first, end + shift - world.first
    hourly = {name: wind[name][low:high] for name in WIND_VARIABLES}
    steps = slice((begin - world.first) // 3, (end - world.first) // 3)
    geomagnetic = {name: index[name][steps] for name in ("kp", "ap")}
    averaged = {name: x.reshape(-1, 3).mean(1) for name, x in hourly.items()}
    hours = np.arange(begin, end, dtype=np.int64) * HOUR
    return {
        "solar_wind_hourly": _series("solar_wind_hourly", hours, HOUR, hourly),
        "solar_wind": _series(
            "solar_wind", hours[::3], STEP, {**averaged, "ap": geomagnetic["ap"]}
        ),
        "geomagnetic": _series("geomagnetic", hours[::3], STEP, geomagnetic),
    }


def _hole_table(world: World, begin: int, end: int) -> SeriesTable:
    """Daily area at 00 UT, known at that moment: cadence a day, latency minus a day."""
    times = np.arange(-(-begin // 24) * 24, end, 24, dtype=np.int64) * HOUR
    if world.drive is not None:
        area = held(world.drive, times)
    else:
        area = slice_areas(world.structures, times // HOUR)
    return _series("coronal_holes", times, DAY, {VARIABLE: area}, -DAY)


def _render(world: World, workers: int) -> ImageTable:
    times = frame_times(world)
    size = world.config.size
    frames = np.empty((len(times), len(CHANNELS), size, size), dtype=np.uint8)
    flags = np.empty((len(times), len(CHANNELS)), dtype=np.uint8)
    paint = painter(world)
    blocks = [slice(i, i + BLOCK_FRAMES) for i in range(0, len(times), BLOCK_FRAMES)]

    def work(block: slice) -> None:
        render_block(paint, times[block], frames[block], flags[block])

    with ThreadPoolExecutor(max(workers, 1)) as pool, bar("frames", len(blocks)) as running:
        for _ in pool.map(work, blocks):
            running.advance()
    cadence = world.config.image_cadence_hours * HOUR
    return ImageTable("images", times, cadence, CHANNELS, frames, flags)

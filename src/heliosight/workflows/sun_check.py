"""The simulated Sun held to reality: every statistic and curve beside the real one."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from heliosight.core.clock import HOUR, to_text
from heliosight.core.errors import ConfigError, DataError
from heliosight.core.records import SunCheck, SunStatistic
from heliosight.core.tables import ImageTable, Tables
from heliosight.core.variables import IMAGE_CHANNELS
from heliosight.data.npz_frames import frame_count, read_npz
from heliosight.data.omni2 import read_omni2
from heliosight.report import sun_page
from heliosight.sun import Row, SunConfig, compare, simulate
from heliosight.sun.curves import curves, sample_frames
from heliosight.sun.cycle import CYCLE_HOURS
from heliosight.workflows.config_data import ArchiveData, SunData
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.store import OMNI, archive_root, read_archives, source_files

SPAN = ("2011-01-01", "2023-01-01")
FRAME_SPAN = ("2014-03-01", "2014-06-15")
STACK = Path("sdo") / "sdo_30x6h_64px.npz"
HOURLY = (*OMNI, "b_scalar")
REAL_NAME = "real, 2011 to 2022"


def check(run: Run) -> StageResult:
    """Simulate the span of the real data and put each statistic beside the real one.

    With `--check` also the page of figures `sun_check.html` is written. A missed target is a
    fault.

    Raises
    ------
    ConfigError : `data.type` is not `sun`.
    """
    data = run.config.data
    if not isinstance(data, SunData):
        raise ConfigError("checking the Sun needs data.type=sun", data.type, where="data.type")
    made, real = simulated_tables(data.sun), real_tables()
    rows = compare(made, real)
    missed = [row for row in rows if row.ok is False]
    told = f"{len(rows)} statistics, {len(missed)} of those with a target miss it"
    lines = [*map(_line, rows), told, *_other_dials(data.sun)]
    if "--check" in run.flags:
        page = page_of(data.sun, made, real, rows)
        lines.append(f"figures: {sun_page.write_sun_page(run.folder / 'sun_check.html', page)}")
    key = run.key("sun_check", data, SPAN, FRAME_SPAN)
    statistics = tuple(_statistic(row) for row in rows)
    record = SunCheck(run.provenance(key, {}), statistics, len(missed))
    return StageResult(record, tuple(lines), bool(missed))


def _other_dials(sun: SunConfig) -> list[str]:
    """Which dials of a config's Sun are not those that were set by the real statistics."""
    usual, free = SunConfig(), ("start", "end", "seed", "size", "image_cadence_hours")
    other = [
        f"{f.name}={getattr(sun, f.name)}"
        for f in fields(SunConfig)
        if f.name not in free and getattr(sun, f.name) != getattr(usual, f.name)
    ]
    if not other:
        return []
    return [
        f"this config's Sun is another world on purpose ({', '.join(other)}); the one that is held "
        "to reality: heliosight data sun data.type=sun --check"
    ]


def simulated_tables(sun: SunConfig) -> Tables:
    """Wind, index and holes of the whole span; frames of a part of it, the same Sun later on.

    Series do not depend on the frames, so the long run draws the fewest and smallest frames.
    """
    series = simulate(replace(_during(sun, SPAN), size=16, image_cadence_hours=24)).tables
    return {**series, "images": simulate(_during(sun, FRAME_SPAN)).tables["images"]}


def _during(sun: SunConfig, span: tuple[str, str]) -> SunConfig:
    """The same dials over another span; the cycle goes on as if the run began with `SPAN`."""
    moved = replace(sun, start=span[0], end=span[1])
    begin = replace(sun, start=SPAN[0], end=SPAN[1]).start_second
    later = (moved.start_second - begin) / HOUR / CYCLE_HOURS
    return replace(moved, cycle_phase=(sun.cycle_phase + later) % 1.0)


def real_tables() -> Tables | None:
    """Real tables where the archives are on disk, else None; real frames where there are any."""
    archives = ArchiveData()
    try:
        files = source_files(archives)
    except DataError:
        return None
    hourly = read_omni2([p for name, p in files.items() if name.startswith("omni2")], HOURLY)
    tables = {**read_archives(archives).tables, hourly.name: hourly}
    stack = archive_root(archives) / STACK
    return {**tables, "images": _real_frames(stack)} if stack.is_file() else tables


def _real_frames(path: Path) -> ImageTable:
    """The stack with times counted from 1970, because its dates are unknown."""
    times = 6 * HOUR * np.arange(frame_count(path, IMAGE_CHANNELS[0]))
    return read_npz(path, times)


def page_of(sun: SunConfig, made: Tables, real: Tables | None, rows: list[Row]) -> sun_page.SunPage:
    """The page's plain values from both Suns' tables and the compared rows."""
    about = (
        f"Everything named simulated comes from a simulated Sun (seed {sun.seed}, "
        f"{SPAN[0]} to {SPAN[1]}; frames {FRAME_SPAN[0]} to {FRAME_SPAN[1]}, {sun.size} pixels "
        f"every {sun.image_cadence_hours} h), not from any instrument."
    )
    return sun_page.SunPage(
        about,
        REAL_NAME,
        tuple(
            sun_page.SunCurve(**{f.name: getattr(c, f.name) for f in fields(c)})
            for c in curves(made, real)
        ),
        tuple(_frames(t, t is made.get("images")) for t in _images(made, real or {})),
        tuple(
            sun_page.SunStatistic(r.statistic, r.simulated, r.real, r.target, r.ok) for r in rows
        ),
    )


def _images(*sides: Tables) -> list[ImageTable]:
    found = (tables.get("images") for tables in sides)
    return [table for table in found if isinstance(table, ImageTable)]


def _frames(table: ImageTable, simulated: bool) -> sun_page.SunFrames:
    frames, times = sample_frames(table)
    labels = [to_text(int(t)) if simulated else f"hour {int(t) // HOUR} of a stack" for t in times]
    return sun_page.SunFrames(frames, table.variables, tuple(labels), simulated)


def _statistic(row: Row) -> SunStatistic:
    """A row for the record; JSON has no NaN."""

    def finite(value: float | None) -> float | None:
        return value if value is not None and np.isfinite(value) else None

    made, real = finite(row.simulated), finite(row.real)
    return SunStatistic(row.statistic, made, real, finite(row.low), finite(row.high), row.ok)


def _line(row: Row) -> str:
    real = "" if row.real is None else f"{row.real:.4g}"
    made = "" if row.simulated is None else f"{row.simulated:.4g}"
    verdict = {True: "holds", False: "MISSES", None: ""}[row.ok]
    return f"{row.statistic:<52} simulated {made:>9}  real {real:>9}  {row.target:<18} {verdict}"

"""The simulated Sun held to reality: every statistic beside the real one."""

from __future__ import annotations

from dataclasses import replace

from heliosight.core.errors import ConfigError, DataError
from heliosight.core.tables import Tables
from heliosight.data.omni2 import read_omni2
from heliosight.sun import Row, compare, simulate
from heliosight.workflows.config import ArchiveData, SunData
from heliosight.workflows.data import OMNI, read_archives, source_files
from heliosight.workflows.run import Run, StageResult


def check(run: Run) -> StageResult:
    """Simulate the span of the real data and print each statistic beside the real one."""
    data = run.config.data
    if not isinstance(data, SunData):
        raise ConfigError("checking the Sun needs data.type=sun", data.type, where="data.type")
    full = replace(data.sun, start="2011-01-01", end="2023-01-01")
    rows = compare(simulate(full).tables, real_tables())
    missed = [row for row in rows if row.ok is False]
    told = f"{len(rows)} statistics, {len(missed)} of those with a target miss it"
    return StageResult(None, (*map(_line, rows), told), bool(missed))


def real_tables() -> Tables | None:
    """Real tables where the archives are on disk, else None."""
    archives = ArchiveData()
    try:
        files = source_files(archives)
    except DataError:
        return None
    hourly = read_omni2([p for name, p in files.items() if name.startswith("omni2")], OMNI)
    return {**read_archives(archives).tables, hourly.name: hourly}


def _line(row: Row) -> str:
    real = "" if row.real is None else f"{row.real:.4g}"
    made = "" if row.simulated is None else f"{row.simulated:.4g}"
    verdict = {True: "holds", False: "MISSES", None: ""}[row.ok]
    return f"{row.statistic:<52} simulated {made:>9}  real {real:>9}  {row.target:<18} {verdict}"

"""Tables of a folder of fetched files: series as they were known, images built by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.core.files import sha256
from heliosight.core.making import temporary_file
from heliosight.core.tables import SeriesTable, Table
from heliosight.data.imaging.images import Built, build_days, join, part_of, plan
from heliosight.data.imaging.shard import Recipe, Task
from heliosight.data.latency import Known
from heliosight.data.live import live_tables
from heliosight.data.net.ledger import LEDGER, Ledger
from heliosight.data.overlay import within
from heliosight.workflows.config_data import FetchedData
from heliosight.workflows.raw import Raw

CLOCK = (
    "The wind is on the bow shock's clock: OMNI's values were shifted by SPDF, those from L1 by "
    "distance over speed."
)
NOT_COMMERCIAL = {
    "sunspot_number": "sunspot_number (SILSO, CC BY-NC 4.0) is not for commercial use.",
    "dst": "dst (WDC Kyoto) is not for commercial use.",
    "ae": "ae (WDC Kyoto) is not for commercial use.",
}
HINDSIGHT = (
    "Values are the newest retrieved: a hindcast sees definitive ones where only early ones were "
    "known, unless data.at is set."
)
# Which table the values of a source of series go to.
TABLES = {
    **dict.fromkeys(("omni2", "omni_hapi", "swpc_wind", "swpc_mag"), "solar_wind"),
    **dict.fromkeys(("gfz_kp", "gfz_text", "gfz_daily", "gfz_now", "swpc_kp"), "geomagnetic"),
    "gfz_hpo": "hp30",
}
DIMMING = "AIA is not corrected for degradation: it dims over the years (data.degradation)."


def tasks_of(data: FetchedData, days: Path) -> list[Task]:
    """The days of images to build; none without channels."""
    if not data.channels:
        return []
    recipe = Recipe(
        data.channels, data.size, data.image_cadence_hours, data.degradation, data.ignore_quality
    )
    span = _moment(data.start), _moment(data.end)
    return plan(Path(data.folder), recipe, days, *span, _moment(data.at))


def fetched_marks(data: FetchedData, days: Path) -> tuple[FetchedData, list[str]]:
    """What a store of the folder depends on: the ledger, and the names of its finished days."""
    ledger = Path(data.folder) / LEDGER
    series = [sha256(ledger)] if ledger.is_file() else []
    names = [Path(task.path).name for task in tasks_of(data, days)]
    return replace(data, workers=1, shard=""), series + names


def build_share(data: FetchedData, days: Path) -> tuple[str, ...]:
    """Build the days of `data.shard`; says how many there were."""
    tasks = part_of(tasks_of(data, days), data.shard)
    built = build_days(tasks, data.workers)
    return (f"shard {data.shard}: {len(tasks)} days, {built} built now, files in {days}",)


def read_fetched(data: FetchedData, days: Path) -> Raw:
    """Every table of the folder, images in `days` (memory-mapped)."""
    root, known = Path(data.folder), Known(data.latency, data.cutoff_minutes)
    tables: dict[str, Table] = {}
    found: dict[str, str] = {}
    if (root / LEDGER).is_file():
        tables |= _during(live_tables(root, _moment(data.at), known), data)
        found = series_sources(root, _moment(data.at))
    problems: tuple[str, ...] = ()
    if tasks := tasks_of(data, days):
        build_days(tasks, data.workers)
        built = _joined(tasks, days)
        kinds = image_sources(root, tasks)
        tables["images"] = known.late(built.table, max(kinds, key=known.seconds))
        problems = built.problems
        found |= dict.fromkeys(kinds, "images")
    if not tables:
        raise DataError(
            "a folder holds fetched files", "none", "Run heliosight data fetch.", data.folder
        )
    sources, licences = _terms(root)
    assumed = tuple(known.assumed(source, table) for source, table in found.items())
    caveats = _caveats(tables, data, problems)
    return Raw(tables, sources, licences, caveats, assumed, known.cutoff_minutes, data.at)


def series_sources(root: Path, at: int | None) -> dict[str, str]:
    """Table by source of all series that were fetched by then."""
    entries = Ledger(root).history()
    fetched = {e.source for e in entries if at is None or to_seconds(e.retrieved) <= at}
    return {source: table for source, table in TABLES.items() if source in fetched}


def image_sources(root: Path, tasks: Sequence[Task]) -> list[str]:
    """Sources of the images of some days; files that nobody fetched are a folder's."""
    entries = Ledger(root).entries if (root / LEDGER).is_file() else {}
    of_path = {str(root / path): entry.source for path, entry in entries.items()}
    pieces = {(piece.path, piece.channel) for task in tasks for piece in task.day.pieces}
    named = {of_path.get(path, f"{channel}_folder") for path, channel in pieces}
    return sorted(named)


def _joined(tasks: Sequence[Task], days: Path) -> Built:
    """All days in a file of its own, whose name is gone at once: two builds never share it."""
    with temporary_file(days / "joined") as path:
        return join(tasks, path)


def _during(tables: dict[str, Table], data: FetchedData) -> dict[str, Table]:
    start, end = _moment(data.start), _moment(data.end)
    kept = {n: within(t, start, end) for n, t in tables.items() if isinstance(t, SeriesTable)}
    return {name: table for name, table in kept.items() if len(table.times)}


def _moment(text: str) -> int | None:
    return to_seconds(text) if text else None


def _terms(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Where the files came from and under which terms, by source."""
    sources: dict[str, str] = {}
    licences: dict[str, str] = {}
    for entry in Ledger(root).entries.values() if (root / LEDGER).is_file() else ():
        newest = max(sources.get(entry.source, ""), entry.retrieved)
        sources[entry.source] = newest
        licences[entry.source] = f"{entry.licence}; cite {entry.citation}"
    return {name: f"retrieved until {when}" for name, when in sources.items()}, licences


def _caveats(
    tables: dict[str, Table], data: FetchedData, problems: tuple[str, ...]
) -> tuple[str, ...]:
    names = {name for table in tables.values() for name in table.variables}
    lines = [text for name, text in NOT_COMMERCIAL.items() if name in names]
    lines += [CLOCK] if "solar_wind" in tables else []
    lines += [HINDSIGHT] if not data.at else []
    dims = any(c.startswith("aia") for c in data.channels) and "images" in tables
    lines += [DIMMING] if dims and not _undimmed(tables) else []
    lines += (
        [f"{len(problems)} image files could not be read, first: {problems[0]}"] if problems else []
    )
    return tuple(lines)


def _undimmed(tables: dict[str, Table]) -> bool:
    history = getattr(tables["images"], "history", ())
    return any(step.endswith("degradation") for step in history)

"""The series of a folder of fetched files, as they were known at a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.core.tables import SeriesTable, Table
from heliosight.data.archives.gfz import read_gfz_daily, read_gfz_intervals, read_gfz_json
from heliosight.data.archives.hapi import read_hapi_csv, read_hapi_info
from heliosight.data.archives.swpc import read_rtsw_mag, read_rtsw_wind, read_swpc_kp
from heliosight.data.latency import Known
from heliosight.data.net.ledger import Entry, Ledger, place
from heliosight.data.omni2 import omni2_table
from heliosight.data.overlay import overlay, within
from heliosight.data.three_hourly import three_hourly
from heliosight.data.upstream import hours_at_bow_shock

WIND = ("speed", "density", "temperature", "b_total", "bx_gse", "by_gsm", "bz_gsm")
# Of GFZ's the latest retrieval counts; another centre's estimate only where GFZ has nothing.
_GFZ = ("gfz_now", "gfz_kp", "gfz_text", "gfz_daily", "gfz_hpo")


def live_tables(root: Path, at: int | None = None, known: Known | None = None) -> dict[str, Table]:
    """Tables of all series that were fetched, by name, each with finished steps alone.

    "solar_wind" (3 h) is OMNI where it is published and, after that, the real-time wind at L1
    shifted to the bow shock; it has ap and kp beside it. "geomagnetic" (3 h) is GFZ's, and SWPC's
    estimate where GFZ has none yet. What may still be revised is PRELIMINARY.

    Parameters
    ----------
    at : UTC seconds; only files retrieved by then are read, only steps over by then are given. The
        newest retrieval when None.
    known : latencies of the sources; what ships when None.

    Raises
    ------
    DataError : nothing was fetched by then, a file is no longer what was fetched.
    """
    ledger = Ledger(root)
    entries = [e for e in ledger.history() if at is None or to_seconds(e.retrieved) <= at]
    # a file that was replaced after `at` is gone: only what still lies there can be read
    newest = {e.path: e for e in entries if e.sha256 == ledger.entries[e.path].sha256}
    if not newest:
        raise DataError(
            "files were fetched before they are read",
            "none" if at is None else f"none by {to_text(at)}",
            "Run heliosight data fetch.",
            str(root),
        )
    now = at if at is not None else max(to_seconds(e.retrieved) for e in newest.values())
    sources = _by_source(newest.values())
    known = known or Known({})
    tables = {table.name: table for table in _indices(Path(root), sources, ledger.since(), known)}
    wind = _wind(Path(root), sources, known)
    if wind is not None:
        index = [tables["geomagnetic"]] if "geomagnetic" in tables else []
        tables["solar_wind"] = overlay([wind, *(_during(i, wind) for i in index)], "solar_wind")
    return {name: within(table, end=now) for name, table in tables.items() if len(table.times)}


def _during(table: SeriesTable, other: SeriesTable) -> SeriesTable:
    last = int(other.times[-1]) + other.cadence
    return within(table, int(other.times[0]), last)


def _by_source(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries by source, the latest retrieved first."""
    found: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: (e.retrieved, e.path), reverse=True):
        found.setdefault(entry.source, []).append(entry)
    return found


def read_entry(root: Path, entry: Entry) -> bytes:
    """The bytes of a fetched file, if they are still those that were fetched."""
    path = place(root, entry.path)
    data = path.read_bytes() if path.is_file() else None
    if data is None or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise DataError(
            "a fetched file is as it was fetched", "absent" if data is None else "other bytes",
            "Remove it and fetch again.", str(path),
        )  # fmt: skip
    return data


def _wind(root: Path, sources: dict[str, list[Entry]], known: Known) -> SeriesTable | None:
    """Three-hourly wind of all that was fetched; OMNI before the values from L1."""
    hourly = []
    if omni := sorted(sources.get("omni2", []), key=lambda e: e.path):
        read = omni2_table({root / e.path: read_entry(root, e) for e in omni}, WIND)
        hourly.append(known.late(read, "omni2"))
    by_hapi = _hapi(root, sources.get("omni_hapi", []))
    hourly += [known.late(_only(table, WIND), "omni_hapi") for table in by_hapi]
    minutes = _snapshots(root, sources.get("swpc_wind", []), read_rtsw_wind)
    minutes += _snapshots(root, sources.get("swpc_mag", []), read_rtsw_mag)
    if minutes:
        wind = _only(hours_at_bow_shock(overlay(minutes)), WIND)
        slowest = max(("swpc_wind", "swpc_mag"), key=known.seconds)
        hourly.append(known.late(wind, slowest))
    return three_hourly(overlay(hourly)) if hourly else None


def _snapshots(
    root: Path, entries: Sequence[Entry], read: Callable[[bytes], SeriesTable]
) -> list[SeriesTable]:
    """The fewest snapshots, latest first, that reach as far back as all of them do.

    Each shows about a day, so hourly ones repeat each other; the next one read is the oldest that
    still touches what is covered, or, where there is a hole, the next there is.
    """
    tables: list[SeriesTable] = []
    left = list(entries)
    while left:
        first = min((int(t.times[0]) for t in tables), default=0)
        touching = [i for i, e in enumerate(left) if to_seconds(e.retrieved) >= first]
        chosen = touching[-1] if tables and touching else 0
        tables.append(read(read_entry(root, left[chosen])))
        left = left[chosen + 1 :]
    return tables


def _hapi(root: Path, entries: Sequence[Entry]) -> list[SeriesTable]:
    info = [e for e in entries if e.path.endswith("info.json")]
    if not info:
        return []
    parameters = read_hapi_info(read_entry(root, info[0]))
    rows = [e for e in entries if e.path.endswith(".csv")]
    return [read_hapi_csv(read_entry(root, e), parameters) for e in rows]


def _only(table: SeriesTable, names: Sequence[str]) -> SeriesTable:
    keep = [i for i, name in enumerate(table.variables) if name in names]
    return SeriesTable(
        table.name, table.times, table.cadence, tuple(table.variables[i] for i in keep),
        table.values[:, keep], table.flags[:, keep], table.latency,
    )  # fmt: skip


def _indices(
    root: Path, sources: dict[str, list[Entry]], since: Mapping[str, int], known: Known
) -> list[SeriesTable]:
    """Intervals that were over when their file came: the running one's value is not its last."""
    parts: dict[str, list[SeriesTable]] = {}
    of_gfz = [entry for source in _GFZ for entry in sources.get(source, [])]
    of_gfz.sort(key=lambda e: e.retrieved, reverse=True)
    for entry in (*of_gfz, *sources.get("swpc_kp", [])):
        for table in _index_tables(entry.source, read_entry(root, entry)):
            late = known.late(within(table, end=since[entry.path]), entry.source)
            parts.setdefault(table.name, []).append(late)
    return [overlay(tables) for tables in parts.values()]


def _index_tables(source: str, data: bytes) -> tuple[SeriesTable, ...]:
    if source == "gfz_daily":
        return read_gfz_daily(data)
    readers: dict[str, Callable[[bytes], SeriesTable]] = {
        "gfz_text": read_gfz_intervals,
        "swpc_kp": read_swpc_kp,
    }
    return (readers.get(source, read_gfz_json)(data),)

"""The store of a run: archives, events or the simulated Sun, read once and built once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from heliosight.core.clock import HOUR
from heliosight.core.errors import DataError
from heliosight.core.files import sha256
from heliosight.core.records import DatasetCard
from heliosight.core.tables import SeriesTable, Table
from heliosight.data.coronal_holes import read_coronal_holes
from heliosight.data.event_list import listed_without_window, read_event_list
from heliosight.data.events import read_events
from heliosight.data.image_folder import read_image_folder
from heliosight.data.kp_ap import read_kp_ap
from heliosight.data.latency import Known
from heliosight.data.omni2 import read_omni2
from heliosight.data.store import Store, load_store, save_store
from heliosight.data.three_hourly import three_hourly
from heliosight.sun import SunConfig, simulate
from heliosight.workflows.build import fetched_marks, read_fetched
from heliosight.workflows.config_data import (
    ArchiveData,
    DrivenData,
    EventData,
    FetchedData,
    StoreData,
    SunData,
)
from heliosight.workflows.raw import Raw
from heliosight.workflows.run import Run

OMNI = ("speed", "density", "temperature", "b_total", "bx_gse", "by_gsm", "bz_gsm", "ap", "kp")
SIMULATED = (
    "SIMULATED: images, wind and index come from a simulated Sun, not from any instrument.",
)
OMNI_LICENCE = "NASA/GSFC OMNI, open; cite King and Papitashvili (2005)"
KP_LICENCE = "GFZ Kp/ap, CC BY 4.0; cite Matzka et al. (2021)"


def store_of(run: Run, again: bool = False) -> Store:
    """The run's store, built when its config or a source file has changed, or `again`."""
    data = run.config.data
    if isinstance(data, StoreData):
        return load_store(Path(data.folder))
    folder = run.folder / "data"
    key = run.key("data", *_marks(run, data))
    if again or run.found(folder, DatasetCard, key) is None:
        # A folder that cannot be written is told now, not after an hour of reading.
        run.folder.mkdir(parents=True, exist_ok=True)
        raw = _read(run, data)
        save_store(
            folder,
            raw.tables,
            run.config.name,
            raw.sources,
            raw.licences,
            raw.caveats,
            run.provenance(key, {}),
            raw.assumed,
            raw.cutoff_minutes,
            raw.as_known,
        )
    return load_store(folder, check_hashes=False)


def _marks(run: Run, data: Any) -> tuple[Any, Any]:
    """The config, and what tells one version of its files from another."""
    if isinstance(data, FetchedData):
        return fetched_marks(data, days_folder(run))
    return data, {name: sha256(path) for name, path in source_files(data).items()}


def _read(run: Run, data: Any) -> Raw:
    if isinstance(data, FetchedData):
        return read_fetched(data, days_folder(run))
    return _READERS[type(data)](data)


def days_folder(run: Run) -> Path:
    """Where finished days of images lie; another machine may fill it too."""
    return run.folder / "days"


def archive_root(data: ArchiveData) -> Path:
    """Where the archives lie: `HELIOSIGHT_DATA` if set, else the config's root."""
    return Path(os.environ.get("HELIOSIGHT_DATA") or data.root)


def source_files(data: Any) -> dict[str, Path]:
    """Every file a store is made from, by name."""
    if isinstance(data, DrivenData):
        return source_files(data.archives)
    if isinstance(data, EventData):
        return {p.name: p for p in sorted(Path(data.folder).glob("*.h5"))}
    if not isinstance(data, ArchiveData):
        return {}
    root = archive_root(data)
    years = range(data.first_year, data.last_year + 1)
    files = {f"omni2_{year}": root / "omni2" / f"omni2_{year}.dat" for year in years}
    files["kp_ap"] = _single(root / "kp_ap", "SW-All*.txt")
    files["coronal_holes"] = _single(root / "coronal_holes", "*.csv")
    if data.images:
        frames = (p for p in sorted(Path(data.images).rglob("*")) if p.is_file())
        files |= {f"images/{p.parent.name}/{p.name}": p for p in frames}
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        raise DataError(
            "every archive file of the config is on disk",
            f"no {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            "Set HELIOSIGHT_DATA or data.root to the folder that holds omni2/ and kp_ap/.",
        )
    return files


def _single(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise DataError(f"one file matches {pattern}", names, "Keep one.", str(folder))
    return found[0] if found else folder / pattern


def read_archives(data: ArchiveData) -> Raw:
    """Tables of the archives, OMNI as 3-hour means."""
    files = source_files(data)
    hourly = read_omni2([p for name, p in files.items() if name.startswith("omni2")], OMNI)
    known = Known(data.latency, data.cutoff_minutes)
    wind = known.late(three_hourly(hourly), "omni2")
    index = known.late(_during(read_kp_ap(files["kp_ap"]), wind), "celestrak")
    areas = known.late(read_coronal_holes(files["coronal_holes"]), "coronal_holes")
    tables: dict[str, Table] = {table.name: table for table in (wind, index, areas)}
    of = [("omni2", wind.name), ("celestrak", index.name), ("coronal_holes", areas.name)]
    if data.images:
        cadence = data.image_cadence_hours * HOUR
        images = read_image_folder(data.images, size=data.size, cadence=cadence)
        kinds = [f"{channel}_folder" for channel in images.variables]
        tables["images"] = known.late(images, max(kinds, key=known.seconds))
        of += [(kind, images.name) for kind in kinds]
    licences = {"solar_wind": OMNI_LICENCE, "geomagnetic": KP_LICENCE}
    caveats = (
        "OMNI is shifted to the bow shock: its clock runs about 50 min ahead of a monitor at L1.",
        "Kp and ap are definitive, not what was known in real time.",
    )
    assumed = tuple(known.assumed(*pair) for pair in of)
    names = {name: path.name for name, path in files.items()}
    return Raw(tables, names, licences, caveats, assumed, known.cutoff_minutes)


def _during(table: SeriesTable, other: SeriesTable) -> SeriesTable:
    """The rows of `table` within the span of `other`, two rotations before it included."""
    early = other.times[0] - 60 * 86400
    keep = (table.times >= early) & (table.times <= other.times[-1])
    return SeriesTable(
        table.name,
        table.times[keep],
        table.cadence,
        table.variables,
        table.values[keep],
        table.flags[keep],
        table.latency,
    )


def _read_sun(data: SunData) -> Raw:
    tables = _band(data.sun) if data.band else dict(simulate(data.sun).tables)
    return Raw(tables, {"sun": _sun_source(data.sun)}, {}, SIMULATED)


def _band(sun: SunConfig) -> dict[str, Table]:
    """Wind and index of a Sun; frames of one that is driven by the first one's hole area."""
    own = simulate(replace(sun, size=16, image_cadence_hours=24)).tables
    holes = own["coronal_holes"]
    assert isinstance(holes, SeriesTable)
    return {**own, "images": simulate(sun, drive=holes).tables["images"]}


def _read_driven(data: DrivenData) -> Raw:
    real = read_archives(data.archives)
    areas = real.tables["coronal_holes"]
    assert isinstance(areas, SeriesTable)
    images = simulate(data.sun, drive=areas).tables["images"]
    sources = {**real.sources, "images": _sun_source(data.sun)}
    caveats = (
        "SIMULATED IMAGES: rendered so that their central-meridian coronal-hole area follows the "
        "real daily series; wind and index are real.",
    )
    return replace(
        real, tables={**real.tables, "images": images}, sources=sources,
        caveats=caveats + real.caveats,
    )  # fmt: skip


def _elsewhere(folder: Path) -> str:
    """Where the data may be instead."""
    if not folder.exists():
        return "It does not exist."
    if (folder / "data" / "manifest.json").is_file():
        return f"The store of a run is {folder / 'data'}."
    return "Set data.folder to event files; a store has a manifest.json."


def _read_events(data: EventData) -> Raw:
    files = source_files(data)
    if not files:
        raise DataError(
            "a folder of event files holds *.h5",
            f"none in {data.folder or 'an empty path'}",
            _elsewhere(Path(data.folder)),
        )
    events = read_events(files.values())
    caveats = tuple(f"CONFLICT between overlapping files: {text}" for text in events.conflicts[:20])
    if data.list:
        absent = listed_without_window(events, read_event_list(Path(data.list)))
        caveats = (*caveats, f"{len(absent)} issue times of the event list have no event file")
    known = Known(data.latency, data.cutoff_minutes)
    tables = {name: known.late(table, "events") for name, table in events.tables.items()}
    assumed = tuple(known.assumed("events", name) for name in tables)
    from_files = {"events": f"{len(files)} files"}
    return Raw(tables, from_files, {}, caveats, assumed, known.cutoff_minutes)


def _sun_source(sun: SunConfig) -> str:
    return f"simulated Sun, seed {sun.seed}, {sun.start} to {sun.end}"


_READERS: dict[type, Callable[[Any], Raw]] = {
    SunData: _read_sun,
    ArchiveData: read_archives,
    DrivenData: _read_driven,
    EventData: _read_events,
}

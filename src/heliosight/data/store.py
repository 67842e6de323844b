"""One continuous store: every table's arrays as plain npy, frames memory-mapped, manifest last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from heliosight.core import config
from heliosight.core.arrays import BROKEN, read_npy
from heliosight.core.errors import DataError, RecordError
from heliosight.core.files import digest, folder_in_making, read_json, sha256, write_json
from heliosight.core.records import RECORD, Assumed, DatasetCard, Provenance, load
from heliosight.core.tables import ImageTable, SeriesTable, Table, Tables
from heliosight.data.card import dataset_card

LAYOUT = "tables.json"


@final
@dataclass(frozen=True)
class Store:
    """Tables of one store, its card, and the hash of its data (card and dates left out)."""

    tables: dict[str, Table]
    card: DatasetCard
    hash: str


def save_store(
    folder: Path,
    tables: Tables,
    name: str,
    sources: Mapping[str, str] | None = None,
    licences: Mapping[str, str] | None = None,
    caveats: Sequence[str] = (),
    made: Provenance | None = None,
    assumed: Sequence[Assumed] = (),
    cutoff_minutes: float = 0.0,
    as_known: str = "",
) -> DatasetCard:
    """Write tables as a sealed folder, whole or not at all; gives its card.

    assumed, cutoff_minutes, as_known : when values count as known, for the card.

    Raises
    ------
    DataError : a table's key differs from its name, or its name is no plain word.
    """
    for key, table in tables.items():
        if key != table.name or not key.isidentifier():
            raise DataError(
                "a table is stored under its own name, a plain word",
                f"key {key!r}, name {table.name!r}",
                "Use {table.name: table}.",
                str(folder),
            )
    folder = Path(folder)
    with folder_in_making(folder) as making:
        layout = {key: _write_table(making / key, table) for key, table in tables.items()}
        write_json(making / LAYOUT, layout)
        card = dataset_card(
            tables, name, sources, licences, caveats, "", made, assumed, cutoff_minutes, as_known
        )
        card = replace(card, store_hash=_data_hash(making))
        head = {"schema": card.schema, "version": card.version}
        write_json(making / RECORD, {**head, "record": config.dump(card)})
    return card


def load_store(folder: Path, check_hashes: bool = True) -> Store:
    """A store as it was saved; frames stay on disk (memory-mapped, read-only).

    Parameters
    ----------
    check_hashes : read every byte and compare with the manifest; sizes are always compared.

    Raises
    ------
    RecordError : the folder is half-written, altered, or not a store; its tables.json names a
        table that is no plain word, misses a key, or disagrees with the arrays.
    """
    folder = Path(folder)
    card = load(folder, DatasetCard, hashes=check_hashes)
    if not (folder / LAYOUT).is_file():
        raise RecordError("a store has a tables.json", "none", "Give a store folder.", str(folder))
    try:
        layout = read_json(folder / LAYOUT)
        tables = {key: _read_table(folder, key, facts) for key, facts in layout.items()}
    except (*BROKEN, AttributeError, DataError, RecordError) as error:
        raise RecordError(
            "tables.json describes the tables beside it",
            f"{type(error).__name__} {error}",
            "Make the store again.",
            str(folder),
        ) from error
    return Store(tables, card, card.store_hash)


def _data_hash(folder: Path) -> str:
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return digest({p.relative_to(folder).as_posix(): sha256(p) for p in paths})


def _write_table(folder: Path, table: Table) -> dict[str, Any]:
    folder.mkdir()
    is_image = isinstance(table, ImageTable)
    np.save(folder / "times.npy", table.times, allow_pickle=False)
    np.save(folder / "flags.npy", table.flags, allow_pickle=False)
    values = table.frames if isinstance(table, ImageTable) else table.values
    np.save(folder / ("frames.npy" if is_image else "values.npy"), values, allow_pickle=False)
    facts = {
        "kind": "images" if is_image else "series",
        "cadence": int(table.cadence),
        "latency": int(table.latency),
        "variables": list(table.variables),
    }
    history = list(table.history) if isinstance(table, ImageTable) else []
    return {**facts, "history": history} if history else facts


def _read_table(store: Path, name: str, facts: Mapping[str, Any]) -> Table:
    if not name.isidentifier():
        raise RecordError(
            "a table's name is a plain word", repr(name), "Make the store again.", str(store)
        )
    folder = store / name
    times, flags = read_npy(folder / "times.npy"), read_npy(folder / "flags.npy")
    shared = (facts["cadence"], tuple(facts["variables"]))
    if facts["kind"] == "images":
        frames = np.load(folder / "frames.npy", mmap_mode="r", allow_pickle=False)
        history = tuple(facts.get("history", ()))
        return ImageTable(name, times, *shared, frames, flags, facts["latency"], history)
    values = read_npy(folder / "values.npy")
    return SeriesTable(name, times, *shared, values, flags, facts["latency"])

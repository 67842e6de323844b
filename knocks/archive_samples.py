"""Answers of archives, a ledger and a finished day, each with the call that reads it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))
import archive_documents as documents

from heliosight.data.archives.gfz import read_gfz_daily, read_gfz_intervals, read_gfz_json
from heliosight.data.archives.hapi import read_hapi_csv, read_hapi_info, read_hapi_span
from heliosight.data.archives.helioviewer import read_closest
from heliosight.data.archives.jsoc import read_export
from heliosight.data.archives.sdoml import read_index
from heliosight.data.archives.swpc import read_rtsw_mag, read_rtsw_wind, read_swpc_kp
from heliosight.data.archives.zarr2 import decode_chunk, read_zarray
from heliosight.data.degradation import read_curve
from heliosight.data.imaging.shard import Shard, load_shard, save_shard
from heliosight.data.net.ledger import LEDGER, Entry, Ledger

PARAMETERS = read_hapi_info(documents.hapi_info())
ARRAY = read_zarray(documents.zarray())


def _chunk() -> bytes:
    from numcodecs.blosc import BITSHUFFLE, compress

    values = np.random.default_rng(1).normal(0, 1, ARRAY.chunks).astype("<f4")
    return bytes(compress(values.tobytes(), b"zstd", 5, BITSHUFFLE))


# Name of a document, its bytes, its reader.
DOCUMENTS: tuple[tuple[str, bytes, Callable[[bytes], object]], ...] = (
    ("hapi_info.json", documents.hapi_info(), read_hapi_info),
    ("hapi_span.json", documents.hapi_info(), read_hapi_span),
    ("hapi.csv", documents.hapi_csv(), lambda data: read_hapi_csv(data, PARAMETERS)),
    ("gfz.json", documents.gfz_json(), read_gfz_json),
    ("gfz_intervals.txt", documents.gfz_text([(2.667, 12, 1), (5.0, 48, 0)]), read_gfz_intervals),
    ("gfz_daily.txt", documents.gfz_daily(), read_gfz_daily),
    ("rtsw_wind.json", documents.rtsw(minutes=4), read_rtsw_wind),
    ("rtsw_mag.json", documents.rtsw("mag", minutes=4), read_rtsw_mag),
    ("swpc_kp.json", documents.swpc_kp(), read_swpc_kp),
    ("jsoc.json", documents.jsoc(), read_export),
    ("closest.json", b'{"id": 1, "date": "2014-01-02 00:00:02", "scale": 0.6}', read_closest),
    ("zarray.json", documents.zarray(), read_zarray),
    (
        "zattrs.json",
        documents.zattrs(["2016-01-01T00:00:05Z", "2016-01-01T00:06:05.84Z"]),
        lambda data: read_index(data, "aia_193"),
    ),
    ("chunk.zarr", _chunk(), lambda data: decode_chunk(ARRAY, data)),
)


def make_ledger(folder: Path) -> Path:
    """A folder with a ledger of two files that are not there."""
    for name in ("omni2/omni2_2015.dat", "gfz/Kp_2015.json"):
        terms = ("CC BY 4.0", "Somebody (2026)")
        Ledger(folder).add(
            Entry(name, "toy", "http://x", "0" * 64, 3, "2026-01-01T00:00:00Z", *terms)
        )
    return folder / LEDGER


def read_ledger(path: Path) -> object:
    """Entries, and what of them is still whole."""
    return Ledger(path.parent).verify()


def make_curve(folder: Path) -> Path:
    """Three days of a degradation curve."""
    path = folder / "degrad_193.csv"
    path.write_text("".join(f'"2014-01-0{d}T12:00:00.000",0.9\n' for d in (1, 2, 3)))
    return path


def make_shard(folder: Path) -> Path:
    """A finished day of two slots and two channels."""
    slots = np.array([0, 21600])
    times = np.stack([slots, slots], axis=1)
    frames = np.zeros((2, 2, 8, 8), dtype=np.uint8)
    shard = Shard(slots, times, frames, np.zeros((2, 2), dtype=np.uint8), ("aia_193: exposure",))
    save_shard(folder / "2014-01-01_0123.npz", shard)
    return folder / "2014-01-01_0123.npz"


FILES: tuple[tuple[str, Callable[[Path], Path], Callable[[Path], object]], ...] = (
    ("ledger", make_ledger, read_ledger),
    ("degradation curve", make_curve, read_curve),
    ("day of images", make_shard, load_shard),
)

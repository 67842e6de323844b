"""Refusals that no other test asks for (`python knocks/raises.py` lists such ones)."""

import io
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import heliosight
from heliosight.core import arrays
from heliosight.core.errors import (
    ConfigError,
    DataError,
    RecordError,
    SpecError,
)
from heliosight.core.spec import ModalitySpec
from heliosight.core.tables import Moments, SeriesTable
from heliosight.data.events import read_events
from heliosight.data.frames import image_table
from heliosight.data.image_folder import read_image_folder
from heliosight.data.live import read_entry
from heliosight.data.net.ledger import Entry
from heliosight.data.npz_frames import read_npz
from heliosight.data.overlay import overlay, require_units
from heliosight.data.png_frames import read_png
from heliosight.data.splits import load_folds
from heliosight.evaluation.leakage import nearest_mean
from heliosight.models.copula import correlated_draws
from heliosight.models.limits import fraction, odd
from heliosight.models.normalise import Normalise
from heliosight.sun import SunConfig
from heliosight.training import fit_copula
from heliosight.training.journal import read_log
from heliosight.zoo.worlds import Law, planted_tables


def table(cadence=10800, values=400.0, flags=0):
    filled = np.full((40, 1), values, np.float32)
    return SeriesTable(
        "wind", cadence * np.arange(40), cadence, ("speed",), filled,
        np.full((40, 1), flags, np.uint8), 0,
    )  # fmt: skip


def npy(version):
    stream = io.BytesIO(b"\x93NUMPY" + bytes(version) + b"\0" * 64)
    return arrays.read_array(stream, 72)


def entry(folder):
    (folder / "a").write_text("other bytes")
    return read_entry(folder, Entry("a", "s", "http://x", "0" * 64, 1, "2026-01-01", "l", "c"))


def odd_hdf5(folder):
    (folder / "e.h5").write_bytes(b"\x89HDF\r\n\x1a\nnothing")
    return read_events([folder / "e.h5"])


def odd_attribute(folder):
    with h5py.File(folder / "e.h5", "w") as file:
        file.attrs.update({"t_start": "yesterday", "t_target": "x", "t_end": "y"})
    return read_events([folder / "e.h5"])


def text(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


def images(folder):
    (folder / "aia_193").mkdir()
    return read_image_folder(folder, ("aia_193",))


def frames_npz(folder):
    np.savez(folder / "f.npz", aia_193=np.zeros((2, 16, 16), np.uint8))
    return read_npz(folder / "f.npz", np.arange(3), ("aia_193",), 16)


SERIES = ModalitySpec("series", "wind", ("speed", "ap"), 4, 3)
# What is refused, the kind of error, its words.
REFUSED = {
    "attribute": (lambda _: heliosight.nonsense, AttributeError,
                  "module 'heliosight' has no attribute 'nonsense'"),
    "npy version": (lambda _: npy((9, 9)), ValueError, "is not 1.0 or 2.0"),
    "cadences": (lambda _: overlay([table(), table(3600)]), DataError,
                 "joined tables have one cadence"),
    "units": (lambda _: require_units(table(flags=2), "x"), DataError,
              "most values of a variable lie in its valid range"),
    "no frames": (lambda _: image_table([], ("aia_193",), 16), DataError,
                  "an image table has frames"),
    "no files": (images, DataError, "a channel's sub-folder holds PNG or FITS files"),
    "frames and times": (frames_npz, DataError, "a channel has one frame a time"),
    "other bytes": (entry, DataError, "a fetched file is as it was fetched"),
    "png": (lambda f: read_png(text(f, "aia_2015_03_10T12_00_00.png", b"GIF")), DataError,
            "a PNG frame is a whole image"),
    "hdf5": (odd_hdf5, DataError, "an event file is a whole HDF5 file"),
    "hdf5 time": (odd_attribute, DataError, "is an ISO 8601 time or UTC seconds"),
    "split": (lambda f: load_folds(text(f, "split.json", b"[]")), RecordError,
              "a split file is whole JSON with folds and their hash"),
    "log": (lambda f: read_log(text(f, "log.jsonl", b"\xff\xfe")), RecordError,
            "a log is readable text"),
    "neighbours": (lambda _: nearest_mean(np.zeros((2, 1)), np.zeros(2), np.zeros((1, 1)), 5),
                   DataError, "neighbours need as many training rows"),
    "correlation": (lambda _: correlated_draws(np.eye(2), 3, 4, 0), SpecError,
                    "a copula has a correlation matrix of"),
    "share": (lambda _: fraction(SimpleNamespace(dropout=1.0), "dropout"), ConfigError,
              r"this key lies in \[0, 1\)"),
    "kernel": (lambda _: odd(SimpleNamespace(kernel=4), "kernel"), ConfigError,
               "a kernel is odd, so that maps keep their place"),
    "moments": (lambda _: Normalise("wind", SERIES, Moments((0.0,), (1.0,)), False), SpecError,
                "moments are one mean and one deviation a variable"),
    "pixels": (lambda _: SunConfig(size=8), ConfigError, "a frame has 16 to 1024 pixels a side"),
    "grid": (lambda _: SunConfig(start="2011-01-01T01:00"), ConfigError,
             "start and end lie on the 3-hour grid"),
    "copula": (lambda _: fit_copula(SimpleNamespace(), None, np.arange(3)), SpecError,
               "a copula needs a model with `set_copula`"),
    "world": (lambda _: planted_tables({"images": table(), "solar_wind": table()}, Law(), 0),
              ConfigError, "a world is planted on frames and wind"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_its_own_words(name, tmp_path):
    do, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        do(tmp_path)

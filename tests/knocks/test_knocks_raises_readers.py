"""Refusals of readers and of the network that no other test asks for (knocks/raises.py)."""

import json
import sys
import urllib.error
from email.message import Message
from pathlib import Path
from types import ModuleType, SimpleNamespace

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "knocks"))
samples = pytest.importorskip("samples", reason="the knocks lie beside the tests in a checkout")

import archive_documents as documents  # noqa: E402

from heliosight.core.errors import DataError, SpecError  # noqa: E402
from heliosight.core.spec import ForecastSpec, ModalitySpec  # noqa: E402
from heliosight.data.aiapy_door import aiapy_throughput  # noqa: E402
from heliosight.data.archives.gfz import read_gfz_intervals, read_gfz_json  # noqa: E402
from heliosight.data.archives.hapi import read_hapi_csv, read_hapi_info  # noqa: E402
from heliosight.data.archives.helioviewer import read_closest  # noqa: E402
from heliosight.data.archives.sdoml import read_index  # noqa: E402
from heliosight.data.archives.swpc import read_swpc_kp  # noqa: E402
from heliosight.data.coronal_holes import read_coronal_holes  # noqa: E402
from heliosight.data.event_list import read_event_list  # noqa: E402
from heliosight.data.events import read_events  # noqa: E402
from heliosight.data.fits_frames import read_fits  # noqa: E402
from heliosight.data.image_folder import read_image_folder  # noqa: E402
from heliosight.data.kp_ap import read_kp_ap  # noqa: E402
from heliosight.data.net.client import Client, _target  # noqa: E402
from heliosight.data.net.download import Fetcher, Item, Outcome  # noqa: E402
from heliosight.data.net.errors import Moved, Unreachable, WrongAnswer  # noqa: E402
from heliosight.data.omni2 import read_omni2  # noqa: E402
from heliosight.data.windows import Windows  # noqa: E402

PARAMETERS = read_hapi_info(documents.hapi_info())
KP = json.loads(documents.swpc_kp())


def changed(document, **keys):
    """A JSON document with other values."""
    return json.dumps({**json.loads(document), **keys}).encode()


def without(rows, key):
    return json.dumps([{k: v for k, v in row.items() if k != key} for row in rows]).encode()


# The reader, what it is given, its words.
DOCUMENTS = {
    "field": (read_swpc_kp, without(KP, "time_tag"),
              "a row of SWPC's planetary K index has time_tag"),
    "text": (read_swpc_kp, json.dumps([{**KP[0], "Kp": "3"}]).encode(),
             "is numbers or null.*text or truth value"),
    "index": (read_gfz_json, b'{"Q": [1]}', "a GFZ answer holds one of Kp"),
    "status": (read_gfz_json, documents.gfz_json(states=["def", "def", "lost"]),
               "a status is one of def, pre, now"),
    "cells": (read_gfz_intervals, documents.gfz_text([(2.667, 12, 1)]).rstrip() + b" 5\n",
              "a line of a GFZ file of intervals has 10 numbers"),
    "first": (read_hapi_info, changed(documents.hapi_info(), parameters=[]),
              "the first HAPI parameter is the time"),
    "code": (read_hapi_info, documents.hapi_info(code=1411), "a HAPI request is accepted"),
    "values": (lambda data: read_hapi_csv(data, PARAMETERS), documents.hapi_csv()[:-9],
               "every line of a HAPI answer has 4 values"),
    "closest": (read_closest, b'{"id": 1, "date": "2014-01-02"}',
                "a Helioviewer answer has scale"),
    "attributes": (lambda data: read_index(data, "aia_193"), b'{"T_OBS": []}',
                   "SDOML's attributes list T_OBS"),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_answer_is_refused_in_its_own_words(name):
    read, data, words = DOCUMENTS[name]
    with pytest.raises(DataError, match=words):
        read(data)


# The reader, the name and bytes of its file, its words.
FILES = {
    "empty": (read_coronal_holes, "h.csv", b" \n", "a coronal-hole CSV holds lines"),
    "holes": (read_coronal_holes, "h.csv", b"a,b\n", "the header is date,ch_area,disk_median"),
    "events": (read_event_list, "e.csv", b"a,b\n", "the header is time,class,split or file_name,"),
    "packed": (read_fits, "a.fits", b"\x1f\x8b\x08packed", "unpack .fits.gz first"),
    "short": (read_kp_ap, "S.txt",
              samples.sw_all().replace(b"119.0 130.2 121.0 118.8 131.0", b"119.0", 1),
              "a line of the OBSERVED section has 130 characters"),
    "word": (read_omni2, "omni2_2015.dat",
             b"".join(map(samples.omni2_line, range(3))).replace(b" 1.", b" x.", 1),
             r"word \d+ \(.*\) is a number"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused_in_its_own_words(name, tmp_path):
    read, file, data, words = FILES[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(DataError, match=words):
        read(tmp_path / file)


def test_an_event_has_as_many_numbers_as_its_span(tmp_path):
    path = samples.event(tmp_path)
    with h5py.File(path, "a") as file:
        name = next(iter(samples.OMNI_NAMES))
        del file[f"omni/{name}"]
        file[f"omni/{name}"] = np.ones(3)
    with pytest.raises(DataError, match="numbers, one every 3 h from t_start to t_end"):
        read_events([path])


def test_events_have_frames_of_one_size(tmp_path):
    path = samples.event(tmp_path)
    with h5py.File(path, "a") as file:
        del file["sdo/aia_193"]
        file["sdo/aia_193"] = np.full((28, 32, 32), 90, np.uint8)
    with pytest.raises(DataError, match="all frames have one size"):
        read_events([path])


def test_a_fits_frame_in_another_channels_folder(tmp_path):
    (tmp_path / "aia_211").mkdir()
    (tmp_path / "aia_211" / "a.fits").write_bytes(samples.fits_bytes())
    with pytest.raises(DataError, match="a FITS frame lies in its own channel's sub-folder"):
        read_image_folder(tmp_path, ("aia_211",), 16)


def test_windows_are_asked_at_whole_steps(tmp_path):
    tables = samples.load_store(samples.store(tmp_path)).tables
    times = samples.START + 3 * 3600 * np.arange(40)
    ap = samples.SeriesTable(
        "geomagnetic", times, 3 * 3600, ("ap",), np.ones((40, 1), np.float32),
        np.zeros((40, 1), np.uint8), 0,
    )  # fmt: skip
    wind = ModalitySpec("series", "solar_wind", ("speed",), 4, 3)
    windows = Windows({**tables, "geomagnetic": ap}, ForecastSpec({"solar_wind": wind}))
    with pytest.raises(SpecError, match="an issue time is a multiple of 3 h since 00 UTC"):
        windows.batch(np.array([samples.START + 15 * 3600 + 60]))


def test_an_archive_that_refuses_is_told_in_its_words(tmp_path):
    refusal = urllib.error.HTTPError("http://x/a", 403, "Forbidden", Message(), None)
    with pytest.raises(WrongAnswer, match=r"an archive gives the file asked for[\s\S]*403"):
        Client()._refused(refusal, "http://x/a", tmp_path / "a.part")


def test_a_redirect_is_a_plain_address():
    with pytest.raises(Moved, match="a redirect names an address") as refused:
        _target("https://x/a", "https://x/a b")
    assert str(refused.value.__cause__) == "not a plain address"


def test_a_silent_host_is_left_alone(tmp_path):
    def silent(*_):
        raise Unreachable("an archive answers", "nothing", "", "http://x")

    loader = Fetcher(tmp_path, SimpleNamespace(download=silent), {})
    item = Item("toy", ("http://x/a",), "a", 1, 1, len)
    for _ in range(3):
        with pytest.raises(Unreachable, match="an archive answers"):
            loader._one(item, Outcome())
    with pytest.raises(Unreachable, match="a host that answered nothing is left alone"):
        loader._one(item, Outcome())


def test_a_response_table_without_aiapy(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiapy.calibrate", None)
    with pytest.raises(DataError, match="an AIA response table needs aiapy"):
        aiapy_throughput(Path("V9.txt"), {"aia_193": 193})


def test_a_response_table_that_aiapy_cannot_read(monkeypatch):
    def unreadable(path):
        raise ValueError("no table")

    aiapy, calibrate, util = (ModuleType(n) for n in ("aiapy", "aiapy.calibrate", "util"))
    calibrate.degradation, calibrate.util, util.get_correction_table = None, util, unreadable
    monkeypatch.setitem(sys.modules, "aiapy", aiapy)
    monkeypatch.setitem(sys.modules, "aiapy.calibrate", calibrate)
    with pytest.raises(DataError, match="a response table is one that aiapy reads"):
        aiapy_throughput(Path("V9.txt"), {"aia_193": 193})

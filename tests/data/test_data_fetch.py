"""From a config to files and tables, against a local server that plays every archive."""

import hashlib
import json
import struct
import time
from dataclasses import replace

import numpy as np
import pytest
from archive_documents import (
    gfz_daily,
    gfz_json,
    gfz_text,
    hapi_csv,
    hapi_info,
    jsoc,
    rtsw,
    swpc_kp,
    zarray,
    zattrs,
)
from archive_server import Reply, serve
from test_data_omni2 import plain

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.errors import ConfigError, DataError
from heliosight.core.files import sha256
from heliosight.core.tables import PRELIMINARY
from heliosight.data import live
from heliosight.data.archives import image_sources
from heliosight.data.archives.catalogue import SOURCES
from heliosight.data.fetch import FetchConfig, plan_lines, run_fetch, wish_of
from heliosight.data.kp_ap import read_kp_ap
from heliosight.data.live import live_tables
from heliosight.data.net.ledger import Entry, Ledger, alone
from heliosight.data.omni2 import read_omni2
from heliosight.data.overlay import within
from heliosight.data.three_hourly import three_hourly

NOW = to_seconds("2026-11-25T08:10:00")


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


FITS = b"SIMPLE  =" + bytes(2880 - 9)
HOSTS = ("spdf.gsfc.nasa.gov", "cdaweb.gsfc.nasa.gov", "kp.gfz.de", "services.swpc.noaa.gov",
         "jsoc1.stanford.edu", "jsoc.stanford.edu", "api.helioviewer.org",
         "gov-nasa-hdrl-data1.s3.amazonaws.com")  # fmt: skip


@pytest.fixture
def archive(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve() as running:
        yield running


def config(archive, tmp_path, *sources, **changes):
    plain_config = {"start": "2026-11-20", "end": "2026-11-26", "per_second": 20.0, "hours": 24}
    return FetchConfig(
        sources,
        str(tmp_path),
        mirrors=tuple(f"{host}={archive.url}" for host in HOSTS),
        **{**plain_config, **changes},
    )


def fetched(archive, tmp_path, *sources, now=NOW, **changes):
    """Fetch what is wanted at `now`; both clocks are this machine's."""
    return run_fetch(config(archive, tmp_path, *sources, **changes), now=now)


def omni(year=2026, hours=8, **changes):
    lines = [plain(h, 329, year, speed=400.0, ap=9.0, kp=23.0, **changes) for h in range(hours)]
    return "\n".join(lines).encode() + b"\n"


def everything(archive):
    """One good answer of every archive of series."""
    archive.replies |= {
        "/pub/data/omni/low_res_omni/omni2_2026.dat": Reply(omni()),
        "/hapi/info": Reply(hapi_info()),
        "/hapi/data": Reply(hapi_csv("2026-11-25T00:30:00Z", [(4.5, 415.0, 27)] * 6)),
        "/app/json/": lambda path, _: Reply(
            gfz_json(
                path.rsplit("=", 1)[1],
                "2026-11-25",
                {"Kp": (3.0, 2.0, 1.0), "ap": (15, 7, 4)}.get(path.rsplit("=", 1)[1], (5, 5)),
                step=10800 if "p30" not in path else 1800,
                states=("def", "pre", "pre") if "p30" not in path else None,
            )
        ),
        "/app/files/Kp_ap_since_1932.txt": Reply(gfz_text([(2.667, 12, 1)])),
        "/app/files/Kp_ap_Ap_SN_F107_since_1932.txt": Reply(gfz_daily()),
        "/json/rtsw/rtsw_wind_1m.json": Reply(rtsw(start="2026-11-25T04:00:00", minutes=240)),
        "/json/rtsw/rtsw_mag_1m.json": Reply(rtsw("mag", "2026-11-25T04:00:00", 240)),
        "/products/noaa-planetary-k-index.json": Reply(
            swpc_kp("2026-11-24", (4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0))
        ),
    }


SERIES = ("omni2", "omni_hapi", "gfz_kp", "gfz_hpo", "gfz_text", "gfz_daily")
LIVE = ("gfz_now", "swpc_wind", "swpc_mag", "swpc_kp")


def test_every_series_is_fetched_once_and_becomes_tables(tmp_path, archive):
    everything(archive)
    first = fetched(archive, tmp_path, *SERIES, *LIVE, now=None)
    assert not first.failed and not first.gaps
    asked = len(archive.asked)
    again = fetched(archive, tmp_path, *SERIES, now=None)
    assert not again.fetched and len(archive.asked) == asked
    tables = live_tables(tmp_path)
    assert {"solar_wind", "geomagnetic", "daily_indices", "hp30"} <= set(tables)
    ledger = Ledger(tmp_path)
    assert ledger.verify() == [] and all(e.licence and e.citation for e in ledger.entries.values())
    query = next(path for path in archive.paths() if path.startswith("/hapi/data"))
    assert "parameters=F1800,V1800,KP1800" in query and "time.max=" in query


def as_if(root, when):
    """The ledger of a run at another time."""
    path = root / "fetched.jsonl"
    lines = [
        json.loads(line) | {"retrieved": to_text(when)} for line in path.read_text().splitlines()
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_live_tables_give_omni_then_l1_gfz_then_swpc_and_no_unfinished_step(tmp_path, archive):
    everything(archive)
    fetched(archive, tmp_path, "omni2", *LIVE, now=None)
    as_if(tmp_path, NOW)
    tables = live_tables(tmp_path)
    wind, index = tables["solar_wind"], tables["geomagnetic"]
    assert wind.cadence == 10800 and (wind.times + 10800 <= NOW).all()
    assert (index.times + 10800 <= NOW).all()
    assert set(wind.variables) >= {"speed", "density", "b_total", "bz_gsm", "ap", "kp"}
    day = to_seconds("2026-11-25")
    rows = {int(t - day) // 3600: i for i, t in enumerate(wind.times)}
    assert wind.column("b_total")[rows[0]] == 1.0  # OMNI's
    assert wind.flags[rows[0], wind.variables.index("speed")] == 0
    kp = dict(zip(((index.times - day) // 3600).tolist(), index.column("kp"), strict=True))
    assert kp[0] == 3.0 and kp[3] == 2.0 and kp[-24] == 4.0 and 6 not in kp
    state = index.flags[:, 0][np.isin(index.times, [day, day + 10800])].tolist()
    assert state == [0, PRELIMINARY]
    with pytest.raises(DataError, match=r"files were fetched before they are read.*none by"):
        live_tables(tmp_path, at=NOW - 60)
    with pytest.raises(DataError, match=r"files were fetched before.*none"):
        live_tables(tmp_path / "empty")


def test_a_hindcast_reads_only_what_was_retrieved_by_then(tmp_path, archive):
    everything(archive)
    fetched(archive, tmp_path, "swpc_kp", now=None)
    as_if(tmp_path, NOW - 86400)
    archive.replies["/products/noaa-planetary-k-index.json"] = Reply(
        swpc_kp("2026-11-24", (1.0,) * 8)
    )
    fetched(archive, tmp_path, "swpc_kp", now=time.time() + 120)
    then, now = live_tables(tmp_path, at=NOW - 86400), live_tables(tmp_path)
    assert then["geomagnetic"].column("kp").tolist() == [4.0, 4.0]
    assert now["geomagnetic"].column("kp")[0] == 1.0
    entry = next(iter(Ledger(tmp_path).entries.values()))
    whole = (tmp_path / entry.path).read_bytes()
    for spoilt in (b"[]", whole.replace(b"4", b"5")):
        (tmp_path / entry.path).write_bytes(spoilt)
        with pytest.raises(DataError, match=r"as it was fetched\. Found: other bytes"):
            live_tables(tmp_path, at=NOW - 86400)
    (tmp_path / entry.path).unlink()
    with pytest.raises(DataError, match=r"as it was fetched\. Found: absent"):
        live_tables(tmp_path)


def test_an_interval_that_ran_when_its_file_came_is_never_taken_for_finished(tmp_path, archive):
    everything(archive)
    fetched(archive, tmp_path, "gfz_now", now=None)
    as_if(tmp_path, to_seconds("2026-11-25T04:30:00"))
    ledger = Ledger(tmp_path)
    data = swpc_kp("2026-11-25", (5.0, 5.0))
    (tmp_path / "later.json").write_bytes(data)
    when = "2026-11-25T06:05:00Z"
    ledger.add(Entry("later.json", "swpc_kp", "x", hash_of(data), len(data), when, "", ""))
    index = live_tables(tmp_path)["geomagnetic"]
    kp = dict(zip(((index.times - to_seconds("2026-11-25")) // 3600).tolist(),
                  index.column("kp"), strict=True))  # fmt: skip
    assert kp[0] == 3.0 and kp[3] == 5.0  # GFZ's of 03:00 was half an interval's
    first = next(e for e in ledger.entries.values() if e.source == "gfz_now")
    ledger.add(replace(first, retrieved=when))  # the server said 304: the bytes are no newer
    assert Ledger(tmp_path).since()[first.path] == to_seconds("2026-11-25T04:30:00")


def test_two_runs_never_fetch_into_one_folder_at_once(tmp_path, archive):
    everything(archive)
    with alone(tmp_path), pytest.raises(DataError, match=r"one run at a time.*another one"):
        fetched(archive, tmp_path, "swpc_kp", now=None)
    assert not archive.asked
    assert fetched(archive, tmp_path, "swpc_kp", now=None).fetched


def test_a_wrong_clock_stops_live_sources(tmp_path, archive):
    everything(archive)
    for path, reply in list(archive.replies.items()):
        if isinstance(reply, Reply):
            archive.replies[path] = Reply(reply.body, skew=4000.0)
    outcome = fetched(archive, tmp_path, "swpc_kp", "omni2", now=None)
    assert [str(e) for e in outcome.failed.values() if "Set this machine's clock" in str(e)]
    assert [e.source for e in outcome.fetched] == ["omni2"] and outcome.notes


def test_images_are_asked_for_before_their_slot_and_a_missing_one_is_a_gap(tmp_path, archive):
    archive.replies |= {
        "/data/aia/synoptic/2014/01/01/H2300/AIA20140101_2358_0193.fits": Reply(FITS),
        "/data/aia/synoptic/2014/01/02/H2300/AIA20140102_2356_0193.fits": Reply(FITS),
        "/data/hmi/fits/2014/01/02/hmi.M_720s.20140102_000000_TAI.fits": Reply(FITS),
        "/v2/getJP2Image/": Reply(b"\x00\x00\x00\x0cjP  \r\n\x87\n"),
    }
    span = {"start": "2014-01-02", "end": "2014-01-05"}
    outcome = fetched(archive, tmp_path, "aia_193_synoptic", "hmi_quick_look", **span)
    got = {entry.path: entry.url for entry in outcome.fetched}
    assert sorted(got) == [
        "images/aia_193/20140102T000000Z.fits",
        "images/aia_193/20140103T000000Z.fits",
        "images/hmi_magnetogram/20140102T000000Z.fits",
    ]
    assert got["images/aia_193/20140103T000000Z.fits"].endswith("AIA20140102_2356_0193.fits")
    assert len(outcome.gaps) == 3 and not outcome.failed
    look = fetched(archive, tmp_path, "aia_193_helioviewer", **span)
    assert next(e.path for e in look.fetched).startswith("display/aia_193/")


def test_a_jsoc_export_is_staged_waited_for_and_fetched_once(tmp_path, archive, monkeypatch):
    naps = []
    monkeypatch.setattr(image_sources, "sleep", naps.append)
    name = json.loads(jsoc())["data"][0]["filename"]
    archive.replies |= {
        "/cgi-bin/ajax/jsoc_fetch": lambda path, _: Reply(
            jsoc(2) if "exp_request" in path or len(naps) < 3 else jsoc()
        ),
        f"/SUM12/D123/S00000/{name}": Reply(FITS),
    }
    wanted = {"start": "2014-01-01", "end": "2014-01-02", "email": "a@b.org"}
    outcome = fetched(archive, tmp_path, "aia_193_jsoc", **wanted)
    assert not outcome.failed and (tmp_path / "images" / "aia_193" / name).read_bytes() == FITS
    assert sum("exp_request" in path for path in archive.paths()) == 1 and naps == [0.0, 60.0, 60.0]
    fetched(archive, tmp_path, "aia_193_jsoc", **wanted)
    assert sum("exp_request" in path for path in archive.paths()) == 1
    with pytest.raises(DataError, match="e-mail address registered"):
        fetched(archive, tmp_path, "aia_193_jsoc", start="2014-02-01", end="2014-02-02")
    assert "notify=a%40b.org" in next(p for p in archive.paths() if "exp_request" in p)
    kept = (tmp_path / "fetched.jsonl").read_text()
    assert "b.org" not in kept and "requestor=(e-mail)" in kept and "https://jsoc.stanf" in kept


def test_an_export_that_is_here_is_not_staged_again_and_a_failed_question_ends(
    tmp_path, archive, monkeypatch
):
    naps = []
    monkeypatch.setattr(image_sources, "sleep", naps.append)
    name = json.loads(jsoc())["data"][0]["filename"]
    answers = [jsoc(2), jsoc(2), jsoc(4, error="export failed")]
    archive.replies["/cgi-bin/ajax/jsoc_fetch"] = [Reply(data) for data in answers]
    wanted = {"start": "2014-01-01", "end": "2014-01-02", "email": "a@b.org"}
    outcome = fetched(archive, tmp_path, "aia_193_jsoc", **wanted)
    assert "export failed" in str(next(iter(outcome.failed.values()))) and naps == [0.0, 60.0]
    archive.replies |= {
        "/cgi-bin/ajax/jsoc_fetch": Reply(jsoc()),
        f"/SUM12/D123/S00000/{name}": Reply(FITS),
    }
    assert fetched(archive, tmp_path, "aia_193_jsoc", **wanted).fetched
    asked = len(archive.asked)
    fetched(archive, tmp_path, "aia_193_jsoc", **wanted)
    assert len(archive.asked) == asked


def test_hourly_snapshots_are_read_only_where_they_add_something(tmp_path, archive, monkeypatch):
    everything(archive)
    ledger = Ledger(tmp_path)
    for hour in [*range(24), 40]:  # each shows six hours; between 23 and 34 nothing was fetched
        begin = to_seconds("2026-11-20") + (hour - 6) * 3600
        data = rtsw(start=to_text(begin)[:-1], minutes=360, proton_speed=400.0 + hour)
        path = tmp_path / "swpc_wind" / f"{hour:02d}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        when = to_text(begin + 6 * 3600)
        ledger.add(
            Entry(
                f"swpc_wind/{hour:02d}.json",
                "swpc_wind",
                "x",
                hash_of(data),
                len(data),
                when,
                "",
                "",
            )
        )
    reads = []
    known = live.read_rtsw_wind
    monkeypatch.setattr(live, "read_rtsw_wind", lambda data: reads.append(1) or known(data))
    wind = live_tables(tmp_path)["solar_wind"]
    assert len(reads) == 6 and len(wind.times) >= 13
    seen = wind.times[np.isfinite(wind.column("speed"))]
    assert {3, 9, 15, 21, 36} <= {int(t - to_seconds("2026-11-20")) // 3600 for t in seen}


@pytest.mark.real
@pytest.mark.consistency
def test_real_files_that_were_fetched_give_the_tables_of_files_on_disk(
    tmp_path, archive, real_data
):
    real = real_data / "omni2" / "omni2_2015.dat"
    celestrak = read_kp_ap(next((real_data / "kp_ap").glob("SW-All*.txt")))
    year = within(celestrak, to_seconds("2015-01-01"), to_seconds("2016-01-01"))
    rows = [(round(float(kp), 3), int(ap), 1) for kp, ap in year.values]
    archive.replies |= {
        "/pub/data/omni/low_res_omni/omni2_2015.dat": Reply(real.read_bytes()),
        "/app/files/Kp_ap_since_1932.txt": Reply(gfz_text(rows, start="2015-01-01T00:00:00Z")),
    }
    span = {"start": "2015-01-01", "end": "2016-01-01"}
    assert not fetched(archive, tmp_path, "omni2", "gfz_text", now=None, **span).failed
    assert Ledger(tmp_path).entries["omni2/omni2_2015.dat"].sha256 == sha256(real)
    tables = live_tables(tmp_path)
    known = three_hourly(read_omni2(real, live.WIND))
    wind = tables["solar_wind"]
    assert np.array_equal(wind.times, known.times)
    assert np.array_equal(wind.values[:, : len(live.WIND)], known.values, equal_nan=True)
    assert np.array_equal(wind.flags[:, : len(live.WIND)], known.flags)
    assert np.array_equal(wind.column("ap"), year.column("ap"))


def test_a_refused_export_says_why(tmp_path, archive):
    archive.replies["/cgi-bin/ajax/jsoc_fetch"] = Reply(jsoc(4, error="not registered"))
    outcome = fetched(
        archive, tmp_path, "aia_193_jsoc", start="2014-01-01", end="2014-01-02", email="a@b.org"
    )
    assert "not registered" in str(next(iter(outcome.failed.values())))


def test_sdoml_gives_only_the_chunks_of_the_wanted_frames(tmp_path, archive):
    blosc = pytest.importorskip("numcodecs.blosc")
    raw = np.zeros((15, 16, 16), "<f4").tobytes()
    data = blosc.compress(raw, b"zstd", 5, blosc.BITSHUFFLE)
    assert struct.unpack("<I", data[4:8])[0] == len(raw)
    times = [f"2014-01-{1 + i // 10:02d}T{i % 10 * 2 + 1:02d}:59:05.84Z" for i in range(40)]
    base = "/contrib/fdl-sdoml/fdl-sdoml-v2/sdomlv2.zarr/2014/193A"
    archive.replies |= {
        f"{base}/.zarray": Reply(zarray(shape=(40, 16, 16))),
        f"{base}/.zattrs": Reply(zattrs(times)),
        f"{base}/0.0.0": Reply(data),
        f"{base}/2.0.0": Reply(data[:30]),
    }
    span = {"start": "2014-01-01", "end": "2014-01-05", "hours": 6}
    outcome = fetched(archive, tmp_path, "aia_193_sdoml", **span)
    assert f"{base}/0.0.0" in archive.paths() and f"{base}/1.0.0" in archive.paths()
    assert "sdoml/aia_193/2014/chunk_0.zarr" in {e.path for e in outcome.fetched}
    assert "sdoml/aia_193/2014/chunk_1.zarr" in outcome.gaps
    assert "sizes its header" in str(outcome.failed["sdoml/aia_193/2014/chunk_2.zarr"])


def test_a_missing_e_mail_is_told_before_anything_is_fetched(tmp_path, archive):
    everything(archive)
    with pytest.raises(DataError, match="e-mail address registered"):
        fetched(archive, tmp_path, "swpc_kp", "aia_193_jsoc", now=None)
    assert not archive.asked


def test_the_plan_is_told_without_a_connection(tmp_path):
    lines = plan_lines(FetchConfig(tuple(SOURCES), str(tmp_path), "2014-01-01", "2015-01-01"), NOW)
    assert len(lines) == len(SOURCES) + 2 and "MB" in lines[1]
    assert lines[0] == f"2014-01-01T00:00:00Z to 2015-01-01T00:00:00Z, into {tmp_path}"
    assert any(line.startswith("aia_193_synoptic") and "1460 files" in line for line in lines)
    assert not list(tmp_path.iterdir())


def test_years_two_years_old_are_final_and_the_present_one_is_not():
    wish = wish_of(FetchConfig(start="2023-05-01", end="2027-01-01"), NOW)
    assert list(wish.years) == [2023, 2024, 2025, 2026]
    assert [wish.fresh(year) for year in wish.years] == [None, None, 30 * 86400, 6 * 3600]
    assert max(wish.slots) <= NOW


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"hours": 7}, "divisor of 24"),
        ({"parallel": 0}, "1 to 16 files"),
        ({"per_second": 0.0}, "at most 20 times a second"),
        ({"mirrors": ("kp.gfz.de",)}, "a mirror is host=address"),
        ({"start": "noon"}, "a time is ISO 8601"),
        ({"start": "2030-01-01"}, "begins before it ends"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(changes, match):
    with pytest.raises(ConfigError, match=match):
        wish_of(FetchConfig(**changes), NOW)


def test_an_unknown_source_is_named():
    with pytest.raises(DataError, match=r"a source is known.*'omni3'.*Known: omni2"):
        run_fetch(FetchConfig(("omni3",)))

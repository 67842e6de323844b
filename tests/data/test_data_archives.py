"""Readers of archives' answers: right by hand and by twin, and a clear error on every bad day."""

import contextlib
import json

import numpy as np
import pytest
from archive_documents import (
    PAGE,
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
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.core.geomagnetic import AP_LEVELS
from heliosight.core.tables import INTERPOLATED, MISSING, OUT_OF_RANGE, PRELIMINARY
from heliosight.data.archives import helioviewer
from heliosight.data.archives.gfz import read_gfz_daily, read_gfz_intervals, read_gfz_json
from heliosight.data.archives.hapi import hapi_query, read_hapi_csv, read_hapi_info, read_hapi_span
from heliosight.data.archives.image_sources import hmi_url, nrt_url, require_fits, synoptic_url
from heliosight.data.archives.jsoc import read_export, record_set, request_url, status_url
from heliosight.data.archives.sdoml import read_index
from heliosight.data.archives.swpc import read_rtsw_mag, read_rtsw_wind, read_swpc_kp
from heliosight.data.archives.zarr2 import read_zarray
from heliosight.data.kp_ap import read_kp_ap
from heliosight.data.omni2 import read_omni2
from heliosight.data.overlay import overlay, require_units, within
from heliosight.data.tai import seconds_of_tai_text, tai_of_utc, tai_text, utc_of_tai
from heliosight.data.three_hourly import three_hourly
from heliosight.data.upstream import DISTANCE, hours_at_bow_shock

PARAMETERS = read_hapi_info(hapi_info())
HMI_FITS = "https://jsoc1.stanford.edu/data/hmi/fits"


def test_hapi_takes_the_order_of_info_the_start_of_the_hour_and_no_fill():
    info = read_hapi_info(hapi_info(), wanted=("KP1800", "V1800", "F1800", "N1800"))
    assert [p.theirs for p in info] == ["F1800", "V1800", "KP1800"]
    table = read_hapi_csv(hapi_csv(), info)
    assert to_text(table.times[0]) == "2024-05-10T00:00:00Z"
    assert table.values[0].tolist() == pytest.approx([4.5, 415.0, 8 / 3])
    assert np.isnan(table.values[1]).all() and (table.flags[1] == MISSING).all()
    query = hapi_query(info, 0, 86400)
    assert query == (
        "id=OMNI2_H0_MRG1HR&parameters=F1800,V1800,KP1800&time.min=1970-01-01T00:00:00Z"
        "&time.max=1970-01-02T00:00:00Z"
    )


def test_hapi_is_asked_for_nothing_beyond_its_span():
    span = [to_text(t) for t in read_hapi_span(hapi_info(stop="2026-11-20T23:30:00Z"))]
    assert span == ["1963-01-01T00:00:00Z", "2026-11-20T23:30:00Z"]
    with pytest.raises(DataError, match="a time of a HAPI info is ISO 8601"):
        read_hapi_span(hapi_info(stop=None))


@pytest.mark.real
@pytest.mark.consistency
def test_hapi_gives_the_table_of_the_fixed_width_file(real_data):
    names = {"F1800": "b_total", "V1800": "speed", "T1800": "temperature", "KP1800": "kp",
             "BZ_GSM1800": "bz_gsm", "AP_INDEX1800": "ap"}  # fmt: skip
    omni = read_omni2(real_data / "omni2" / "omni2_2015.dat", list(names.values()))
    fills = [p.fill for p in read_hapi_info(hapi_info(tuple(names)))]
    rows = [
        [fill if np.isnan(v) else round(float(v) * (10 if name == "kp" else 1), 1) for v, fill, name
         in zip(row, fills, names.values(), strict=True)]
        for row in omni.values
    ]  # fmt: skip
    csv = hapi_csv(
        "2015-01-01T00:30:00Z",
        [[int(r) if i == 3 else r for i, r in enumerate(row)] for row in rows],
    )
    table = read_hapi_csv(csv, read_hapi_info(hapi_info(tuple(names))))
    assert np.array_equal(table.times, omni.times)
    assert np.allclose(table.values, omni.values, equal_nan=True, atol=1e-3)


@pytest.mark.parametrize(
    ("info", "match"),
    [
        (PAGE, "HAPI info is not a web page.*service unavailable"),
        (b"{", "HAPI info is JSON"),
        (b"[]", "HAPI answer has a status"),
        (hapi_info(code=1411), "accepted.*1411 Bad request - out of order"),
        (hapi_info(names=()), "has a parameter asked for.*Time"),
        (hapi_info(V1800={"units": "m/s"}), "V1800 comes in km/s.*'m/s'"),
        (hapi_info(V1800={"fill": "none"}), "a HAPI fill is a number.*'none'"),
        (json.dumps({"status": {"code": 1200}}).encode(), "HAPI info lists parameters"),
        (json.dumps({"status": {"code": 1200}, "parameters": [{}]}).encode(), "is the time"),
    ],
)
def test_a_bad_hapi_info_is_named(info, match):
    with pytest.raises(DataError, match=match):
        read_hapi_info(info)


@pytest.mark.parametrize(
    ("csv", "match"),
    [
        (PAGE, "HAPI answer is not a web page"),
        (hapi_info(code=1411), "accepted.*1411"),
        (hapi_info(), "HAPI answer is CSV.*JSON"),
        (hapi_csv(rows=((1.0, 2.0),)), "has 4 values.*line 1"),
        (hapi_csv()[:-4], "line 2 is cut off"),
        (hapi_csv(start="2024-05-10T00:00:00Z"), "stamps half hours"),
        (hapi_csv() + hapi_csv(), "times rise strictly"),
        (hapi_csv(rows=((1, "x", 3),)), "V1800 is numbers"),
        (hapi_csv(rows=((1, 0.4, 30),) * 20), "speed: 20 of 20 outside.*changed its units"),
        (b"yesterday,1,2,3\n", "is ISO 8601"),
    ],
)
def test_a_bad_hapi_answer_is_named(csv, match):
    with pytest.raises(DataError, match=match):
        read_hapi_csv(csv, PARAMETERS)


def test_gfz_json_keeps_the_status():
    table = read_gfz_json(gfz_json(states=("def", "pre", "pre")))
    assert table.name == "geomagnetic" and table.variables == ("kp",)
    assert table.values[:2, 0].tolist() == pytest.approx([8 / 3, 5.0])
    assert table.flags[:, 0].tolist() == [0, PRELIMINARY, MISSING]
    ap30 = read_gfz_json(gfz_json("ap30", values=(22, 1200), step=1800))
    assert ap30.name == "hp30" and ap30.column("ap30").tolist() == [22.0, 1200.0]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (PAGE, "GFZ answer is not a web page"),
        (b"{}", "holds one of Kp"),
        (b"[1]", "holds one of Kp.*list"),
        (gfz_json(values=(27.0, 33.0)), "Kp is at most 9.*33.*Ten times"),
        (gfz_json(values=(2.0,)).replace(b"2.0", b"1e999"), "kp is below 10000.*inf"),
        (gfz_json(values=(2.5,)), "kp is given in thirds.*2.5"),
        (gfz_json(states=("def",)), "every Kp has its status"),
        (gfz_json(states=("def", "def", "maybe")), "status is one of def, pre.*maybe"),
        (gfz_json(step=3600), "stamps lie on the grid of 180 min"),
        (gfz_json(step=0), "times rise strictly"),
        (gfz_json(values=(1.0, "2")), "Kp is numbers or null"),
        (gfz_json(values=()), "lists of one length"),
        (b'{"Kp": [1], "datetime": 7}', "lists of one length"),
        (b'{"Kp": [1], "datetime": [7], "status": ["def"]}', "is ISO 8601"),
    ],
)
def test_a_bad_gfz_answer_is_named(data, match):
    with pytest.raises(DataError, match=match):
        read_gfz_json(data)


def test_gfz_text_of_three_hours_and_of_half_hours():
    table = read_gfz_intervals(gfz_text([(2.667, 12, 1), (5.0, 48, 0), (-1.0, -1, 0)]))
    assert table.cadence == 10800 and table.variables == ("kp", "ap")
    assert table.column("ap")[:2].tolist() == [12, 48]
    assert table.flags.tolist() == [[0, 0], [PRELIMINARY] * 2, [MISSING] * 2]
    half = read_gfz_intervals(gfz_text([(3.667, 22, 0), (11.333, 612, 0)], step=1800))
    assert half.name == "hp30" and half.cadence == 1800 and (half.flags == 0).all()
    assert half.column("hp30").tolist() == pytest.approx([11 / 3, 34 / 3])


def test_gfz_daily_gives_eight_intervals_a_day_and_a_status_each():
    index, daily = read_gfz_daily(gfz_daily())
    assert len(index.times) == 24 and to_text(index.times[8]) == "2024-05-11T00:00:00Z"
    assert index.column("kp") == pytest.approx(np.arange(24) / 3)
    assert index.column("ap").tolist() == AP_LEVELS[:24].tolist()
    assert (index.flags[:8] == PRELIMINARY).all() and (index.flags[8:] == 0).all()
    assert daily.column("f107").tolist() == [150.5, 151.5, 152.5]
    early = (daily.flags & PRELIMINARY > 0).tolist()
    assert early == [[True, True, False], [False, True, False], [False, False, False]]


@pytest.mark.real
@pytest.mark.consistency
def test_gfz_text_gives_the_kp_and_ap_of_celestrak(real_data):
    whole = read_kp_ap(next((real_data / "kp_ap").glob("SW-All*.txt")))
    real = within(whole, to_seconds("2015-01-01"), to_seconds("2016-01-01"))
    rows = [(round(float(kp), 3), int(ap), 1) for kp, ap in real.values]
    table = read_gfz_intervals(gfz_text(rows, start="2015-01-01T00:00:00Z"))
    assert np.array_equal(table.times, real.times)
    assert np.array_equal(table.values, real.values)


GOOD = gfz_text([(2.667, 12, 1), (5.0, 48, 0)])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (PAGE, "not a web page"),
        (b"# only a header\n", "has lines of numbers"),
        (GOOD[:-6], "has 10 numbers.*8 at line 4"),
        (GOOD.replace(b"48", b"4x"), "holds numbers"),
        (GOOD.replace(b"48", b"1e30"), "holds finite numbers"),
        (GOOD.replace(b"   48", b"   56"), "ap is the equivalent of its Kp.*5.000, ap 56"),
        (GOOD.replace(b"2024 05 10 03.0", b"2024 05 11 03.0"), "count of days agree"),
        (GOOD.replace(b"2024 05 10 03.0", b"2024 13 10 03.0"), "count of days agree"),
        (GOOD.replace(b"01.50", b"02.50"), "30 min, 1 h or 3 h"),
        (GOOD + GOOD, "times rise strictly"),
        (gfz_text([(27.0, 12, 1)]), "Kp is at most 9"),
    ],
)
def test_a_bad_gfz_file_is_named(data, match):
    with pytest.raises(DataError, match=match):
        read_gfz_intervals(data)


def test_real_time_wind_is_that_of_the_active_spacecraft_in_order():
    table = read_rtsw_wind(rtsw(minutes=5, proton_temperature=None))
    assert np.diff(table.times).tolist() == [60] * 4
    assert table.column("speed").tolist() == [400.0] * 5
    assert (table.flags[:, 2] == MISSING).all()
    field = read_rtsw_mag(rtsw("mag", minutes=5, bz_gsm=-9999.9))
    assert field.column("bx_gse")[0] == 3.0 and np.isnan(field.column("bz_gsm")).all()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (PAGE, "not a web page"),
        (json.dumps([["time_tag", "speed"], ["2026", "400"]]).encode(), "header row.*2026-03-31"),
        (b"{}", "list of objects.*an object with"),
        (b"[]", "has rows.*an empty list"),
        (json.dumps([{"time_tag": "x"}]).encode(), "a row of .* has time_tag, active.*no active"),
        (rtsw(minutes=2).replace(b"true", b"false"), "rows of the active spacecraft.*none of 4"),
        (rtsw(proton_speed="400"), "proton_speed .* is numbers or null"),
        (rtsw(proton_speed=0.4), "speed: 180 of 180 outside.*changed its units"),
        (rtsw(minutes=2).replace(b"2026-11-25T00:01:00", b"noon"), "is ISO 8601"),
    ],
)
def test_a_bad_real_time_answer_is_named(data, match):
    with pytest.raises(DataError, match=match):
        read_rtsw_wind(data)


def test_swpc_kp_is_an_estimate_in_thirds():
    table = read_swpc_kp(swpc_kp(values=(2.33, 3.67, None)))
    assert table.column("kp")[:2] == pytest.approx([7 / 3, 11 / 3])
    assert table.column("ap")[:2].tolist() == [9, 22]
    assert table.flags.tolist() == [[PRELIMINARY] * 2] * 2 + [[MISSING] * 2]
    with pytest.raises(DataError, match="Kp is at most 9"):
        read_swpc_kp(swpc_kp(values=(23.0,)))
    with pytest.raises(DataError, match="3-hour steps once each"):
        read_swpc_kp(swpc_kp().replace(b"T03:00", b"T04:00"))
    with pytest.raises(DataError, match=r"has time_tag, Kp.*no Kp"):
        read_swpc_kp(swpc_kp().replace(b"Kp", b"kp"))


def slow_hours(minutes, speeds):
    """Every minute moved one by one, then averaged by hour of arrival."""
    found = {}
    for i, time in enumerate(minutes.times):
        arrival = time + DISTANCE / speeds[i]
        found.setdefault(int(arrival // 3600) * 3600, []).append(minutes.values[i])
    return {hour: np.nanmean(rows, axis=0) for hour, rows in found.items()}


@pytest.mark.accuracy
def test_minutes_at_l1_are_counted_in_the_hour_they_reach_the_bow_shock():
    rng = np.random.default_rng(3)
    speeds = 400 + 100 * np.sin(np.arange(600) / 60)
    wind = read_rtsw_wind(rtsw(minutes=600))
    field = read_rtsw_mag(rtsw("mag", minutes=600))
    both = overlay([wind, field])
    values = both.values.copy()
    values[:, both.variables.index("speed")] = speeds
    values[:, both.variables.index("by_gsm")] = rng.normal(0, 5, 600)
    minutes = type(both)(both.name, both.times, 60, both.variables, values, both.flags)
    hours = hours_at_bow_shock(minutes)
    slow = slow_hours(minutes, values[:, both.variables.index("speed")].astype(float))
    for i, hour in enumerate(hours.times):
        for name in both.variables:
            want = slow[int(hour)][both.variables.index(name)]
            assert hours.column(name)[i] == pytest.approx(want, rel=1e-4, abs=1e-4)
    mean = [hours.column(n) for n in ("bx_gse", "by_gsm", "bz_gsm")]
    assert hours.column("b_total") == pytest.approx(np.linalg.norm(mean, axis=0), rel=1e-5)
    assert (hours.flags & PRELIMINARY > 0).all()
    assert hours.times[-1] + 3600 <= minutes.times[-1] + DISTANCE / speeds[-1]
    assert (hours.flags[0] & INTERPOLATED > 0).all() and (hours.flags[2] & INTERPOLATED == 0).all()
    steps = three_hourly(hours)
    assert (steps.flags & PRELIMINARY > 0).all()


def test_hours_need_minutes_and_a_field_alone_moves_at_a_nominal_speed():
    field = read_rtsw_mag(rtsw("mag"))
    assert len(hours_at_bow_shock(field).times)
    with pytest.raises(DataError, match="hours are made of minutes"):
        hours_at_bow_shock(within(field, start=to_seconds("2030-01-01")))


def test_tables_are_laid_over_each_other_the_first_one_counts():
    old, new = (
        read_gfz_json(gfz_json(values=(1.0, 2.0, 3.0))),
        read_swpc_kp(swpc_kp("2024-05-10", (5.0, 5.0, 5.0, 5.0))),
    )
    table = overlay([old, new], "both")
    assert table.column("kp").tolist() == [1.0, 2.0, 3.0, 5.0] and table.name == "both"
    assert table.flags[:, 0].tolist() == [0, 0, 0, PRELIMINARY]
    assert len(within(table, end=int(table.times[2])).times) == 2
    with pytest.raises(DataError, match="at least one table"):
        overlay([])
    with pytest.raises(DataError, match="one cadence"):
        overlay([old, read_rtsw_wind(rtsw())])
    few = read_gfz_json(gfz_json(values=(9.0,) * 3))
    assert require_units(few, "x") is few and OUT_OF_RANGE


@pytest.mark.accuracy
def test_tai_is_utc_through_every_leap_second_as_in_astropy():
    time = pytest.importorskip("astropy.time")
    steps = [to_seconds(f"{y}-01-01") for y in (1974, 1999, 2006, 2009, 2017)]
    steps += [to_seconds(f"{y}-07-01") for y in (1972, 1983, 1997, 2012, 2015)]
    faces = np.array([s + d for s in steps for d in (-40.0, 9.5, 20.25, 33.0, 38.0, 41.5, 90.0)])
    known = time.Time(
        [str(np.datetime64(int(t * 1000), "ms")) for t in faces], scale="tai", format="isot"
    ).utc
    inside = np.array([":60" in text for text in known.isot])
    # astropy's unix stretches the day of a leap second, its clock face does not
    face = np.array([np.datetime64(text) for text in known.isot[~inside]], dtype="datetime64[ms]")
    assert utc_of_tai(faces)[~inside] == pytest.approx(face.astype(np.int64) / 1000)
    after = [int(s) for s in steps]
    assert all(int(t) in after for t in utc_of_tai(faces)[inside])
    assert utc_of_tai(tai_of_utc(faces)) == pytest.approx(faces)


def test_tai_texts():
    assert to_text(seconds_of_tai_text("2010.05.01_00:12:04_TAI")) == "2010-05-01T00:11:30Z"
    assert to_text(seconds_of_tai_text("2017.01.01_00:00:36_TAI")) == "2017-01-01T00:00:00Z"
    assert to_text(seconds_of_tai_text("2014.01.01_00:00:60_TAI")) == "2014-01-01T00:00:25Z"
    assert tai_text(to_seconds("2014-01-01T06:00")) == "20140101_060000_TAI"
    for text in ("2014-01-01T00:00:00", "2014.13.01_00:00:00_TAI", "2014.01.01_00:00:61_TAI", ""):
        with pytest.raises(DataError, match="a TAI stamp is"):
            seconds_of_tai_text(text)
    with pytest.raises(DataError, match="from 1972 on"):
        utc_of_tai(0.0)


def test_addresses_of_images_are_before_their_slot():
    slot = to_seconds("2017-01-01T00:00")
    assert synoptic_url("aia_193", slot - 120) == (
        "https://jsoc1.stanford.edu/data/aia/synoptic/2016/12/31/H2300/AIA20161231_2358_0193.fits"
    )
    assert nrt_url("aia_211", slot - 180) == (
        "https://jsoc1.stanford.edu/data/aia/synoptic/nrt/2016/12/31/H2300/"
        "AIA20161231_235700_0211.fits"
    )
    assert hmi_url(slot, "M_720s_nrt").endswith("hmi.M_720s_nrt.20170101_000000_TAI.fits")
    assert hmi_url(slot) == f"{HMI_FITS}/2017/01/01/hmi.M_720s.20170101_000000_TAI.fits"
    assert seconds_of_tai_text("2017.01.01_00:00:00_TAI") < slot
    assert record_set("hmi_magnetogram", slot, 30, 6) == (
        "hmi.m_720s[2017.01.01_00:00:00_TAI/30d@6h]{magnetogram}"
    )
    assert record_set("aia_193", slot, 1, 6) == (
        "aia.lev1_euv_12s[2016.12.31_23:58:00/1d@6h][193]{image}"
    )
    with pytest.raises(DataError, match="begins with SIMPLE"):
        require_fits(PAGE)
    with pytest.raises(DataError, match="whole blocks of 2880"):
        require_fits(b"SIMPLE  =" + bytes(2000))


def test_jsoc_tells_how_far_an_export_is():
    export = read_export(jsoc())
    assert export.ready and export.urls == (
        "https://jsoc.stanford.edu/SUM12/D123/S00000/aia.lev1.2014-01-01T000000Z.193.image.fits",
    )
    assert not read_export(jsoc(2)).ready
    assert "op=exp_status&requestid=JSOC_20261125_0042" in status_url(export.request)
    assert "notify=a%40b.org" in request_url("x", "a@b.org")
    with pytest.raises(DataError, match=r"e-mail address registered at JSOC.*fetch\.email"):
        request_url("x", "")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (PAGE, "not a web page"),
        (b"[]", "JSOC answer has a status"),
        (jsoc(4, error="User not registered"), "accepts an export.*User not registered"),
        (jsoc(requestid="../x"), "request has a number"),
        (jsoc(data=[]), "ready export has files"),
        (jsoc(data=[{"filename": "../../etc/passwd"}]), "file has a plain name"),
        (jsoc(dir="/SUM/../etc"), "folder of JSOC"),
        (jsoc(dir="//evil.example/x"), "folder of JSOC"),
    ],
)
def test_a_bad_jsoc_answer_is_named(data, match):
    with pytest.raises(DataError, match=match):
        read_export(data)


def test_helioviewer_names_the_closest_image():
    good = {"id": 34205701, "date": "2014-01-02 00:00:02", "scale": 0.5899}
    found = helioviewer.read_closest(json.dumps(good).encode())
    assert to_text(found.time) == "2014-01-02T00:00:02Z" and found.scale == 0.5899
    assert helioviewer.closest_url("aia_193", 0).endswith("date=1970-01-01T00:00:00Z&sourceId=11")
    assert "getJP2Image" in helioviewer.image_url("hmi_magnetogram", 0)
    helioviewer.require_jp2(b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(9))
    for data, match in (
        (PAGE, "not a web page"),
        (b'{"error": "no image"}', "names an image.*no image"),
        (b"3", "names an image"),
        (b'{"id": 1, "date": "x"}', "answer has scale"),
        (json.dumps(good | {"date": "noon"}).encode(), "is ISO 8601"),
    ):
        with pytest.raises(DataError, match=match):
            helioviewer.read_closest(data)
    with pytest.raises(DataError, match="is a JPEG 2000 file"):
        helioviewer.require_jp2(PAGE)


READERS = {
    "hapi info": (read_hapi_info, hapi_info()),
    "hapi csv": (lambda data: read_hapi_csv(data, PARAMETERS), hapi_csv()),
    "gfz json": (read_gfz_json, gfz_json()),
    "gfz text": (read_gfz_intervals, GOOD),
    "gfz daily": (read_gfz_daily, gfz_daily()),
    "wind": (read_rtsw_wind, rtsw(minutes=3)),
    "kp": (read_swpc_kp, swpc_kp()),
    "zarray": (read_zarray, zarray()),
    "zattrs": (lambda data: read_index(data, "aia_193"), zattrs(["2016-01-01T00:00:05Z"])),
    "jsoc": (read_export, jsoc()),
    "helioviewer": (helioviewer.read_closest, b'{"id": 1, "date": "2014-01-02", "scale": 1}'),
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_makes_a_reader_fail_in_another_way(name, data):
    """Cut, overwritten, spliced: a table or a `DataError`, nothing else."""
    read, good = READERS[name]
    begin = data.draw(st.integers(0, len(good)))
    length = data.draw(st.integers(0, 40))
    put = data.draw(st.one_of(st.binary(max_size=12), st.sampled_from(
        [b"null", b"-1", b"1e999", b"NaN", b"[]", b"{}", b'"x"', b"true", b"9" * 30, b",", b"\n"]
    )))  # fmt: skip
    with contextlib.suppress(DataError):
        read(good[:begin] + put + good[begin + length :])

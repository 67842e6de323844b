"""The archives themselves, as they are today: `make remote`, never in CI.

A test here is red when an archive cannot be reached or answers otherwise than its reader knows. It
is never skipped: whoever runs it asks whether the data can be had.
"""

import time

import pytest

from heliosight.core.clock import DAY, to_text
from heliosight.data.archives import helioviewer, jsoc
from heliosight.data.archives.catalogue import SOURCES, chosen, fetch
from heliosight.data.archives.documents import json_of
from heliosight.data.archives.hapi import PARAMETERS, read_hapi_info
from heliosight.data.fetch import FetchConfig, wish_of
from heliosight.data.fits_frames import read_fits
from heliosight.data.live import live_tables
from heliosight.data.net.client import Client

pytestmark = [pytest.mark.remote, pytest.mark.timeout(900)]
NOW = int(time.time())
# A quiet day in the middle of every archive's span.
DAY_OF_ALL = {"start": "2014-01-02", "end": "2014-01-03", "hours": 24}
LATE = {"start": to_text(NOW - 3 * DAY)[:10], "hours": 24}
SERIES = ("omni2", "omni_hapi", "gfz_kp", "gfz_hpo", "gfz_text", "gfz_daily")
LIVE = ("gfz_now", "swpc_wind", "swpc_mag", "swpc_kp")
IMAGES = ("aia_193_synoptic", "aia_211_synoptic", "hmi_quick_look")


def ask(tmp_path, *names, **changes):
    config = FetchConfig(names, str(tmp_path), **changes)
    sources = chosen(names)
    hosts = {host for source in sources for host in source.hosts}
    outcome = fetch(sources, wish_of(config, NOW), Client(retries=1, allowed=hosts))
    told = [*outcome.gaps.values(), *map(str, outcome.failed.values())]
    assert not told, "\n".join(told)
    return outcome


@pytest.mark.parametrize("name", SERIES)
def test_series_of_a_past_year_are_read(tmp_path, name):
    ask(tmp_path, name, **DAY_OF_ALL)
    tables = live_tables(tmp_path)
    assert tables and all(len(table.times) for table in tables.values())


@pytest.mark.parametrize("name", LIVE)
def test_live_series_are_of_the_last_hours(tmp_path, name):
    ask(tmp_path, name, **LATE)
    if name in ("gfz_now", "swpc_kp"):
        index = live_tables(tmp_path)["geomagnetic"]
        assert NOW - index.times[-1] - index.cadence < 12 * 3600


def test_real_time_wind_becomes_three_hourly_values(tmp_path):
    ask(tmp_path, "swpc_wind", "swpc_mag", **LATE)
    assert "bz_gsm" in live_tables(tmp_path)["solar_wind"].variables


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_a_past_day_is_read_upright(tmp_path, name):
    (entry,) = ask(tmp_path, name, **DAY_OF_ALL).fetched
    frame = read_fits(tmp_path / entry.path)
    assert not frame.broken and "disc radius" in frame.history


def test_the_newest_images_are_published_within_three_days(tmp_path):
    ask(tmp_path, "aia_193_nrt", "aia_211_nrt", "hmi_quick_look",
        start=to_text(NOW - 4 * DAY)[:10], end=to_text(NOW - 3 * DAY)[:10], hours=24)  # fmt: skip


@pytest.mark.parametrize("channel", ["aia_193", "hmi_magnetogram"])
def test_sdoml_gives_heads_and_a_chunk(tmp_path, channel):
    outcome = ask(tmp_path, f"{channel}_sdoml", **DAY_OF_ALL)
    assert any("chunk_" in entry.path for entry in outcome.fetched)


def test_helioviewer_names_and_gives_an_image(tmp_path):
    ask(tmp_path, "aia_193_helioviewer", **DAY_OF_ALL)
    part = tmp_path / "closest.json"
    Client(retries=1).download(helioviewer.closest_url("aia_193", NOW - DAY), part, 100_000)
    assert abs(helioviewer.read_closest(part.read_bytes()).time - NOW) < 7 * DAY


def test_jsoc_answers_as_it_did(tmp_path):
    """An address that nobody registered is refused in JSOC's own words, not by a page."""
    url = jsoc.request_url(jsoc.record_set("aia_193", NOW - 30 * DAY, 1, 24), "nobody@example.org")
    part = tmp_path / "answer.json"
    Client(retries=1).download(url, part, 100_000)
    assert "status" in json_of(part.read_bytes(), "a JSOC answer")


def test_hapi_has_every_parameter_that_is_read(tmp_path):
    ask(tmp_path, "omni_hapi", **DAY_OF_ALL)
    found = read_hapi_info((tmp_path / "omni_hapi" / "info.json").read_bytes())
    assert {p.theirs for p in found} == set(PARAMETERS)


def test_no_source_is_left_untested():
    asked = {*SERIES, *LIVE, *IMAGES, "aia_193_nrt", "aia_211_nrt"}
    others = {n for n in SOURCES if n.endswith(("_jsoc", "_sdoml", "_helioviewer"))}
    assert asked | others == set(SOURCES)

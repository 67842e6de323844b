"""Every client on every bad day, replayed by a local server: a clear error or a stated gap.

Files and ledger stay as they were, and the next good day goes on from there.
"""

import json
import socket

import pytest
from archive_documents import PAGE, jsoc
from archive_server import Reply, serve
from test_data_fetch import FITS, HOSTS, LIVE, NOW, SERIES, everything

from heliosight.data.archives import image_sources
from heliosight.data.archives.catalogue import SOURCES, chosen, fetch
from heliosight.data.fetch import FetchConfig, wish_of
from heliosight.data.net.client import Client
from heliosight.data.net.pace import Pace

IMAGES = ("aia_193_nrt", "aia_211_synoptic", "hmi_quick_look", "aia_193_jsoc", "aia_193_sdoml",
          "aia_193_helioviewer")  # fmt: skip
ALL = (*SERIES, *LIVE, *IMAGES)
JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
BAD_DAYS = {
    "page with status 200": Reply(PAGE),
    "half a file": Reply(b"", headers={"Content-Length": "9000"}),
    "server error with a page": Reply(PAGE, 500),
    "moved host": Reply(b"", 301, {"Location": "https://elsewhere.example/"}),
    "moved to http": Reply(b"", 302, {"Location": "http://kp.gfz.de/"}),
    "rate limit": Reply(b"", 429, {"Retry-After": "100000"}),
    "empty": Reply(b""),
    "not published yet": Reply(b"", 404),
    "forbidden": Reply(b"", 403),
}
OLD = {
    "/pub/": b"2026 329  0 2620 51 52  64\n",
    "/hapi/": json.dumps({"HAPI": "3.0", "status": {"code": 1400, "message": "bad"}}).encode(),
    "/app/json/": b'{"Kp": [1.0], "date": ["2026-11-25"]}',
    "/app/files/": b"# YYYY MM DD\n2026 11 25 3 3\n",
    "/json/rtsw/": b'[["time_tag", "speed"], ["2026-11-25 00:00:00", "400"]]',
    "/products/": b'[["time_tag", "Kp"], ["2026-11-25 00:00:00", "3"]]',
    "/data/": b"SIMPLE  = half a block",
    "/cgi-bin/": b'{"state": "ok"}',
    "/v2/": b'{"error": "no image"}',
    "/": b'{"zarr_format": 3}',
}


class ByPrefix(dict):
    """Replies by the beginning of a path, whatever else it holds."""

    def get(self, path, default=None):
        plain = path.split("?")[0]
        known = super().get(path, super().get(plain))
        begins = [key for key in self if plain.startswith(key)]
        return known or (self[max(begins, key=len)] if begins else default)


@pytest.fixture
def archive(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(image_sources, "sleep", lambda _: None)
    with serve() as running:
        everything(running)
        running.replies = ByPrefix(running.replies | {
            "/data/": Reply(FITS),
            "/cgi-bin/ajax/jsoc_fetch": Reply(jsoc()),
            "/SUM12/": Reply(FITS),
            "/v2/getJP2Image/": Reply(JP2),
        })  # fmt: skip
        yield running


def run(root, mirror, names=ALL, retries=1):
    """As `run_fetch --force`, without waiting between attempts."""

    def rest(seconds):
        return None

    config = FetchConfig(names, str(root), "2026-11-23", "2026-11-24", 24, email="a@b.org")
    client = Client(
        Pace(1e4, sleep=rest), 2.0, retries, sleep=rest, mirrors=dict.fromkeys(HOSTS, mirror)
    )
    return fetch(chosen(names), wish_of(config, NOW), client, 2, again=True)


def state(root):
    """Every file but the parts that a next run continues."""
    files = (p for p in root.rglob("*") if p.is_file() and ".part" not in p.name)
    return {p: p.read_bytes() for p in files}


def sources_told(outcome):
    """Sources of which an error or a gap was told, by the folder their files go to."""
    told = {**outcome.gaps, **{k: str(v) for k, v in outcome.failed.items()}}
    assert all("Found:" in text for text in told.values())
    return {path.split("/")[0] for path in told}


FOLDERS = {"omni2", "omni_hapi", "gfz", "gfz_now", "swpc_wind", "swpc_mag", "swpc_kp", "images",
           "jsoc", "sdoml", "display"}  # fmt: skip


def test_no_client_is_left_out():
    kinds = {name.removeprefix("aia_193_").removeprefix("aia_211_") for name in ALL}
    every = {
        name.removeprefix("aia_193_").removeprefix("aia_211_").removeprefix("hmi_magnetogram_")
        for name in SOURCES
    }
    assert kinds == every


@pytest.mark.parametrize("day", [*BAD_DAYS, "an older layout", "down"])
def test_a_bad_day_of_every_archive_leaves_all_as_it_was(tmp_path, archive, day):
    good = archive.replies
    # a finished export is not asked after again, so the first one is asked for on the bad day
    first = run(tmp_path, archive.url, [name for name in ALL if not name.endswith("_jsoc")])
    assert {e.path.split("/")[0] for e in first.fetched} >= FOLDERS - {"sdoml", "jsoc"}
    before = state(tmp_path)
    mirror = archive.url
    if day == "down":
        with socket.create_server(("127.0.0.1", 0)) as taken:
            mirror = f"http://127.0.0.1:{taken.getsockname()[1]}"  # closed again at once
    elif day == "an older layout":
        archive.replies = ByPrefix({key: Reply(body) for key, body in OLD.items()})
    else:
        archive.replies = ByPrefix({"/": BAD_DAYS[day]})
    outcome = run(tmp_path, mirror, retries=0)
    assert not outcome.fetched and sources_told(outcome) >= FOLDERS
    assert state(tmp_path) == before
    archive.replies = good
    assert not {p for p in run(tmp_path, archive.url).failed if not p.startswith("sdoml")}


def test_a_wrong_clock_stops_every_live_client_and_is_noted_by_the_others(tmp_path, archive):
    for path, reply in list(archive.replies.items()):
        if isinstance(reply, Reply):
            archive.replies[path] = Reply(reply.body, skew=4000.0)
    outcome = run(tmp_path, archive.url)
    stopped = {p.split("/")[0] for p, e in outcome.failed.items() if "clocks agree" in str(e)}
    assert stopped >= {"swpc_wind", "swpc_mag", "swpc_kp"}
    assert {"omni2", "images"} <= {e.path.split("/")[0] for e in outcome.fetched} and outcome.notes

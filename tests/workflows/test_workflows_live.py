"""The whole live chain on archives played from a simulated Sun, by a clock that goes on.

fetch, build, train, diagnose, forecast, and days later fetch, build, verify, renew, serve. Set
HELIOSIGHT_REHEARSAL to a folder to keep everything and to look at it (`make rehearsal`).
"""

import http.client
import os
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

pytest.importorskip("astropy")
sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
sys.path.insert(0, str(Path(__file__).parent))
from archive_server import serve
from live_world import HOSTS, LiveWorld

from heliosight.cli import main
from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.tables import PRELIMINARY
from heliosight.data.store import load_store
from heliosight.issuing.archive import Archive
from heliosight.workflows.serve import serving

CONFIGS = Path(__file__).parent / "configs"
SOURCES = "swpc_wind,swpc_mag,swpc_kp,gfz_now,aia_193_nrt,aia_211_nrt,hmi_quick_look"


class Clock:
    """This machine's clock, and later."""

    def __init__(self, start):
        self.ahead, self._started, self._true = start - time.time(), time.time(), time.time

    def __call__(self):
        return self._true() + self.ahead


class Chain:
    """The commands, as they are typed."""

    def __init__(self, folder, archive, mark):
        self.folder = folder
        self.mirrors = ",".join(f'"{host}={archive.url}"' for host in HOSTS)
        start, end, test, last = (to_text(mark + n * DAY)[:10] for n in (-330, 8, -70, -4))
        self.config = ["--config-dir", str(CONFIGS), "--config-name", "live",
                       f"run_dir={folder}/model", f"data.sun.start={start}", f"data.sun.end={end}",
                       f"split.test_starts=[{test}]", f"split.end={last}"]  # fmt: skip

    def fetch(self, since):
        return main(["data", "fetch", f"fetch.sources=[{SOURCES}]", f"fetch.start={since}",
                     f"fetch.folder={self.folder}/got", "fetch.per_second=20",
                     f"fetch.mirrors=[{self.mirrors}]"])  # fmt: skip

    def build(self):
        return main(["data", "build", "data.type=fetched", f"data.folder={self.folder}/got",
                     "data.size=16", "data.workers=1", "name=live",
                     f"run_dir={self.folder}/inputs"])  # fmt: skip

    def model(self, stage, *words):
        return main([stage, *words, *self.config])

    def forecast(self, *words):
        return self.model("forecast", *words, f"forecast.inputs={self.folder}/inputs/data")


def ask(address, path):
    connection = http.client.HTTPConnection(*address[:2], timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.slow
def test_from_the_archives_to_a_live_forecast_and_its_later_verification(
    tmp_path, monkeypatch, capsys
):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    folder = Path(os.environ.get("HELIOSIGHT_REHEARSAL") or tmp_path).resolve()
    mark = int(time.time()) // DAY * DAY  # 00 UTC; the forecast is made 40 min later
    clock = Clock(mark + 2400)
    monkeypatch.setattr(time, "time", clock)
    with serve() as archive:
        chain = Chain(folder, archive, mark)
        assert chain.model("train") == 0 and chain.model("diagnose") in (0, 1)
        world = load_store(folder / "model" / "data").tables
        archive.replies = LiveWorld(world, clock)
        assert chain.fetch(to_text(mark - int(2.5 * DAY))) == 0 and chain.build() == 0
        held_to_the_world(load_store(folder / "inputs" / "data").tables, world, mark)
        capsys.readouterr()
        assert chain.forecast() == 0
        entries = Archive(folder / "model" / "forecast")
        (first,) = entries.listed()
        issued_live(entries, first, mark)
        assert first.live and "hindcast" not in capsys.readouterr().out

        clock.ahead += 3 * DAY + 6 * 3600
        assert chain.fetch(to_text(mark + 1 * DAY)) == 0 and chain.build() == 0
        assert chain.forecast("verify") == 0
        ((_, early, _),) = entries.verified()
        assert early.preliminary > 0 and not early.hindcast
        clock.ahead += 2 * DAY
        assert chain.fetch(to_text(mark + 3 * DAY)) == 0 and chain.build() == 0
        assert chain.forecast() == 0, "a forecast verifies what it can before it is issued"
        ((_, late, outcome), *_) = entries.verified()
        assert (late.number, late.preliminary) == (2, 0)
        ap = world["geomagnetic"]
        rows = np.searchsorted(ap.times, mark + 10800 * np.arange(24))
        np.testing.assert_array_equal(outcome["observed"][0], ap.column("ap")[rows])
        second, _ = entries.read(entries.listed()[-1])
        kept = {p.where: p.metrics["forecasts"].value for p in second.past if not p.system}
        assert kept["live"] == 1.0 and "hindcast" not in kept
    served_as_issued(entries, first)


def held_to_the_world(tables, world, mark):
    """What was fetched is what the world is, as far as each archive can know it."""
    images, true = tables["images"], world["images"]
    rows = np.searchsorted(true.times, images.times)
    known = (images.flags == 0).all(1)
    assert known.sum() >= 8 and images.latency == int(1.3 * 3600), "HMI's 1.8 h less the cutoff"
    apart = images.frames[known].astype(int) - true.frames[rows[known]]
    assert np.abs(apart).max() <= 1
    assert images.flags[images.times > mark - 3600, 2].all(), "HMI is not there yet"
    ap = tables["geomagnetic"]
    at = np.searchsorted(world["geomagnetic"].times, ap.times)
    assert ap.times[-1] == mark - 10800 and len(ap.times) > 27 * 8
    np.testing.assert_array_equal(ap.column("ap"), world["geomagnetic"].column("ap")[at])
    assert (ap.flags[-8:] & PRELIMINARY).all() and not (ap.flags[:-24] & PRELIMINARY).any()
    wind = tables["solar_wind"]
    assert wind.times[-1] == mark - 10800, "wind at L1 is ahead of the bow shock"
    at = np.searchsorted(world["solar_wind"].times, wind.times)
    pairs = wind.column("speed"), world["solar_wind"].column("speed")[at]
    both = np.isfinite(pairs[0]) & np.isfinite(pairs[1])
    assert both.sum() > 25 and np.corrcoef(pairs[0][both], pairs[1][both])[0, 1] > 0.99


def issued_live(entries, listed, mark):
    record, arrays = entries.read(listed)
    assert record.issue_times == (to_text(mark),) and not record.hindcast
    assert record.provenance.simulated, "the model learned from a simulated Sun"
    assert {a.source for a in record.assumed} == set(SOURCES.split(","))
    assert not any(a.definitive for a in record.assumed) and record.cutoff_minutes == 30.0
    assert any(text.startswith("images: the model learned") for text in record.trained_as)
    assert record.grade.checks > 5 and record.grade.verdict
    assert np.isfinite(arrays.reference_quantiles).all()
    assert max(map(to_seconds, record.frames)) <= mark - 6 * 3600
    ages = {f"{s.modality}.{s.variable}": s.age_hours for s in record.inputs}
    assert ages["solar_wind.speed"] == 0 and 6 <= ages["images.hmi_magnetogram"] < 6.1


def served_as_issued(entries, first):
    running = serving("127.0.0.1", 0, entries)
    Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        status, listing = ask(running.server_address, "/")
        assert status == 200 and listing.count(">live<") == 2 and "definitive" in listing
        status, page = ask(running.server_address, f"/entries/{first.name}/page.ko.html")
        assert status == 200 and "실시간" in page
        status, page = ask(running.server_address, "/latest/page.en.html")
        assert status == 200 and "Of the live forecasts in the archive, 1 have been" in page
    finally:
        running.shutdown()
        running.server_close()

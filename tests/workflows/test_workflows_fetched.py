"""From the command line: fetch from a local server, build in shards, inspect, card."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from archive_documents import rtsw, swpc_kp
from archive_server import Reply, serve
from test_data_imaging import make_folder

from heliosight.cli import main
from heliosight.core.errors import ConfigError
from heliosight.core.records import DatasetCard, Provenance
from heliosight.core.tables import ImageTable
from heliosight.data.store import load_store
from heliosight.workflows.config_data import FetchedData
from heliosight.workflows.inspect import card_text

HOST = "services.swpc.noaa.gov"


@pytest.fixture
def archive(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve() as running:
        running.replies |= {
            "/json/rtsw/rtsw_wind_1m.json": Reply(rtsw(start="2026-11-20T00:00:00", minutes=900)),
            "/json/rtsw/rtsw_mag_1m.json": Reply(rtsw("mag", "2026-11-20T00:00:00", 900)),
            "/products/noaa-planetary-k-index.json": Reply(swpc_kp("2026-11-20", (4.0,) * 6)),
        }
        yield running


def fetch(archive, *words):
    mirrors = f'fetch.mirrors=["{HOST}={archive.url}"]'
    sources = "fetch.sources=[swpc_wind,swpc_mag,swpc_kp]"
    return main(
        ["data", "fetch", sources, "fetch.folder=got", "fetch.per_second=20", mirrors, *words]
    )


def test_fetch_build_inspect_card_from_the_command_line(archive, tmp_path, capsys):
    assert fetch(archive) == 0
    said = capsys.readouterr()
    assert "in all about 3 files" in said.err and "fetched 3 files" in said.out
    make_folder(tmp_path / "got", days=2)
    data = ["data.type=fetched", "data.folder=got", "data.channels=[aia_193,hmi_magnetogram]",
            "data.size=16", "data.workers=1", "name=mine", "run_dir=run"]  # fmt: skip
    for shard in ("0/2", "1/2"):
        assert main(["data", "build", *data, f"data.shard={shard}"]) == 0
        assert f"shard {shard}: 1 days, 1 built now" in capsys.readouterr().out
    assert main(["data", "inspect", *data]) == 0
    out = capsys.readouterr().out
    assert "coverage of solar_wind" in out and "coverage of images" in out
    assert "preliminary values" in out and "not corrected for degradation" in out
    store = load_store(tmp_path / "run" / "data")
    images = store.tables["images"]
    assert isinstance(images, ImageTable) and images.frames.shape == (8, 2, 16, 16)
    assert isinstance(images.frames, np.memmap) and "aia_193: exposure" in images.history
    assert not list((tmp_path / "run" / "days").glob(".joined*"))
    page = (tmp_path / "run" / "data.html").read_text()
    assert page.count("<img ") == 16 and "<script" not in page and "public domain" in page
    assert main(["data", "card", *data]) == 0
    card = (tmp_path / "run" / "DATA_CARD.md").read_text()
    assert "swpc_wind: public domain" in card and "bow shock's clock" in card
    assert "unless data.at is set" in card
    before = store.hash
    assert main(["data", "build", *data]) == 0
    assert load_store(tmp_path / "run" / "data").hash == before


def test_a_failed_source_is_a_fault_with_its_reason_and_a_dry_run_asks_nothing(archive, capsys):
    archive.replies["/products/noaa-planetary-k-index.json"] = Reply(b"<html><title>Down</title>")
    assert fetch(archive, "--dry-run") == 0
    assert not archive.asked and "in all about 3 files" in capsys.readouterr().out
    assert fetch(archive, "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert len(record["fetched"]) == 2 and record["bytes"] > 1000
    assert "is not a web page" in next(iter(record["failed"].values()))


def test_an_empty_folder_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "build", "data.type=fetched", "data.folder=none", "data.channels=[]"]) == 2
    assert "Run heliosight data fetch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"start": "noon"}, "a time is ISO 8601"),
        ({"image_cadence_hours": 5}, "divisor of 24 hours"),
        ({"size": 4}, "frames are 8 to 4096 pixels"),
        ({"workers": 0}, "workers 1 to 64"),
    ],
)
def test_a_wish_for_data_that_cannot_be_is_refused(changes, match):
    with pytest.raises(ConfigError, match=match):
        FetchedData(**changes)


def test_a_card_says_what_is_not_for_commercial_use_and_what_is_unknown():
    caveat = "dst (WDC Kyoto) is not for commercial use."
    text = card_text(DatasetCard(Provenance(), "x", caveats=(caveat,)))
    assert caveat in text and "- none noted" in text

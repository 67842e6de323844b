"""The examples of the documentation: foreign models and a store of one's own, as its pages say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heliosight.cli import main
from heliosight.core.clock import to_seconds, to_text
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.data.store import load_store
from heliosight.data.windows import Windows

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
SHORTER = ("data.sun.end=2011-10-15", "data.sun.image_cadence_hours=6")
FOUND = {
    "volume_lstm:build": (0, set(), "video = images (B C T H W)"),
    "vit_late_fusion:build": (1, {"batch_leakage", "order_blind"}, "images = images (B T C H W)"),
    "vit_late_fusion:mended": (0, set(), ""),
    "own_cell:build": (1, {"steps_not_connected"}, "sdo = images (B T C H W)"),
    "own_cell:mended": (0, set(), "cell.images.0 = cell"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A copy of the examples with the store that their page makes first."""
    folder = tmp_path_factory.mktemp("own") / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["data", "--config-name", "own", *SHORTER]) == 0
    return folder


@pytest.mark.parametrize("model", FOUND)
def test_a_worked_model_is_found_ill_or_healthy_as_its_page_says(model, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    code, causes, told = FOUND[model]
    more = ["subject.output.key=prediction"] if model.startswith("vit") else []
    words = ["diagnose", "--config-name", "own", "--data", "runs/own/data", "--model", model, *more]
    words += ["diagnose.checks.checks=[T2,T3,T4,T5,T6,T7]", "split.test_starts=[2011-08-01]"]
    assert main([*words, "--json"]) == code
    record = json.loads(capsys.readouterr().out)
    assert {f["cause"] for f in record["findings"] if f["outcome"] == "fault"} == causes
    shown = [f"{k} = {v}" for k, v in (record["inputs"] | record["parts"]).items()]
    assert told in ", ".join(shown)


def test_frames_and_a_csv_become_a_store(tmp_path):
    start, rows = to_seconds("2012-03-01"), 8 * 40
    (tmp_path / "frames" / "aia_193").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(4 * 40):
        stamp = to_text(start + k * 6 * 3600).replace("-", "_").replace(":", "_").rstrip("Z")
        pixels = rng.integers(60, 200, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "frames" / "aia_193" / f"{stamp}.png")
    lines = ["time,speed,density,bz_gsm,ap"]
    lines += [f"{to_text(start + k * 10800)},{400 + k % 9},5,{k % 3},{k % 7}" for k in range(rows)]
    lines[5] = lines[5].replace(",5,", ",,")
    (tmp_path / "series.csv").write_text("\n".join(lines))
    words = [sys.executable, str(EXAMPLES / "own_store.py"), "frames", "series.csv", "store"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    store = load_store(tmp_path / "store")
    wind = store.tables["solar_wind"]
    assert wind.times[0] == start and wind.flags[4, 1] and not wind.flags[5, 1]
    spec = ForecastSpec(
        {
            "images": ModalitySpec("images", "images", ("aia_193",), 28, 6, size=64),
            "solar_wind": ModalitySpec("series", "solar_wind", ("speed", "ap"), 56, 3),
        }
    )
    windows = Windows(store.tables, spec)
    batch = windows.batch(windows.issue_times(int(wind.times[0]), int(wind.times[-1]), 24))
    assert len(batch) > 20 and bool(batch.observed["images"].all())
    newest = int(batch.issue_time[0] - start) // 10800 - 1
    assert float(batch.inputs["solar_wind"][0, -1, 0]) == 400 + newest % 9


def test_the_small_grid_composes_for_every_one_of_its_jobs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(EXAMPLES / "configs", tmp_path / "configs")
    assert main(["config", "show", "-m", "--json", "--config-name", "grid"]) == 0
    said = capsys.readouterr()
    assert said.out.count('"name": "grid"') == 6 and said.err == ""

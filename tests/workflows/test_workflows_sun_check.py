"""The check of the simulated Sun through the command line, on a short and small run."""

import json
from pathlib import Path

import numpy as np
import pytest

from heliosight.cli import main
from heliosight.core.errors import ConfigError
from heliosight.sun import SunConfig, simulate
from heliosight.workflows import sun_check
from heliosight.workflows.config import app_config
from heliosight.workflows.run import Run

CONFIGS = Path(__file__).parent / "configs"


def words(folder, *more):
    given = ["--config-dir", str(CONFIGS), "--config-name", "tiny", f"run_dir={folder}"]
    return ["data", "sun", *more, *given]


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(sun_check, "SPAN", ("2011-01-01", "2011-07-01"))
    monkeypatch.setattr(sun_check, "FRAME_SPAN", ("2011-03-01", "2011-03-11"))


@pytest.fixture
def alone(short, monkeypatch):
    monkeypatch.setattr(sun_check, "real_tables", lambda: None)


def test_the_rows_are_printed_and_no_page_is_written(alone, tmp_path, capsys):
    code = main(words(tmp_path))
    said = capsys.readouterr().out
    assert "speed mean [km s-1]" in said and "figures:" not in said
    assert code == (1 if "MISSES" in said else 0)
    assert not (tmp_path / "sun_check.html").exists()


def test_check_writes_the_page_and_says_where(alone, tmp_path, capsys):
    main(words(tmp_path, "--check"))
    page = tmp_path / "sun_check.html"
    assert f"figures: {page}" in capsys.readouterr().out
    html = page.read_text()
    assert "SIMULATED" in html and "2011-03-01" in html
    assert html.count("<svg") > 9


def test_a_sun_of_other_dials_says_so(alone, tmp_path, capsys):
    main(words(tmp_path, "data.type=sun"))
    assert "another world" not in capsys.readouterr().out
    main(words(tmp_path))
    said = capsys.readouterr().out
    assert "another world on purpose (noise=0.3, cme_share=0.2)" in said
    assert "data sun data.type=sun --check" in said


def test_json_prints_every_row_without_nan(alone, tmp_path, capsys):
    code = main(words(tmp_path, "--json"))
    record = json.loads(capsys.readouterr().out)
    assert len(record["statistics"]) > 40
    assert record["provenance"]["simulated"]
    missed = [s for s in record["statistics"] if s["ok"] is False]
    assert record["missed"] == len(missed) and code == (1 if missed else 0)


@pytest.mark.parametrize("real_speed, fault", [(0.0, False), (500.0, True)])
def test_a_missed_target_is_a_fault(alone, monkeypatch, tmp_path, real_speed, fault):
    row = sun_check.Row("speed", real_speed, 0.0, -1.0, 1.0)
    monkeypatch.setattr(sun_check, "compare", lambda *_: [row])
    config = app_config({"data": {"type": "sun", "sun": {"size": 16}}})
    assert sun_check.check(Run(config, tmp_path)).fault is fault


def test_other_data_are_refused(tmp_path):
    config = app_config({"data": {"type": "archives"}})
    with pytest.raises(ConfigError, match=r"checking the Sun needs data.type=sun"):
        sun_check.check(Run(config, tmp_path))


def test_series_do_not_depend_on_the_frames_drawn(short):
    sun = SunConfig(size=20, seed=4)
    made = sun_check.simulated_tables(sun)
    whole = simulate(SunConfig(start="2011-01-01", end="2011-07-01", size=20, seed=4)).tables
    for name in ("solar_wind_hourly", "geomagnetic", "coronal_holes"):
        np.testing.assert_array_equal(made[name].values, whole[name].values)
    assert made["images"].frames.shape[-1] == 20


@pytest.mark.real
def test_the_page_draws_the_real_sun_beside_it(short, real_data, monkeypatch, tmp_path):
    monkeypatch.setenv("HELIOSIGHT_DATA", str(real_data))
    main(words(tmp_path, "--check"))
    html = (tmp_path / "sun_check.html").read_text()
    assert "No real data" not in html and "Real frames" in html

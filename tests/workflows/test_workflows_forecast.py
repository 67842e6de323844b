"""Forecasts from the command line on a tiny simulated Sun: causal, archived, verified, served."""

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from heliosight.cli import main, parse
from heliosight.core import records
from heliosight.core.clock import to_seconds
from heliosight.core.files import is_sealed
from heliosight.core.issued import IssuedForecast
from heliosight.core.tables import MISSING, PRELIMINARY, ImageTable
from heliosight.data.latency import Known
from heliosight.data.store import load_store, save_store
from heliosight.issuing.archive import Archive
from heliosight.workflows.serve import serving

CONFIGS = Path(__file__).parent / "configs"
AT = "2012-09-15T12:00"


def words(stage, folder, *more):
    config = ["--config-dir", str(CONFIGS), "--config-name", "tiny", f"run_dir={folder}"]
    return [stage, *more, *config]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main([*words("train", folder), "systems={full:[images,solar_wind]}"]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    return folder


@pytest.fixture(scope="module")
def once(trained, tmp_path_factory):
    """A run with one forecast that has pages."""
    folder = tmp_path_factory.mktemp("once") / "run"
    shutil.copytree(trained, folder)
    forecast(folder, "--at", AT)
    return folder


def forecast(folder, *more, code=0):
    only = ["systems={full:[images,solar_wind]}", "forecast.windows=80"]
    assert main([*words("forecast", folder, *more), *only]) == code
    return Archive(folder / "forecast")


def told(archive):
    entry = archive.listed()[-1]
    content = json.loads((archive.entry(entry.name) / "forecast.json").read_text())
    content.pop("created")
    content["model"].pop("config_sha256")
    return content


def altered_after(store, moment, folder, keep=True):
    """A copy of a store in which everything available after a moment is different, or absent."""
    rng = np.random.default_rng(0)
    tables = {}
    for name, table in load_store(store).tables.items():
        late = table.available > moment
        if not keep:
            rows = ~late
            part = {"frames": table.frames[rows]} if isinstance(table, ImageTable) else {
                "values": table.values[rows]
            }  # fmt: skip
            tables[name] = replace(table, times=table.times[rows], flags=table.flags[rows], **part)
        elif isinstance(table, ImageTable):
            frames = np.array(table.frames)
            frames[late] = rng.integers(0, 255, frames[late].shape)
            tables[name] = replace(table, frames=frames)
        else:
            values = np.array(table.values)
            values[late] = rng.uniform(1, 300, values[late].shape)
            tables[name] = replace(table, values=values)
    save_store(folder, tables, "altered")
    return folder


def test_no_later_value_changes_a_hindcast(run, tmp_path):
    quiet = "forecast.explain=false"
    first = told(forecast(run, "--at", AT, quiet))
    moment = to_seconds(AT)
    for number, keep in enumerate((True, False)):
        other = altered_after(run / "data", moment, tmp_path / f"other{number}", keep)
        again = told(forecast(run, "--at", AT, quiet, f"forecast.inputs={other}"))
        assert again == first
    later = altered_after(run / "data", moment - 3 * 3600, tmp_path / "nearer")
    changed = told(forecast(run, "--at", AT, quiet, f"forecast.inputs={later}"))
    assert changed["model"]["data_sha256"] != first["model"]["data_sha256"]


def test_many_in_one_go_are_the_same_as_each_alone(run):
    many = forecast(run, "--from", "2012-09-15T06:00", "--to", AT, "--every", "3h",
                    "forecast.chunk=2")  # fmt: skip
    entries = many.listed()
    assert [len(e.issue_times) for e in entries] == [2, 1]
    _, last = many.read(entries[-1])
    alone = forecast(run, "--at", AT, "forecast.explain=false")
    _, single = alone.read(alone.listed()[-1])
    for name, value in last.arrays().items():
        np.testing.assert_allclose(value, getattr(single, name), rtol=2e-5, atol=2e-5)


def test_a_forecast_is_archived_whole_and_verified_when_observed(once, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(once, run)
    archive = Archive(run / "forecast")
    entry = archive.listed()[0]
    files = {p.name for p in archive.entry(entry.name).iterdir()}
    assert {"forecast.json", "forecast.nc", "page.en.html", "page.ko.html"} <= files
    record, arrays = archive.read(entry)
    assert records.load(archive.entry(entry.name), IssuedForecast) == record
    assert record.hindcast
    assert record.fold == "test_2012-06-01"
    assert len(record.frames) == 28
    assert {p.where for p in record.past} == {"block"}
    before = {p: p.read_bytes() for p in archive.entry(entry.name).iterdir()}
    forecast(run, "verify")
    told = capsys.readouterr().out
    assert "1 entries verified now (0 of them anew), 0 wait" in told
    (found, verification, outcome) = archive.verified()[0]
    days = [f"{outcome['crps'][0, 4, 8 * d : 8 * d + 8].mean():.2f}" for d in range(3)]
    assert "hindcast, 1 forecasts: mean CRPS of ap" in told
    assert f"damped {' / '.join(days)}" in told
    assert found.hash == verification.entry_hash
    ap = load_store(run / "data").tables["geomagnetic"]
    row = np.searchsorted(ap.times, arrays.valid_time[0])
    np.testing.assert_array_equal(outcome["observed"][0], ap.column("ap")[row])
    assert {p: p.read_bytes() for p in archive.entry(entry.name).iterdir()} == before
    later = forecast(run, "--at", "2012-10-15T12:00", "forecast.explain=false")
    record, _ = later.read(later.listed()[-1])
    assert {p.where for p in record.past} == {"block", "hindcast"}
    forecast(run, "--at", "2012-09-16T12:00", "forecast.explain=false")
    record, _ = later.read(later.listed()[-1])
    assert {p.where for p in record.past} == {"block"}, "its outcome was not known yet"


def without(store, folder, names, steps):
    """A copy of a store whose newest steps of some tables are missing."""
    tables = dict(load_store(store).tables)
    for name in names:
        table = tables[name]
        flags = np.array(table.flags)
        late = table.times > to_seconds(AT) - steps * table.cadence
        flags[late] |= MISSING
        tables[name] = replace(table, flags=flags)
    save_store(folder, tables, "stale")
    return folder


def test_stale_inputs_widen_or_withhold_and_say_so(run, tmp_path, capsys):
    some = without(run / "data", tmp_path / "some", ["images"], 9)
    archive = forecast(run, "--at", AT, f"forecast.inputs={some}", "forecast.explain=false")
    record, arrays = archive.read(archive.listed()[-1])
    stale = [s for s in record.inputs if s.withheld]
    assert {(s.modality, s.missing, s.withheld) for s in stale} == {("images", 9, 16)}
    assert all(s.age_hours == 54 for s in stale)
    assert record.statuses[0] in ("widened", "withheld")
    widening = record.widenings[0]
    assert widening.withheld == {f"images.{c}": 16 for c in (
        "aia_193", "aia_211", "hmi_magnetogram")}  # fmt: skip
    assert (record.statuses[0] == "withheld") == (not widening.useful)
    page = (archive.entry(archive.listed()[-1].name) / "page.en.html").read_text()
    assert "54 h old" in page
    every = without(run / "data", tmp_path / "every", ["images", "solar_wind", "geomagnetic"], 400)
    archive = forecast(run, "--at", AT, f"forecast.inputs={every}", "forecast.explain=false")
    record, arrays = archive.read(archive.listed()[-1])
    assert all(s.age_hours is None for s in record.inputs)
    if record.statuses[0] == "withheld":
        assert np.isnan(arrays.quantiles).all()
        assert record.answers == ("climatology",)
    assert np.isfinite(arrays.reference_quantiles).all()
    assert "stale:" in capsys.readouterr().out
    forecast(run, "--at", "2012-10-15T12:00", "forecast.explain=false")
    later, _ = archive.read(archive.listed()[-1])
    mine = [p for p in later.past if p.where == "hindcast" and p.system == "full"]
    assert len(mine) == 3
    if set(record.statuses) == {"withheld"}:
        assert all("coverage_90" not in p.metrics or p.metrics["coverage_90"].value >= 0
                   for p in mine)  # fmt: skip


def test_a_missing_table_is_an_unobserved_input(run, tmp_path, capsys):
    tables = {k: t for k, t in load_store(run / "data").tables.items() if k != "images"}
    wind = tables["solar_wind"]
    keep = [i for i, v in enumerate(wind.variables) if v != "ap"]
    tables["solar_wind"] = replace(
        wind, variables=tuple(wind.variables[i] for i in keep), values=wind.values[:, keep],
        flags=wind.flags[:, keep],
    )  # fmt: skip
    save_store(tmp_path / "live", tables, "live")
    archive = forecast(
        run, "--at", AT, f"forecast.inputs={tmp_path}/live", "forecast.explain=false"
    )
    record, _ = archive.read(archive.listed()[-1])
    ages = {f"{s.modality}.{s.variable}": s.age_hours for s in record.inputs}
    assert ages["images.aia_193"] is None
    assert ages["solar_wind.ap"] == 0
    bare = {k: t for k, t in tables.items() if k != "geomagnetic"}
    save_store(tmp_path / "bare", bare, "bare")
    forecast(run, "--at", AT, f"forecast.inputs={tmp_path}/bare", code=2)
    assert "references need the index table" in capsys.readouterr().err


def test_the_clock_forecasts_beyond_the_data_and_says_how_old_they_are(run):
    later = ("--at", "2013-01-02", "forecast.clock=true", "forecast.explain=false")
    archive = forecast(run, *later)
    record, arrays = archive.read(archive.listed()[-1])
    assert {s.age_hours for s in record.inputs if s.modality == "solar_wind"} == {24.0}
    assert record.statuses[0] in ("widened", "withheld")
    assert np.isfinite(arrays.reference_quantiles).all()


def test_preliminary_outcomes_are_scored_again_when_they_are_definitive(once, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(once, run)
    tables = dict(load_store(run / "data").tables)
    ap = tables["geomagnetic"]
    early = replace(ap, flags=ap.flags | PRELIMINARY, values=ap.values + 1)
    save_store(tmp_path / "early", {**tables, "geomagnetic": early}, "early")
    forecast(run, "verify", f"forecast.inputs={tmp_path}/early")
    assert "1 entries verified now (0 of them anew), 0 wait for observations, 1 rest on" in (
        capsys.readouterr().out
    )
    archive = forecast(run, "verify", f"forecast.inputs={tmp_path}/early")
    ((entry, first, then),) = archive.verified()
    assert (first.number, first.preliminary, first.hindcast) == (1, 24, True)
    forecast(run, "verify")
    assert "1 entries verified now (1 of them anew)" in capsys.readouterr().out
    ((_, second, now),) = archive.verified()
    assert (second.number, second.preliminary) == (2, 0)
    np.testing.assert_allclose(then["observed"] - now["observed"], 1.0, atol=1e-4)
    assert is_sealed(archive.verification(entry.name)), "the first one is kept"
    forecast(run, "verify")
    assert "0 entries verified now" in capsys.readouterr().out


def test_what_counts_as_known_is_applied_shown_and_compared_with_the_training(
    run, tmp_path, capsys
):
    store = load_store(run / "data")
    known = Known({"omni2": 3.5})
    tables = dict(store.tables)
    tables["solar_wind"] = known.late(tables["solar_wind"], "omni2")
    assumed = [known.assumed("omni2", "solar_wind"), known.assumed("gfz_text", "geomagnetic"),
               known.assumed("hmi_quick_look", "elsewhere")]  # fmt: skip
    save_store(tmp_path / "late", tables, "late", assumed=assumed, cutoff_minutes=30.0)
    archive = forecast(
        run, "--at", AT, f"forecast.inputs={tmp_path}/late", "forecast.explain=false"
    )
    entry = archive.listed()[-1]
    record, _ = archive.read(entry)
    wind = [s for s in record.inputs if s.modality == "solar_wind"]
    assert {s.age_hours for s in wind} == {3.0}, "3.5 h less the cutoff are a step of 3 h"
    assert record.assumed == tuple(assumed[:2]) and record.cutoff_minutes == 30.0
    assert record.trained_as == (
        "solar_wind: the model learned from values known 0 h after their time, these are known "
        "3 h after their time",
    )
    assert "definitive values that nobody had then: omni2, gfz_text" in capsys.readouterr().out
    told = json.loads((archive.entry(entry.name) / "forecast.json").read_text())["known"]
    assert told["assumed"][1]["stands_for"] == "gfz_now" and told["cutoff_minutes"] == 30.0
    for language, words in (("en", "nobody had then"), ("ko", "당시 아무도 갖지 못한")):
        page = (archive.entry(entry.name) / f"page.{language}.html").read_text()
        assert words in page and "GFZ" in page and record.trained_as[0] in page


def test_an_altered_entry_is_told_of_and_stops_no_forecast(once, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(once, run)
    archive = Archive(run / "forecast")
    path = archive.entry(archive.listed()[0].name) / "record.json"
    path.write_text(path.read_text().replace('"full"', '"fool"'))
    forecast(run, "verify", code=1)
    assert "1 archived forecasts cannot be read" in capsys.readouterr().out
    forecast(run, "--at", "2012-10-15T12:00", "forecast.explain=false")
    assert "1 archived forecasts cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--at", "2011-06-01"], "a model that has not seen its time"),
        (["--at", "2013-06-01"], "made within its time"),
        (["--at", "2999-06-01", "forecast.clock=true"], "a moment that has not come"),
        (["--at", "nonsense"], "a time is ISO 8601"),
        (["--from", "2012-09-01"], "a first and a last issue time"),
        (["--from", "2012-09-02", "--to", "2012-09-01"], "not before the first"),
        (["--from", "2012-09-01", "--to", "2012-09-02", "--every", "2h"], "3-hour intervals apart"),
        (["forecast.inputs=/nowhere"], "nowhere"),
        (["forecast.port=70000"], "a port lies in"),
    ],
)
def test_a_mistake_is_one_clear_line(trained, more, told, capsys):
    forecast(trained, *more, code=2)
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err


def test_a_taken_port_is_one_clear_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["forecast", "--serve", f"forecast.port={port}"]) == 2
    err = capsys.readouterr().err
    assert f"port {port}: Address already in use" in err and "forecast.port=0" in err


def test_options_stand_for_keys():
    request = parse(["forecast", "--at", "2015-03-17T00:00", "--every=6h", "seed=1"])
    assert "++forecast.at='2015-03-17T00:00'" in request.hydra
    assert "++forecast.every_hours=6" in request.hydra


@pytest.mark.browser
def test_the_served_page_reads_in_a_browser(once, tmp_path):
    selenium = pytest.importorskip("selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no browser: install chromium and chromedriver (Debian: chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By

    assert selenium
    running = serving("127.0.0.1", 0, Archive(once / "forecast"))
    Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    own = f"--user-data-dir={tmp_path / 'browser'}"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", own):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        browser.get(f"http://127.0.0.1:{running.server_address[1]}/")
        browser.find_element(By.CSS_SELECTOR, "p.headline a").click()
        assert browser.find_element(By.TAG_NAME, "h1").text
        assert len(browser.find_elements(By.CSS_SELECTOR, ".day")) == 3
        assert len(browser.find_elements(By.CSS_SELECTOR, ".trust li")) == 3
        for width in (1280, 400):
            browser.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
            )
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width
        browser.find_element(By.LINK_TEXT, "한국어").click()
        assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "ko"
        browser.find_element(By.LINK_TEXT, "JSON").click()
        text = browser.find_element(By.TAG_NAME, "body").text
        assert json.loads(text)["schema"] == "heliosight.forecast"
        severe = [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]
        assert severe == []
    finally:
        browser.quit()
        running.shutdown()
        running.server_close()

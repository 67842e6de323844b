"""The page of `data inspect` as a person sees it, in a headless browser, made by the command."""

from dataclasses import replace

import numpy as np
import pytest

from heliosight.cli import main
from heliosight.core.clock import to_seconds
from heliosight.core.tables import BAD_FRAME, MISSING, ImageTable, SeriesTable
from heliosight.data.latency import Known
from heliosight.data.store import save_store

pytest.importorskip("selenium")
pytestmark = pytest.mark.browser
START = to_seconds("2014-01-01")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two weeks with a hole of three days in the wind, a bad frame and an absent one."""
    rng = np.random.default_rng(0)
    steps = np.arange(112)
    wind = SeriesTable(
        "solar_wind", START + 10800 * steps, 10800, ("speed", "bz_gsm"),
        np.column_stack([rng.normal(420, 60, 112), rng.normal(0, 3, 112)]).astype(np.float32),
        np.zeros((112, 2), np.uint8),
    )  # fmt: skip
    gone = (steps >= 40) & (steps < 64)
    wind = replace(wind, flags=np.where(gone[:, None], MISSING, 0).repeat(2, 1).astype(np.uint8))
    frames = rng.integers(30, 220, (56, 1, 16, 16)).astype(np.uint8)
    flags = np.zeros((56, 1), np.uint8)
    flags[10], flags[20] = BAD_FRAME, MISSING
    images = ImageTable("images", START + 21600 * np.arange(56), 21600, ("aia_193",), frames, flags)
    folder = tmp_path_factory.mktemp("store") / "data"
    tables = {"solar_wind": wind, "images": images}
    save_store(
        folder, tables, "two weeks <of> wind", {"omni2": "omni2_2014.dat"}, {"omni2": "open"},
        ("dst (WDC Kyoto) is not for commercial use.",),
        assumed=[Known({}).assumed("omni2", "solar_wind")], cutoff_minutes=30.0,
    )  # fmt: skip
    return folder


@pytest.fixture(params=["en", "ko"])
def page(browser, store, tmp_path, request):
    run = tmp_path / "run"
    words = ["data", "inspect", "data.type=store", f"data.folder={store}", f"run_dir={run}"]
    assert main([*words, f"report.language={request.param}"]) == 0
    browser.get_log("browser")
    browser.get((run / "data.html").as_uri())
    yield browser, request.param
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


def test_holes_frames_and_terms_are_seen_and_nothing_scrolls_sideways(page):
    from selenium.webdriver.common.by import By

    browser, language = page
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == language
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "two weeks <of> wind" in text and "WDC Kyoto" in text
    assert "2014-01-06T00:00:00Z" in text, "the hole of three days begins there"
    assert "swpc_wind" in text, "what OMNI stands for"
    pictures = browser.find_elements(By.TAG_NAME, "img")
    assert len(pictures) >= 6
    for picture in pictures:
        assert browser.execute_script("return arguments[0].naturalWidth", picture) >= 16
        assert picture.get_attribute("alt") or picture.get_attribute("aria-label")
    drawn = browser.find_elements(By.CSS_SELECTOR, "svg")
    assert drawn and all(s.rect["width"] > 50 and s.rect["height"] > 5 for s in drawn)
    for width in (1280, 400):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

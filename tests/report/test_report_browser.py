"""The report as a person uses it, in a headless browser."""

import json
from pathlib import Path

import pytest

from heliosight.report import write_report

selenium = pytest.importorskip("selenium")
pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, inputs, tmp_path: Path):
    path = write_report(tmp_path / "report.html", inputs())
    browser.get_log("performance")
    browser.get(path.as_uri())
    yield browser
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def _shown(page) -> dict[str, object]:
    """What the visible explanation shows now."""
    return page.execute_script(
        """
        const article = [...document.querySelectorAll(".explained")].find((a) => !a.hidden);
        const layer = article.querySelector(".screen .map");
        const style = getComputedStyle(layer);
        const marker = article.querySelector("svg[data-marks] .marker");
        return {
          index: article.dataset.index,
          place: style.backgroundPositionX,
          picture: style.backgroundImage.slice(0, 22),
          label: article.querySelector(".stamp-at:not([hidden])").textContent,
          labels: article.querySelectorAll(".stamp-at:not([hidden])").length,
          marker: marker ? marker.getAttribute("x1") : null,
          here: article.querySelector(".filmstrip .here").dataset.frame,
          spoken: document.getElementById("frame").getAttribute("aria-valuetext"),
        };
        """
    )


def _screen(page) -> bytes:
    from selenium.webdriver.common.by import By

    visible = [e for e in page.find_elements(By.CSS_SELECTOR, ".screen") if e.is_displayed()]
    return visible[0].screenshot_as_png


def test_the_slider_moves_image_time_and_marker(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    slider = page.find_element(By.ID, "frame")
    last, picture = _shown(page), _screen(page)
    assert last["label"].startswith("frame 3 of 0–3 · 2015-03-17T00:00:00Z · 0 h")
    slider.send_keys(Keys.ARROW_LEFT)
    before = _shown(page)
    assert before["label"].startswith("frame 2 of 0–3 · 2015-03-16T18:00:00Z · 6 h")
    assert before["labels"] == 1
    assert before["spoken"] == before["label"]
    assert before["place"] != last["place"]
    assert float(before["marker"]) < float(last["marker"])
    assert before["here"] == "2"
    assert before["picture"] == 'url("data:image/png;ba'
    assert _screen(page) != picture
    slider.send_keys(Keys.HOME)
    assert _shown(page)["here"] == "0"


def test_the_method_picker_keeps_the_frame(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    page.find_element(By.ID, "frame").send_keys(Keys.ARROW_LEFT)
    first = _shown(page)
    Select(page.find_element(By.ID, "method")).select_by_value("1")
    second = _shown(page)
    assert (first["index"], second["index"]) == ("0", "1")
    assert first["here"] == second["here"] == "2"
    assert "FAILED SELF-CHECK" in page.find_element(By.CSS_SELECTOR, "article[data-index='1']").text


def test_a_click_on_the_film_strip_moves_the_slider(page):
    from selenium.webdriver.common.by import By

    page.find_element(By.CSS_SELECTOR, ".filmstrip button[data-frame='1']").click()
    assert _shown(page)["here"] == "1"
    assert page.find_element(By.ID, "frame").get_attribute("value") == "1"


def test_the_map_can_be_hidden_and_shown_alone(page):
    from selenium.webdriver.common.by import By

    both = _screen(page)
    page.find_element(By.CSS_SELECTOR, "input[value='picture']").click()
    bare = _screen(page)
    page.find_element(By.CSS_SELECTOR, "input[value='map']").click()
    assert len({both, bare, _screen(page)}) == 3


def test_play_runs_through_the_frames(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    play = page.find_element(By.ID, "play")
    play.click()
    assert play.get_attribute("aria-pressed") == "true"
    WebDriverWait(page, 20).until(lambda p: _shown(p)["here"] == "1")
    play.click()
    assert play.get_attribute("aria-pressed") == "false"


def test_nothing_is_fetched(page):
    messages = [json.loads(e["message"])["message"] for e in page.get_log("performance")]
    sent = [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    ]
    assert sent, "the log names the page itself"
    assert all(url.startswith(("file:", "data:")) for url in sent), sent


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_never_scrolls_sideways(page, width):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    wide = page.execute_script("return document.documentElement.scrollWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width


def test_pictures_and_controls_have_names(page):
    nameless = page.execute_script(
        """
        const pictures = [...document.querySelectorAll("[role=img], svg[role=img]")];
        const controls = [...document.querySelectorAll("input, select, button")];
        const named = (e) => e.getAttribute("aria-label") || e.textContent.trim() ||
          (e.labels && e.labels.length && e.labels[0].textContent.trim());
        return [...pictures, ...controls].filter((e) => !named(e)).map((e) => e.outerHTML);
        """
    )
    assert nameless == []

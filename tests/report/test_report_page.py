import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from heliosight.core.records import Diagnosis, Scorecard
from heliosight.report import ReportInputs, render, write_report

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Reader(HTMLParser):
    """Checks that tags nest, and collects tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()


def _read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_whole_report_is_well_formed_and_needs_no_network(inputs, tmp_path, language):
    path = write_report(tmp_path / "report.html", inputs(language=language))
    html = path.read_text(encoding="utf-8")
    reader = _read(html)
    for _, attributes in reader.tags:
        for name in ("src", "href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), value
    assert not re.search(r"https?://", html)
    assert "default-src 'none'" in html
    assert path.stat().st_size < 6e6


def test_an_empty_report_says_what_is_absent():
    html = render(ReportInputs(title="empty", simulated=False))
    _read(html)
    assert "the diagnose stage has not been run" in html
    assert "The model was not diagnosed" in html
    assert "SIMULATED" not in html


def test_records_without_content_are_absent_too(inputs):
    html = render(
        inputs(scorecard=Scorecard(), diagnosis=Diagnosis(), training_log=[], oracle=None)
    )
    assert "Skill against a reference was not measured" in html


@pytest.mark.parametrize("key", ["title", "command", "system"])
def test_names_cannot_inject_markup(inputs, key):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    html = render(inputs(**{key: evil}))
    assert "<script>alert" not in html
    assert "<img" not in html


def test_words_of_records_cannot_inject_markup(inputs, explanations, diagnosis, scorecard):
    evil = '"><script>alert(1)</script>'
    record, arrays = explanations[0]
    checks = tuple(replace(c, name=evil, rule=evil) for c in record.checks)
    record = replace(
        record, method=evil, target=evil, units=evil, baseline=evil, notes=(evil,), checks=checks,
        channels=(evil, evil),
    )  # fmt: skip
    findings = tuple(
        replace(f, question=evil, subject=evil, reason=evil, rule=evil, check=evil, statistic=evil)
        for f in diagnosis.findings
    )
    rows = tuple(replace(r, system=evil) for r in scorecard.rows)
    html = render(
        inputs(
            explanations=((record, arrays),),
            diagnosis=replace(diagnosis, findings=findings, subject=evil, verdict=evil),
            scorecard=replace(scorecard, rows=rows, notes=(evil,), folds=(evil,)),
            oracle={evil: evil},
        )
    )
    assert "<script>alert" not in html
    _read(html)


def test_everything_simulated_is_labelled(inputs):
    html = render(inputs())
    charts = re.findall(r'<svg viewBox="0 0 \d+ [\d.]+" role="img".*?</svg>', html, re.DOTALL)
    labelled = [c for c in charts if 'class="stamp"' in c and ">SIMULATED" in c]
    bars = [c for c in charts if "bar-step" in c]
    assert len(charts) == len(labelled) + len(bars)
    screens = re.findall(r'class="screen".*?</div>\s*</div>', html, re.DOTALL)
    assert html.count('class="on-screen">SIMULATED') == html.count('class="screen"') == 4
    assert screens
    assert "SIMULATED" not in render(inputs(simulated=False))


@pytest.mark.parametrize("simulated", [True, False])
def test_frames_from_a_file_are_not_called_simulated(inputs, simulated):
    html = render(inputs(simulated=simulated, frames_from_file=True))
    screens = re.findall(r'class="on-screen">([^<]+)<', html)
    assert set(screens) == {"FRAMES FROM A FILE"} and len(screens) == html.count('class="screen"')
    charts = html[html.index('id="explanation"') :]
    told = set(re.findall(r'class="stamp"[^>]*>(FRAMES[^<]+)<', charts))
    rest = " · THE REST SIMULATED" if simulated else ""
    assert {text.removesuffix(" · FAILED SELF-CHECK") for text in told} == {
        f"FRAMES FROM A FILE{rest}"
    }


def test_failed_self_checks_stand_on_the_figure(inputs):
    html = render(inputs())
    article = html[html.index('data-index="1"') :]
    figure = article[: article.index("</figure>")]
    assert "Do not rely on this map" in figure
    assert "randomisation = 0.93" in figure
    assert figure.count("FAILED SELF-CHECK") == 2
    assert ">SIMULATED · FAILED SELF-CHECK<" in html
    first = html[html.index('data-index="0"') : html.index('data-index="1"')]
    assert "FAILED SELF-CHECK" not in first


def test_every_outcome_is_told_in_words(inputs):
    html = render(inputs())
    for word in ("problem", "warning, undecided", "fine, unused", "fine<", "not applicable"):
        assert word in html
    assert "not resolved" in html
    assert "Something is wrong: 1 of 5 findings are problems." in html
    assert "Carry the state." in html


def test_a_small_chance_is_not_printed_as_none(inputs, example):
    chances = np.array([[0.004, 0.0, np.nan], [0.5, 0.999, 1.0], [0.25, 0.1, 0.02]])
    html = render(inputs(example=replace(example, event_probability=chances)))
    cells = re.findall(r'<td>(?:<span class="chance"[^>]*>)?([^<]*)', html)
    shown = [c for c in cells if c.endswith("%") or c == "–"][:9]
    assert shown == ["&lt; 1 %", "0 %", "–", "50 %", "&gt; 99 %", "100 %", "25 %", "10 %", "2 %"]


def test_shared_frames_are_held_once(inputs):
    html = render(inputs())
    strips = re.findall(r"--strip-\d+: url\((data:[^)]+)\)", html)
    assert len(strips) == len(set(strips)) == 2 + 2 + 1


def test_the_reports_words_are_those_of_its_language(inputs):
    html = render(inputs(language="ko"))
    assert '<html lang="ko">' in html
    assert "문제가 있습니다" in html
    assert "Something is wrong" not in html


def test_an_explanation_without_maps_keeps_its_words(inputs, explanations):
    record, arrays = explanations[0]
    html = render(inputs(explanations=((record, {"solar_wind": arrays["solar_wind"]}),)))
    _read(html)
    assert "Which variable, when" in html
    assert "When: contribution of each frame" not in html


def test_a_profile_over_many_windows_claims_no_forecast(inputs, explanations):
    record, arrays = explanations[1]
    profile = {name: arrays[name] for name in ("profile", "profile_low", "profile_high")}
    record = replace(record, method="temporal_importance", channels=(), forecast=0.0)
    html = render(inputs(explanations=((record, profile),)))
    _read(html)
    assert "Temporal importance by intervention" in html
    assert "measured over many windows" in html
    assert "which is" not in html
    assert "Do not rely on this map" in html

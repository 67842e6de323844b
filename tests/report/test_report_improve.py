import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from heliosight.core.records import Finding, Interval, Provenance, SkillRow
from heliosight.core.records_remedy import Grade, Improvement, PlanRow, Trial
from heliosight.remedy import REPAIRS, named
from heliosight.report import write_improvement
from heliosight.report.improve_page import render_improvement
from heliosight.report.views_improve import map_rows, score_rows, trial_views
from heliosight.report.wording import Words

VOID = {"meta", "link", "input", "br", "img", "hr", "path", "rect", "polygon"}
T, SIDE = 6, 8


def finding(check, subject, outcome, cause="", value=None):
    return Finding(check, "?", subject, outcome, "", value, "", "<reason>", cause, "")


def grades(names):
    aspects = ("temporal", "saliency", "forecast")
    redesign = "Redesign what ties input to output: fusion, target transform, head."
    return tuple(
        Grade(a, n, "rule", ("a reason",), redesign if n == "bad" else "")
        for a, n in zip(aspects, names, strict=True)
    )


@pytest.fixture
def improvement():
    use = [finding("T8", m, "healthy", value=Interval(0.2, 0.1, 0.3)) for m in ("images", "x")]
    ill = finding("T4", "cell.images.0", "fault", "state_not_carried")
    changes = {"as_it_was": Interval(-0.1, -0.2, -0.02), "random_x": Interval(0.0, -0.1, 0.1)}
    good = Trial(
        prescriptions=("carry_state",), answers=("state not carried",), seeds=(1, 2, 3),
        accepted=True, cleared=3, changes=changes, margin=0.02, reason="gone",
    )  # fmt: skip
    bad = Trial(
        prescriptions=("branch_norm", "curriculum"), seeds=(1, 2), cleared=0,
        changes={"as_it_was": Interval(0.1, 0.05, 0.2)}, margin=0.02, reason="still there",
    )  # fmt: skip
    r2 = {f"r2_day{d}": Interval(0.5 / d, 0.4 / d, 0.6 / d) for d in (1, 2, 3)}
    r2["r2"] = Interval(0.4, 0.3, 0.5)
    known = {"floor": Interval(0.4), "ceiling": Interval(0.8)}
    known |= {"share_of_floor": Interval(1.0), "share_of_ceiling": Interval(0.5)}
    gain = {"r2_gain": Interval(0.1, 0.02, 0.2)}
    return Improvement(
        Provenance("heliosight improve --config-name ill", 1, "2026-01-01T00:00:00Z", {},
                   {}, "k", True),
        "ill/full",
        (
            PlanRow("carry_state", "accepted", ("x",)),
            PlanRow("curriculum", "left out", (), "why"),
            PlanRow("remove_input 1", "advice", (), "solar_wind: leave it out"),
        ),
        (good, bad), {"faults": []}, (ill, *use), tuple(use), grades(("bad", "bad", "moderate")),
        grades(("good", "moderate", "bad")),
        (
            SkillRow("before", "days 1 to 3", r2), SkillRow("after", "days 1 to 3", r2),
            SkillRow("damped", "days 1 to 3", r2), SkillRow("after - before", "d", gain),
            SkillRow("after - damped", "d", gain), SkillRow("knowable", "d", known),
        ),
    )  # fmt: skip


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    found = {"issue_time": np.array(0), "observed": np.ones(24), "day2": np.ones(5)}
    found["day2_time"] = np.arange(5) * 21600
    for side in ("before", "after"):
        found |= {
            f"{side}/maps": rng.standard_normal((T, SIDE, SIDE)),
            f"{side}/frames": rng.integers(0, 255, (1, T, SIDE, SIDE)).astype(np.uint8),
            f"{side}/frame": np.arange(T) + 1.0, f"{side}/frame_low": np.arange(T) + 0.5,
            f"{side}/frame_high": np.arange(T) + 1.5, f"{side}/hidden_norm": np.ones(T),
            f"{side}/feature/images": np.linspace(-1, 1, 99),
            f"{side}/gradient/convlstm": np.linspace(0.1, 1, 99),
            f"{side}/forecast": np.full(24, 2.0), f"{side}/day2": np.full(5, 2.0),
        }  # fmt: skip
    return found


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the parser's own
        self.open += [tag] if tag not in VOID else []

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
            self.open.pop()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_is_well_formed_and_needs_no_network(improvement, arrays, tmp_path, language):
    path, *figures = write_improvement(
        tmp_path / "improve.html", improvement, arrays, language=language,
        changed={"faults": "[x] -> []"}, command="heliosight improve",
        recipes={"carry_state": named("carry_state").recipe},
    )  # fmt: skip
    html = path.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(html)
    assert reader.open == [] and not figures
    assert not re.search(r"https?://", html) and "default-src 'none'" in html
    assert "&lt;reason&gt;" in html, "a record's text is escaped"
    words = Words(language)
    for key in ("grade.good", "grade.bad", "remedy.carry_state", "cause.state_not_carried"):
        assert words.name(*key.split(".", 1)) in html
    assert ("수리" in html) == (language == "ko")
    assert ("In the loop over frames" in html) == (language == "en"), "what to do, in code"
    assert f": {words.name('remedy', 'carry_state')}." in html, "the headline names the repair"


@pytest.mark.parametrize("language", ["en", "ko"])
def test_where_nothing_is_repaired_the_page_shows_one_model(improvement, arrays, language):
    words = Words(language)
    alone = replace(improvement, patch={}, plan=(), trials=(), before=improvement.after)
    html = render_improvement(alone, arrays, language, {}, "heliosight improve")
    both = render_improvement(improvement, arrays, language, {"faults": "x"}, "heliosight improve")
    told = {
        words.name("side", "after"), words("improve_gain"), "→",
        words("improve_chart_feature_after"), words("improve_beside_intro"),
    }  # fmt: skip
    for text in told:
        assert f">{text}" in both and f">{text}" not in html, text
    assert words("improve_beside_intro_alone") in html and words("improve_no_trial") in html
    assert words("improve_maps_both") not in html and words("improve_maps_both") in both
    assert words("improve_tried_intro", margin="0") not in html
    assert words.name("system", "damped") in html


def test_what_to_do_is_told_in_korean_for_every_repair():
    told = Words("ko").sentence
    assert [p.name for p in REPAIRS if told(p.recipe) is None] == []


def test_paper_figures_are_vector_and_carry_the_stamp(improvement, arrays, tmp_path):
    _, *figures = write_improvement(
        tmp_path / "improve.html", improvement, arrays, language="en", changed={}, command="",
        figures=tmp_path / "figures",
    )  # fmt: skip
    stems = {p.stem for p in figures}
    assert {p.suffix for p in figures} == {".pdf", ".svg"} and len(figures) == 2 * len(stems)
    assert {"improve_importance", "improve_maps", "improve_hidden_norm", "improve_days"} <= stems
    assert all("SIMULATED" in p.read_text() for p in figures if p.suffix == ".svg")


def test_a_rise_of_the_error_is_worse(improvement):
    good, bad = trial_views(improvement)
    assert good.against_same.verdict == "better" and good.against_random.verdict == "unresolved"
    assert bad.against_same.verdict == "worse" and bad.against_random is None


def test_scores_stand_beside_the_gain_over_each(improvement):
    rows = {name: gain for name, _, gain in score_rows(improvement)}
    assert list(rows) == ["before", "after", "damped"]
    assert rows["before"].value == "+0.100" and rows["after"] is None


def test_maps_of_both_models_share_one_scale(arrays):
    arrays["after/maps"] = 10 * arrays["after/maps"]
    places, rows, scale = map_rows(arrays)
    assert places == [0, 3, 5] and [r.key for r in rows] == ["sun", "before", "after"]
    assert scale > 5 * np.abs(arrays["before/maps"]).max() / 2
    assert map_rows({}) == ([], [], 0.0)


def test_an_improvement_without_a_fault_says_so(improvement):
    empty = Improvement(subject="healthy", grades_before=(), grades_after=())
    html = render_improvement(empty, {}, "en", {}, "")
    assert "No fault was found, so nothing is prescribed." in html
    assert "Leave the config as it is." in html and "Nothing was tried." in html


@pytest.mark.browser
@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ko", 400)])
def test_the_page_in_a_browser(improvement, arrays, tmp_path, browser, language, width):
    path = write_improvement(
        tmp_path / "improve.html", improvement, arrays, language=language, changed={"a": "b"},
        command="x",
    )[0]  # fmt: skip
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get(path.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('[role=img]')]"
        ".filter((e) => !e.getAttribute('aria-label')).length"
    )
    pictures = browser.execute_script(
        "return [...document.images].map((i) => [i.complete, i.naturalWidth])"
    )
    assert nameless == 0 and len(pictures) == 15 and all(ok and w > 0 for ok, w in pictures)
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []

"""Withheld explanations, tracked structures, importance and the survey, as pages and figures."""

import re
from dataclasses import replace

import numpy as np
import pytest

from heliosight.core.records import SelfCheck
from heliosight.core.records_explain import AttributionSurvey
from heliosight.report import render
from heliosight.report.chart_structures import outlines
from heliosight.report.figures import paper_figures

FAILED = SelfCheck("faithfulness", False, 0.4, "beats random maps", "p 0.4 of 19")


@pytest.fixture
def withheld(inputs):
    first, *rest = inputs().explanations
    record = replace(first[0], checks=(FAILED,), withheld=("faithfulness",))
    return inputs(explanations=((record, first[1]), *rest))


def test_with_too_little_evidence_the_page_says_so_before_any_picture(withheld):
    page = render(withheld)
    article = page[page.index('class="explained" data-index="0"') :]
    article = article[: article.index("</article>")]
    told, numbers = article.index("No explanation: too little evidence"), article.index("withheld")
    assert told < numbers < article.index('class="films"')
    assert "p 0.4 of 19" in article[:numbers]
    assert "설명 없음" in render(replace(withheld, language="ko"))


def test_with_too_little_evidence_the_figure_has_no_picture(withheld):
    figures = dict(paper_figures(withheld))
    figure = figures["attribution_1_integrated_gradients"]
    assert not figure.axes
    assert any("No explanation" in text.get_text() for text in figure.texts)
    assert not any(name.startswith("attribution_1_integrated_gradients_") for name in figures)


def tracked(inputs):
    record, arrays = inputs().explanations[0]
    frames, size = len(record.frame_times), arrays["images"].shape[-1]
    labels = np.zeros((frames, size, size), dtype=np.int16)
    labels[:, :2, :2] = 1
    sums = np.array([[0.0] * (frames - 1) + [6.0]])
    place = np.full((1, frames), np.nan)
    place[0, -1] = 12.0
    more = {
        "structures": labels, "structure_kind": np.zeros(1, dtype=np.int16),
        "structure_sums": sums, "structure_latitude": place, "structure_longitude": -2 * place,
    }  # fmt: skip
    return inputs(explanations=((record, {**arrays, **more}),))


def test_structures_are_named_summed_and_outlined(inputs):
    page = render(tracked(inputs))
    assert "coronal hole N12 E24" in page
    assert 'class="layer outline"' in page and 'id="outlines"' in page
    assert "코로나 홀 N12 E24" in render(replace(tracked(inputs), language="ko"))


def test_outlines_are_thin_lines_inside_the_structures_edge():
    labels = np.zeros((1, 8, 8), dtype=int)
    labels[0, 1:3, 1:3] = 1
    labels[0, 5, 5] = 2
    drawn = outlines(labels)[0, ..., 3] > 0
    assert drawn.shape == (256, 256)
    within = labels[0].repeat(32, 0).repeat(32, 1) > 0
    assert drawn[32, 32:96].all() and drawn[95, 32:96].all() and not drawn[~within].any()
    assert not drawn[33:95, 33:95].any() and 0 < drawn[160:192, 160:192].mean() < 0.2
    assert not outlines(np.zeros((1, 4, 4), dtype=int)).any()


def test_a_channel_can_be_picked(inputs):
    page = render(inputs())
    assert page.count('class="film" data-channel=') >= 2
    assert '<select id="channel"><option value="">all</option>' in page


def test_importance_is_drawn_with_its_intervals(inputs):
    profile = {
        "name": "modalities", "labels": ["images", "solar_wind"], "value": [1.0, 2.0],
        "low": [0.5, None], "high": [1.5, None], "units": "ap (2 nT)", "how": "replaced from 2",
    }  # fmt: skip
    steps = {**profile, "name": "images steps"}
    page = render(inputs(importance=(profile, steps)))
    assert page.count("change when replaced [ap (2 nT)]") == 1
    assert page.count("replaced from 2") == 1


def survey_of_four_windows():
    draw = np.random.default_rng(0)
    sun = draw.normal(size=(18, 36))
    sun[0] = np.nan
    four = draw.normal(size=4)
    arrays = {
        "hours": np.array([-18.0, -12, -6, 0]), "profile": four, "low": four - 1, "high": four + 1,
        "disc": draw.normal(size=(8, 8)), "sun": sun,
    }  # fmt: skip
    record = AttributionSurvey(
        method="hires_cam", target="mean_ap_day2", units="ap (2 nT)", windows=40,
        icc_windows=0.91, icc_frames=0.2,
    )  # fmt: skip
    return record, arrays


def test_the_survey_is_drawn_on_the_disc_and_on_the_sun(inputs):
    record, arrays = survey_of_four_windows()
    page = render(inputs(survey=(record, arrays)))
    for words in ("Carrington longitude [deg]", "north [solar radii]", "between windows 0.91"):
        assert words in page
    assert not re.search("nan", page[page.index('id="survey"') :], re.IGNORECASE)


def profile_of(name, labels, value=2.0):
    count = len(labels)
    return {
        "name": name, "labels": list(labels), "value": [value] * count, "low": [None] * count,
        "high": [None] * count, "units": "ap (2 nT)", "how": "replaced from 2 other real windows",
    }  # fmt: skip


def axes_of(figure):
    return [axis for axis in figure.axes if axis.get_xlabel() or axis.get_ylabel()]


def test_structures_have_a_paper_figure_unless_the_explanation_is_withheld(inputs):
    known = tracked(inputs)
    figure = dict(paper_figures(known))["attribution_1_integrated_gradients_structures"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["coronal hole N12 E24 (+6)"]
    assert [a.get_xlabel() or a.get_ylabel() for a in axes_of(figure)] == [
        "hours relative to issue [h]", "ap (2 nT) per frame",
    ]  # fmt: skip
    (record, arrays), *_ = known.explanations
    hidden = replace(record, checks=(FAILED,), withheld=("faithfulness",))
    names = dict(paper_figures(replace(known, explanations=((hidden, arrays),))))
    assert not any("structures" in name for name in names)


def test_importance_has_a_paper_figure_for_every_profile(inputs):
    given = inputs()
    modality = next(m for m in given.spec.modalities.values() if m.kind == "series")
    variables = profile_of("solar_wind variables", modality.variables)
    variables["low"], variables["high"] = [1.0] * len(modality.variables), variables["value"]
    steps = profile_of("solar_wind steps", [str(k) for k in range(modality.steps)])
    figures = dict(paper_figures(replace(given, importance=(variables, steps))))
    bars = figures["importance_solar_wind_variables"].axes[0]
    assert bars.get_xlabel() == "change when replaced [ap (2 nT)]"
    assert len(bars.patches) == len(bars.lines) == len(modality.variables)
    times = figures["importance_solar_wind_steps"].axes[0]
    newest = times.patches[-1]
    assert newest.get_x() + newest.get_width() / 2 == pytest.approx(-modality.cadence_hours)
    assert times.get_xlabel() == "hours relative to issue [h]" and not times.lines[1:]


def test_the_survey_has_a_paper_figure_with_places_in_degrees_and_radii(inputs):
    record, arrays = survey_of_four_windows()
    figure = dict(paper_figures(inputs(survey=(record, arrays))))["survey"]
    labels = {(a.get_xlabel(), a.get_ylabel()) for a in axes_of(figure)}
    assert ("west [solar radii]", "north [solar radii]") in labels
    assert ("Carrington longitude [deg]", "latitude [deg]") in labels
    assert "ICC" in figure.get_suptitle()

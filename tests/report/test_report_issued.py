"""The headline of an issued forecast."""

import dataclasses

import pytest
from test_report_hostile import filled, issued_page

from heliosight.core.issued import IssuedForecast
from heliosight.report.forecast_page import render_forecast

USUAL = 0.5  # what `issued_page` gives every reference


@pytest.mark.parametrize(
    ("chance", "likely", "watch"),
    [(0.004, "", False), (0.49, "", False), (0.5, "", True), (0.004, "G1", True)],
)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_watch_at_less_than_the_usual_chance_is_no_headline(
    example, language, chance, likely, watch
):
    record = dataclasses.replace(
        filled(IssuedForecast), levels=tuple(example.levels), storms=("G1",), statuses=("issued",),
        answers=("network",), references=("climatology",),
    )  # fmt: skip
    call = dataclasses.replace(
        record.calls[0], storm="G1", likely=likely, day=1, probability=chance, threshold=0.004
    )
    html = render_forecast(
        issued_page(dataclasses.replace(record, calls=(call,)), example), language
    )
    top = html[html.index('<div class="answer') : html.index('<div class="below">')]
    assert ("answer storm" in top and "badge" in top) == watch
    told = {"en": "below what is usual (50", "ko": "평소(50"}[language]
    assert (told in top) != watch
    plain = dataclasses.replace(record, calls=(call,), references=("damped",))
    assert "badge" in render_forecast(issued_page(plain, example), language)

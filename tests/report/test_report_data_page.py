"""The page of a store: every word escaped, both languages, holes and bad frames to be seen."""

import json
from pathlib import Path

import numpy as np
import pytest

from heliosight.core.records import DatasetCard, Provenance, TableCard, VariableCoverage
from heliosight.report.data_page import (
    DataPage,
    Histogram,
    TableView,
    Thumbnail,
    render_data_page,
    write_data_page,
)
from heliosight.report.wording import WORDS


def page(simulated=False):
    variables = (
        VariableCoverage("aia_193", "1", 1, 0, 4, 60.0, 50.0),
        VariableCoverage("<b>", "nT", 0, 2, 4, None, None),
    )
    span = ("2014-01-01T00:00:00Z", "2014-01-02T00:00:00Z")
    card = DatasetCard(
        Provenance(simulated=simulated),
        "<script>alert(1)</script>",
        (TableCard("images", "images", *span, 6.0, 4, 1, 0.0, variables),),
        {"aia": "retrieved"},
        {"aia": "public & open"},
        ("not for commercial use",),
        "0123456789abcdef",
    )
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    sheet = (
        Thumbnail(pixels, "2014-01-01T00:00:00Z", False),
        Thumbnail(pixels, "2014-01-01T06:00:00Z", True),
        Thumbnail(None, "2014-01-01T12:00:00Z", False),
    )
    view = TableView(
        "images", ("aia_193", "<b>"), np.array([[1.0, 1.0, 0.0, 0.5], [0.0] * 4]),
        (("2014-01-01T18:00:00Z", "2014-01-02T00:00:00Z", 1),),
        (Histogram("aia_193", np.linspace(0, 256, 5), np.array([5, 0, 1000, 2])),),
        (("aia_193", sheet),),
    )  # fmt: skip
    return DataPage(card, 1388534400, 1388620800, (view,))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_shows_holes_bad_frames_and_terms_and_escapes_every_word(language, tmp_path):
    html = write_data_page(tmp_path / "data.html", page(), language).read_text()
    assert "<script" not in html and "&lt;script&gt;" in html and "&lt;b&gt;" in html
    assert html.count("<img ") == 2 and html.count('class="hole"') == 1
    assert html.count('class="bad"') == 1 and "public &amp; open" in html
    assert "not for commercial use" in html and "SIMULATED" not in html
    assert f'lang="{language}"' in html and "2014-01-01T18:00:00Z" in html


def test_a_simulated_store_is_stamped():
    assert "SIMULATED" in render_data_page(page(simulated=True), "en")


def test_empty_bins_are_white_and_equal_neighbours_are_one_bar():
    html = render_data_page(page(), "en")
    coverage = html.split("<figure>")[1].split("</figure>")[0]
    assert coverage.count("fill-opacity") == 2


def test_both_languages_have_the_same_words():
    english, korean = (
        json.loads((Path(WORDS) / f"data.{language}.json").read_text()) for language in ("en", "ko")
    )
    assert english.keys() == korean.keys()
    assert all(set(_holes(english[k])) == set(_holes(korean[k])) for k in english)


def _holes(text):
    return [part.split("}")[0] for part in text.split("{")[1:]]

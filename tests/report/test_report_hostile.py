"""Every text of every record may be hostile: no page gains a tag, an attribute or an address.

Fields of records are filled with markup wherever they hold free text, as many at a time as are not
refused; the page must then have the very tags that it had before, and no address of another kind.
"""

import dataclasses
import typing
from collections.abc import Mapping
from html.parser import HTMLParser

import numpy as np
import pytest
from jinja2 import UndefinedError
from test_report_data_page import page as data_page
from test_report_improve import improvement  # noqa: F401 - a fixture
from test_report_sun_page import a_page as sun_page

from heliosight.core.errors import HeliosightError
from heliosight.core.issued import IssuedArrays, IssuedForecast
from heliosight.core.records_certificate import Certificate
from heliosight.core.records_explain import ExplanationScore
from heliosight.core.sealed import SealedScore
from heliosight.report.archive_page import ListedForecast, render_archive
from heliosight.report.certificate_page import render_certificate_page
from heliosight.report.data_page import render_data_page
from heliosight.report.forecast_page import ForecastPage, render_forecast
from heliosight.report.improve_page import render_improvement
from heliosight.report.page import render
from heliosight.report.score_page import render_score_page
from heliosight.report.sealed_page import render_sealed
from heliosight.report.sun_page import render_sun_page

EVIL = "</script></style></title>--><evil a=b onevil=1>'\" onevil='1' javascript:evil()"
ADDRESSES = ("href", "src", "action", "formaction", "xlink:href", "style")


class Shape(HTMLParser):
    """Tags with the names of their attributes, and the addresses among their values."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.addresses = set(), []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add((tag, *sorted(name for name, _ in attributes)))
        self.addresses += [value for name, value in attributes if name in ADDRESSES]

    handle_startendtag = handle_starttag


def poisoned(value, names):
    """The value with every text in fields of these names made hostile, keys of mappings too."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {}
        for f in dataclasses.fields(value):
            old = getattr(value, f.name)
            new = evil(old) if f.name in names else poisoned(old, names)
            if new is not old and f.init:
                changes[f.name] = new
        return dataclasses.replace(value, **changes) if changes else value
    if isinstance(value, Mapping):
        return {k: poisoned(v, names) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(poisoned(v, names) for v in value)
    return value


def evil(value):
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, Mapping):
        return {evil(k): evil(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(evil(v) for v in value)
    return value


def fields_of(value):
    """Names of all fields that hold text somewhere."""
    found = set()
    if dataclasses.is_dataclass(value):
        for f in dataclasses.fields(value):
            inner = getattr(value, f.name)
            if evil(inner) is not inner and repr(evil(inner)) != repr(inner):
                found.add(f.name)
            found |= fields_of(inner)
    elif isinstance(value, Mapping):
        found |= {n for v in value.values() for n in fields_of(v)}
    elif isinstance(value, tuple | list):
        found |= {n for v in value for n in fields_of(v)}
    return found


def require_no_injection(draw, record, least):
    """Every text field; those that are refused (a time, a unit, a known name) make no page."""
    known = {tag[0] for tag in Shape(draw(record)).tags} | {"i", "b"}
    drawn = 0
    todo = [sorted(fields_of(record))]
    while todo:
        names = todo.pop()
        try:
            shape = Shape(draw(poisoned(record, names)))
        except (HeliosightError, UndefinedError, ValueError, KeyError, StopIteration):
            todo += [names[::2], names[1::2]] if len(names) > 1 else []
            continue
        drawn += len(names)
        assert not [t for t in shape.tags if any("evil" in part for part in t)], names
        assert {t[0] for t in shape.tags} <= known, names
        assert not [a for a in shape.addresses if "evil" in (a or "") and a[0] not in "#/"], names
    assert drawn >= least


def filled(hint):
    """An instance of any annotation: one of everything."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(**{f.name: filled(hints[f.name]) for f in dataclasses.fields(hint) if f.init})
    if origin is typing.Literal:
        return args[0]
    if origin is tuple:
        return (filled(args[0]),) if args[1:] == (...,) else tuple(filled(a) for a in args)
    if origin in (dict, Mapping):
        return {"key": filled(args[1])}
    if args and type(None) in args:
        return filled(args[0])
    plain = {str: "2015-03-17T00:00:00Z", int: 1, float: 0.5, bool: True}
    return plain.get(hint, 0.5)


def test_the_report(inputs):
    """Explanations have a test of their own (test_report_page): their pictures take seconds."""
    require_no_injection(render, inputs(explanations=()), 20)


def test_the_page_of_an_improvement(improvement):  # noqa: F811
    require_no_injection(lambda r: render_improvement(r, {}, "en", {"a": "b"}, ""), improvement, 10)
    html = render_improvement(improvement, {}, "en", {EVIL: EVIL}, EVIL)
    assert not [t for t in Shape(html).tags if "evil" in t]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_of_a_store(language):
    require_no_injection(lambda r: render_data_page(r, language), data_page(), 8)


def test_the_page_of_the_sun():
    require_no_injection(render_sun_page, sun_page(), 4)


@pytest.mark.parametrize(
    ("draw", "record"),
    [
        (render_certificate_page, Certificate),
        (render_score_page, ExplanationScore),
        (lambda r: render_sealed(r, "en", True), SealedScore),
        (lambda r: render_archive([r], "en"), ListedForecast),
    ],
    ids=["certificate", "score", "sealed", "archive"],
)
def test_pages_of_records(draw, record):
    require_no_injection(draw, filled(record), 1)


def issued_page(record, example, name="", channel="aia_193"):
    """The page of a record, with one reference and one frame; what `filled` cannot know is set."""
    leads, storms = len(example.valid_time), len(record.storms)
    one = np.ones((1, leads, len(example.levels)), np.float32)
    chance = np.full((1, len(record.calls), storms), 0.5, np.float32)
    arrays = IssuedArrays(
        np.array([example.issue_time]), example.valid_time[None], one, one[..., 0], chance,
        one[:, None], one[:, None, :, 0], chance[:, None], np.zeros((1, 1)), np.zeros((1, 1)),
        np.zeros(1, np.int8),
    )  # fmt: skip
    frames = {channel: (record.frames[0], np.full((16, 16), 90, np.uint8))}
    return ForecastPage(record, arrays, example, frames, name=name)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_of_an_issued_forecast(example, language):
    record = dataclasses.replace(
        filled(IssuedForecast), levels=tuple(example.levels), storms=("G1",), statuses=("widened",),
        answers=("network",),
    )  # fmt: skip
    call = dataclasses.replace(record.calls[0], storm="G1", likely="G1", day=1)
    stale = dataclasses.replace(record.inputs[0], age_hours=3.0, withheld=2)
    value = next(iter(record.past[0].metrics.values()))
    facts = dict.fromkeys(("forecasts", "first", "last"), value)
    shown = [
        dataclasses.replace(record.past[0], where="block", system=system, metrics=metrics)
        for system, metrics in (("", facts), ("damped", {"crps_ap_pooled": value}))
    ]
    kept = dataclasses.replace(record, calls=(call,), inputs=(stale,), past=tuple(shown))

    def draw(given):
        return render_forecast(issued_page(given, example), language)

    require_no_injection(draw, kept, 30)
    html = render_forecast(issued_page(kept, example, EVIL, EVIL), language)
    assert "evil" in html and not [t for t in Shape(html).tags if "evil" in t]


def test_the_shape_sees_what_is_injected():
    shape = Shape(f"<p title='{EVIL}'>{EVIL}</p>")
    assert ("evil", "a", "onevil") in shape.tags
    assert np.any(["onevil" in tag for tag in shape.tags])
    assert fields_of(filled(IssuedForecast))

"""The certificate's page: what a score of few models proves, and labels that fit."""

import dataclasses

import pytest
from test_report_hostile import filled

from heliosight.core.records import Interval
from heliosight.core.records_certificate import Certificate, CertificateRow
from heliosight.report.certificate_page import label, render_certificate_page


def row(group, name, low, goal=None):
    base = filled(CertificateRow)
    value = Interval(1.0, low, 1.0)
    return dataclasses.replace(
        base, group=group, name=name, value=value, goal=goal, hits=5, count=5
    )


@pytest.mark.parametrize(("low", "proved"), [(0.025, 0), (0.85, 1)])
def test_the_verdict_says_what_the_lower_ends_reach(low, proved):
    rows = (row("first cause", "exact", low, 0.85), row("stability", "same", 0.0))
    page = render_certificate_page(dataclasses.replace(filled(Certificate), rows=rows, missed=()))
    assert "1 of 1 goals are reached" in page
    assert f"By the lower end of their intervals {proved} of 1 are" in page


def test_a_rule_of_thumb_is_named_once():
    name = "magnitude ratio above 100"
    told = label(row("rule of thumb, sensitivity", name, 0.0))
    assert told == "sensitivity, magnitude ratio above 100 (5 of 5)"

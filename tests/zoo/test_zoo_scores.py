"""Intervals and scores of a certificate, against closed forms and by hand."""

import numpy as np
import pytest
from scipy import stats

from heliosight.core.records_certificate import CertifiedCase, NamedFault
from heliosight.zoo.intervals import exact_share, share
from heliosight.zoo.rules import RULES
from heliosight.zoo.score import certificate, clean, first_right, found
from heliosight.zoo.table import text


def case(stratum="fault", kind="F1", severity="only", model="a", wanted=(("x", "y"),), named=(),
         took=True, exact=True, symptoms=(), **more):  # fmt: skip
    faults = tuple(NamedFault(cause, "images", check) for cause, check in named)
    return CertifiedCase(
        stratum=stratum, kind=kind, severity=severity, model=model, wanted=wanted, named=faults,
        took=took, exact=exact, symptoms=symptoms, questions=10, **more,
    )  # fmt: skip


@pytest.mark.accuracy
def test_the_exact_interval_holds_what_the_binomial_says():
    low, high = (exact_share(18, 20).low, exact_share(18, 20).high)
    assert stats.binom.sf(17, 20, low) == pytest.approx(0.025, abs=1e-6)
    assert stats.binom.cdf(18, 20, high) == pytest.approx(0.025, abs=1e-6)
    assert exact_share(20, 20).low == pytest.approx(0.025 ** (1 / 20))
    assert (exact_share(0, 5).low, exact_share(0, 5).high) == (0.0, pytest.approx(0.5218, abs=1e-4))


def test_cases_of_one_model_do_not_count_as_many():
    agree = share([True] * 30, [f"m{i % 3}" for i in range(30)])
    assert agree.low == exact_share(3, 3).low
    alone = share([True] * 29 + [False], [f"m{i}" for i in range(30)])
    assert alone.how == "Clopper-Pearson"
    lumped = share([True] * 20 + [False] * 10, [f"m{i // 10}" for i in range(30)])
    assert lumped.low <= 0.35 and lumped.high == 1.0
    assert lumped.value == pytest.approx(2 / 3)


def test_a_fault_is_found_by_root_or_symptom_and_right_first_by_root_alone():
    root = case(named=[("y", "T2"), ("z", "T3")])
    late = case(named=[("z", "T3"), ("y", "T2")])
    shown = case(named=[("s", "USE")], symptoms=(("s",),))
    assert (found(root), first_right(root)) == (1.0, True)
    assert (found(late), first_right(late)) == (1.0, False)
    assert (found(shown), first_right(shown)) == (1.0, False)
    pair = case("pair", wanted=(("x",), ("q",)), named=[("x", "T2")])
    assert found(pair) == 0.5
    assert clean(case()) and not clean(root)


def test_the_certificate_says_what_was_missed_and_leaves_out_what_did_not_take():
    cases = [
        case(named=[("x", "T2")]),
        case(model="b"),
        case(model="c", took=False, note="same forecast"),
        case(kind="F6", severity="moderate", exact=False, named=[("x", "T13")]),
        case(kind="F6", severity="mild", exact=False),
        case("healthy", "plain", wanted=(), rules={RULES[0]: True}),
        case("hard", "H4", wanted=(), named=[("x", "T20")]),
    ]
    made = certificate(cases, "development", "c0de")
    rows = {(r.group, r.name): r for r in made.rows}
    assert made.cases == 6 and made.not_taken == ("F1 only c: same forecast",)
    assert rows["sensitivity", "exact faults"].value.value == 0.5
    assert rows["sensitivity", "other faults, macro, moderate"].value.value == 1.0
    assert rows["sensitivity of F6", "mild"].value.value == 0.0
    assert rows["specificity", "hard healthy"].value.value == 0.0
    assert rows["false alarms by check", "T20"].value.value == 0.5
    assert rows["rule of thumb, specificity", RULES[0]].value.value == 0.0
    assert [m.split(":")[0] for m in made.missed] == [
        "sensitivity, exact faults", "specificity, hard healthy", "first cause, exact and moderate",
    ]  # fmt: skip
    told = text(made)
    assert "MISSED: sensitivity, exact faults: 0.500 of 1 asked" in told
    assert "not scored, the manipulation did not take: F1 only c: same forecast" in told


def test_the_macro_average_counts_faults_not_cases():
    many = [case(kind="F6", severity="moderate", exact=False, model=f"m{i}") for i in range(9)]
    one = case(kind="F9", severity="moderate", exact=False, named=[("x", "USE")])
    rows = {r.name: r for r in certificate([*many, one], "test", "").rows}
    assert rows["other faults, macro, moderate"].value.value == pytest.approx(0.5)
    assert np.isclose(rows["other faults, macro, moderate"].hits, 1)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliosight.core.records import Interval
from heliosight.remedy import (
    ForecastEvidence,
    SaliencyEvidence,
    TemporalEvidence,
    grade_forecast,
    grade_saliency,
    grade_temporal,
)

RANK = {"bad": 0, "moderate": 1, "good": 2}
# The field report: importance of single frames, divided by the largest, one sample.
REPORTED = np.r_[
    [0.2, 0.3, 0.4, 0.3], np.linspace(0.0, 0.2, 11), [0.7, 0.72, 0.75, 0.72, 0.7],
    [0.1, 0.1, 0.1], [0.8, 0.9, 1.0, 0.95, 0.9],
]  # fmt: skip


def ranges(values, count=4):
    return tuple(float(part.mean()) for part in np.array_split(np.asarray(values, float), count))


def temporal(share, low=None, floor=0.01, known=(0.2,) * 4, known_low=(0.1,) * 4, explained=0.8):
    return TemporalEvidence(tuple(share), low, floor, tuple(known), tuple(known_low), explained)


@given(st.floats(0.0, 0.9), st.floats(0.0, 1.0), st.booleans())
def test_the_reported_profile_is_never_better_than_moderate(floor, width, has_interval):
    share = ranges(REPORTED)
    low = tuple(s * width for s in share) if has_interval else None
    found = grade_temporal(temporal(share, low, floor))
    assert RANK[found.grade] <= RANK["moderate"]


def test_the_reported_maps_and_forecast_are_bad():
    assert grade_saliency(SaliencyEvidence(1.0, None, False)).grade == "bad"
    constant = ForecastEvidence(Interval(0.0001, 0.0, 0.0002), {"climatology": Interval(0, -1, 1)})
    found = grade_forecast(constant)
    assert found.grade == "bad" and found.redesign


def test_importance_spread_as_the_information_is_good():
    even = temporal([0.3] * 4, (0.2,) * 4)
    assert grade_temporal(even).grade == "good"
    falling = temporal([0.05, 0.1, 0.2, 0.4], (0.03, 0.08, 0.1, 0.3), known=(0.02, 0.05, 0.1, 0.2))
    assert grade_temporal(falling).grade == "good"


def test_what_holds_nothing_need_not_be_used():
    newest = temporal([0.0, 0.0, 0.0, 0.5], (0, 0, 0, 0.4), known_low=(-0.1, -0.1, -0.1, 0.2))
    assert grade_temporal(newest).grade == "good"


@pytest.mark.parametrize(
    ("share", "low", "grade"),
    [
        ([0.0, 0.0, 0.3, 0.3], (0, 0, 0.2, 0.2), "moderate"),
        ([0.0, 0.0, 0.0, 0.0], (0, 0, 0, 0), "bad"),
        ([0.3] * 4, None, "moderate"),
        ([0.02, 0.3, 0.3, 0.3], (0.015, 0.2, 0.2, 0.2), "moderate"),
    ],
)
def test_partial_use_is_moderate_and_none_is_bad(share, low, grade):
    found = grade_temporal(temporal(share, low))
    assert found.grade == grade
    assert bool(found.redesign) == (grade == "bad")


@pytest.mark.parametrize(
    ("adds", "grade"),
    [(0.0009, "good"), (0.0041, "good"), (0.0049, "moderate"), (0.05, "moderate")],
)
def test_a_range_is_asked_for_where_taking_it_could_show(adds, grade):
    """One floor for both sides: 1 % of what is known, 0.46 of the variance."""
    newest = {"share": [0.0, 0.0, 0.004, 0.8], "low": (0.0, 0.0, 0.002, 0.7)}
    known = (0.0, 0.0, adds + 0.003, 0.19)
    found = grade_temporal(
        temporal(**newest, known=known, known_low=(-0.01, -0.01, adds, 0.16), explained=0.46)
    )
    assert found.grade == grade


def test_where_nothing_is_known_at_all_no_range_is_asked_for():
    found = grade_temporal(temporal([0.3] * 4, (0.2,) * 4, known_low=(-0.1,) * 4, explained=-0.2))
    assert found.grade == "moderate" and "nothing to compare with" in found.reasons


def test_nothing_known_to_be_there_is_moderate():
    found = grade_temporal(temporal([0.3] * 4, (0.2,) * 4, known_low=(-1.0,) * 4))
    assert found.grade == "moderate" and "nothing to compare with" in found.reasons


@pytest.mark.parametrize(
    ("correlation", "slope", "passed", "grade"),
    [
        (0.4, Interval(1.1, 0.6, 1.5), True, "good"),
        (0.4, Interval(1.1, 0.6, 1.5), False, "moderate"),
        (0.4, Interval(0.5, -0.2, 1.2), True, "moderate"),
        (0.4, Interval(0.1, -0.2, 0.3), True, "moderate"),
        (0.4, None, True, "moderate"),
        (1.0, Interval(1.0, 0.9, 1.1), True, "bad"),
        (float("nan"), Interval(1.0, 0.9, 1.1), True, "bad"),
    ],
)
def test_saliency(correlation, slope, passed, grade):
    assert grade_saliency(SaliencyEvidence(correlation, slope, passed)).grade == grade


def test_a_good_forecast_beats_every_reference():
    gains = {"climatology": Interval(0.2, 0.1, 0.3), "damped": Interval(0.1, 0.05, 0.2)}
    spread = Interval(0.3, 0.2, 0.4)
    assert grade_forecast(ForecastEvidence(spread, gains)).grade == "good"
    unsure = {**gains, "damped": Interval(0.1, -0.05, 0.2)}
    found = grade_forecast(ForecastEvidence(spread, unsure))
    assert found.grade == "moderate" and "not shown to beat damped" in found.reasons
    nothing = {**gains, "climatology": Interval(0.1, -0.05, 0.2)}
    assert grade_forecast(ForecastEvidence(spread, nothing)).grade == "bad"

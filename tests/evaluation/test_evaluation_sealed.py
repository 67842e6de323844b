"""Phases, storms, reliability and calibration: against slow twins, and where a fault is planted."""

from dataclasses import replace

import numpy as np
import pytest

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.forecast import DEFAULT_LEVELS
from heliosight.core.geomagnetic import STORM_AP, snap_ap
from heliosight.core.predictions import Predictions
from heliosight.core.tables import SeriesTable
from heliosight.evaluation import metrics
from heliosight.evaluation.bootstrap import Blocks
from heliosight.evaluation.calibration import calibration
from heliosight.evaluation.dressing import storm_days
from heliosight.evaluation.past import day_scores
from heliosight.evaluation.phase import cycle_phase, phase_names, real_turns
from heliosight.evaluation.reliability import EDGES, reliability
from heliosight.evaluation.scorecard import ScorecardConfig, find, scorecard
from heliosight.evaluation.slices import before_parts, observed_parts, sliced
from heliosight.evaluation.storms import count_storms, storm_numbers

LEVELS = np.array(DEFAULT_LEVELS)
NORMAL = np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])


def forecasts(n=400, claimed=0.7, real=0.7, seed=0):
    """Forecasts in log1p(ap) that claim one spread where another is true; ap on its own scale."""
    rng = np.random.default_rng(seed)
    median = 2.6 + 0.5 * rng.normal(size=(n, 1)) * np.ones(24)
    truth = snap_ap(np.expm1(np.maximum(median + real * rng.normal(size=(n, 24)), 0)))
    log = np.maximum(median[..., None] + claimed * NORMAL, 0.0)
    draws = np.maximum(median[:, None] + claimed * rng.normal(size=(n, 400, 24)), 0)
    highest = draws.reshape(n, 400, 3, 8).max(-1)
    chance = (highest[..., None] > np.log1p([35.5, 61.5, 102.5])).mean(1)
    return Predictions(
        "p", np.arange(n) * 6 * HOUR * 5, median, np.expm1(median), truth, LEVELS, np.expm1(log),
        chance, np.zeros(n, int),
    )  # fmt: skip


def blocks_of(given, replicates=200):
    blocks = Blocks.of(given.issue_time, given.fold)
    return blocks, blocks.draw(replicates, np.random.default_rng(0)), 0.95, "blocks"


def test_a_calibrated_forecast_is_found_so_on_storms_too():
    given = forecasts()
    found = calibration(given, *blocks_of(given))
    assert found.coverage["all_90"].value == pytest.approx(0.9, abs=0.02)
    assert found.coverage["all_50"].value == pytest.approx(0.5, abs=0.03)
    assert found.occurrence.low < 1.0 < found.occurrence.high + 0.05
    assert found.coverage["severity_90"].value == pytest.approx(0.9, abs=0.04)
    assert all(abs(b.value - 0.1) < 0.03 for b in found.pit)
    assert sum(b.value for b in found.severity) == pytest.approx(1.0)
    # conditioning on the outcome condemns even this one: the forecaster's dilemma
    assert found.coverage["storm_90"].high < 0.9


def test_a_forecast_that_is_too_narrow_or_too_low_on_storms_is_found():
    narrow = forecasts(claimed=0.35)
    found = calibration(narrow, *blocks_of(narrow))
    assert found.coverage["all_90"].high < 0.85
    assert found.occurrence.low > 1.3
    assert found.coverage["severity_90"].high < 0.9
    assert found.severity[-1].low > 0.15


def test_the_pit_equals_its_slow_twin():
    given = forecasts(n=20)
    found = calibration(given, *blocks_of(given, 0))
    from scipy.stats import norm

    from heliosight.core.geomagnetic import AP_LEVELS

    counts = np.zeros(10)
    for i in range(20):
        for k in range(24):
            j = int(np.flatnonzero(given.observed[i, k] == AP_LEVELS)[0])
            below = (AP_LEVELS[j - 1] + AP_LEVELS[j]) / 2 if j else -np.inf
            above = (AP_LEVELS[j] + AP_LEVELS[j + 1]) / 2
            ends = [
                0.0 if ap < 0 else norm.cdf((np.log1p(ap) - given.mean_log[i, k]) / 0.7)
                for ap in (below, above)
            ]
            for b in range(10):
                part = min(ends[1], (b + 1) / 10) - max(ends[0], b / 10)
                counts[b] += max(part, 0) / (ends[1] - ends[0])
    # between its levels the forecast is linear, the twin is a normal: a few per cent apart
    np.testing.assert_allclose([b.value for b in found.pit], counts / counts.sum(), atol=0.012)


def test_reliability_equals_its_slow_twin_and_murphys_sum():
    given = forecasts(n=300)
    found = reliability(given, 2, *blocks_of(given))
    p, o = given.event_probability[:, 1, 0], storm_days(given.observed)[:, 1, 0]
    for b in found.bins:
        inside = (p >= b.low) & ((p < b.high) | (b.high == EDGES[-1]))
        assert b.count == inside.sum()
        assert b.forecast == pytest.approx(p[inside].mean())
        assert b.observed.value == pytest.approx(o[inside].mean())
    binned = sum(
        b.count * ((b.forecast - b.observed.value) ** 2) for b in found.bins
    ) / len(p)  # fmt: skip
    assert found.reliability.value == pytest.approx(binned)
    assert found.uncertainty == pytest.approx(o.mean() * (1 - o.mean()))
    assert found.resolution.value > found.reliability.value
    everything = reliability(given, 0, *blocks_of(given))
    assert sum(b.count for b in everything.bins) == 900


def test_overforecasting_shows_below_the_diagonal():
    given = forecasts()
    loud = replace(given, event_probability=np.sqrt(given.event_probability))
    found = reliability(loud, 0, *blocks_of(loud))
    big = [b for b in found.bins if b.count > 100]
    assert sum(b.observed.value < b.forecast for b in big) >= len(big) - 1
    assert found.reliability.value > 3 * reliability(given, 0, *blocks_of(given)).reliability.value


def test_slices_are_scores_of_their_rows():
    given = forecasts(n=200)
    mask = np.arange(200) % 3 == 0
    (row,) = sliced(given, {"third": mask}, *blocks_of(given))
    keys = {k: v if k == "levels" else v[mask] for k, v in given.arrays().items()}
    alone = metrics.scores(Predictions(name="p", **keys))
    for key in ("mae_ap", "rmse_ap", "bias_log", "crps_ap"):
        assert row.metrics[f"{key}_pooled"].value == pytest.approx(alone[key])
    assert row.metrics["brier_G1_pooled"].value == pytest.approx(alone["brier"])
    parts = observed_parts(given.observed)
    assert sum(m.sum() for m in parts.values()) == 200 * 24
    storm = sliced(given, {"G1-G2": parts["G1-G2"]}, *blocks_of(given))[0]
    assert storm.metrics["bias_ap_pooled"].value < -10
    assert "brier_G1_pooled" not in storm.metrics
    assert sliced(given, {"none": np.zeros(200, bool)}, *blocks_of(given)) == []


def test_the_days_before_are_sorted_by_the_thirds_of_the_past():
    n = 400 * 8
    ap = np.linspace(5, 45, n, dtype=np.float32)[:, None]
    table = SeriesTable(
        "geomagnetic", np.arange(n) * 10800, 10800, ("ap",), ap, np.zeros((n, 1), np.uint8)
    )
    past = np.arange(40, 340) * DAY
    parts = before_parts(table, past, past)
    assert [int(m.sum()) for m in parts.values()] == [100, 100, 100]
    assert parts["quiet before"][0]
    assert parts["active before"][-1]


def test_storms_are_counted_as_events():
    times = np.arange(80 * 8) * 10800
    ap = np.full(len(times), 5.0)
    ap[[10, 11, 20]] = 48.0  # 27 h apart: one storm
    ap[20] = 111.0
    ap[300] = 56.0
    ap[301] = np.nan
    found = count_storms(times, ap)
    assert (found.values, found.storms, found.days) == (4, 2, 3)
    assert (found.rotations_with, found.rotations) == (2, 3)
    assert found.by_class == {"G1": 2, "G2": 1, "G3": 1, "G4": 0, "G5": 0}
    assert found.largest_ap == 111.0
    numbers = storm_numbers(times, np.nan_to_num(ap))
    by_hand, last, k = np.full(len(ap), -1), -1e18, -1
    for i, value in enumerate(np.nan_to_num(ap)):
        if value >= STORM_AP["G1"]:
            k += times[i] - last > 48 * HOUR
            by_hand[i], last = k, times[i]
    np.testing.assert_array_equal(numbers, by_hand)
    assert count_storms(times, np.full(len(times), np.nan)).storms == 0


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("2008-12-15", "minimum"), ("2011-06-01", "rising"), ("2014-04-15", "maximum"),
        ("2017-01-01", "declining"), ("2019-12-15", "minimum"), ("2024-10-01", "maximum"),
        ("2027-06-01", "declining"), ("2030-01-01", "minimum"), ("1984-01-01", "declining"),
    ],
)  # fmt: skip
def test_the_phase_follows_the_dated_turns(moment, name):
    assert phase_names(np.array([to_seconds(moment)]), real_turns())[0] == name


def test_the_phase_is_continuous():
    times = np.arange(to_seconds("1985-01-01"), to_seconds("2035-01-01"), 30 * DAY)
    step = np.diff(cycle_phase(times, real_turns())) % 1.0
    assert (step > 0).all()
    assert step.max() < 0.015


def test_the_few_scores_of_a_page_are_those_of_the_scorecard():
    one, other = forecasts(n=200), replace(forecasts(n=200, claimed=0.4), name="damped")
    one = replace(one, observed=other.observed)
    config = ScorecardConfig(replicates=40)
    card = scorecard([one, other], "damped", config=config)
    found = day_scores([one, other], "damped", ["crps_ap_pooled"], "crps_ap_pooled", config)
    for day in (1, 2, 3):
        title = f"day {day}"
        assert found["p", day]["crps_ap_pooled"] == find(card.rows, "p", title, "crps_ap_pooled")
        assert found["p", day]["crps_ap_pooled_minus"] == find(
            card.differences, "p - damped", title, "crps_ap_pooled"
        )
        assert "crps_ap_pooled_minus" not in found["damped", day]

"""Widening: calibrated where it was learned, and withheld where it is worth nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from heliosight.core.errors import DataError, SpecError
from heliosight.core.forecast import DEFAULT_LEVELS
from heliosight.core.geomagnetic import storm_threshold
from heliosight.core.predictions import Predictions
from heliosight.issuing.call import day_calls
from heliosight.issuing.widen import STORMS, Change, Errors, centre, measured, storm_probability

LEVELS = np.array(DEFAULT_LEVELS)
NORMAL = np.array([-1.645, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.645])


def forecasts(n=400, spread=0.3, error=0.3, skill=1.0, seed=0):
    """Forecasts whose claimed spread and real error of log1p(ap) are given."""
    rng = np.random.default_rng(seed)
    signal = 2.5 + 0.6 * rng.normal(size=(n, 1)) * np.ones(24)
    truth = np.maximum(signal + error * rng.normal(size=(n, 24)), 0.0)
    median = 2.5 + skill * (signal - 2.5)
    log = np.maximum(median[..., None] + spread * NORMAL, 0.0)
    return Predictions(
        "p", np.arange(n) * 43200, median, np.expm1(median), np.expm1(truth), LEVELS,
        np.expm1(log), np.zeros((n, 3, 3)), np.zeros(n, int),
    )  # fmt: skip


def coverage(given, low=0, high=-1):
    inside = (given.observed >= given.quantiles[..., low]) & (
        given.observed <= given.quantiles[..., high]
    )
    return inside.mean()


def test_intervals_grow_as_the_errors_did_and_cover_new_windows():
    usual, learned, fresh = (
        forecasts(seed=1),
        forecasts(error=0.6, seed=1),
        forecasts(error=0.6, seed=2),
    )
    assert coverage(fresh) < 0.65
    change = Change.between(Errors.of(usual), Errors.of(learned))
    assert np.abs(np.delete(change.scale, 3, 1) - 2).max() < 0.25
    widened = change.apply(fresh)
    assert 0.87 < coverage(widened) < 0.93
    assert 0.46 < coverage(widened, 2, -3) < 0.54
    np.testing.assert_allclose(centre(widened)[0], centre(fresh)[0], atol=0.05)


def test_nothing_changes_when_withholding_did_nothing():
    given = forecasts(error=0.6, seed=1)
    same = Change.between(Errors.of(given), Errors.of(given)).apply(given)
    np.testing.assert_allclose(same.quantiles, given.quantiles, rtol=1e-6)
    np.testing.assert_allclose(same.mean_log, given.mean_log)


def test_a_forecast_that_became_too_low_is_raised():
    usual = forecasts(seed=1)
    low = replace(
        usual, mean_log=usual.mean_log - 0.4,
        quantiles=np.expm1(np.maximum(np.log1p(usual.quantiles) - 0.4, 0)),
    )  # fmt: skip
    change = Change.between(Errors.of(usual), Errors.of(low))
    raised = change.apply(low)
    np.testing.assert_allclose(centre(raised)[0], centre(usual)[0], atol=0.05)
    np.testing.assert_allclose(raised.mean_log, usual.mean_log, atol=0.05)


def test_the_errors_equal_their_slow_twin():
    past = forecasts(n=80, seed=3)
    errors = Errors.of(past)
    median, spread = centre(past)
    z = [
        (np.log1p(past.observed[i, k]) - median[i, k]) / spread[i, k]
        for i in range(80)
        for k in range(8, 16)
    ]
    np.testing.assert_allclose(errors.quantiles[1], np.quantile(z, LEVELS))
    assert errors.mean[1] == pytest.approx(np.mean(z))


def test_a_widening_is_useful_only_beyond_climatology():
    climatology = forecasts(skill=0.0, spread=0.7, seed=4)
    usual = forecasts(seed=4)
    good = measured({"wind.ap": 2}, usual, usual, climatology, seed=0)
    assert good.useful
    assert good.width == 1.0
    assert good.gain.value == pytest.approx(good.crps_climatology - good.crps)
    useless = measured({"wind.ap": 8}, usual, climatology, climatology, seed=0)
    assert not useless.useful
    assert useless.width > 1.5


def test_storm_probabilities_match_counting_and_fall_with_the_class():
    given = forecasts(n=3, spread=0.8)
    draws = torch.randn(4000, 24, generator=torch.Generator().manual_seed(1))
    p = storm_probability(given, draws)
    assert p.shape == (3, 3, len(STORMS))
    assert (np.diff(p, axis=-1) <= 0).all()
    by_hand = np.log1p(given.quantiles[0, :8, 3]) + 0.8 * draws[:, :8].numpy()
    counted = (by_hand.max(1) > np.log1p(storm_threshold("G1"))).mean()
    assert p[0, 0, 0] == pytest.approx(counted, abs=0.02)


def test_too_short_a_past_and_a_forecast_without_quartiles_are_refused():
    unknown = replace(forecasts(), observed=np.full((400, 24), np.nan))
    with pytest.raises(DataError, match="windows whose outcome is known"):
        measured({}, unknown, unknown, unknown, seed=0)
    with pytest.raises(DataError, match="64 or more past windows"):
        Errors.of(forecasts(n=10))
    given = forecasts(n=2)
    bare = replace(given, levels=LEVELS[[0, 3, 6]], quantiles=given.quantiles[..., [0, 3, 6]])
    with pytest.raises(SpecError, match="gives its quartiles"):
        centre(bare)


def test_a_day_is_called_by_the_thresholds_of_the_past():
    given = forecasts(n=1, spread=0.6)
    valid = 1_600_000_000 // 10800 * 10800 + 10800 * np.arange(24)
    quantiles = given.quantiles[0].copy()
    quantiles[10] = quantiles[10] * 6  # the third interval of day 2
    storm = np.array([[0.1, 0, 0, 0, 0], [0.7, 0.5, 0.1, 0, 0], [0.3, 0, 0, 0, 0]])
    limits = np.array([[0.3, 0.3, 2.0], [0.3, 0.3, 2.0], [2.0, 2.0, 2.0]])
    calls = day_calls(valid, quantiles, storm, DEFAULT_LEVELS, limits)
    assert [c.storm for c in calls] == ["", "G2", ""]
    assert [c.likely for c in calls] == ["", "G2", ""]
    assert calls[1].storm_probability == 0.5
    assert calls[1].peak_start == np.datetime_as_string(
        np.datetime64(int(valid[10]), "s"), timezone="UTC"
    )
    assert calls[2].threshold is None
    assert calls[0].threshold == 0.3

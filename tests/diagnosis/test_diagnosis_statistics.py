"""Sums and shifts against slow twins written from their definitions."""

import numpy as np
import pytest
from scipy import stats

from heliosight.core.clock import DAY, HOUR
from heliosight.diagnosis import DiagnosisConfig, sums
from heliosight.diagnosis.blocks import (
    Estimate,
    TooFew,
    block_rows,
    discoveries,
    effective_size,
    require_sample,
)
from heliosight.diagnosis.shifts import forbidden, shifts

RNG = np.random.default_rng(5)
N, L = 60, 3
X, Y = RNG.normal(3, 2, (N, L)), RNG.normal(-1, 1, (N, L))
MASK = RNG.random((N, L)) < 0.8


def added(columns, rows=slice(None)):
    return {name: values[rows].sum(0) for name, values in columns.items()}


def twin(x, y, mask):
    """Mean over known values of the product of departures from each lead's own mean."""
    total = 0.0
    for lead in range(L):
        a, b = x[mask[:, lead], lead], y[mask[:, lead], lead]
        total += ((a - a.mean()) * (b - b.mean())).sum()
    return total / mask.sum()


def test_variance_and_covariance_are_within_leads():
    s = added({
        **sums.moments("x", X, MASK), **sums.moments("y", Y, MASK),
        **sums.products("xy", X, Y, MASK),
    })  # fmt: skip
    assert sums.variance(s, "x") == pytest.approx(twin(X, X, MASK), rel=1e-12)
    assert sums.covariance(s, "xy", "x", "y") == pytest.approx(twin(X, Y, MASK), rel=1e-12)


def test_a_lead_that_is_never_known_adds_nothing():
    mask = MASK.copy()
    mask[:, 1] = False
    s = added({
        **sums.moments("x", X, mask), **sums.moments("y", Y, mask),
        **sums.products("xy", X, Y, mask),
    })  # fmt: skip
    two, kept = (X[:, ::2], Y[:, ::2]), mask[:, ::2]
    want = added({
        **sums.moments("x", two[0], kept), **sums.moments("y", two[1], kept),
        **sums.products("xy", *two, kept),
    })  # fmt: skip
    # the missing lead counts as one known value, lest a division by zero
    n = kept.sum()
    assert sums.variance(s, "x") * (n + 1) == pytest.approx(sums.variance(want, "x") * n)
    assert sums.covariance(s, "xy", "x", "y") * (n + 1) == pytest.approx(
        sums.covariance(want, "xy", "x", "y") * n
    )


def test_unknown_values_do_not_matter():
    other = np.where(MASK, X, np.nan)
    for name, values in sums.moments("x", other, MASK).items():
        np.testing.assert_array_equal(values, sums.moments("x", X, MASK)[name])
    np.testing.assert_array_equal(
        sums.products("p", other, Y, MASK)["p"], sums.products("p", X, Y, MASK)["p"]
    )


def test_columns_come_back_by_name():
    columns = sums.Columns({"a": X, "b": Y[:, :2], "c": np.ones((N, 1))})
    assert columns.matrix.shape == (N, 6)
    back = columns.split(columns.matrix)
    for name, values in columns.groups.items():
        np.testing.assert_array_equal(back[name], values)


def test_an_estimate_is_the_jackknife_over_blocks():
    rows = np.arange(N) // 12
    columns = sums.Columns({**sums.moments("x", X, MASK)})

    class Evidence:
        config = DiagnosisConfig(block_days=13.0)

    evidence = Evidence()
    evidence.rows = rows
    found = columns.estimate(evidence, lambda s: sums.variance(s, "x"))
    left = [twin(X[rows != k], X[rows != k], MASK[rows != k]) for k in range(5)]
    error = np.sqrt(4 / 5 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert (found.value, found.error) == pytest.approx((twin(X, X, MASK), error))
    assert found.freedom == 4 and found.days == 13.0


def test_total_puts_columns_side_by_side():
    np.testing.assert_array_equal(sums.total([X[:, 0], Y[:, 0]]), np.stack([X[:, 0], Y[:, 0]], 1))


@pytest.mark.parametrize("turns", [-2, -1, 0, 1, 3])
def test_three_days_around_every_rotation_are_forbidden(turns):
    at = turns * 27.27
    lags = np.array([at - 3.01, at - 2.99, at, at + 2.99, at + 3.01]) * DAY
    assert forbidden(lags).tolist() == [False, True, True, True, False]
    assert not forbidden(np.array([3.0 * DAY]))[0]  # three days are away enough


def test_a_shift_takes_every_window_once_and_from_another_time():
    times = np.arange(0, 400 * DAY, 12 * HOUR)
    found = shifts(times, 7, seed=1)
    assert len(found) == 7
    lags = []
    for index, usable in found:
        assert sorted(index) == list(range(len(times)))
        away = times[index] - times
        np.testing.assert_array_equal(usable, ~forbidden(away))
        assert usable.mean() >= 0.5
        lags.append(int(index[0]))
    assert lags == sorted(set(lags))


def test_the_shifts_with_most_usable_windows_are_taken():
    # 40 days: a shift wraps a part of its windows to the other side of a rotation
    times = np.arange(0, 40 * DAY, DAY)
    n = len(times)
    place = np.arange(n)
    share = [(~forbidden(times[(place + k) % n] - times)).mean() for k in range(n)]
    good = sorted(s for s in share if s >= 0.5)
    found = shifts(times, n, seed=1)
    assert min(usable.mean() for _, usable in found) >= np.quantile(good, 0.5)
    assert len(found) == sum(s >= np.quantile(good, 0.5) for s in good)
    assert len({int(index[0]) for index, _ in found}) == len(found)


def test_a_shift_with_exactly_half_of_its_windows_usable_is_used():
    times = np.array([0, HOUR, 10 * DAY, 10 * DAY + HOUR])
    assert sorted(usable.mean() for _, usable in shifts(times, 4, seed=1)) == [0.5, 0.5, 1.0]


def test_the_same_seed_chooses_the_same_shifts():
    times = np.arange(0, 400 * DAY, 12 * HOUR)
    chosen = [[int(i[0]) for i, _ in shifts(times, 5, seed)] for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_windows_of_one_week_have_no_other_time():
    with pytest.raises(TooFew, match="a replacement comes from another time"):
        shifts(np.arange(0, 4 * DAY, 3 * HOUR), 4, seed=1)


def test_an_estimate_without_error_is_certain():
    sure = Estimate(1.0, 0.0, 5)
    assert (sure.p_above(0.5), sure.p_above(1.0), sure.p_above(2.0)) == (0.0, 0.5, 1.0)
    assert (sure.p_below(0.5), sure.p_below(1.0), sure.p_below(2.0)) == (1.0, 0.5, 0.0)


def test_an_interval_is_students():
    found = Estimate(2.0, 0.5, 7).interval()
    half = 0.5 * stats.t.ppf(0.975, 7)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half)) and found.level == 0.95
    assert (
        "8 blocks of 27 d" in found.how and Estimate(2.0, 0.5, 7, how="so").interval().how == "so"
    )
    wide = Estimate(2.0, 0.5, 7).interval(0.5)
    assert wide.high - 2 == pytest.approx(0.5 * stats.t.ppf(0.75, 7))


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ([1.0, 2.0], 2),  # too few to know a correlation
        ([4.0] * 30, 30),  # a constant
        ([1.0, -1.0] * 20, 40),  # swings: never more than there are
        (np.arange(20000.0), 20000 * 0.001 / 1.999),  # a ramp: at least a two-thousandth
        ([0.0, 1.0, 0.0], 3),
    ],
)
def test_an_effective_size_lies_between_its_limits(values, size):
    assert effective_size(np.array(values)) == pytest.approx(size)


def test_three_values_have_a_correlation():
    values = np.array([0.0, 3.0, 3.0])  # r = (-2 + 1) / 6, negative: no fewer than there are
    assert effective_size(values) == 3
    values = np.array([0.0, 0.0, 1.0, 1.0])  # r = (1 - 1 + 1) / 4
    assert effective_size(values) == pytest.approx(4 * 0.75 / 1.25)


def test_a_sample_of_exactly_what_is_asked_is_enough():
    config = DiagnosisConfig(min_blocks=4, min_effective=40)
    swings, rows = np.array([1.0, -1.0] * 20), np.arange(40) // 10
    require_sample(rows, swings, config)
    with pytest.raises(TooFew, match="a statistic needs 4 blocks of 27 d"):
        require_sample(rows // 2, swings, config)
    with pytest.raises(TooFew, match="4 blocks, effective sample 38"):
        require_sample(rows[:38], swings[:38], config)


def test_a_p_value_at_its_bound_is_a_discovery():
    assert discoveries([0.0125, 0.025, 0.5, 0.9], 0.05) == [True, True, False, False]
    assert discoveries([0.6, 0.9], 0.05) == [False, False]
    assert discoveries([0.05], 0.05) == [True]


def test_blocks_without_windows_do_not_count():
    times = DAY * np.concatenate([np.arange(27), np.arange(270, 297)])
    assert block_rows(times, 27.0).tolist() == [0] * 27 + [1] * 27

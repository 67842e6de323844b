"""Scores against slow twins, against `scores` and scikit-learn, and what must always hold."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scores.categorical import BasicContingencyManager
from scores.probability import crps_cdf
from sklearn.metrics import brier_score_loss, r2_score, roc_auc_score

from heliosight.core.predictions import Predictions
from heliosight.evaluation import metrics
from heliosight.evaluation.dressing import best_threshold, storm_days

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])


def make(seed: int = 0, n: int = 200, levels: np.ndarray = LEVELS, name: str = "a") -> Predictions:
    rng = np.random.default_rng(seed)
    observed = np.expm1(np.abs(rng.normal(1.8, 0.9, (n, 24))))
    mean_log = np.log1p(observed) * 0.5 + rng.normal(0.9, 0.5, (n, 24))
    spread = np.linspace(-0.8, 0.8, len(levels))
    return Predictions(
        name=name,
        issue_time=np.arange(n) * 10800,
        mean_log=mean_log,
        mean=np.maximum(np.expm1(mean_log), 0),
        observed=observed,
        levels=levels,
        quantiles=np.expm1(np.maximum(mean_log[:, :, None] + spread, 0)),
        event_probability=np.repeat(rng.random((n, 3, 1)), 3, 2),
        fold=(np.arange(n) * 2) // n,
    )


@pytest.mark.accuracy
def test_continuous_scores_equal_a_slow_twin() -> None:
    p = make()
    found = metrics.continuous(metrics.moments(p.mean, p.observed).sum((0, 1)))
    f, o = p.mean.ravel(), p.observed.ravel()
    expected = {
        "bias": np.mean(f - o),
        "mae": np.mean(np.abs(f - o)),
        "rmse": np.sqrt(np.mean((f - o) ** 2)),
        "r2": r2_score(o, f),
        "corr": np.corrcoef(f, o)[0, 1],
        "sigma_ratio": f.std() / o.std(),
        "slope": np.polyfit(f, o, 1)[0],
    }
    assert set(found) == set(metrics.CONTINUOUS_SCORES) == set(expected)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-9), key


@pytest.mark.accuracy
def test_event_scores_equal_the_scores_package_and_scikit_learn() -> None:
    p = make(3, 500)
    event, probability = storm_days(p.observed)[:, 0, 0], p.event_probability[:, 0, 0]
    assert 0 < event.mean() < 1
    terms = metrics.event_terms(probability[:, None], event[:, None], np.full((500, 1), 0.4))
    found = metrics.events(terms.sum((0, 1)))
    warned = (probability >= 0.4).astype(float)
    table = BasicContingencyManager(
        {
            "tp_count": xr.DataArray((warned * event).sum()),
            "fp_count": xr.DataArray((warned * (1 - event)).sum()),
            "fn_count": xr.DataArray(((1 - warned) * event).sum()),
            "tn_count": xr.DataArray(((1 - warned) * (1 - event)).sum()),
            "total_count": xr.DataArray(500.0),
        }
    )
    expected = {
        "pod": table.probability_of_detection(),
        "far": table.false_alarm_ratio(),
        "hss": table.heidke_skill_score(),
        "tss": table.peirce_skill_score(),
        "frequency_bias": table.frequency_bias(),
        "brier": brier_score_loss(event, probability),
    }
    for key, value in expected.items():
        assert found[key] == pytest.approx(float(value), rel=1e-9), key
    base = event.mean()
    climate = np.mean((base - event) ** 2)
    assert found["brier_skill"] == pytest.approx(1 - found["brier"] / climate)


@pytest.mark.accuracy
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_auc_of_binned_probabilities_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, metrics.BINS, 80) / metrics.BINS
    event = np.append([0, 1], rng.integers(0, 2, 78))
    histogram = np.zeros((2, metrics.BINS))
    np.add.at(histogram, (event, metrics.probability_bins(probability)), 1)
    assert metrics.auc(histogram) == pytest.approx(roc_auc_score(event, probability))


def test_crps_of_a_point_forecast_is_the_absolute_error() -> None:
    p = make(levels=np.zeros(0))
    np.testing.assert_allclose(metrics.crps(p), np.abs(p.mean - p.observed))
    one = make(levels=np.array([0.5]))
    point = np.abs(one.quantiles[:, :, 0] - one.observed)
    np.testing.assert_allclose(metrics.crps(one), point)


@pytest.mark.accuracy
def test_crps_from_many_quantiles_is_the_integral_of_the_scores_package() -> None:
    levels = (np.arange(400) + 0.5) / 400
    p = make(5, 3, levels)
    x = np.linspace(-5, 400, 40_000)
    for row, lead in ((0, 0), (2, 7)):
        quantiles, observed = p.quantiles[row, lead], p.observed[row, lead]
        cdf = xr.DataArray(np.searchsorted(quantiles, x, "right") / 400, {"x": x}, "x")
        exact = crps_cdf(
            cdf, xr.DataArray(observed), threshold_dim="x", integration_method="trapz"
        ).total
        assert metrics.crps(p)[row, lead] == pytest.approx(float(exact), rel=2e-3, abs=2e-2)


@pytest.mark.accuracy
def test_crps_is_least_for_the_true_distribution() -> None:
    rng = np.random.default_rng(0)
    truth = rng.gamma(2.0, 5.0, (4000, 24))
    p = make(0, 4000)
    right = np.quantile(truth, LEVELS)

    def mean_crps(quantiles: np.ndarray) -> float:
        shape = (*truth.shape, len(LEVELS))
        given = Predictions(
            **{
                **p.arrays(),
                "observed": truth,
                "quantiles": np.broadcast_to(quantiles, shape),
                "name": "q",
            }
        )
        return float(metrics.crps(given).mean())

    assert mean_crps(right) < min(mean_crps(right * k) for k in (0.7, 0.9, 1.1, 1.4))


def test_level_weights_sum_to_one() -> None:
    assert metrics.level_weights(LEVELS).sum() == pytest.approx(1)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_scores_do_not_depend_on_the_order_of_rows(seed: int) -> None:
    p = make(seed, 50)
    order = np.random.default_rng(seed).permutation(50)
    arrays = {k: v if k == "levels" else v[order] for k, v in p.arrays().items()}
    one, other = metrics.scores(p), metrics.scores(Predictions(name="b", **arrays))
    for key, value in one.items():
        assert other[key] == pytest.approx(value, nan_ok=True), key


def test_unknown_observations_are_left_out_not_counted() -> None:
    p = make(1, 40)
    hole = p.observed.copy()
    hole[10:] = np.nan
    arrays = {**p.arrays(), "observed": hole}
    few = {k: v if k == "levels" else v[:10] for k, v in p.arrays().items()}
    one = metrics.scores(Predictions(name="a", **arrays))
    other = metrics.scores(Predictions(name="b", **few))
    assert one == pytest.approx(other, nan_ok=True)


def test_a_constant_has_no_correlation_and_a_perfect_forecast_scores_one() -> None:
    o = make().observed
    constant = metrics.continuous(metrics.moments(np.full_like(o, 7.1), o).sum((0, 1)))
    assert np.isnan(constant["corr"])
    assert np.isnan(constant["slope"])
    perfect = metrics.continuous(metrics.moments(o, o).sum((0, 1)))
    assert perfect["r2"] == perfect["corr"] == pytest.approx(1)
    assert perfect["rmse"] == 0


def test_without_a_threshold_the_contingency_table_is_empty() -> None:
    found = metrics.scores(make())
    assert np.isnan([found["pod"], found["hss"], found["tss"]]).all()
    assert np.isfinite(found["brier"])


@pytest.mark.accuracy
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_best_threshold_is_that_of_an_exhaustive_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, 12, 60) / 12
    event = (rng.random(60) < probability).astype(float)

    def hss(limit: float) -> float:
        table = metrics.event_terms(probability[:, None], event[:, None], np.full((60, 1), limit))
        return float(np.nan_to_num(metrics.events(table.sum((0, 1)))["hss"]))

    best = max(hss(limit) for limit in (*np.unique(probability), 2.0))
    assert hss(best_threshold(probability, event)) == pytest.approx(max(best, 0.0))


def test_no_events_or_no_skill_means_never_warn() -> None:
    assert best_threshold(np.linspace(0, 1, 9), np.zeros(9)) > 1
    assert best_threshold(np.full(9, 0.3), np.array([0, 1, 0] * 3)) > 1


def test_a_storm_day_with_an_unknown_value_is_unknown() -> None:
    observed = np.full((2, 24), 5.0)
    observed[0, 3], observed[1, 8], observed[1, 16] = np.nan, 39.0, 132.0
    storms = storm_days(observed)
    assert np.isnan(storms[0, 0]).all()
    assert storms[1].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 1]]


def test_a_probability_at_its_threshold_warns() -> None:
    event = np.array([[1.0], [0.0]])
    terms = metrics.event_terms(np.full((2, 1), 0.25), event, np.full((2, 1), 0.25)).sum((0, 1))
    assert dict(zip(metrics.EVENTS, terms, strict=True)) == {
        "n": 2, "event": 1, "brier": 0.625, "warned_n": 2, "hit": 1, "false": 1, "miss": 0,
    }  # fmt: skip


@given(power=st.integers(-8, 8))
@settings(max_examples=12, deadline=None)
def test_relative_scores_do_not_know_the_unit(power: int) -> None:
    p, scale = make(2, 60), 10.0**power
    plain = metrics.continuous(metrics.moments(p.mean, p.observed).sum((0, 1)))
    scaled = metrics.continuous(metrics.moments(scale * p.mean, scale * p.observed).sum((0, 1)))
    for key in ("r2", "corr", "sigma_ratio", "slope"):
        assert scaled[key] == pytest.approx(plain[key], rel=1e-6)
    for key in ("bias", "mae", "rmse"):
        assert scaled[key] == pytest.approx(scale * plain[key], rel=1e-6)


def test_bins_of_probabilities_have_equal_widths_and_both_ends() -> None:
    given_ = np.array([0.0, 1 / 512, 0.4999, 0.5, 511 / 512, 1.0, np.nan])
    assert metrics.probability_bins(given_).tolist() == [0, 1, 255, 256, 511, 511, 0]


def test_sums_of_a_day_are_those_of_its_eight_leads() -> None:
    terms = np.random.default_rng(0).random((4, 24, 5))
    days = metrics.per_day(terms)
    assert days.shape == (4, 3, 5)
    for day in range(3):
        np.testing.assert_allclose(days[:, day], terms[:, 8 * day : 8 * day + 8].sum(1))


def test_all_scores_are_those_of_their_parts() -> None:
    p = make(4, 80)
    arrays = {**p.arrays(), "event_probability": np.random.default_rng(1).random((80, 3, 3))}
    p = Predictions(name="a", **arrays)
    found = metrics.scores(p)
    logs = metrics.continuous(metrics.moments(p.mean_log, np.log1p(p.observed)).sum((0, 1)))
    assert found["corr_log"] == float(logs["corr"]) and found["rmse_ap"] != found["rmse_log"]
    assert found["crps_ap"] == pytest.approx(metrics.crps(p).mean())
    for storm in range(3):
        chance, event = p.event_probability[..., storm], storm_days(p.observed)[..., storm]
        found = metrics.scores(p, np.full((80, 3), 0.3), storm)
        assert found["brier"] == pytest.approx(np.mean((chance - event) ** 2))
        assert found["pod"] == pytest.approx((chance >= 0.3)[event > 0].mean())
    assert metrics.scores(p)["brier"] == metrics.scores(p, storm=0)["brier"]


@pytest.mark.parametrize("n", [2, 30, 3000])
def test_a_small_variance_is_one_whatever_the_number_of_rows(n):
    observed = 1 + 1e-4 * np.resize([-1.0, 1.0], n)
    found = metrics.continuous(metrics.moments(observed[:, None], observed[:, None]).sum((0, 1)))
    assert found["slope"] == pytest.approx(1.0) and found["sigma_ratio"] == 1.0
    still = metrics.continuous(metrics.moments(np.ones((n, 1)), observed[:, None]).sum((0, 1)))
    assert np.isnan(still["slope"]) and still["sigma_ratio"] != 0

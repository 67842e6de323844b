"""The predictive distribution against its definition, written out slowly."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.forecast import DEFAULT_LEVELS, Forecast

LEVELS = torch.tensor(DEFAULT_LEVELS, dtype=torch.float64)


def forecast_of(quantiles: list[float] | torch.Tensor, levels: torch.Tensor = LEVELS) -> Forecast:
    q = torch.as_tensor(quantiles, dtype=torch.float64).reshape(1, 1, -1)
    return Forecast(q.mean(-1), q, levels)


def normal(mean: float, std: float) -> Forecast:
    return forecast_of(mean + std * torch.special.ndtri(LEVELS))


def slow_quantile(q: list[float], a: list[float], u: float) -> float:
    """Linear between levels; beyond them an exponential tail of the same density."""
    if u < a[0]:
        return q[0] + (q[1] - q[0]) * a[0] / (a[1] - a[0]) * math.log(u / a[0])
    if u > a[-1]:
        rest = 1 - a[-1]
        return q[-1] - (q[-1] - q[-2]) * rest / (a[-1] - a[-2]) * math.log((1 - u) / rest)
    k = max(j for j in range(len(a) - 1) if a[j] <= u)
    return q[k] + (q[k + 1] - q[k]) * (u - a[k]) / (a[k + 1] - a[k])


gaps = st.lists(st.floats(0.01, 1.5), min_size=6, max_size=6)


@settings(max_examples=40, deadline=None)
@given(gaps, st.floats(-0.5, 3.0), st.floats(0.001, 0.999))
def test_quantile_is_the_definition_and_inverts_the_cdf(gap, lowest, level):
    q = np.cumsum([lowest, *gap]).tolist()
    forecast = forecast_of(q)
    y = forecast.quantile(torch.tensor([level], dtype=torch.float64))[..., 0]
    assert float(y) == pytest.approx(slow_quantile(q, list(DEFAULT_LEVELS), level), abs=1e-6)
    assert float(forecast.cdf(y)) == pytest.approx(level, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(gaps, st.floats(-0.5, 3.0))
def test_cdf_rises_from_0_to_1(gap, lowest):
    forecast = forecast_of(np.cumsum([lowest, *gap]))
    p = torch.stack([forecast.cdf(float(y)) for y in np.linspace(-30, 40, 141)])
    assert torch.all(p.diff(dim=0) >= 0)
    assert 0 <= float(p[0]) < 1e-3 and 1 - 1e-3 < float(p[-1]) <= 1


def test_cdf_has_no_jump_at_the_outer_levels():
    forecast = normal(1.9, 0.7)
    for q, level in ((forecast.quantiles[0, 0, 0], 0.05), (forecast.quantiles[0, 0, -1], 0.95)):
        for side in (-1e-9, 0.0, 1e-9):
            assert float(forecast.cdf(float(q) + side)) == pytest.approx(level, abs=1e-7)


def test_exceedance_is_one_minus_cdf_at_log1p():
    forecast = normal(1.9, 0.7)
    at = forecast_of(forecast.quantiles)
    assert float(forecast.exceedance(math.expm1(1.9))) == pytest.approx(0.5, abs=1e-6)
    assert float(at.exceedance(35.5)) == pytest.approx(1 - float(at.cdf(math.log1p(35.5))))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.02, 0.5), min_size=6, max_size=6), st.floats(0.1, 2.0))
def test_mean_ap_is_the_integral_of_the_quantile_function(gap, lowest):
    q = np.cumsum([lowest, *gap]).tolist()
    levels = (np.arange(5000) + 0.5) / 5000
    values = [slow_quantile(q, list(DEFAULT_LEVELS), u) for u in levels]
    slow = np.mean(np.expm1(np.clip(values, 0, math.log1p(400))))
    assert float(forecast_of(q).mean_ap()) == pytest.approx(slow, rel=0.02)


def test_mean_ap_of_a_lognormal_is_right_to_one_per_cent():
    for mean, std in ((0.8, 0.4), (1.9, 0.4), (1.9, 0.7), (3.0, 0.8)):
        levels = (torch.arange(200000, dtype=torch.float64) + 0.5) / 200000
        y = mean + std * torch.special.ndtri(levels)
        truth = torch.expm1(y.clamp(0, math.log1p(400))).mean()
        assert float(normal(mean, std).mean_ap()) == pytest.approx(float(truth), rel=0.01)


def test_mean_ap_keeps_its_precision_under_autocast():
    q = normal(1.9, 0.7).quantiles.float()
    forecast = Forecast(q.mean(-1), q, LEVELS.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = forecast.mean_ap()
    assert torch.equal(inside, forecast.mean_ap())


def test_quantiles_ap_are_never_negative():
    assert torch.all(normal(0.1, 1.0).quantiles_ap() >= 0)


def test_day_exceedance_counts_days_with_any_hit():
    stream = torch.Generator().manual_seed(1)
    place = torch.randn(2, 24, 1, dtype=torch.float64, generator=stream)
    q = 1.9 + place + 0.7 * torch.special.ndtri(LEVELS)
    forecast = Forecast(q.mean(-1), q, LEVELS)
    draws = torch.randn(300, 24, dtype=torch.float64, generator=stream)
    p = forecast.exceedance(20.0)
    u = torch.special.ndtr(draws)
    slow = torch.zeros(2, 3, dtype=torch.float64)
    for b in range(2):
        for d in range(3):
            hits = [
                any(float(u[m, lead]) > 1 - float(p[b, lead]) for lead in range(8 * d, 8 * d + 8))
                for m in range(300)
            ]
            slow[b, d] = np.mean(hits)
    assert torch.equal(forecast.day_exceedance(20.0, draws), slow)


def test_day_exceedance_of_independent_leads_is_the_product_rule():
    forecast = Forecast(
        torch.zeros(1, 24),
        (1.9 + 0.7 * torch.special.ndtri(LEVELS)).float().expand(1, 24, -1),
        LEVELS.float(),
    )
    draws = torch.randn(40000, 24, generator=torch.Generator().manual_seed(3))
    single = float(forecast.exceedance(20.0)[0, 0])
    expected = 1 - (1 - single) ** 8
    assert forecast.day_exceedance(20.0, draws)[0].tolist() == pytest.approx(
        [expected] * 3, abs=0.01
    )


@pytest.mark.parametrize("level", [0.0, 35.5, 110.0, 399.0])
def test_gradient_is_finite_even_where_the_quantiles_almost_touch(level):
    q = torch.tensor([[[0.7, 0.701, 1.0, 1.2, 1.5, 1.6, 1.6]]], requires_grad=True)
    forecast = Forecast(q[..., 3], q, torch.tensor(DEFAULT_LEVELS))
    (forecast.exceedance(level).sum() + forecast.mean_ap().sum()).backward()
    assert torch.isfinite(q.grad).all()

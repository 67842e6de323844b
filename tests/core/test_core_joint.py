"""Joint probability of a day against counting, closed forms, and its own finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from heliosight.core.forecast import DEFAULT_LEVELS, Forecast
from heliosight.core.joint import all_below, correlation_of
from heliosight.models.copula import correlated_draws


def correlation(leads: int, memory: float) -> np.ndarray:
    apart = np.abs(np.subtract.outer(np.arange(leads), np.arange(leads)))
    return np.exp(-apart / memory)


@pytest.mark.accuracy
@settings(max_examples=15, deadline=None)
@given(st.floats(0.3, 8.0), st.lists(st.floats(0.05, 0.98), min_size=2, max_size=6))
def test_it_is_the_normal_distribution_function(memory, chances):
    joint = correlation(len(chances), memory)
    limit = torch.special.ndtri(torch.tensor(chances, dtype=torch.float64)).numpy()
    true = multivariate_normal(np.zeros(len(chances)), joint).cdf(limit)
    found = all_below(torch.tensor([chances], dtype=torch.float64), torch.from_numpy(joint))
    assert float(found) == pytest.approx(true, abs=4e-3)


@pytest.mark.accuracy
def test_independent_and_identical_scores_have_closed_forms():
    chances = torch.tensor([[0.9, 0.5, 0.7]], dtype=torch.float64)
    alone = all_below(chances, torch.eye(3))
    same = all_below(chances, correlation_of(torch.randn(50, 1).expand(50, 3)))
    torch.testing.assert_close(alone, chances.prod(1))
    torch.testing.assert_close(same, chances.amin(1), atol=2e-3, rtol=0)


@pytest.mark.consistency
def test_a_day_agrees_with_counting_draws_and_has_a_gradient():
    draws = correlated_draws(correlation(24, 4.0), 24, 20_000, 0)
    base = torch.linspace(1.5, 3.2, 24).repeat(2, 1) + torch.tensor([[0.0], [0.6]])
    base.requires_grad_()

    def forecast(shift: torch.Tensor) -> Forecast:
        width = torch.linspace(-1.2, 1.2, len(DEFAULT_LEVELS))
        return Forecast(shift, shift[..., None] + width, torch.tensor(DEFAULT_LEVELS))

    smooth = forecast(base).smooth_day_exceedance(35.5, draws)
    torch.testing.assert_close(
        smooth, forecast(base).day_exceedance(35.5, draws), atol=0.012, rtol=0
    )
    single = forecast(base).exceedance(35.5).unflatten(1, (3, 8))
    assert bool((smooth > single.amax(-1)).all() and (smooth < single.sum(-1)).all())
    (slope,) = torch.autograd.grad(smooth[:, 1].sum(), base)
    assert bool((slope[:, 8:16] > 0).all()) and not slope[:, :8].any()
    step = torch.zeros(24)
    step[10] = 1e-2
    with torch.no_grad():
        up, down = (forecast(base + s * step).smooth_day_exceedance(35.5, draws) for s in (1, -1))
    torch.testing.assert_close((up - down)[:, 1] / 2e-2, slope[:, 10], atol=2e-3, rtol=0.02)

"""The copula's draws have the correlation asked for and are the same every time."""

import numpy as np
import pytest
import torch

from heliosight.core.errors import SpecError
from heliosight.core.geomagnetic import storm_threshold
from heliosight.models.copula import correlated_draws


def decaying(leads: int, length: float) -> np.ndarray:
    gap = np.abs(np.subtract.outer(np.arange(leads), np.arange(leads)))
    return np.exp(-gap / length)


def test_draws_have_the_correlation_asked_for():
    wanted = decaying(6, 2.0)
    draws = correlated_draws(wanted, 6, 40000, seed=1)
    assert draws.dtype == torch.float32 and draws.shape == (40000, 6)
    assert np.allclose(np.corrcoef(draws.numpy().T), wanted, atol=0.02)
    assert torch.equal(draws, correlated_draws(wanted, 6, 40000, seed=1))


def test_a_singular_correlation_is_fine():
    draws = correlated_draws(np.ones((4, 4)), 4, 100, seed=1)
    assert torch.allclose(draws, draws[:, :1].expand(-1, 4), atol=1e-5)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "shape \\(3, 3\\)"),
        (2 * np.eye(4), "not symmetric with diagonal 1"),
        (np.full((4, 4), np.nan), "not symmetric with diagonal 1"),
        (2 * np.eye(4) - np.ones((4, 4)), "smallest eigenvalue -2"),
    ],
)
def test_what_is_no_correlation_is_refused(matrix, message):
    with pytest.raises(SpecError, match=message):
        correlated_draws(matrix, 4, 10, seed=0)


def test_day_probabilities_follow_from_the_draws(small, batch_of):
    model, batch = small(draws=4000).eval(), batch_of(3)
    output = model(batch)
    apart = model.event_probability(output)
    assert apart.shape == (3, 3, 3)
    single = output.forecast.exceedance(storm_threshold("G1"))
    independent = 1 - (1 - single.double()).unflatten(-1, (3, 8)).prod(-1)
    assert torch.allclose(apart[..., 0].double(), independent, atol=0.03)
    model.set_copula(np.ones((24, 24)), seed=1)
    together = model.event_probability(output)
    assert torch.allclose(together[..., 0], single.unflatten(-1, (3, 8)).amax(-1), atol=0.03)
    assert torch.all(apart[..., 0] >= apart[..., 1]) and torch.all(apart[..., 1] >= apart[..., 2])


def test_draws_travel_with_the_weights(small):
    one, other = small(seed=1), small(seed=2)
    one.set_copula(decaying(24, 4.0), seed=5)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.copula_draws, other.copula_draws)

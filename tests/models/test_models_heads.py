"""Heads: quantiles rise whatever the numbers, closed forms agree with integration."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.errors import ConfigError
from heliosight.models.heads import (
    GaussianHeadConfig,
    QuantileHeadConfig,
    SplitNormalHeadConfig,
    build_head,
)

CONFIGS = (QuantileHeadConfig(hidden=8), GaussianHeadConfig(hidden=8), SplitNormalHeadConfig())
IDS = [config.type for config in CONFIGS]


def head_of(config, width: int = 6, leads: int = 4):
    torch.manual_seed(2)
    return build_head(config, width, leads, 1.9, 0.7).double().eval()


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(CONFIGS), st.floats(0.0, 1e4), st.integers(0, 99))
def test_quantiles_rise_by_construction(config, size, seed):
    head = head_of(config)
    vector = size * torch.randn(3, 6, generator=torch.Generator().manual_seed(seed)).double()
    forecast, _ = head(vector)
    assert torch.all(forecast.quantiles.diff(dim=-1) >= 0)
    assert torch.isfinite(forecast.quantiles).all() and torch.isfinite(forecast.mean).all()


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_an_untrained_forecast_is_climatology(config):
    vector = torch.randn(5, 6, generator=torch.Generator().manual_seed(0)).double()
    forecast, _ = head_of(config)(vector)
    wanted = 1.9 + 0.7 * torch.special.ndtri(forecast.levels)
    assert torch.allclose(forecast.quantiles, wanted.expand(5, 4, -1), atol=0.15)
    assert torch.allclose(forecast.mean, torch.full((5, 4), 1.9).double(), atol=0.15)


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_gradient_is_finite_and_reaches_every_parameter(config):
    head = head_of(config)
    forecast, _ = head(torch.randn(5, 6).double())
    (forecast.mean.sum() + forecast.quantiles.square().sum()).backward()
    for name, parameter in head.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.accuracy
@pytest.mark.parametrize("config", CONFIGS[1:], ids=IDS[1:])
def test_parametric_quantiles_and_mean_by_integration(config):
    head = head_of(config)
    vector = 20 * torch.randn(1, 6, generator=torch.Generator().manual_seed(3)).double()
    with torch.no_grad():
        forecast, found = head(vector)
    for lead in range(4):
        at = {name: float(x[0, lead]) for name, x in found.items()}
        mode = at.get("head.mode", at.get("head.location"))
        below = at.get("head.below", at.get("head.scale"))
        above = at.get("head.above", at.get("head.scale"))
        y = np.linspace(mode - 9 * below, mode + 9 * above, 400001)
        density = np.exp(-((y - mode) ** 2) / 2 / np.where(y < mode, below, above) ** 2)
        density /= density.sum()
        slow = np.interp(forecast.levels.numpy(), np.cumsum(density), y)
        near = 1e-3 * (below + above)
        assert forecast.quantiles[0, lead].tolist() == pytest.approx(slow.tolist(), abs=near)
        assert float(forecast.mean[0, lead]) == pytest.approx(float(density @ y), abs=near)


def test_the_split_normal_leans_either_way():
    head = head_of(SplitNormalHeadConfig())
    with torch.no_grad():
        head.trunk.out.bias.copy_(torch.tensor([2.0, -3.0, 1.0]).repeat(4))
    forecast, _ = head(torch.zeros(1, 6).double())
    q = forecast.quantiles[0, 0].detach()
    assert float(q[-1] - q[3]) > 2 * float(q[3] - q[0])


def test_quantile_head_without_a_middle_level():
    head = head_of(QuantileHeadConfig(levels=(0.6, 0.8, 0.9), hidden=8))
    with torch.no_grad():
        forecast, _ = head(torch.randn(2, 6).double())
    assert head.middle == 0
    assert torch.all(forecast.quantiles.diff(dim=-1) > 0)
    assert float(forecast.quantiles[0, 0, 0]) == pytest.approx(1.9 + 0.7 * 0.2533, abs=0.15)


@pytest.mark.parametrize("levels", [(0.1, 0.5), (0.5, 0.4, 0.9), (0.0, 0.5, 0.9), (0.1, 0.5, 1.0)])
def test_levels_out_of_order_are_refused(levels):
    with pytest.raises(ConfigError, match="rise strictly between 0 and 1"):
        QuantileHeadConfig(levels=levels)


def test_softplus_gap_survives_a_large_deviation():
    head = build_head(QuantileHeadConfig(hidden=8), 6, 4, 1.9, 50.0)
    with torch.no_grad():
        forecast, _ = head(torch.zeros(1, 6))
    wanted = 1.9 + 50 * torch.special.ndtri(forecast.levels)
    assert torch.allclose(forecast.quantiles[0, 0], wanted, rtol=0.01, atol=0.5)
    assert math.isfinite(float(forecast.mean_ap().sum()))

import math

import numpy as np
import pytest
import torch
from training_toys import SPEC, ToyModel, ToySource, issue_times

from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.forecast import Forecast
from heliosight.core.output import ModelOutput
from heliosight.training.losses import (
    NOAA_STORM_WEIGHTS,
    ContrastiveConfig,
    LossConfig,
    Objective,
    contrastive_sum,
    crps,
    lead_weights,
    pinball,
    term,
)


@pytest.fixture(autouse=True)
def _without_graph():
    with torch.no_grad():
        yield


LEVELS = torch.tensor([0.1, 0.4, 0.5, 0.9], dtype=torch.float64)


def some_forecast(b=3, leads=2):
    g = torch.Generator().manual_seed(1)
    quantiles = torch.randn(b, leads, 4, generator=g, dtype=torch.float64).sort(-1).values + 2
    return Forecast(quantiles.mean(-1), quantiles, LEVELS)


@pytest.mark.accuracy
def test_pinball_equals_its_definition():
    forecast = some_forecast()
    y = torch.tensor([[1.0, 2.0], [2.5, 3.0], [0.0, 4.0]], dtype=torch.float64)
    got = pinball(forecast, y)
    for b in range(3):
        for lead in range(2):
            for k, a in enumerate(LEVELS.tolist()):
                gap = float(y[b, lead] - forecast.quantiles[b, lead, k])
                want = a * gap if gap >= 0 else (a - 1) * gap
                assert float(got[b, lead, k]) == pytest.approx(want, abs=1e-14)


@pytest.mark.accuracy
def test_crps_of_many_levels_is_that_of_the_normal_distribution():
    levels = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    quantiles = torch.special.ndtri(levels).expand(1, 3, -1)
    y = torch.tensor([[-1.0, 0.3, 2.0]], dtype=torch.float64)
    got = crps(Forecast(y, quantiles, levels), y)
    density = torch.exp(-(y**2) / 2) / math.sqrt(2 * math.pi)
    # Gneiting & Raftery 2007, eq. 21
    want = y * (2 * torch.special.ndtr(y) - 1) + 2 * density - 1 / math.sqrt(math.pi)
    assert torch.allclose(got, want, atol=2e-4)


@pytest.mark.parametrize(
    ("name", "gap", "want"),
    [("mse", 3.0, 9.0), ("mae", -3.0, 3.0), ("huber", 3.0, 2.5), ("huber", 0.5, 0.125)],
)
def test_point_terms(name, gap, want):
    y = torch.zeros(1, 1)
    forecast = Forecast(y + gap, torch.zeros(1, 1, 4), LEVELS)
    assert float(term(name, forecast, y, 1.0)) == pytest.approx(want)


def test_storms_weigh_more_and_unknown_targets_nothing():
    batch = ToySource().batch(issue_times(1))
    target = torch.zeros(1, 24)
    target[0, :6] = torch.tensor([32.0, 39.0, 67.0, 111.0, 179.0, 400.0])
    mask = torch.ones(1, 24, dtype=torch.bool)
    mask[0, 7] = False
    batch = type(batch)(batch.inputs, batch.observed, batch.issue_time, target, mask)
    weight = lead_weights(batch, LossConfig(storm_weights=NOAA_STORM_WEIGHTS))[0].tolist()
    assert weight[:9] == [1, 2, 3, 4, 6, 8, 1, 0, 1]
    assert lead_weights(batch, LossConfig())[0].sum() == 23


def test_an_unknown_target_does_not_touch_the_loss():
    model, batch = ToyModel(norm=False).eval(), ToySource().batch(issue_times(4))
    other = torch.where(batch.target_mask, batch.target, 300.0)
    changed = type(batch)(batch.inputs, batch.observed, batch.issue_time, other, batch.target_mask)
    objective = Objective(LossConfig(), SPEC.modalities)
    a, b = (objective.sums(model(x), x) for x in (batch, changed))
    assert (~batch.target_mask).any()
    assert all(torch.equal(a[n], b[n]) for n in a)


def test_parts_of_a_batch_add_up_to_the_whole():
    config = LossConfig(
        terms={"quantile": 1.0, "crps": 0.2, "mse": 0.5, "mae": 0.1, "huber": 0.3},
        storm_weights=NOAA_STORM_WEIGHTS,
        contrastive=ContrastiveConfig("consistency"),
    )
    model = ToyModel(norm=False).double().eval()
    batch = ToySource().batch(issue_times(7)).to("cpu", torch.float64)
    objective = Objective(config, SPEC.modalities)
    total = objective.weights(batch)
    whole = objective.divided(objective.sums(model(batch), batch), total)
    pieces = [batch.select(slice(0, 5)), batch.select(slice(5, 7))]
    split = [objective.divided(objective.sums(model(p), p), total) for p in pieces]
    assert set(whole) == {"quantile", "crps", "mse", "mae", "huber", "auxiliary", "consistency"}
    for name, value in whole.items():
        assert float(sum(s[name] for s in split)) == pytest.approx(float(value), rel=1e-12)


def test_the_mse_part_is_the_mean_over_known_leads():
    model, batch = ToyModel(norm=False).eval(), ToySource().batch(issue_times(5))
    objective = Objective(LossConfig(terms={"mse": 2.0}), SPEC.modalities, auxiliary_weight=0.0)
    output = model(batch)
    got = objective.divided(objective.sums(output, batch), objective.weights(batch))
    error = (output.forecast.mean - torch.log1p(batch.target))[batch.target_mask] ** 2
    assert float(got["mse"]) == pytest.approx(2 * float(error.mean()), rel=1e-5)
    assert list(got) == ["mse"]


def test_the_auxiliary_weight_is_03_and_a_stage_may_set_it():
    model, batch = ToyModel(norm=False).eval(), ToySource().batch(issue_times(5))
    output = model(batch)
    usual, alone = Objective(LossConfig(), {}), Objective(LossConfig(), {}, 0.0, 1.0)
    a, b = usual.sums(output, batch), alone.sums(output, batch)
    assert float(a["auxiliary"]) == pytest.approx(0.3 * float(b["auxiliary"]))
    assert list(b) == ["auxiliary"]


@pytest.mark.accuracy
def test_infonce_equals_its_definition():
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(4, 3, generator=g, dtype=torch.float64) for _ in range(2))
    got = contrastive_sum({"x": a, "y": b}, ContrastiveConfig("infonce", temperature=0.5))

    def cosine(u, v):
        return float(u @ v / (u.norm() * v.norm()))

    want = 0.0
    for first, second in ((a, b), (b, a)):
        for i in range(4):
            scores = np.array([cosine(first[i], second[j]) / 0.5 for j in range(4)])
            want += -math.log(np.exp(scores[i]) / np.exp(scores).sum()) / 2
    assert float(got) == pytest.approx(want, rel=1e-12)


def test_consistency_vanishes_for_parallel_features():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    config = ContrastiveConfig("consistency")
    assert float(contrastive_sum({"a": x, "b": 3 * x}, config)) == pytest.approx(0, abs=1e-5)
    assert float(contrastive_sum({"a": x, "b": -x}, config)) == pytest.approx(8)


def test_alignment_projections_are_preferred():
    x = torch.eye(3)
    features = {"images": x, "solar_wind": -x, "alignment.images": x, "alignment.solar_wind": x}
    output = ModelOutput(some_forecast(3, 24), {}, features)
    batch = ToySource().batch(issue_times(3))
    config = LossConfig(contrastive=ContrastiveConfig("consistency", weight=1.0))
    parts = Objective(config, SPEC.modalities).sums(output, batch)
    assert float(parts["consistency"]) == pytest.approx(0)


@pytest.mark.parametrize(
    "features", [{"a": torch.ones(2, 3)}, {"a": torch.ones(2, 3), "b": torch.ones(2, 4)}]
)
def test_alignment_needs_two_equal_branches(features):
    with pytest.raises(SpecError, match="two branches of equal feature width"):
        contrastive_sum(features, ContrastiveConfig("infonce"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"terms": {"rmse": 1.0}}, "a loss term is known"),
        ({"terms": {"mse": 0.0}}, "one is positive"),
        ({"terms": {"mse": 1.0, "mae": -1.0}}, "0 or more"),
        ({"storm_weights": {"G6": 1.0}}, "G1 to G5"),
        ({"storm_weights": {"G1": 0.0}}, "storm weight is positive"),
        ({"huber_delta": 0.0}, "huber_delta is positive"),
        ({"auxiliary_weight": -0.1}, "loss weight is not negative"),
    ],
)
def test_bad_losses_are_refused(change, match):
    with pytest.raises(ConfigError, match=match):
        LossConfig(**change)


def test_bad_alignment_is_refused():
    with pytest.raises(ConfigError, match="not negative"):
        ContrastiveConfig("infonce", weight=-1.0)
    with pytest.raises(ConfigError, match="temperature is positive"):
        ContrastiveConfig("infonce", temperature=0.0)

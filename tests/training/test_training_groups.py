import math

import pytest
import torch
from torch import nn
from training_toys import SPEC, WIND_ONLY, ToyModel, ToySource, issue_times

from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.spec import ForecastSpec
from heliosight.training.groups import (
    FIELD_RATES,
    ClippingConfig,
    OptimiserConfig,
    build_optimiser,
    check_names,
    clip,
    schedule,
    set_rates,
    train_only,
)
from heliosight.training.protocol import parameters_by_group, require_same_spec


def test_every_parameter_is_in_one_group():
    model = ToyModel()
    model.stray = nn.Parameter(torch.zeros(1))
    groups = parameters_by_group(model)
    assert set(groups) == {"convlstm", "transformer", "fusion", "head", "auxiliary", "other"}
    members = [id(p) for g in groups.values() for p in g.values()]
    assert sorted(members) == sorted(id(p) for p in model.parameters())


def test_a_model_without_groups_is_refused():
    with pytest.raises(SpecError, match="names its groups"):
        parameters_by_group(nn.Linear(1, 1))


def test_a_parameter_in_two_groups_is_refused():
    model = ToyModel()
    twice = {"a": list(model.head.named_parameters()), "b": list(model.head.named_parameters())}
    model.modules_by_group = lambda: twice
    with pytest.raises(SpecError, match="belongs to one group"):
        parameters_by_group(model)


def test_model_and_windows_must_agree():
    with pytest.raises(SpecError, match="same specification"):
        require_same_spec(ToyModel(WIND_ONLY), ToySource(SPEC))
    model = ToyModel()
    model.spec = None
    require_same_spec(model, ToySource(ForecastSpec()))


def test_the_rates_of_the_field_by_module():
    groups = parameters_by_group(ToyModel())
    rates = {g: FIELD_RATES.get(g, 1e-4) for g in groups}
    optimiser = build_optimiser(groups, rates, OptimiserConfig())
    found = {e["group"]: e["lr"] for e in optimiser.param_groups}
    assert found == {
        "convlstm": 5e-4, "transformer": 1e-4, "fusion": 1e-4, "head": 1e-4, "auxiliary": 1e-4
    }  # fmt: skip
    assert set_rates(optimiser, 0.5)["convlstm"] == 2.5e-4


def test_a_first_step_moves_each_module_by_its_own_rate():
    model = ToyModel()
    groups = parameters_by_group(model)
    config = OptimiserConfig(weight_decay=0.0)
    optimiser = build_optimiser(groups, {"convlstm": 5e-4, "head": 1e-4}, config)
    before = [p.detach().clone() for p in (model.images.weight_hh, model.head.weight)]
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimiser.step()
    # Adam's first step is the learning rate times the gradient's sign
    after = [model.images.weight_hh.detach(), model.head.weight.detach()]
    moved = [float((a - b).abs().mean()) for a, b in zip(after, before, strict=True)]
    assert moved == pytest.approx([5e-4, 1e-4], rel=1e-3)


def test_decay_spares_biases():
    groups = parameters_by_group(ToyModel())
    optimiser = build_optimiser(groups, {"head": 1e-3}, OptimiserConfig(weight_decay=0.1))
    decays = {p.ndim: e["weight_decay"] for e in optimiser.param_groups for p in e["params"]}
    assert decays == {2: 0.1, 1: 0.0}


def test_an_absent_group_is_refused_unless_it_is_the_shipped_table():
    groups = parameters_by_group(ToyModel(WIND_ONLY))
    check_names(FIELD_RATES, FIELD_RATES, groups)
    with pytest.raises(ConfigError, match=r"parameter group exists.*convlstm"):
        check_names({**FIELD_RATES, "convlstm": 1e-3}, FIELD_RATES, groups)
    with pytest.raises(ConfigError, match=r"parameter group exists.*transfomer"):
        check_names({"transfomer": 1e-4}, FIELD_RATES, groups)


@pytest.mark.accuracy
def test_the_schedule_rises_linearly_then_falls_as_half_a_cosine():
    config = OptimiserConfig(warmup=0.2, floor=0.1)
    got = [schedule(i, 20, config) for i in range(21)]
    assert got[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    for i in range(4, 21):
        want = 0.1 + 0.9 * (1 + math.cos(math.pi * (i - 4) / 16)) / 2
        assert got[i] == pytest.approx(want)
    assert got[20] == pytest.approx(0.1)
    assert schedule(0, 1, OptimiserConfig(warmup=0.0)) == 1.0


def test_frozen_groups_get_no_gradient_and_their_norms_stand_still():
    model = ToyModel()
    train_only(model, {"convlstm": 1e-3, "auxiliary": 1e-3})
    grows = {n for n, p in model.named_parameters() if p.requires_grad}
    assert grows == {n for n, _ in model.named_parameters() if n.startswith(("images", "extra"))}
    assert model.images.training
    assert not model.norm.training
    statistics = model.norm.running_mean.clone()
    model(ToySource().batch(issue_times(4)))
    assert torch.equal(model.norm.running_mean, statistics)
    train_only(model, dict.fromkeys(parameters_by_group(model), 1e-3))
    assert model.norm.training
    model(ToySource().batch(issue_times(4)))
    assert not torch.equal(model.norm.running_mean, statistics)


def test_a_norm_without_parameters_follows_its_frozen_parent():
    model = ToyModel()
    model.series = nn.Sequential(nn.Linear(60, 8), nn.BatchNorm1d(8, affine=False))
    train_only(model, {"head": 1.0})
    assert not model.series[1].training


def grads(values):
    out = {}
    for name, value in values.items():
        p = nn.Parameter(torch.zeros(4))
        p.grad = torch.full((4,), value)
        out[name] = {"w": p}
    return out


@pytest.mark.accuracy
@pytest.mark.parametrize(
    "values", [{"convlstm": 50.0, "head": 0.5}, {"convlstm": 0.1, "head": 9.0}]
)
def test_clipping_equals_torch_module_first_then_everything(values):
    ours, theirs = grads(values), grads(values)
    norms, clipped = clip(ours, ClippingConfig(total=5.0, groups={"convlstm": 10.0}))
    first = nn.utils.clip_grad_norm_([theirs["convlstm"]["w"]], 10.0)
    second = nn.utils.clip_grad_norm_([p for g in theirs.values() for p in g.values()], 5.0)
    for name in values:
        assert torch.allclose(ours[name]["w"].grad, theirs[name]["w"].grad, rtol=1e-5)
        assert norms[name] == pytest.approx(2 * values[name])
    assert clipped == {"convlstm": float(first) > 10, "total": float(second) > 5}
    assert norms["total"] == pytest.approx(math.hypot(*(2 * v for v in values.values())))


def test_clipping_can_be_off_and_skips_what_has_no_gradient():
    groups = grads({"head": 100.0})
    groups["empty"] = {"w": nn.Parameter(torch.zeros(1))}
    norms, clipped = clip(groups, ClippingConfig(total=None, groups={}))
    assert norms == {"head": 200.0, "total": 200.0}
    assert clipped == {"total": False}
    assert torch.equal(groups["head"]["w"].grad, torch.full((4,), 100.0))
    assert clip({}, ClippingConfig())[0] == {"total": 0.0}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rates": {"head": 0.0}}, "learning rate is positive"),
        ({"default_rate": -1e-4}, "learning rate is positive"),
        ({"weight_decay": -1.0}, "weight decay is not negative"),
        ({"betas": (0.9, 1.0)}, "betas lie in"),
        ({"warmup": 1.0}, "warm-up is a share"),
        ({"floor": 1.5}, "floor is a share"),
    ],
)
def test_bad_optimisers_are_refused(change, match):
    with pytest.raises(ConfigError, match=match):
        OptimiserConfig(**change)


@pytest.mark.parametrize("change", [{"total": 0.0}, {"groups": {"convlstm": -1.0}}])
def test_bad_clipping_is_refused(change):
    with pytest.raises(ConfigError, match="norm limit is positive"):
        ClippingConfig(**change)

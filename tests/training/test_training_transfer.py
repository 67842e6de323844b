from dataclasses import replace

import pytest
import torch
from training_toys import LEADS, SPEC, ToyModel, ToySource, issue_times, same_weights, weights_of

from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.spec import ForecastSpec
from heliosight.training import (
    LossConfig,
    ProgressiveColumns,
    StageConfig,
    TrainingConfig,
    fit_copula,
    predict,
    read_log,
    save_weights,
    take_weights,
    train,
)
from heliosight.training.losses import Objective
from heliosight.training.speed import speed_ahead, speed_column

CONFIG = TrainingConfig(epochs=2, batch_size=8, device="cpu")
SAMPLE = ToySource().batch(issue_times(2))


def columns(**more):
    old, new = ToyModel(seed=1, norm=False), ToyModel(seed=2, norm=False)
    return ProgressiveColumns(old, new, SAMPLE, **more)


def learn(model, folder, config=CONFIG):
    return train(model, ToySource(seed=9), issue_times(24), issue_times(8, 60), config, folder)


def test_fine_tuning_takes_parameters_and_leaves_the_new_worlds_buffers(tmp_path):
    old, new = ToyModel(seed=1), ToyModel(seed=2)
    old.norm.running_mean += 5
    old.head = torch.nn.Linear(8, 7)
    save_weights(old, tmp_path / "w.safetensors")
    found = take_weights(new, tmp_path / "w.safetensors")
    assert found.fresh == ("head.weight", "head.bias")
    assert torch.equal(new.series.weight, old.series.weight)
    assert not new.norm.running_mean.any()
    assert "series.weight" in found.taken


def test_fine_tuning_from_a_stranger_is_refused(tmp_path):
    save_weights(torch.nn.Linear(2, 2), tmp_path / "w.safetensors")
    with pytest.raises(SpecError, match="share parameters with the model"):
        take_weights(ToyModel(), tmp_path / "w.safetensors")


def test_at_first_the_new_column_stands_alone():
    both = columns().eval()
    with torch.no_grad():
        got, alone = both(SAMPLE), both.new(SAMPLE)
    assert torch.equal(got.forecast.mean, alone.forecast.mean)
    assert both.score(SAMPLE).requires_grad
    assert torch.equal(both.forecast(SAMPLE), alone.forecast.mean_ap())


@pytest.mark.accuracy
def test_lateral_features_are_those_of_the_old_column_through_the_adapter():
    both = columns(hidden=3).eval()
    adapter = both.adapters["branch_norm_solar_wind_0"]
    with torch.no_grad():
        adapter.up.weight.normal_(generator=torch.Generator().manual_seed(0))
        old = both.old(SAMPLE).features["solar_wind"]
        new = both.new(SAMPLE).features["solar_wind"]
        # Rusu et al. 2016, eq. 2: own features plus U relu(V a h_old)
        down = (adapter.scale * old) @ adapter.down.weight.T + adapter.down.bias
        want = new + down.clamp(min=0) @ adapter.up.weight.T
        assert torch.allclose(both(SAMPLE).features["solar_wind"], want, atol=1e-6)


def test_the_old_column_stays_bit_for_bit_while_the_new_one_and_its_laterals_learn(tmp_path):
    model = columns()
    before = weights_of(model)
    learn(model, tmp_path)
    after = weights_of(model)
    moved = {n.split(".")[0] for n in after if not torch.equal(before[n], after[n])}
    assert moved == {"new", "adapters"}
    rates = next(r for r in read_log(tmp_path / "log.jsonl") if r["kind"] == "step")["rates"]
    assert "frozen" not in rates
    assert {"lateral", "convlstm"} <= set(rates)
    model.train()
    assert not model.old.training
    assert not any(p.requires_grad for p in model.old.parameters())


def test_columns_forecast_like_any_model(tmp_path):
    model, source = columns(), ToySource()
    assert model.spec is model.new.spec
    assert set(model.parts) == set(model.new.parts)
    rows = predict(model, source, issue_times(3))
    assert rows.event_probability.shape == (3, 3, 3)
    assert fit_copula(model, source, issue_times(60)).shape == (LEADS, LEADS)
    assert model.new.copula is not None
    save_weights(model, tmp_path / "w")
    again = columns()
    take_weights(again, tmp_path / "w")
    assert same_weights(weights_of(model.old), weights_of(again.old))


def test_gradients_of_the_inputs_run_through_both_columns():
    both = columns().eval()
    both.adapters["branch_norm_solar_wind_0"].up.weight.data.fill_(1.0)
    wind = SAMPLE.inputs["solar_wind"].clone().requires_grad_()
    both.score(SAMPLE.with_inputs({"solar_wind": wind})).sum().backward()
    with_lateral = wind.grad.clone()
    wind.grad = None
    both.old.series.weight.data.zero_()
    both.score(SAMPLE.with_inputs({"solar_wind": wind})).sum().backward()
    assert not torch.allclose(with_lateral, wind.grad)


def test_the_frozen_group_cannot_be_named(tmp_path):
    config = replace(CONFIG, epochs=None, stages=(StageConfig("x", 1, ("frozen",)),))
    with pytest.raises(ConfigError, match="`frozen` never learns"):
        learn(columns(), tmp_path, config)


def test_columns_without_common_parts_are_refused():
    with pytest.raises(SpecError, match="share parts that are called alike"):
        columns(roles=("nothing",))

    class Twice(ToyModel):
        def forward(self, batch):
            super().forward(batch)
            return super().forward(batch)

    with pytest.raises(SpecError, match="share parts that are called alike"):
        ProgressiveColumns(Twice(), ToyModel(), SAMPLE)


def test_the_speed_target_is_the_wind_over_the_leads():
    source, times = ToySource(), issue_times(5)
    speed = speed_ahead(source, times)
    for row, time in enumerate(times):
        now = source._step(time)
        assert speed.values[row].tolist() == source.wind[now : now + LEADS, 0].tolist()
    assert speed.known.all()


def test_the_speed_head_learns_and_unknown_speeds_do_not_count(tmp_path):
    model = ToyModel(speed=True, auxiliary=False)
    before = weights_of(model)
    stage = StageConfig("speed", 2, ("convlstm", "auxiliary"), 1e-3, {}, 0.0, 1.0)
    learn(model, tmp_path, replace(CONFIG, epochs=None, stages=(stage,)))
    assert not torch.equal(before["speed.weight"], weights_of(model)["speed.weight"])
    batch, speed = SAMPLE, speed_ahead(ToySource(), issue_times(2))
    objective = Objective(LossConfig(auxiliary_weight=1.0), SPEC.modalities)
    output = model.eval()(batch)
    hidden = replace(speed, known=torch.zeros_like(speed.known))
    assert float(objective.sums(output, batch, hidden)["auxiliary"].detach()) == 0
    got = float(objective.sums(output, batch, speed)["auxiliary"].detach())
    gap = (output.auxiliary["speed"].detach() - speed.values) / 100
    assert got == pytest.approx(float((gap**2 * batch.target_mask).sum()), rel=1e-5)


def test_a_speed_head_needs_speed_among_the_inputs():
    wind = replace(SPEC.modalities["solar_wind"], variables=("bz_gsm", "density"))
    with pytest.raises(ConfigError, match="a speed head learns from an input series"):
        speed_column(ForecastSpec({"solar_wind": wind}))
    assert speed_column(SPEC) == ("solar_wind", 0)

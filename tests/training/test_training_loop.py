"""The loop: what it learns, freezes, logs and refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from training_runs import CONFIG, STAGED, TRAIN, VALIDATION, losses, run
from training_toys import SPEC, WIND_ONLY, ToyModel, ToySource, same_weights, weights_of

from heliosight.core.config import build, dump
from heliosight.core.errors import ConfigError, SpecError
from heliosight.training import (
    PROGRESSIVE,
    AugmentationConfig,
    ClippingConfig,
    CurriculumConfig,
    CurriculumStep,
    LossConfig,
    OptimiserConfig,
    StageConfig,
    StoppingConfig,
    TrainingConfig,
    read_log,
    train,
)
from heliosight.training.run import resolve_device


def test_it_learns_and_the_model_holds_the_best_epoch(tmp_path):
    quick = OptimiserConfig(rates={}, default_rate=1e-2)
    config = replace(CONFIG, epochs=8, optimiser=quick, augmentation=AugmentationConfig())
    model, result = run(tmp_path, config)
    epochs = [r for r in read_log(result.log) if r["kind"] == "epoch"]
    validation = [r["validation_loss"] for r in epochs]
    assert min(validation) < 0.5 * validation[0]
    assert result.validation_loss == min(validation)
    assert result.best_epoch == 1 + validation.index(min(validation))
    assert result.parameters == sum(p.numel() for p in model.parameters())
    assert epochs[0]["better"] is True


def test_the_same_command_gives_the_same_weights(tmp_path):
    a, first = run(tmp_path / "a")
    b, second = run(tmp_path / "b")
    c, _ = run(tmp_path / "c", replace(CONFIG, seed=4))
    assert same_weights(weights_of(a), weights_of(b))
    assert losses(first) == losses(second)
    assert not same_weights(weights_of(a), weights_of(c))


def test_global_random_state_is_left_alone(tmp_path):
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    run(tmp_path, replace(CONFIG, epochs=1))
    assert torch.equal(torch.rand(3), want)


def test_accumulated_micro_batches_are_one_big_batch(tmp_path):
    base = replace(CONFIG, precision="float64", augmentation=AugmentationConfig())
    weights = []
    for size, accumulation in ((8, 1), (4, 2), (2, 4)):
        model = ToyModel(norm=False, dropout=0.0)
        config = replace(base, batch_size=size, accumulation=accumulation)
        run(tmp_path / f"{size}", config, model)
        weights.append(weights_of(model))
    for other in weights[1:]:
        assert max(float((weights[0][n] - other[n]).abs().max()) for n in other) < 1e-12


def test_precision_is_that_of_weights_and_loss(tmp_path):
    model, _ = run(tmp_path, replace(CONFIG, epochs=1, precision="float64"))
    assert {p.dtype for p in model.parameters()} == {torch.float64}


def test_frozen_is_frozen_bit_for_bit(tmp_path):
    stage = StageConfig("images", 2, ("convlstm", "auxiliary"), None, {}, 0.0, 1.0)
    model = ToyModel()
    before = weights_of(model)
    run(tmp_path, replace(CONFIG, epochs=None, stages=(stage,)), model)
    after = weights_of(model)
    moved = {n for n in after if not torch.equal(before[n], after[n])}
    assert moved == {n for n in after if n.startswith(("images.", "extra."))}
    assert any("running_mean" in n for n in after)


def test_stages_follow_each_other_with_their_own_rates(tmp_path):
    _, result = run(tmp_path, replace(STAGED, accumulation=1))
    log = read_log(result.log)
    names = [(r["name"], r["epoch"]) for r in log if r["kind"] == "stage"]
    assert names == [("images", 1), ("all", 2)]
    steps = [r for r in log if r["kind"] == "step"]
    assert set(steps[0]["rates"]) == {"convlstm", "auxiliary"}
    assert set(steps[0]["parts"]) == {"auxiliary"}
    assert set(steps[-1]["rates"]) == {"convlstm", "transformer", "fusion", "head", "auxiliary"}
    assert steps[4]["rates"]["convlstm"] == pytest.approx(5e-4, rel=0.2)
    assert result.epochs == 3


def test_the_progressive_preset_runs_on_a_model_with_its_groups(tmp_path):
    short = tuple(replace(s, epochs=1) for s in PROGRESSIVE)
    _, result = run(tmp_path, replace(CONFIG, epochs=None, stages=short))
    steps = [r for r in read_log(result.log) if r["kind"] == "step"]
    assert steps[3]["gradient_norms"].keys() == {"convlstm", "auxiliary", "total"}
    assert "transformer" not in steps[4]["rates"]


def test_early_stopping_waits_for_its_patience(tmp_path):
    stopping = StoppingConfig(patience=2, margin=100.0)
    _, result = run(tmp_path, replace(CONFIG, epochs=9, stopping=stopping))
    # nothing is better than the first epoch by the margin
    assert (result.epochs, result.best_epoch) == (3, 1)
    _, patient = run(tmp_path / "b", replace(CONFIG, stopping=StoppingConfig(None, 100.0)))
    assert patient.epochs == 3


def test_a_stage_out_of_patience_hands_over_to_the_next(tmp_path):
    stages = (StageConfig("a", 5), StageConfig("b", 2))
    stopping = StoppingConfig(patience=1, margin=100.0)
    config = replace(CONFIG, epochs=None, stages=stages, stopping=stopping)
    _, result = run(tmp_path, config)
    epochs = [r["stage"] for r in read_log(result.log) if r["kind"] == "epoch"]
    assert epochs == ["a", "a", "b", "b"]


def test_an_epoch_may_be_a_fresh_sample_of_the_windows(tmp_path):
    source = ToySource()
    run(tmp_path, replace(CONFIG, epochs=2, epoch_windows=8), source=source)
    trained = [set(c.tolist()) for c in source.calls if set(c) <= set(TRAIN) and len(c) == 8]
    assert len(trained) == 2
    assert trained[0] != trained[1]


def test_every_window_is_seen_once_an_epoch(tmp_path):
    source = ToySource()
    run(tmp_path, replace(CONFIG, epochs=1), source=source)
    seen = np.concatenate([c for c in source.calls[1:] if set(c) <= set(TRAIN)])
    assert sorted(seen) == sorted(TRAIN)


def test_the_log_has_what_the_report_draws(tmp_path):
    clipping = ClippingConfig(total=1e-3)
    _, result = run(tmp_path, replace(CONFIG, clipping=clipping, epochs=2))
    log = read_log(result.log)
    step = next(r for r in log if r["kind"] == "step")
    assert set(step) == {
        "kind", "epoch", "step", "loss", "parts", "rates", "gradient_norms", "clipped"
    }  # fmt: skip
    assert set(step["gradient_norms"]) >= {"convlstm", "transformer", "total"}
    assert step["loss"] == pytest.approx(sum(step["parts"].values()))
    epoch = next(r for r in log if r["kind"] == "epoch")
    assert epoch["clipped_share"] == {"total": 1.0, "convlstm": 0.0}
    assert set(epoch["features"]) == {"images", "solar_wind"}
    assert len(epoch["hidden_norm"]) == 6
    assert epoch["windows_per_second"] > 0


def test_a_stage_whose_loss_reaches_nothing_is_refused(tmp_path):
    stage = StageConfig("images", 1, ("convlstm",), None, {}, 0.0, 1.0)
    with pytest.raises(ConfigError, match="loss reaches the groups"):
        run(tmp_path, replace(CONFIG, epochs=None, stages=(stage,)), ToyModel(auxiliary=False))
    stage = StageConfig("head", 1, ("head",), None, {}, 0.0, 1.0)
    with pytest.raises(ConfigError, match="loss reaches the groups"):
        run(tmp_path, replace(CONFIG, epochs=None, stages=(stage,)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"optimiser": OptimiserConfig(rates={"brain": 1e-3})}, "parameter group exists"),
        ({"clipping": ClippingConfig(groups={"brain": 1.0})}, "parameter group exists"),
        (
            {"stages": (StageConfig("x", 1, ("brain",)),), "epochs": None},
            "names groups of the model",
        ),
        ({"curriculum": CurriculumConfig((CurriculumStep(9, 1),))}, "no longer than the window"),
        ({"precision": "bf16"}, "40 to 100 times slower"),
        ({"activation_checkpointing": True}, "a model that offers it"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, change, match):
    with pytest.raises(ConfigError, match=match):
        run(tmp_path, replace(CONFIG, **change))
    assert not list(tmp_path.iterdir())


def test_blocks_must_exist_and_be_apart(tmp_path):
    for train_times, validation in ((TRAIN[:0], VALIDATION), (TRAIN, VALIDATION[:0])):
        with pytest.raises(SpecError, match="block has issue times"):
            train(ToyModel(), ToySource(), train_times, validation, CONFIG, tmp_path)
    with pytest.raises(SpecError, match=r"share no issue time.*30, first 20"):
        train(ToyModel(), ToySource(), TRAIN, TRAIN, CONFIG, tmp_path)


def test_switches_reach_the_model(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda m: compiled.append(m) or m)
    model = ToyModel()
    model.set_activation_checkpointing = lambda on: compiled.append(on)
    run(tmp_path, replace(CONFIG, epochs=1, compile=True, activation_checkpointing=True), model)
    assert compiled == [True, model]


def test_compiling_on_a_cpu_is_warned_about(monkeypatch, capsys):
    monkeypatch.delenv("HELIOSIGHT_QUIET", raising=False)
    resolve_device(TrainingConfig(device="cpu"))
    assert capsys.readouterr().err == ""
    resolve_device(TrainingConfig(device="cpu", compile=True))
    assert "training.compile on a CPU" in capsys.readouterr().err


def test_bf16_is_for_the_gpu():
    with pytest.raises(ConfigError, match="on a CPU"):
        resolve_device(replace(CONFIG, precision="bf16"))
    assert resolve_device(replace(CONFIG, precision="bf16", device="cuda")).type == "cuda"


def test_a_wind_only_model_trains_with_the_shipped_tables(tmp_path):
    source = ToySource(WIND_ONLY)
    _, result = run(tmp_path, model=ToyModel(WIND_ONLY), source=source)
    epoch = next(r for r in read_log(result.log) if r["kind"] == "epoch")
    assert epoch["hidden_norm"] == []
    assert "auxiliary" not in epoch["validation_parts"]


def test_the_loss_switch_reaches_the_loop(tmp_path):
    config = replace(CONFIG, epochs=1, loss=LossConfig(terms={"crps": 1.0}, auxiliary_weight=0.0))
    _, result = run(tmp_path, config)
    step = next(r for r in read_log(result.log) if r["kind"] == "step")
    assert set(step["parts"]) == {"crps"}


def test_the_curriculum_shows_the_newest_frames_only(tmp_path):
    seen = []

    class Watching(ToyModel):
        def forward(self, batch):
            if self.training:
                seen.append(batch.observed["images"].any(1).any(0).tolist())
            return super().forward(batch)

    steps = CurriculumConfig((CurriculumStep(2, 1), CurriculumStep(4, 1)))
    plain = replace(CONFIG, augmentation=AugmentationConfig(), curriculum=steps)
    _, result = run(tmp_path, plain, Watching())
    assert [seen[0], seen[4], seen[8]] == [
        [False] * 4 + [True] * 2, [False] * 2 + [True] * 4, [True] * 6
    ]  # fmt: skip
    epochs = [r["frames"] for r in read_log(result.log) if r["kind"] == "epoch"]
    assert epochs == [2, 4, None]


def test_the_config_survives_yaml_and_back():
    config = replace(STAGED, loss=LossConfig(storm_weights={"G1": 2.0}))
    assert build(TrainingConfig, dump(config)) == config
    assert build(TrainingConfig, {}) == TrainingConfig()
    assert TrainingConfig().plan[0].epochs == 30


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"batch_size": 0}, r"batch_size: a count is at least one"),
        ({"accumulation": 0}, r"accumulation: a count is at least one"),
        ({"epochs": 0}, r"epochs: a count is at least one"),
        ({"epoch_windows": 0}, r"epoch_windows: a count is at least one"),
        ({"checkpoint_steps": -1}, "checkpoint_steps is 0 or more"),
        ({"stages": PROGRESSIVE, "epochs": 30}, "stages have 100 epochs in all"),
    ],
)
def test_bad_training_configs_are_refused(change, match):
    with pytest.raises(ConfigError, match=match):
        TrainingConfig(**change)


@pytest.mark.parametrize(("patience", "margin"), [(0, 0.0), (1, -1.0)])
def test_bad_stopping_is_refused(patience, margin):
    with pytest.raises(ConfigError, match=r"patience is at least|margin of early stopping"):
        StoppingConfig(patience, margin)


def test_stages_may_repeat_their_sum():
    assert TrainingConfig(stages=PROGRESSIVE, epochs=100).plan == PROGRESSIVE


def test_a_module_without_groups_is_refused(tmp_path):
    with pytest.raises(SpecError, match="names its groups"):
        train(nn.Linear(1, 1), ToySource(SPEC), TRAIN, VALIDATION, CONFIG, tmp_path)

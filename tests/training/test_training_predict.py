import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from training_toys import SPEC, ToyModel, ToySource, issue_times, same_weights, weights_of

from heliosight.core.errors import DataError, RecordError, SpecError
from heliosight.training import fit_copula, load_weights, passed, predict, read_log, save_weights
from heliosight.training.journal import Journal
from heliosight.training.predict import score_correlation
from heliosight.training.views import feature_views


def test_predictions_say_what_the_model_says_in_ap():
    model, source = ToyModel(), ToySource()
    got = predict(model, source, issue_times(5), 2, "toy", 3)
    batch = source.batch(issue_times(5))
    with torch.no_grad():
        output = model.eval()(batch)
    assert (got.name, got.fold.tolist()) == ("toy", [3] * 5)
    assert np.allclose(got.mean, output.forecast.mean_ap(), rtol=1e-6)
    assert np.allclose(got.mean_log, output.forecast.mean, rtol=1e-6)
    assert np.allclose(got.quantiles, output.forecast.quantiles_ap(), rtol=1e-6)
    assert got.event_probability.shape == (5, 3, 3)
    assert np.allclose(got.levels, [0.1, 0.5, 0.9])
    assert np.array_equal(np.isnan(got.observed), ~batch.target_mask.numpy())
    assert np.array_equal(got.observed[~np.isnan(got.observed)], batch.target[batch.target_mask])


def test_the_batch_size_does_not_matter_and_the_mode_is_put_back():
    model, source = ToyModel().train(), ToySource()
    one, many = (predict(model, source, issue_times(7), n) for n in (1, 64))
    for name, x in one.arrays().items():
        assert np.allclose(x, many.arrays()[name], rtol=1e-5, equal_nan=True)
    assert model.training


def test_rows_come_in_order_of_time_once_each_with_their_fold():
    times = issue_times(4)[[2, 0, 0, 3]]
    got = predict(ToyModel(), ToySource(), times, fold=np.array([2, 0, 0, 3]))
    assert np.array_equal(got.issue_time, issue_times(4)[[0, 2, 3]])
    assert got.fold.tolist() == [0, 2, 3]


def test_a_model_without_day_events_leaves_them_open():
    class Bare(ToyModel):
        event_probability = None

    model = Bare()
    del Bare.event_probability
    assert hasattr(model, "event_probability")
    wrapped = torch.nn.Module()
    wrapped.inner, wrapped.forward = model, model.forward
    got = predict(wrapped, ToySource(), issue_times(2))
    assert got.event_probability.shape == (2, 3, 3)
    assert np.isnan(got.event_probability).all()


def test_no_issue_times_no_forecast():
    with pytest.raises(SpecError, match="needs issue times"):
        predict(ToyModel(), ToySource(), issue_times(0))


@pytest.mark.accuracy
def test_the_copula_is_the_correlation_of_normal_scores():
    class AllKnown(ToySource):
        def batch(self, times, image_shift=None):
            batch = super().batch(times, image_shift)
            return replace(batch, target_mask=torch.ones_like(batch.target_mask))

    model, source = ToyModel(norm=False, dropout=0.0), AllKnown()
    got = fit_copula(model, source, issue_times(100), 32, seed=7)
    batch = source.batch(issue_times(100))
    with torch.no_grad():
        pit = model(batch).forecast.cdf(torch.log1p(batch.target)).double().numpy()
    want = np.corrcoef(stats.norm.ppf(pit.clip(1e-4, 1 - 1e-4)), rowvar=False)
    # the only difference is what makes it positive definite
    assert np.abs(got - want).max() < 0.01
    assert np.linalg.eigvalsh(got).min() > 0
    assert np.allclose(np.diag(got), 1)
    assert np.array_equal(model.copula[0], got)
    assert model.copula[1] == 7


def test_one_pass_gives_copula_and_forecast_to_the_bit():
    source, times = ToySource(), issue_times(150)
    twice, once = ToyModel(norm=False), ToyModel(norm=False)
    once.load_state_dict(twice.state_dict())
    want = fit_copula(twice, source, times, seed=3)
    expected = predict(twice, source, times).arrays()

    said = passed(once, source, times)
    assert not any(batch.inputs or output.features for output, batch in said)
    got = fit_copula(once, None, times, seed=3, said=said)
    assert np.array_equal(got, want)
    found = predict(once, None, times, said=said).arrays()
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[k], expected[k], equal_nan=True) for k in found)


def test_a_known_correlation_is_found_through_holes():
    rng = np.random.default_rng(0)
    true = 0.8 ** np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    scores = rng.multivariate_normal(np.zeros(5), true, 4000)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    assert np.abs(score_correlation(scores) - true).max() < 0.06


def test_a_copula_needs_rows_and_a_model_that_takes_it():
    with pytest.raises(DataError, match="3 or more rows"):
        score_correlation(np.zeros((2, 3)))
    with pytest.raises(SpecError, match="set_copula"):
        fit_copula(torch.nn.Linear(1, 1), ToySource(), issue_times(3))


def test_weights_come_back_with_their_buffers(tmp_path):
    model, other = ToyModel(seed=0), ToyModel(seed=1)
    model.norm.running_mean += 3
    save_weights(model, tmp_path / "w.safetensors")
    assert not same_weights(weights_of(model), weights_of(other))
    load_weights(other, tmp_path / "w.safetensors")
    assert same_weights(weights_of(model), weights_of(other))


def test_foreign_or_broken_weights_are_refused_with_every_difference(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(ToyModel(norm=False), path)
    with pytest.raises(RecordError, match=r"same architecture.*norm.bias: absent saved"):
        load_weights(ToyModel(), path)
    wide = ToyModel(norm=False)
    wide.head = torch.nn.Linear(8, 5)
    with pytest.raises(RecordError, match=r"head.bias: \[96\] saved, \[5\] in the model"):
        load_weights(wide, path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RecordError, match="whole safetensors file"):
        load_weights(ToyModel(), path)
    with pytest.raises(RecordError, match="whole safetensors file"):
        load_weights(ToyModel(), tmp_path / "absent")


def test_many_differences_are_counted(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(torch.nn.Linear(1, 1), path)
    with pytest.raises(RecordError, match=r"and \d+ more"):
        load_weights(ToyModel(), path)


def test_a_log_drops_what_came_after_its_checkpoint(tmp_path):
    path = tmp_path / "log.jsonl"
    log = Journal(path)
    log.write("step", step=1)
    length = log.flushed_length()
    log.write("step", step=2)
    Journal(path, length).write("step", step=3)
    assert [r["step"] for r in read_log(path)] == [1, 3]
    silent = Journal(tmp_path / "none.jsonl", active=False)
    silent.write("step", step=1)
    assert silent.flushed_length() == 0
    assert not (tmp_path / "none.jsonl").exists()


def test_a_torn_last_line_is_left_out_and_a_torn_middle_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"kind": "step"}) + '\n{"kind": "st')
    assert read_log(path) == [{"kind": "step"}]
    path.write_text('{"kind": "st\n' + json.dumps({"kind": "step"}) + "\n")
    with pytest.raises(RecordError, match=r"line 1.*one JSON record a line"):
        read_log(path)


def test_views_of_features():
    features = {
        "images": torch.tensor([[1.0, 3.0]]),
        "raw.images": torch.tensor([[10.0, 30.0]]),
        "attention.images": torch.ones(1, 4, 6),
        "hidden_states.images": torch.tensor([[[3.0, 4.0], [0.0, 2.0]]]),
        "hidden_states.solar_wind": torch.zeros(1, 3, 2),
    }
    got = feature_views(features, SPEC)
    assert got["features"] == {
        "images": {"mean": 2.0, "std": 1.0},
        "raw.images": {"mean": 20.0, "std": 10.0},
    }
    assert got["hidden_norm"] == [5.0, 2.0]

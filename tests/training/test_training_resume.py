"""Stopped runs: resumption bit for bit, numbers that are not finite, checkpoints refused."""

import math
import os
import signal
from dataclasses import replace

import pytest
import torch
import torch.multiprocessing as mp
from training_runs import CONFIG, STAGED, TRAIN, VALIDATION, losses, run
from training_toys import ToyModel, ToySource, same_weights, weights_of

from heliosight.core.errors import RecordError, TrainingStopped
from heliosight.training import train
from heliosight.training.checkpoint import CHECKPOINT, Identity, read_checkpoint


class Killed(BaseException):
    pass


class DyingSource(ToySource):
    """Dies at the n-th window read."""

    def __init__(self, lives, how=None):
        super().__init__()
        self.lives, self.how = lives, how

    def batch(self, times, image_shift=None):
        self.lives -= 1
        if self.lives < 0:
            if self.how is not None:
                os.kill(os.getpid(), self.how)
            raise Killed
        return super().batch(times, image_shift)


@pytest.mark.parametrize("config", [CONFIG, STAGED])
def test_killed_at_any_read_it_goes_on_bit_for_bit(tmp_path, config):
    whole, result = run(tmp_path / "whole", config)
    counted = ToySource()
    run(tmp_path / "count", config, source=counted)
    for lives in range(0, len(counted.calls), 3):
        folder = tmp_path / f"killed{lives}"
        with pytest.raises(Killed):
            run(folder, config, source=DyingSource(lives))
        again, resumed = run(folder, config)
        assert same_weights(weights_of(whole), weights_of(again)), lives
        assert losses(result) == losses(resumed), lives
        assert resumed.best_epoch == result.best_epoch


def _train_and_be_killed(folder, lives):
    os.environ["HELIOSIGHT_QUIET"] = "1"
    torch.set_num_threads(1)
    run(folder, source=DyingSource(lives, signal.SIGKILL))


@pytest.mark.slow
def test_kill_9_and_the_same_command_again(tmp_path):
    whole, result = run(tmp_path / "whole")
    process = mp.get_context("spawn").Process(
        target=_train_and_be_killed, args=(tmp_path / "killed", 9)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "killed" / CHECKPOINT).is_file()
    again, resumed = run(tmp_path / "killed")
    assert same_weights(weights_of(whole), weights_of(again))
    assert losses(result) == losses(resumed)


def test_resuming_reads_no_more_than_what_is_left(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, source=DyingSource(12))
    left = ToySource()
    run(tmp_path, source=left)
    full = ToySource()
    run(tmp_path / "other", source=full)
    assert len(left.calls) < len(full.calls) - 6


def test_a_finished_run_is_not_trained_again(tmp_path):
    a, first = run(tmp_path)
    source = ToySource()
    b, second = run(tmp_path, source=source)
    assert same_weights(weights_of(a), weights_of(b))
    assert len(source.calls) == 1
    assert first == replace(second)


def test_without_resume_it_starts_over(tmp_path):
    run(tmp_path)
    source = ToySource()
    run(tmp_path, replace(CONFIG, seed=9), source=source, resume=False)
    assert len(source.calls) > 10


class PoisonedSource(ToySource):
    """NaN in the wind of one window, from the n-th read on."""

    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def batch(self, times, image_shift=None):
        batch = super().batch(times, image_shift)
        if len(self.calls) > self.reads:
            batch.inputs["solar_wind"][1, 3, 0] = math.nan
        return batch


def test_nan_in_a_batch_stops_with_the_last_checkpoint_intact(tmp_path):
    with pytest.raises(TrainingStopped, match=r"every value of a batch is finite.*solar_wind"):
        run(tmp_path, source=PoisonedSource(4))
    whole, _ = run(tmp_path / "whole")
    again, _ = run(tmp_path)
    assert same_weights(weights_of(whole), weights_of(again))


class Explodes(ToyModel):
    """A forecast that turns infinite after some calls."""

    calls = 0

    def forward(self, batch):
        output = super().forward(batch)
        self.calls += 1
        if self.calls > 5:
            bad = replace(output.forecast, mean=output.forecast.mean * math.inf)
            return replace(output, forecast=bad)
        return output


def test_a_loss_that_is_not_finite_stops_with_the_last_checkpoint_intact(tmp_path):
    with pytest.raises(TrainingStopped, match=r"loss and gradients are finite.*loss"):
        run(tmp_path, model=Explodes())
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert all(torch.isfinite(x).all() for x in content["model"].values())


class SteepModel(ToyModel):
    """A finite loss whose gradient is not."""

    def forward(self, batch):
        output = super().forward(batch)
        steep = torch.sqrt((output.forecast.mean * 0).abs())
        return replace(output, forecast=replace(output.forecast, mean=output.forecast.mean + steep))


def test_a_gradient_that_is_not_finite_stops(tmp_path):
    with pytest.raises(TrainingStopped, match="gradient norm of"):
        run(tmp_path, model=SteepModel())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"config": replace(CONFIG, seed=8)}, "another config"),
        ({"source": ToySource(seed=5)}, "another data"),
        ({"data_hash": "b"}, "another data"),
        ({"model": ToyModel(norm=False)}, "same architecture"),
    ],
)
def test_a_foreign_checkpoint_is_refused_and_left_alone(tmp_path, change, match):
    run(tmp_path, data_hash="a")
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(RecordError, match=match):
        run(tmp_path, **{"data_hash": "a", **change})
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_checkpoint_of_another_split_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(RecordError, match="another split"):
        train(ToyModel(), ToySource(), TRAIN, VALIDATION[:-1], CONFIG, tmp_path)


@pytest.mark.parametrize("left", [0, 1, 1000])
def test_a_broken_checkpoint_is_refused(tmp_path, left):
    run(tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(RecordError, match="a checkpoint is whole"):
        run(tmp_path)


def test_a_pipe_in_the_place_of_a_checkpoint_is_not_waited_for(tmp_path):
    path = tmp_path / CHECKPOINT
    os.mkfifo(path)
    with pytest.raises(RecordError, match="a training goes on from a file"):
        read_checkpoint(path, ToyModel(), Identity("config", "split", "data"))


def test_a_checkpoint_of_another_format_is_refused(tmp_path):
    run(tmp_path)
    path = tmp_path / CHECKPOINT
    content = torch.load(path, weights_only=True)
    torch.save({**content, "format": 99}, path)
    with pytest.raises(RecordError, match="has format 1"):
        run(tmp_path)


def test_where_and_how_often_may_change_between_start_and_resumption(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, source=DyingSource(9))
    run(tmp_path, replace(CONFIG, checkpoint_steps=5, device="auto"))

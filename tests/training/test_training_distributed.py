import contextlib
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from training_toys import ToyModel, ToySource, issue_times, same_weights, weights_of

from heliosight.training import (
    AugmentationConfig,
    StageConfig,
    TrainingConfig,
    predict,
    read_log,
    torchrun_group,
    train,
)
from heliosight.training.distributed import Team, current_team

TRAIN, VALIDATION = issue_times(21), issue_times(7, 60)
CONFIG = TrainingConfig(
    batch_size=4,
    accumulation=2,
    precision="float64",
    device="cpu",
    stages=(
        StageConfig("images", 1, ("convlstm", "auxiliary"), 1e-3, {}, 0.0, 1.0),
        StageConfig("all", 2, rate=1e-3),
    ),
    augmentation=AugmentationConfig(
        image_shift=2, frame_dropout=0.3, series_jitter=0.1, modality_dropout=0.2
    ),
)


class MortalSource(ToySource):
    lives = 10**6

    def batch(self, times, image_shift=None):
        self.lives -= 1
        if self.lives < 0:
            raise InterruptedError
        return super().batch(times, image_shift)


def teach(folder, lives=10**6):
    rank = dist.get_rank() if dist.is_initialized() else 0
    model, source = ToyModel(norm=False, dropout=0.0, seed=rank), MortalSource()
    source.lives = lives
    return model, train(model, source, TRAIN, VALIDATION, CONFIG, folder)


def work(rank, folder, world):
    os.environ["HELIOSIGHT_QUIET"] = "1"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
    )
    model, result = teach(folder / "two")
    few = predict(model, ToySource(), issue_times(1, 50))
    rows = predict(model, ToySource(), issue_times(9, 50), 2)
    torch.save(weights_of(model), folder / f"weights{rank}.pt")
    np.savez(folder / f"rows{rank}.npz", few=few.mean, loss=result.validation_loss, **rows.arrays())
    # both die within the first epoch of the second stage, or of the other's death
    with contextlib.suppress(InterruptedError, RuntimeError):
        teach(folder / "killed", lives=12)
    os._exit(0)


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path):
    mp.start_processes(work, (tmp_path, 2), nprocs=2, start_method="spawn")
    one, result = teach(tmp_path / "one")
    a, b = (torch.load(tmp_path / f"weights{r}.pt", weights_only=True) for r in (0, 1))
    assert same_weights(a, b)
    alone = weights_of(one)
    assert max(float((alone[n] - a[n]).abs().max()) for n in a) < 1e-12
    logs = [
        [r["loss"] for r in read_log(tmp_path / name / "log.jsonl") if r["kind"] == "step"]
        for name in ("one", "two")
    ]
    assert logs[0] == pytest.approx(logs[1], rel=1e-12)
    # nothing in a checkpoint belongs to a process, so one goes on where two stopped
    started = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["position"]
    assert 0 < started["epoch"] < 3
    continued = weights_of(teach(tmp_path / "killed")[0])
    assert max(float((alone[n] - continued[n]).abs().max()) for n in a) < 1e-12
    rows = predict(one, ToySource(), issue_times(9, 50), 2)
    for rank in (0, 1):
        with np.load(tmp_path / f"rows{rank}.npz") as saved:
            assert float(saved["loss"]) == pytest.approx(result.validation_loss, rel=1e-12)
            assert saved["few"].shape == (1, 24)
            for name, x in rows.arrays().items():
                assert np.allclose(saved[name], x, rtol=1e-12, equal_nan=True)


def test_alone_it_is_rank_0_of_1(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert current_team() == Team(0, 1)
    with torchrun_group() as team:
        assert (team, dist.is_initialized()) == (Team(), False)
    x, p = torch.ones(2), nn.Parameter(torch.ones(1))
    assert team.add(x) is x
    team.add_gradients([p])
    team.wait()
    assert p.grad is None


@pytest.fixture
def group_of_one(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/m", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_sums_and_gathering_go_through_the_group(group_of_one):
    team = replace(current_team(), world=2)
    assert team.share == slice(0, None, 2)
    used, unused = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(1))
    used.grad = torch.full((2, 2), 3.0)
    team.add_gradients([used, unused])
    assert torch.equal(used.grad, torch.full((2, 2), 3.0))
    assert unused.grad is None


def test_torchrun_opens_and_closes_a_group(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(dist, "init_process_group", lambda backend: calls.append(backend))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append("closed"))
    with torchrun_group():
        pass
    assert calls == ["gloo", "closed"]

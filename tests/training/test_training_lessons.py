"""What heads are taught beyond the window's target, against slow twins."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_runs import CONFIG, TRAIN, VALIDATION
from training_toys import (
    FRAME,
    LEADS,
    ToyModel,
    ToySource,
    issue_times,
    same_weights,
    weights_of,
)

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY
from heliosight.core.errors import ConfigError
from heliosight.core.output import ModelOutput
from heliosight.training import StageConfig, read_log, teacher_spec, train
from heliosight.training.lessons import AREA_SCALE, Lesson, lesson, moments_of
from heliosight.training.losses import LossConfig, auxiliary_errors
from heliosight.training.run import evenly

DAYS = 3


class ToyTeacher:
    """Targets of the toy source; the area of a day is that of its number, some days unknown."""

    def __init__(self, days=DAYS):
        self.spec, self.source = teacher_spec(days), ToySource()

    def batch(self, times):
        given = self.source.batch(times)
        day = np.asarray(times)[:, None] // DAY + np.arange(1 - DAYS, 1)
        area = torch.tensor(day % 7 / 70.0, dtype=torch.float32)[..., None]
        known = torch.tensor(day % 5 > 0)[..., None]
        return Batch(
            {"area": area}, {"area": known}, given.issue_time, given.target, given.target_mask
        )


class FrameModel(ToyModel):
    """The toy with heads that speak after every frame."""

    area_days, every_frame = DAYS, True

    def __init__(self, seed=0):
        super().__init__(seed=seed)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.area = torch.nn.Linear(8, DAYS)

    @property
    def parts(self):
        return {**super().parts, "auxiliary.area": self.area}

    def forward(self, batch):
        output = super().forward(batch)
        states = output.features["hidden_states.images"]
        every = {"image": self.extra(states), "area": self.area(states)}
        last = {name: x[:, -1] for name, x in every.items()}
        return ModelOutput(output.forecast, last, output.features, every)


def test_moments_end_with_the_issue_time():
    assert moments_of(np.array([100]), 3, 10).tolist() == [[80, 90, 100]]


def test_a_lesson_is_what_was_ahead_of_each_moment():
    moments = moments_of(issue_times(2), 3, FRAME)
    found, teacher = lesson(ToyTeacher(), moments), ToyTeacher()
    assert found.area is not None and found.area_mask is not None
    for b in range(2):
        for k in range(3):
            alone = teacher.batch(moments[b, k : k + 1])
            assert torch.equal(found.target[b, k], alone.target[0])
            assert torch.equal(found.target_mask[b, k], alone.target_mask[0])
            assert torch.equal(found.area[b, k], alone.inputs["area"][0, :, 0].sqrt())
            assert torch.equal(found.area_mask[b, k], alone.observed["area"][0, :, 0])
    assert found.to(torch.device("cpu")).area is not None


@pytest.mark.accuracy
def test_errors_of_heads_at_every_frame_equal_a_loop():
    batch, config = ToySource().batch(issue_times(2)), LossConfig(storm_weights={"G1": 3.0})
    given = lesson(ToyTeacher(), moments_of(issue_times(2), 4, FRAME))
    g = torch.Generator().manual_seed(0)
    every = {
        "image": torch.randn(2, 4, LEADS, generator=g),
        "area": torch.rand(2, 4, DAYS, generator=g),
    }
    output = ModelOutput(None, {n: x[:, -1] for n, x in every.items()}, {}, every)  # type: ignore[arg-type]
    got = sum(float(x) for x in auxiliary_errors(output, batch, config, lesson=given))
    assert given.area is not None and given.area_mask is not None
    want = 0.0
    for b in range(2):
        for k in range(4):
            weights = []
            for lead in range(LEADS):
                ap = float(given.target[b, k, lead])
                known = bool(given.target_mask[b, k, lead])
                weights.append((3.0 if ap > 35.5 else 1.0) if known else 0.0)
                gap = float(every["image"][b, k, lead]) - np.log1p(ap)
                want += weights[-1] * gap**2 / 4
            for day in range(DAYS):
                gap = float(every["area"][b, k, day] - given.area[b, k, day]) / AREA_SCALE
                seen = bool(given.area_mask[b, k, day])
                want += sum(weights) * seen * gap**2 / DAYS / 4
    assert got == pytest.approx(want, rel=1e-5)


def test_speaking_more_often_weighs_no_more():
    batch, config = ToySource().batch(issue_times(1)), LossConfig()
    y = torch.zeros(1, 1, LEADS)
    for count in (1, 5):
        target, mask = torch.full((1, count, LEADS), 10.0), torch.ones(1, count, LEADS) > 0
        every = {"image": y.expand(1, count, LEADS)}
        output = ModelOutput(None, {"image": y[:, 0]}, {}, every)  # type: ignore[arg-type]
        (error,) = auxiliary_errors(output, batch, config, lesson=Lesson(target, mask))
        assert float(error) == pytest.approx(LEADS * np.log1p(10.0) ** 2, rel=1e-5)


STAGES = (
    StageConfig(
        "images", 2, ("convlstm", "auxiliary", "other"), 1e-2, {}, 0.0, 1.0, epoch_windows=8
    ),
    StageConfig("all", 1),
)


def test_a_run_learns_from_its_teacher_and_goes_on_bit_for_bit(tmp_path):
    config = replace(CONFIG, epochs=None, stages=STAGES, validation_windows=4)
    model, before = FrameModel(), weights_of(FrameModel())
    result = train(
        model, ToySource(), TRAIN, VALIDATION, config, tmp_path / "a", teacher=ToyTeacher()
    )
    assert not torch.equal(before["area.weight"], model.area.weight)
    again = FrameModel()
    for _ in range(2):  # the second finds everything done
        train(again, ToySource(), TRAIN, VALIDATION, config, tmp_path / "b", teacher=ToyTeacher())
    assert same_weights(weights_of(model), weights_of(again))
    steps = [r for r in read_log(result.log) if r["kind"] == "step"]
    assert [sum(r["epoch"] == e for r in steps) for e in (1, 2, 3)] == [1, 1, 4]


def test_a_validation_block_is_judged_on_evenly_spaced_windows(tmp_path):
    assert evenly(np.arange(9), 3).tolist() == [0, 4, 8]
    assert (
        evenly(np.arange(9), 20).tolist() == evenly(np.arange(9), None).tolist() == list(range(9))
    )
    source = ToySource()
    train(
        ToyModel(),
        source,
        TRAIN,
        VALIDATION,
        replace(CONFIG, epochs=1, validation_windows=3),
        tmp_path,
    )
    asked = np.concatenate([c for c in source.calls if np.isin(c, VALIDATION).all()])
    assert set(asked.tolist()) == set(VALIDATION[[0, 4, 8]].tolist())


def test_heads_without_their_teacher_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="need a teacher"):
        train(FrameModel(), ToySource(), TRAIN, VALIDATION, CONFIG, tmp_path)
    teacher = ToyTeacher(days=DAYS + 1)
    with pytest.raises(ConfigError, match="as many daily areas as the head names"):
        train(FrameModel(), ToySource(), TRAIN, VALIDATION, CONFIG, tmp_path, teacher=teacher)


def test_an_empty_epoch_of_a_stage_is_refused():
    with pytest.raises(ConfigError, match="an epoch has at least one window"):
        StageConfig("images", epoch_windows=0)

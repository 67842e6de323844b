from dataclasses import replace

import pytest
import torch
from training_toys import SPEC, WIND_ONLY, ToyModel, ToySource, issue_times

from heliosight.core.errors import ConfigError
from heliosight.training.groups import OptimiserConfig
from heliosight.training.protocol import parameters_by_group
from heliosight.training.stages import (
    FIELD_CURRICULUM,
    PROGRESSIVE,
    CurriculumConfig,
    CurriculumStep,
    StageConfig,
    last_frames,
    stages_of,
)

GROUPS = parameters_by_group(ToyModel())
IMAGES = {"images": SPEC.modalities["images"]}


def test_the_progressive_preset_is_the_fields_schedule():
    assert [s.epochs for s in PROGRESSIVE] == [20, 30, 50]
    rates = [s.learning_rates(GROUPS, OptimiserConfig()) for s in PROGRESSIVE]
    assert rates[0] == {"convlstm": 1e-3, "auxiliary": 1e-3}
    assert rates[1] == {"convlstm": 5e-4, "auxiliary": 1e-3, "fusion": 1e-3, "head": 1e-3}
    assert rates[2] == dict.fromkeys(GROUPS, 1e-4)
    assert (PROGRESSIVE[0].main_weight, PROGRESSIVE[0].auxiliary_weight) == (0.0, 1.0)


def test_a_stage_keeps_the_optimisers_rates_unless_it_has_its_own():
    optimiser = OptimiserConfig(rates={"head": 3e-4}, default_rate=7e-4)
    stage = StageConfig(groups=("head", "fusion", "convlstm"), rates={"fusion": 1e-2})
    rates = stage.learning_rates(GROUPS, optimiser)
    assert rates == {"head": 3e-4, "fusion": 1e-2, "convlstm": 7e-4}


def test_a_rate_for_a_frozen_group_is_refused():
    stage = StageConfig(groups=("head",), rates={"fusion": 1e-2})
    with pytest.raises(ConfigError, match="rates for groups it trains"):
        stage.learning_rates(GROUPS, OptimiserConfig())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"epochs": 0}, "at least one epoch"),
        ({"groups": ()}, "trains at least one group"),
        ({"rate": 0.0}, "learning rate is positive"),
        ({"rates": {"head": -1.0}}, "learning rate is positive"),
        ({"main_weight": -1.0}, "0 or more and not both 0"),
        ({"main_weight": 0.0, "auxiliary_weight": 0.0}, "not both 0"),
    ],
)
def test_bad_stages_are_refused(change, match):
    with pytest.raises(ConfigError, match=match):
        StageConfig(**change)


def test_without_stages_everything_learns():
    assert stages_of((), 7) == (replace(StageConfig(), epochs=7),)


def test_the_curriculum_grows_by_epoch():
    assert [FIELD_CURRICULUM.frames(e) for e in (0, 9, 10, 19, 20, 99)] == [
        7,
        7,
        14,
        14,
        None,
        None,
    ]
    assert CurriculumConfig().frames(0) is None


@pytest.mark.parametrize("frames", [1, 4, 6])
def test_masking_leaves_the_newest_frames_at_their_place(frames):
    batch = ToySource().batch(issue_times(3))
    short = last_frames(batch, IMAGES, frames, "mask")
    x, seen = short.inputs["images"], short.observed["images"]
    assert x.shape == batch.inputs["images"].shape
    assert torch.equal(x[:, :, 6 - frames :], batch.inputs["images"][:, :, 6 - frames :])
    assert not x[:, :, : 6 - frames].any()
    assert seen[0, 0].tolist() == [False] * (6 - frames) + [True] * frames
    assert torch.equal(short.inputs["solar_wind"], batch.inputs["solar_wind"])
    assert batch.observed["images"].all()


def test_slicing_cuts_the_older_frames_off():
    batch = ToySource().batch(issue_times(3))
    short = last_frames(batch, IMAGES, 2, "slice")
    assert torch.equal(short.inputs["images"], batch.inputs["images"][:, :, -2:])
    assert short.observed["images"].shape == (3, 2, 2)
    assert last_frames(batch, IMAGES, None, "slice") is batch


def test_a_sliced_window_is_the_window_of_a_shorter_store():
    """The last T frames, not every other one: a 2-frame window ends like a 6-frame window."""
    source = ToySource()
    one, later = source.batch(issue_times(1)), source.batch(issue_times(1, 2))
    short = last_frames(later, IMAGES, 2, "slice").inputs["images"]
    assert torch.equal(short[:, :, 0], one.inputs["images"][:, :, -1])


@pytest.mark.parametrize(
    ("steps", "match"),
    [
        ((CurriculumStep(14, 1), CurriculumStep(7, 1)), "curriculum lengths rise"),
        ((CurriculumStep(7, 1), CurriculumStep(7, 1)), "curriculum lengths rise"),
    ],
)
def test_a_curriculum_that_does_not_grow_is_refused(steps, match):
    with pytest.raises(ConfigError, match=match):
        CurriculumConfig(steps)


@pytest.mark.parametrize(("frames", "epochs"), [(0, 1), (1, 0)])
def test_an_empty_curriculum_step_is_refused(frames, epochs):
    with pytest.raises(ConfigError, match="has frames and epochs"):
        CurriculumStep(frames, epochs)


def test_a_curriculum_must_fit_the_windows():
    with pytest.raises(ConfigError, match="no longer than the window"):
        CurriculumConfig((CurriculumStep(7, 1),)).check(SPEC)
    with pytest.raises(ConfigError, match="a curriculum shortens images"):
        CurriculumConfig((CurriculumStep(2, 1),)).check(WIND_ONLY)
    CurriculumConfig((CurriculumStep(6, 1),)).check(SPEC)
    CurriculumConfig().check(WIND_ONLY)

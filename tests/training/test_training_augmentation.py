import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_toys import SPEC, STEP, WIND_ONLY, ToySource, issue_times

from heliosight.core.errors import ConfigError
from heliosight.core.seeding import numpy_stream
from heliosight.training.augmentation import AugmentationConfig, augment, draw, turned_grid

EVERYTHING = AugmentationConfig(
    image_shift=2,
    frame_dropout=0.3,
    reversal=0.3,
    rotation_degrees=5.0,
    series_jitter=0.2,
    series_masking=0.2,
    modality_dropout=0.3,
)


def augmented(config, source=None, size=40, seed=0, first=0):
    source = source or ToySource()
    draws = draw(config, source.spec, size, numpy_stream(seed, "test"))
    plain = source.batch(issue_times(size, first), draws.shift.clip(min=0))
    return plain, augment(plain, draws, config, source.spec), draws


def test_off_changes_nothing():
    plain, changed, draws = augmented(AugmentationConfig())
    assert not draws.shift.any()
    for name in plain.inputs:
        assert torch.equal(plain.inputs[name], changed.inputs[name])
        assert torch.equal(plain.observed[name], changed.observed[name])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 20), st.integers(1, 9))
def test_nothing_after_the_issue_time_ever_enters(seed, first, other):
    """Two stores that agree up to the last issue time give the same augmented inputs."""
    last = int(issue_times(1, first + 3)[0])
    one = ToySource()
    two = ToySource(future_from=last, future_seed=other)
    assert not np.array_equal(one.frames, two.frames)
    batches = [augmented(EVERYTHING, s, 4, seed, first)[1] for s in (one, two)]
    for name in batches[0].inputs:
        assert torch.equal(batches[0].inputs[name], batches[1].inputs[name])
        assert torch.equal(batches[0].observed[name], batches[1].observed[name])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_values_stay_finite_masks_honest_and_targets_untouched(seed):
    plain, changed, _ = augmented(EVERYTHING, size=8, seed=seed)
    for name, x in changed.inputs.items():
        seen = changed.observed[name]
        hidden = ~(seen[..., None, None].expand_as(x) if x.ndim == 5 else seen)
        assert torch.isfinite(x.float()).all()
        assert not x[hidden].any()
        assert x.dtype == plain.inputs[name].dtype
        assert x.shape == plain.inputs[name].shape
    assert torch.equal(plain.target, changed.target)
    assert torch.equal(plain.issue_time, changed.issue_time)


def test_shifts_into_the_past_bring_the_stores_own_frames():
    source = ToySource()
    plain, changed, draws = augmented(AugmentationConfig(image_shift=2), source)
    assert set(draws.shift) == {-2, -1, 0, 1, 2}
    for row in np.flatnonzero(draws.shift > 0):
        earlier = issue_times(40)[row] - draws.shift[row] * 2 * STEP
        want = source.batch(np.array([earlier])).inputs["images"][0]
        assert torch.equal(changed.inputs["images"][row], want)
    assert torch.equal(plain.inputs["solar_wind"], changed.inputs["solar_wind"])


def test_shifts_towards_the_issue_time_hold_the_newest_frame():
    source = ToySource()
    _, changed, draws = augmented(AugmentationConfig(image_shift=2), source)
    for row in np.flatnonzero(draws.shift < 0):
        ahead = -draws.shift[row]
        own = source.batch(issue_times(40)[row : row + 1]).inputs["images"][0]
        for t in range(6):
            want = own[:, min(t + ahead, 5)]
            assert torch.equal(changed.inputs["images"][row][:, t], want)


def test_frames_drop_at_the_rate_given_and_keep_their_length():
    config = AugmentationConfig(frame_dropout=0.1, frame_dropout_probability=0.5)
    many = draw(config, SPEC, 20_000, numpy_stream(0, "many")).seen["images"]
    assert (~many).mean() == pytest.approx(0.05, abs=0.003)
    assert (~many).any(1).mean() == pytest.approx(0.5 * (1 - 0.9**6), abs=0.015)
    plain, changed, draws = augmented(config)
    seen = changed.observed["images"]
    assert seen.shape == plain.observed["images"].shape
    assert torch.equal(seen[:, 0], torch.as_tensor(draws.seen["images"]))
    assert torch.equal(seen[:, 0], seen[:, 1])


def test_reversal_runs_every_modality_backwards():
    plain, changed, _ = augmented(AugmentationConfig(reversal=1.0))
    assert torch.equal(changed.inputs["images"], plain.inputs["images"].flip(2))
    assert torch.equal(changed.inputs["solar_wind"], plain.inputs["solar_wind"].flip(1))
    _, half, draws = augmented(AugmentationConfig(reversal=0.5))
    rows = torch.as_tensor(draws.reverse)
    assert 0 < rows.sum() < 40
    assert torch.equal(half.inputs["images"][~rows], plain.inputs["images"][~rows])


def test_jitter_has_the_size_asked_for_and_stays_in_the_valid_range():
    source = ToySource()
    source.wind[:, 0] = 152.0 + source.wind[:, 0] * 0.05
    plain, changed, _ = augmented(AugmentationConfig(series_jitter=0.2), source, 200)
    moved = changed.inputs["solar_wind"] - plain.inputs["solar_wind"]
    spread = plain.inputs["solar_wind"][..., 1].std(1, unbiased=False)
    assert float((moved[..., 1] / spread[:, None]).std()) == pytest.approx(0.2, rel=0.05)
    source.wind[:, 0] = 151.0 + (np.arange(len(source.wind)) % 2) * 10
    _, low, _ = augmented(AugmentationConfig(series_jitter=0.5), source)
    assert float(low.inputs["solar_wind"][..., 0].min()) == 150.0


def test_series_steps_are_masked_whole():
    _, changed, draws = augmented(AugmentationConfig(series_masking=0.25), size=200)
    seen = changed.observed["solar_wind"]
    assert torch.equal(seen[..., 0], torch.as_tensor(draws.seen["solar_wind"]))
    assert torch.equal(seen[..., 0], seen[..., 1])
    assert float((~seen).float().mean()) == pytest.approx(0.25, abs=0.02)


def test_modality_dropout_takes_one_modality_and_never_the_only_one():
    _, changed, draws = augmented(AugmentationConfig(modality_dropout=1.0))
    images = changed.observed["images"].flatten(1).any(1)
    wind = changed.observed["solar_wind"].flatten(1).any(1)
    assert torch.equal(images, ~wind)
    assert set(draws.lost) == {0, 1}
    _, alone, _ = augmented(AugmentationConfig(modality_dropout=1.0), ToySource(WIND_ONLY))
    assert alone.observed["solar_wind"].all()


@pytest.mark.accuracy
def test_rotation_equals_the_formula_of_the_disc():
    angle, radius, n = math.radians(4.0), 0.8, 16
    grid = turned_grid(torch.tensor([angle]), n, n, radius)[0]
    for i in range(n):
        for j in range(n):
            y, x = (2 * (k + 0.5) / n - 1 for k in (i, j))
            want = x
            if math.hypot(x, y) < radius:
                latitude = math.asin(y / radius)
                longitude = math.asin(max(-1, min(1, x / (radius * math.cos(latitude)))))
                before = max(-math.pi / 2, longitude - angle)
                want = radius * math.cos(latitude) * math.sin(before)
            assert float(grid[i, j, 0]) == pytest.approx(want, abs=1e-5)
            assert float(grid[i, j, 1]) == pytest.approx(y, abs=1e-6)


def test_a_positive_rotation_moves_a_spot_to_the_west():
    source = ToySource()
    draws = draw(AugmentationConfig(rotation_degrees=30.0), SPEC, 1, numpy_stream(0, "x"))
    batch = source.batch(issue_times(1))
    spot = torch.zeros(1, 2, 6, 33, 33)
    spot[..., 16, 16] = 1.0
    batch = batch.with_inputs({"images": spot})
    turned = augment(
        batch,
        replace(draws, degrees=np.array([20.0])),
        AugmentationConfig(rotation_degrees=30.0),
        SPEC,
    ).inputs["images"][0, 0, 0]
    column = int(turned.max(0).values.argmax())
    assert column == round(16 + 0.78 * math.sin(math.radians(20)) * 16.5)
    assert int(turned.max(1).values.argmax()) == 16


def test_the_sky_does_not_turn_and_grey_levels_stay_whole():
    plain, changed, draws = augmented(AugmentationConfig(rotation_degrees=10.0, disc_radius=0.3))
    corner = plain.inputs["images"][..., 0, 0]
    assert torch.equal(changed.inputs["images"][..., 0, 0], corner)
    assert changed.inputs["images"].dtype == torch.uint8
    assert draws.degrees.min() < 0 < draws.degrees.max()


def test_what_chance_decides_does_not_depend_on_how_a_batch_is_divided():
    source = ToySource()
    draws = draw(EVERYTHING, SPEC, 9, numpy_stream(4, "x"))
    whole = augment(source.batch(issue_times(9), draws.shift.clip(0)), draws, EVERYTHING, SPEC)
    for share in (slice(0, None, 2), slice(1, None, 2)):
        part = draws.rows(share)
        got = augment(
            source.batch(issue_times(9)[share], part.shift.clip(0)), part, EVERYTHING, SPEC
        )
        for name in got.inputs:
            assert torch.equal(got.inputs[name], whole.inputs[name][share])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"frame_dropout": 1.5}, r"frame_dropout: a share lies in"),
        ({"modality_dropout": -0.1}, r"modality_dropout: a share lies in"),
        ({"image_shift": -1}, r"image_shift: an augmentation's size is not negative"),
        ({"series_jitter": -0.1}, r"series_jitter: an augmentation's size"),
        ({"rotation_degrees": 90.0}, "a rotation is small"),
        ({"disc_radius": 1.5}, "disc fits the image"),
    ],
)
def test_bad_augmentation_is_refused(change, match):
    with pytest.raises(ConfigError, match=match):
        AugmentationConfig(**change)

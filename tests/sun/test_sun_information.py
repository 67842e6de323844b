import dataclasses

import numpy as np
import pytest

from heliosight.sun import Oracle, SunConfig
from heliosight.sun.added import added_by_frames
from heliosight.sun.information import (
    _days,
    _fit,
    _members,
    _ridge,
    _share,
    knowable_on,
    noise_free,
)
from heliosight.sun.world import build_world, coloured_noise

CONFIG = SunConfig(start="2014-01-01", end="2016-01-01", size=16, seed=4, cycle_phase=0.6)


def by_name(rows):
    return {(r.information, r.day): r for r in rows}


@pytest.fixture(scope="module")
def natural():
    return by_name(Oracle(CONFIG).achievable(issues=24, members=12, frames=(27,)))


def test_every_kind_and_day_is_bracketed(natural):
    kinds = {"images", "wind", "both", "frame 27"}
    assert {k for k, _ in natural} == kinds and {d for _, d in natural} == {1, 2, 3}
    for (kind, _), row in natural.items():
        assert np.isfinite(row.floor) and row.error > 0
        assert (row.ceiling is None) == (kind == "frame 27")


def test_wind_tells_the_first_day_and_knowing_more_never_hurts(natural):
    assert natural["wind", 1].floor > natural["images", 1].floor
    assert natural["both", 1].ceiling > natural["both", 3].ceiling
    for day in (1, 2, 3):
        both = natural["both", day]
        assert both.ceiling > natural["images", day].ceiling - 2 * both.error
        assert both.ceiling > both.floor - 2 * both.error


def test_a_sun_without_causes_shows_nothing():
    config = dataclasses.replace(CONFIG, hole_share=0.0, cme_share=0.0)
    rows = by_name(Oracle(config).achievable(issues=24, members=16, frames=()))
    for day in (1, 2, 3):
        row = rows["images", day]
        assert abs(row.ceiling) < 3 * row.error + 0.03 and row.floor < 0.08


def test_a_sun_without_chance_is_known_entirely():
    config = dataclasses.replace(CONFIG, noise=0.0, cme_share=0.0, end="2014-07-01")
    rows = by_name(Oracle(config).achievable(issues=8, members=2, frames=()))
    for day in (1, 2, 3):
        # only the background polarity, which the noise dial leaves alone, is still unknown
        assert rows["both", day].ceiling == pytest.approx(1.0, abs=0.06)


def test_frames_that_show_another_sun_have_no_floor():
    config = dataclasses.replace(CONFIG, image_information=0.0)
    rows = by_name(Oracle(config).achievable(issues=4, members=2, frames=(27,)))
    for day in (1, 2, 3):
        assert rows["images", day].ceiling == 0.0
        assert rows["images", day].floor < 0.05


def test_members_share_the_past_and_differ_in_the_future():
    world = build_world(CONFIG)
    noise = coloured_noise(world)
    hours = np.arange(world.first + 3000, world.last - 200, 1500) // 3 * 3
    early = {"both": 0.0, "images": 0.0}
    for hour in hours:
        for name in early:
            drawn = _members(world, noise, name, int(hour), 40)
            assert drawn.shape == (40, 24)
            early[name] += np.log1p(drawn[:, 0]).var() / len(hours)
    assert early["both"] < 0.6 * early["images"]
    hour = int(hours[0])
    told = _members(world, noise, "both", hour, 40)
    again = _members(world, noise, "both", hour, 40)
    np.testing.assert_array_equal(told, again)


@pytest.mark.accuracy
def test_days_are_means_of_eight_leads_of_log_ap():
    ap = np.arange(24.0)
    expected = [np.mean([np.log1p(x) for x in ap[8 * d : 8 * d + 8]]) for d in range(3)]
    np.testing.assert_allclose(_days(ap), expected)


@pytest.mark.accuracy
def test_explained_share_and_its_jackknife_agree_with_their_definitions():
    rng = np.random.default_rng(0)
    hours = np.arange(0, 24 * 27 * 6, 24)
    actual = rng.normal(size=len(hours))
    loss = 0.6 * actual**2
    share, error = _share(loss, hours, actual, hours)
    assert share == pytest.approx(1 - loss.mean() / actual.var())
    left = []
    for block in range(6):
        keep = hours // (24 * 27) != block
        left.append(1 - loss[keep].mean() / actual[keep].var())
    expected = np.sqrt(5 / 6 * sum((x - np.mean(left)) ** 2 for x in left))
    assert error == pytest.approx(expected)


def test_a_linear_target_is_found_out_of_sample():
    rng = np.random.default_rng(1)
    hours = np.arange(0, 24 * 27 * 16, 24)
    x = rng.normal(size=(len(hours), 3))
    y = np.stack([x[:, 0], rng.normal(size=len(x)), x @ [1.0, 1.0, 1.0]], axis=1)
    shares = [share for share, _ in _ridge(x, y, hours)]
    assert shares[0] > 0.95 and shares[1] < 0.05 and shares[2] > 0.95


def test_a_test_block_has_brackets_of_its_own():
    world = build_world(CONFIG)
    noise = coloured_noise(world)
    begin, end = world.config.start_second // 3600, world.config.stop_second // 3600
    hours = np.arange(begin + 7 * 24, end - 72, 12)
    learn, test = hours[:800], hours[900:]
    rows = by_name(knowable_on(world, noise, learn, test, issues=12, members=8))
    assert {k for k, _ in rows} == {"images", "wind", "both"}
    x, y = noise_free(world, noise, test, ())
    past, before = noise_free(world, noise, learn, ())
    for name in ("images", "both"):
        for day in (1, 2, 3):
            loss = (y - _fit(past[name], before, x[name]))[:, day - 1] ** 2
            assert rows[name, day].floor == pytest.approx(1 - loss.mean() / y[:, day - 1].var())
            assert rows[name, day].ceiling is not None
    assert rows["both", 1].ceiling > rows["both", 1].floor


def test_what_a_frame_adds_is_the_fall_of_the_held_out_error():
    """The slow way: each set of features fitted by least squares with the ridge as more rows."""
    world = build_world(CONFIG)
    noise = coloured_noise(world)
    asked = (3, 24)
    found = added_by_frames(world, noise, asked)
    hours = np.arange(
        world.config.start_second // 3600 + 168, world.config.stop_second // 3600 - 72, 12
    )
    inputs, target = noise_free(world, noise, hours, asked)
    fold = hours // (24 * 27 * 4) % 2
    errors = []
    for names in (["wind"], ["wind", "frame 24"], ["wind", "frame 24", "frame 3"]):
        x, error = np.concatenate([inputs[n] for n in names], 1), np.empty(len(hours))
        for side in (0, 1):
            past, now = fold != side, fold == side
            mean, spread = x[past].mean(0), x[past].std(0) + 1e-9
            a = np.concatenate([(x[past] - mean) / spread, np.sqrt(30.0) * np.eye(x.shape[1])])
            y = target[past] - target[past].mean(0)
            b = np.concatenate([y, np.zeros((x.shape[1], 3))])
            weights = np.linalg.lstsq(a, b, rcond=None)[0]
            told = target[past].mean(0) + (x[now] - mean) / spread @ weights
            error[now] = ((target[now] - told) ** 2).mean(1)
        errors.append(error.mean() / target.var(0).mean())
    old, new = found.gains
    assert new[0] == pytest.approx(errors[0] - errors[1], rel=1e-6)
    assert old[0] == pytest.approx(errors[1] - errors[2], rel=1e-6, abs=1e-9)
    assert all(error > 0 for _, error in found.gains)
    assert found.explained == pytest.approx(1 - errors[2], rel=1e-6)
    assert new[0] > old[0], "an older frame repeats the newer one"

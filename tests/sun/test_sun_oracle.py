import dataclasses

import numpy as np
import pytest

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.errors import DataError
from heliosight.sun import Oracle, SunConfig, simulate
from heliosight.sun.world import reach_back

CONFIG = SunConfig(start="2014-01-01", end="2014-05-01", size=24, seed=1, cycle_phase=0.6)
ISSUE = to_seconds("2014-03-05")


@pytest.fixture(scope="module")
def oracle():
    return Oracle(CONFIG)


@pytest.fixture(scope="module")
def truth(oracle):
    return oracle.truth(ISSUE)


def test_the_oracle_speaks_of_the_data_that_simulate_gives(oracle):
    ap = simulate(CONFIG).tables["geomagnetic"]
    np.testing.assert_array_equal(oracle.ap(), ap.column("ap"))
    np.testing.assert_array_equal(oracle.times(), ap.times)


def test_removing_nothing_changes_nothing(oracle):
    np.testing.assert_array_equal(oracle.removing(()), 0.0)
    np.testing.assert_array_equal(oracle.removing((), snap=False), 0.0)


def test_removing_everything_leaves_the_quiet_wind(oracle):
    quiet = dataclasses.replace(CONFIG, hole_share=0.0, cme_share=0.0)
    nothing = simulate(quiet).tables["geomagnetic"].column("ap")
    np.testing.assert_array_equal(oracle.ap(without=oracle.names()), nothing)
    assert nothing.mean() < oracle.ap().mean()


def test_an_effect_is_exactly_zero_outside_the_travel_window(oracle):
    hours = oracle.times() / HOUR
    acted = 0
    for one in oracle.structures():
        effect = oracle.effect(one.key, snap=False)
        after = hours > one.death + reach_back(CONFIG) + 140
        before = hours < one.birth + 15
        np.testing.assert_array_equal(effect[after | before], 0.0)
        acted += bool(effect.any())
    assert acted >= 4


def test_a_hole_that_has_not_yet_faced_the_earth_has_no_effect(oracle):
    found = 0
    for key, (start, values, _) in oracle._world.sources.items():
        effect = oracle.effect(key, snap=False)
        if not values.any():
            np.testing.assert_array_equal(effect, 0.0)
            continue
        leaves = start + int(np.flatnonzero(values)[0])
        hours = oracle.times() / HOUR
        # steepening looks ten hours upstream and no wind is faster than the fastest stream
        np.testing.assert_array_equal(effect[hours < leaves - 15], 0.0)
        found += 1
    assert found


def test_a_window_gives_the_same_effects_as_the_whole_run(oracle, truth):
    rows = (oracle.times() >= ISSUE) & (oracle.times() < ISSUE + 3 * DAY)
    for key in oracle.names():
        whole = oracle.effect(key, snap=False)[rows]
        if key in truth.effects:
            np.testing.assert_allclose(truth.effects[key], whole, rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(whole, 0.0)


def test_truth_adds_up_to_the_effects_of_what_is_seen(oracle, truth):
    assert truth.values.shape == (3, 28, 24, 24)
    single = sum(effect.mean() for effect in truth.effects.values())
    assert truth.values.sum() + truth.unseen == pytest.approx(single, abs=1e-4)
    assert truth.per_frame.sum() == pytest.approx(truth.values.sum(), abs=1e-4)
    assert truth.per_channel.sum() == pytest.approx(truth.values.sum(), abs=1e-4)
    nothing = oracle.removing(oracle.names(), snap=False)
    rows = (oracle.times() >= ISSUE) & (oracle.times() < ISSUE + 3 * DAY)
    assert single + truth.interaction == pytest.approx(nothing[rows].mean(), abs=1e-6)


def test_truth_lies_on_the_disc_and_inside_masks_that_turn_with_the_sun(truth):
    seen = [mask for mask in truth.masks.values() if mask.any(axis=(1, 2)).sum() > 8]
    assert seen
    column = np.arange(24)
    moved = 0
    for mask in seen:
        frames = np.flatnonzero(mask.any(axis=(1, 2)))
        places = [(mask[f].sum(0) * column).sum() / mask[f].sum() for f in frames]
        moved += places[-1] > places[0] + 2
    assert moved >= len(seen) / 2  # the others sit at a limb
    radius = np.hypot(*np.meshgrid(*[np.arange(24) - 11.5] * 2))
    assert not truth.values[:, :, radius > 10].any()


def test_leads_select_rows_of_the_effect(oracle, truth):
    some = oracle.truth(ISSUE, leads=(8, 15), frames=4)
    assert some.values.shape == (3, 4, 24, 24)
    for key, effect in some.effects.items():
        np.testing.assert_allclose(effect, truth.effects[key][[8, 15]], atol=1e-9)


def test_hidden_structures_have_effects_but_no_pixels():
    blind = Oracle(dataclasses.replace(CONFIG, image_information=0.0))
    found = blind.truth(ISSUE)
    assert not found.values.any() and not any(m.any() for m in found.masks.values())
    assert found.unseen == pytest.approx(sum(e.mean() for e in found.effects.values()))


def test_a_static_source_stands_for_all_holes_at_one_place():
    still = Oracle(dataclasses.replace(CONFIG, static=True))
    assert still.names()[0] == "static" and not any(k.startswith("hole") for k in still.names())
    found = still.truth(ISSUE)
    frames = np.flatnonzero(found.masks["static"].any(axis=(1, 2)))
    assert len(frames) > 3
    centres = [np.argwhere(found.masks["static"][f]).mean(0) for f in frames]
    assert np.ptp(centres, axis=0).max() < 1.5


def test_a_window_that_begins_before_the_run_has_empty_frames(oracle):
    early = oracle.truth(CONFIG.start_second + 2 * DAY)
    before = early.frame_times < CONFIG.start_second
    assert before.any() and not early.values[:, before].any()


@pytest.mark.parametrize(
    "moment", [ISSUE + HOUR, CONFIG.stop_second, CONFIG.start_second - 3 * HOUR]
)
def test_an_issue_time_outside_the_run_is_refused(oracle, moment):
    with pytest.raises(DataError, match="issue time lies on the 3-hour grid"):
        oracle.truth(moment)


def test_an_unknown_structure_is_refused(oracle):
    with pytest.raises(DataError, match="a structure to remove exists"):
        oracle.effect("hole/0/0")


def test_data_hold_nothing_of_the_oracle():
    fields = {
        f.name for f in dataclasses.fields(simulate(dataclasses.replace(CONFIG, end="2014-01-02")))
    }
    assert fields == {"config", "tables", "simulated", "source"}

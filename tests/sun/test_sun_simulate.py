import dataclasses

import numpy as np
import pytest

from heliosight.core.clock import DAY, HOUR
from heliosight.core.geomagnetic import AP_LEVELS, ap_of_kp
from heliosight.core.tables import BAD_FRAME, MISSING, ImageTable, SeriesTable
from heliosight.core.variables import VARIABLES
from heliosight.sun import SunConfig, simulate

SMALL = SunConfig(
    start="2014-01-01", end="2014-02-01", size=24, seed=2, cycle_phase=0.55, missing=0.02
)


def change(**dials):
    return dataclasses.replace(SMALL, **dials)


def same(one, other):
    for name, table in one.tables.items():
        theirs = other.tables[name]
        np.testing.assert_array_equal(table.times, theirs.times)
        np.testing.assert_array_equal(table.flags, theirs.flags)
        for field in ("values", "frames"):
            if hasattr(table, field):
                np.testing.assert_array_equal(getattr(table, field), getattr(theirs, field))


@pytest.fixture(scope="module")
def small():
    return simulate(SMALL)


def test_tables_have_the_shapes_names_and_stamps_that_rooms_expect(small):
    images = small.tables["images"]
    assert isinstance(images, ImageTable)
    assert images.variables == ("aia_193", "aia_211", "hmi_magnetogram")
    assert images.frames.shape == (31 * 4, 3, 24, 24)
    assert images.times[0] == SMALL.start_second and images.cadence == 6 * HOUR
    rows = {"solar_wind_hourly": 744, "solar_wind": 248, "geomagnetic": 248, "coronal_holes": 31}
    for name, count in rows.items():
        table = small.tables[name]
        assert isinstance(table, SeriesTable) and len(table.times) == count
        assert np.isfinite(table.values).all() and not table.flags.any()
        for variable in table.variables:
            known = VARIABLES[variable]
            column = table.column(variable)
            assert known.low <= column.min() and column.max() <= known.high
    assert small.simulated and "not observations" in small.source


def test_ap_is_on_its_scale_and_kp_agrees(small):
    table = small.tables["geomagnetic"]
    assert np.isin(table.column("ap"), AP_LEVELS).all()
    np.testing.assert_array_equal(ap_of_kp(table.column("kp")), table.column("ap"))
    np.testing.assert_array_equal(small.tables["solar_wind"].column("ap"), table.column("ap"))


def test_three_hours_are_the_mean_of_their_hours(small):
    hourly = small.tables["solar_wind_hourly"].column("speed")
    means = hourly.reshape(-1, 3).mean(1)
    np.testing.assert_allclose(small.tables["solar_wind"].column("speed"), means, rtol=1e-5)


def test_hole_area_is_known_at_its_own_time(small):
    table = small.tables["coronal_holes"]
    np.testing.assert_array_equal(table.available, table.times)
    assert (table.times % DAY == 0).all()


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_workers(small):
    same(small, simulate(SMALL, workers=3))


def test_another_seed_gives_another_sun(small):
    other = simulate(change(seed=3))
    assert (other.tables["images"].frames != small.tables["images"].frames).mean() > 0.3


@pytest.mark.parametrize("end", ["2014-01-19T09:00:00", "2014-01-30T03:00:00"])
@pytest.mark.parametrize("dials", [{}, {"redundancy": 1.0}, {"image_information": 0.5}])
def test_a_longer_run_begins_with_the_shorter_one(end, dials):
    longer, shorter = simulate(change(**dials)), simulate(change(end=end, **dials))
    for name, table in shorter.tables.items():
        other = longer.tables[name]
        count = len(table.times)
        np.testing.assert_array_equal(table.times, other.times[:count])
        field = "frames" if name == "images" else "values"
        np.testing.assert_array_equal(getattr(table, field), getattr(other, field)[:count])


def test_missing_and_bad_frames_are_flagged_and_empty_or_dim():
    images = simulate(change(missing=0.3, bad_frames=0.3)).tables["images"]
    gone = (images.flags & MISSING).any(1)
    bad = (images.flags & BAD_FRAME).any(1)
    assert 0.15 < gone.mean() < 0.45 and 0.08 < bad.mean() < 0.4
    assert not images.frames[gone].any()
    level = images.frames[:, 0, 8:16, 8:16].mean((1, 2))
    assert level[bad].mean() < level[~bad & ~gone].mean() - 10
    assert not simulate(change(missing=0.0, bad_frames=0.0)).tables["images"].flags.any()


def test_without_information_frames_know_nothing_of_this_sun_but_wind_is_the_same(small):
    blind = simulate(change(image_information=0.0))
    np.testing.assert_array_equal(
        blind.tables["geomagnetic"].values, small.tables["geomagnetic"].values
    )
    assert (blind.tables["images"].frames != small.tables["images"].frames).any()
    two = simulate(change(image_information=0.0, hole_share=0.0, cme_share=0.0))
    np.testing.assert_array_equal(two.tables["images"].frames, blind.tables["images"].frames)


def test_redundancy_moves_the_wind_table_three_days_ahead_and_nothing_else(small):
    ahead = simulate(change(redundancy=1.0))
    np.testing.assert_array_equal(
        ahead.tables["solar_wind_hourly"].values[:-72],
        small.tables["solar_wind_hourly"].values[72:],
    )
    np.testing.assert_array_equal(
        ahead.tables["geomagnetic"].values, small.tables["geomagnetic"].values
    )
    np.testing.assert_array_equal(
        ahead.tables["solar_wind"].column("ap"), small.tables["solar_wind"].column("ap")
    )


def test_a_dial_shifts_no_draw(small):
    long_memory = simulate(change(memory_hours=48.0))
    np.testing.assert_array_equal(
        long_memory.tables["solar_wind_hourly"].values, small.tables["solar_wind_hourly"].values
    )
    np.testing.assert_array_equal(
        long_memory.tables["images"].frames, small.tables["images"].frames
    )
    assert (
        np.abs(np.diff(long_memory.tables["geomagnetic"].column("ap"))).mean()
        < np.abs(np.diff(small.tables["geomagnetic"].column("ap"))).mean()
    )


def test_without_texture_only_structures_and_exposure_are_left():
    bare, rough = (
        simulate(change(image_noise=0.0, texture=t)).tables["images"].frames[:, 0].astype(float)
        for t in (0.0, 1.0)
    )
    centre = slice(8, 16)
    step = [np.abs(np.diff(x[:, centre, centre], axis=2)).mean() for x in (bare, rough)]
    assert step[0] < step[1] / 2


def test_more_noise_is_more_variance():
    quiet, loud = (simulate(change(image_noise=n, noise=n)) for n in (0.0, 3.0))
    spread = [x.tables["images"].frames[:, 2].astype(float).std() for x in (quiet, loud)]
    assert spread[1] > spread[0] + 10
    gusts = [np.diff(x.tables["solar_wind_hourly"].column("speed")).std() for x in (quiet, loud)]
    assert gusts[1] > 2 * gusts[0]


def test_a_static_source_stays_in_its_place_and_follows_the_wind():
    config = change(
        static=True, image_noise=0.0, end="2014-05-01", size=48, missing=0.0, bad_frames=0.0,
        image_cadence_hours=24,
    )  # fmt: skip
    still = simulate(config)
    area = simulate(change(end="2014-05-01", noise=0.0, cme_share=0.0)).tables
    frames = still.tables["images"].frames[:, 1].astype(float)
    depth = frames.mean((1, 2))[:, None, None] - frames
    spread = depth.std(0)
    spread[np.hypot(*np.meshgrid(*[np.arange(48) - 23.5] * 2)) > 15] = 0
    row, column = np.unravel_index(spread.argmax(), spread.shape)
    assert row < 24 and column < 24  # north-east, where it was put
    speed = area["solar_wind_hourly"].column("speed")[::24]
    patch = depth[:, row - 1 : row + 2, column - 1 : column + 2].mean((1, 2))
    lagged = [np.corrcoef(patch[: len(patch) - d], speed[d:])[0, 1] for d in range(8)]
    assert max(lagged) > 0.4 and 1 <= int(np.argmax(lagged)) <= 5


@pytest.mark.parametrize("size", [16, 40])
@pytest.mark.parametrize("cadence", [1, 12])
def test_any_size_and_cadence(size, cadence):
    config = change(end="2014-01-03", size=size, image_cadence_hours=cadence)
    images = simulate(config).tables["images"]
    assert images.frames.shape == (48 // cadence, 3, size, size)
    assert images.frames[0, 0, size // 2, size // 2] > 80
    assert not images.frames[:, :, 0].any()

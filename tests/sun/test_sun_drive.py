import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.errors import ConfigError, DataError
from heliosight.core.tables import MISSING, SeriesTable
from heliosight.sun import Oracle, SunConfig, simulate
from heliosight.sun.drive import half_latitude, held, meridian_time

CONFIG = SunConfig(
    start="2014-03-01", end="2014-04-15", size=64, seed=1, cycle_phase=0.0, image_noise=0.0,
    missing=0.0, bad_frames=0.0,
)  # fmt: skip


def drive_of(values):
    times = to_seconds("2014-01-20") + DAY * np.arange(len(values), dtype=np.int64)
    column = np.asarray(values, dtype=np.float32)[:, None]
    flags = np.where(np.isnan(column), MISSING, 0).astype(np.uint8)
    return SeriesTable("coronal_holes", times, DAY, ("ch_area",), column, flags, -DAY)


AREAS = np.random.default_rng(0).uniform(0.0, 0.3, 85)


def test_no_frame_and_no_ap_knows_a_later_value():
    cut = 60
    changed = AREAS.copy()
    changed[cut:] = 0.3 - changed[cut:]
    one, other = simulate(CONFIG, drive_of(AREAS)), simulate(CONFIG, drive_of(changed))
    moment = drive_of(AREAS).times[cut]
    for name in ("images", "geomagnetic", "coronal_holes"):
        a, b = one.tables[name], other.tables[name]
        before = a.times < moment
        left, right = (getattr(t, "frames", getattr(t, "values", None)) for t in (a, b))
        np.testing.assert_array_equal(left[before], right[before])
        assert (left[~before] != right[~before]).any()


def test_the_dark_share_of_the_central_slice_is_the_drive():
    oracle = Oracle(CONFIG, drive_of(AREAS))
    from heliosight.sun.render import clean_fields, painter
    from heliosight.sun.rotation import pixel_coordinates, tilt
    from heliosight.sun.surface import block_amplitudes, darkening

    config = dataclasses.replace(CONFIG, size=256)
    world = Oracle(config, drive_of(AREAS))._world
    paint = painter(world)
    for day in (50, 57, 63):
        second = int(drive_of(AREAS).times[day])
        amplitude, longitude = block_amplitudes(world.shown, np.array([second / HOUR]))
        field = clean_fields(paint, amplitude[:, 0], longitude[:, 0], float(second))
        latitude, west = pixel_coordinates(paint.disc.vectors, float(tilt(np.array(second))))
        near = (np.abs(west) < 6.0) & (np.abs(latitude) < 60)
        share = np.mean(darkening(field.dark[near]))
        assert share == pytest.approx(AREAS[day], abs=0.03)
    assert oracle.names()[0] == "drive"


def test_the_drive_is_the_cause_and_its_truth_is_in_the_band():
    oracle = Oracle(CONFIG, drive_of(AREAS))
    effect = oracle.effect("drive")
    assert effect.mean() > 0.5
    found = oracle.truth(to_seconds("2014-04-05"), frames=6)
    mask = found.masks["drive"]
    assert mask[:, 28:36].any() and not mask[:, :12].any() and not mask[:, -12:].any()


@settings(max_examples=40)
@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=3, max_size=30),
       st.integers(-3 * DAY, 40 * DAY))  # fmt: skip
def test_the_held_value_is_the_last_one_known(values, since):
    if np.isnan(values).all():
        return
    table = drive_of(values)
    moment = int(table.times[0]) + since
    known = [v for t, v in zip(table.times, values, strict=True) if t <= moment and v == v]
    expected = np.float32(known[-1]) if known else 0.0
    assert held(table, np.array(moment)) == expected


@given(st.floats(-90, 90), st.floats(12.5, 13.5))
def test_no_longitude_shows_a_later_moment(longitude, rate):
    now = 1.4e9
    crossed = meridian_time(now, np.array(longitude), np.array(rate))
    assert crossed <= now
    assert now - crossed < 28 * DAY


def test_a_band_covers_its_share_of_the_slice():
    for area in (0.0, 0.1, 0.4, 1.0):
        height = float(half_latitude(np.array(area)))
        latitude = np.linspace(-60, 60, 200_001)
        weight = np.cos(np.radians(latitude)) ** 2
        share = weight[np.abs(latitude) < height].sum() / weight.sum()
        assert share == pytest.approx(area, abs=1e-3)


def test_what_cannot_drive_is_refused():
    with pytest.raises(ConfigError, match="a driven Sun rotates"):
        simulate(dataclasses.replace(CONFIG, static=True), drive_of(AREAS))
    with pytest.raises(ConfigError, match="a driven Sun shows its drive"):
        simulate(dataclasses.replace(CONFIG, image_information=0.5), drive_of(AREAS))
    with pytest.raises(DataError, match="area fractions between 0 and 1"):
        simulate(CONFIG, drive_of([0.1, 2.0]))
    with pytest.raises(DataError, match="area fractions between 0 and 1"):
        simulate(CONFIG, drive_of([np.nan, np.nan]))

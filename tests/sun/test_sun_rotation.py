import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliosight.core.clock import to_seconds
from heliosight.sun.rotation import (
    CARRINGTON_DAYS,
    DISC_SHARE,
    disc,
    hole_rate,
    magnetic_rate,
    pixel_coordinates,
    tilt,
    tilted,
    unit_vectors,
)

latitudes = st.floats(-80, 80)
longitudes = st.floats(-85, 85)


@pytest.mark.accuracy
def test_regions_turn_differentially_and_holes_nearly_rigidly():
    equator, high = np.array(0.0), np.array(60.0)
    assert 360 / magnetic_rate(equator) == pytest.approx(26.8, abs=0.1)
    assert magnetic_rate(equator) - magnetic_rate(high) > 2.0
    assert hole_rate(equator) - hole_rate(high) == pytest.approx(0.3, abs=1e-9)
    assert 360 / hole_rate(np.array(25.0)) == pytest.approx(CARRINGTON_DAYS, abs=0.1)


@pytest.mark.accuracy
def test_tilt_is_zero_in_june_and_largest_in_september():
    at = {
        text: float(tilt(np.array(to_seconds(text))))
        for text in ("2015-06-06", "2015-09-08", "2015-03-06", "2015-12-07")
    }
    assert abs(at["2015-06-06"]) < 0.3
    assert at["2015-09-08"] == pytest.approx(7.25, abs=0.05)
    assert at["2015-03-06"] == pytest.approx(-7.25, abs=0.05)
    assert abs(at["2015-12-07"]) < 0.4


@given(latitudes, longitudes, st.floats(-7.25, 7.25))
def test_a_place_seen_on_the_disc_gives_back_its_coordinates(latitude, longitude, b0):
    vector = tilted(unit_vectors(np.array(latitude), np.array(longitude)), b0)
    back = pixel_coordinates(vector[None], b0)
    np.testing.assert_allclose([back[0][0], back[1][0]], [latitude, longitude], atol=1e-6)


def test_the_pole_that_leans_towards_the_observer_is_seen():
    north = unit_vectors(np.array(90.0), np.array(0.0))
    assert tilted(north, 7.25)[2] > 0 > tilted(north, -7.25)[2]


def test_a_disc_has_north_up_west_right_and_the_real_radius():
    seen = disc(64)
    top = np.flatnonzero(seen.on.any(1))[0]
    assert abs(64 / 2 - top - DISC_SHARE * 32) <= 1
    number = np.full(seen.on.shape, -1)
    number[seen.on] = np.arange(seen.on.sum())
    assert seen.vectors[number[10, 32], 1] > 0.5 > 0 > seen.vectors[number[54, 32], 1]
    assert seen.vectors[number[32, 54], 0] > 0.5
    np.testing.assert_allclose(np.linalg.norm(seen.vectors, axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("size", [16, 33, 64])
def test_every_pixel_knows_a_disc_pixel_at_its_position_angle(size):
    seen = disc(size)
    assert seen.limb_pixel.min() >= 0
    foot = seen.vectors[seen.limb_pixel]
    axis = np.arange(size) + 0.5 - size / 2
    x, y = np.meshgrid(axis, -axis)
    off = ~seen.on
    turned = np.arctan2(foot[..., 1], foot[..., 0]) - np.arctan2(y, x)
    away = np.abs((turned[off] + np.pi) % (2 * np.pi) - np.pi)
    assert away.max() < 3.0 / (DISC_SHARE * size / 2)

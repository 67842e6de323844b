import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.clock import HOUR
from heliosight.sun import SunConfig
from heliosight.sun.cycle import activity, hole_activity, phase, spot_latitude
from heliosight.sun.slice import slice_areas
from heliosight.sun.source import SLICE_AREA, contribution
from heliosight.sun.structures import plant

CONFIG = SunConfig(start="2014-01-01", end="2014-07-01", cycle_phase=0.6, seed=5)
FIRST, LAST = CONFIG.start_second // HOUR, CONFIG.stop_second // HOUR
PLANTED = plant(CONFIG, FIRST, LAST)
HOLES = [s for s in PLANTED if s.kind == "hole"]
REGIONS = [s for s in PLANTED if s.kind == "region"]


def test_a_longer_span_plants_the_same_and_more():
    longer = {s.key: s for s in plant(CONFIG, FIRST - 500, LAST + 3000)}
    for one in PLANTED:
        other = longer[one.key]
        assert one.birth == other.birth and one.longitude == other.longitude
        np.testing.assert_array_equal(one.lobes, other.lobes)


@settings(max_examples=30)
@given(st.sampled_from(PLANTED), st.floats(0.001, 5000))
def test_a_structure_is_exactly_nothing_outside_its_life(structure, beyond):
    outside = np.array([structure.birth - beyond, structure.death + beyond])
    np.testing.assert_array_equal(structure.amplitude(outside), 0.0)
    inside = np.linspace(structure.birth, structure.death, 50)[1:-1]
    assert (structure.amplitude(inside) > 0).all()


def test_a_structure_turns_at_its_own_rate():
    one = HOLES[0]
    hours = one.birth + np.array([0.0, 24.0])
    turned = np.diff((one.longitude_at(hours) + 360) % 360)[0] % 360
    assert turned == pytest.approx(24 * one.rate, abs=1e-9)


def test_a_region_has_two_opposite_poles_tilted_towards_the_equator():
    for one in REGIONS:
        leading, following, halo = one.lobes
        assert leading[1] > following[1] and leading[3] > 0 > following[3] and halo[1] == 0
        assert abs(leading[0]) < abs(following[0])


def test_regions_follow_the_cycle_and_holes_follow_its_end():
    assert activity(0.0) == pytest.approx(0) and activity(0.5) == pytest.approx(1)
    assert hole_activity(0.68) > hole_activity(0.4) > hole_activity(0.1)
    assert spot_latitude(0.05) > 20 > 10 > spot_latitude(0.95)
    assert phase(CONFIG, FIRST) == pytest.approx(CONFIG.cycle_phase)
    quiet = SunConfig(start="2014-01-01", end="2014-07-01", cycle_phase=0.97, seed=5)
    assert len([s for s in plant(quiet, FIRST, LAST) if s.kind == "region"]) < len(REGIONS)


@settings(max_examples=20)
@given(st.sampled_from(HOLES))
def test_a_hole_far_from_the_meridian_sends_exactly_nothing(hole):
    hours = np.arange(int(hole.birth) + 1, int(hole.death))
    sent = contribution(hole, hours)
    reach = 17.0 + np.degrees(hole.lobes[:, 2].max()) * np.sqrt(2 * np.log(20)) + 25
    far = np.abs(hole.longitude_at(hours)) > reach
    assert far.any()
    np.testing.assert_array_equal(sent[far], 0.0)
    assert (sent >= 0).all()


@pytest.mark.accuracy
def test_contribution_agrees_with_its_formula_written_out():
    hole = HOLES[1]
    hour = float(int((hole.birth + hole.death) / 2))
    hours = np.arange(hour, hour + 27 * 24)
    sent = contribution(hole, hours)
    at = int(np.argmax(sent))
    from heliosight.sun.rotation import tilt

    expected = 0.0
    amplitude = float(hole.amplitude(hours[at]))
    b0 = float(tilt(hours[at] * HOUR))
    for latitude, offset, width, weight in hole.lobes:
        if 2 * amplitude * weight <= 1:
            continue
        radius = np.degrees(width * np.sqrt(2 * np.log(2 * amplitude * weight)))
        away = abs((float(hole.longitude_at(hours[at])) + offset + 180) % 360 - 180)
        if away < 17 + radius:
            area = 2 * np.pi * width**2 * np.log(2 * amplitude * weight) / SLICE_AREA
            facing = (1 + np.cos(np.pi * away / (17 + radius))) / 2
            expected += area * facing * np.exp(-(((latitude - b0) / 22) ** 2) / 2)
    assert sent[at] == pytest.approx(expected * hole.efficiency, rel=1e-9)


@pytest.mark.accuracy
def test_slice_area_agrees_with_counting_places_one_by_one():
    from heliosight.sun.rotation import tilt

    hours = np.arange(FIRST, FIRST + 27 * 24, 24)
    fast = slice_areas(tuple(PLANTED), hours)
    for row in (3, 11, 19):
        hour = hours[row]
        inside, total = 0.0, 0.0
        b0 = float(tilt(np.array(hour * HOUR)))
        for latitude in np.arange(-58.5, 60, 3.0):
            weight = np.cos(np.radians(latitude)) * np.cos(np.radians(latitude - b0))
            for longitude in (-6.0, -3.0, 0.0, 3.0, 6.0):
                dark = _darkness(float(hour), latitude, longitude)
                inside += weight * (dark > 0.5)
                total += weight
        assert fast[row] == pytest.approx(inside / total, abs=0.004)
    assert fast.max() > 0


def _darkness(hour, latitude, longitude):
    dark = 0.0
    for hole in HOLES:
        amplitude = float(hole.amplitude(np.array(hour)))
        centre = float(hole.longitude_at(np.array(hour)))
        for lat, offset, width, weight in hole.lobes:
            a, b = np.radians([latitude, lat])
            turn = np.radians(longitude - centre - offset)
            cosine = np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(turn)
            dark += amplitude * weight * np.exp((cosine - 1) / width**2)
    return dark

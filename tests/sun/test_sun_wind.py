import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.clock import HOUR, to_seconds
from heliosight.core.variables import VARIABLES
from heliosight.sun import SunConfig
from heliosight.sun.cme import AMBIENT, DRAG, START_KM, ejections, transit
from heliosight.sun.frames_of_reference import gsm_angle, to_gsm
from heliosight.sun.heliosphere import (
    EARTH_KM,
    INNER_KM,
    REACH_HOURS,
    STEP_KM,
    STEPS,
    steepening,
    transport,
)
from heliosight.sun.structures import plant
from heliosight.sun.wind import WIND_VARIABLES, source_speed
from heliosight.sun.wind_noise import NAMES, PROCESSES, coloured, white
from heliosight.sun.world import build_world, coloured_noise, run_wind


@pytest.mark.accuracy
def test_transport_agrees_with_the_scheme_written_out():
    rng = np.random.default_rng(0)
    start = 300 + 300 * rng.uniform(size=40)
    tracer = rng.uniform(-1, 1, 40)
    v, q = list(np.maximum(start, 255.0)), list(tracer)
    for _ in range(STEPS):
        old_v, old_q = list(v), list(q)
        for t in range(1, 40):
            courant = STEP_KM / (old_v[t] * 3600)
            v[t] = old_v[t] - courant * (old_v[t] - old_v[t - 1])
            q[t] = old_q[t] - courant * (old_q[t] - old_q[t - 1])
    fast_v, fast_q = transport(start, tracer)
    np.testing.assert_allclose(fast_v, v, rtol=1e-12)
    np.testing.assert_allclose(fast_q, q, rtol=1e-9, atol=1e-12)


@pytest.mark.accuracy
@pytest.mark.parametrize("speed", [300.0, 450.0, 650.0])
def test_a_small_pulse_arrives_after_the_ballistic_time(speed):
    begun = np.full(400, speed)
    begun[160:200] += 1.0
    arrived, _ = transport(begun, begun)
    centre = np.sum(np.arange(400) * (arrived - speed)) / np.sum(arrived - speed)
    expected = 179.5 + (EARTH_KM - INNER_KM) / speed / 3600
    assert centre == pytest.approx(expected, abs=1.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 150), st.integers(0, 10**6))
def test_what_leaves_the_sun_is_felt_only_within_its_reach(hour, seed):
    rng = np.random.default_rng(seed)
    begun = 300 + 300 * rng.uniform(size=400)
    changed = begun.copy()
    changed[hour] += 100.0
    one, _ = transport(begun, begun)
    other, _ = transport(changed, begun)
    np.testing.assert_array_equal(one[:hour], other[:hour])
    np.testing.assert_array_equal(one[hour + REACH_HOURS + 1 :], other[hour + REACH_HOURS + 1 :])
    assert one.min() >= begun.min() - 1e-9 and one.max() <= begun.max() + 1e-9


def test_steepening_is_where_fast_wind_follows_slow():
    speed = np.concatenate([np.full(50, 350.0), np.full(50, 600.0), np.full(50, 350.0)])
    rise = steepening(speed)
    assert rise[45] == 250 and rise[95] == 0 and rise[120] == 0


def test_more_open_area_is_faster_wind():
    area = np.linspace(0, 1, 50)
    assert (np.diff(source_speed(area)) > 0).all()
    assert source_speed(np.array(0.0)) == 352.0


@pytest.mark.accuracy
def test_noise_has_its_variance_and_memory():
    series = coloured(white(3, 0, 60_000))
    for name, (memory, size) in PROCESSES.items():
        x = series[name]
        assert x.std() == pytest.approx(size, rel=0.2)
        assert np.corrcoef(x[1:], x[:-1])[0, 1] == pytest.approx(np.exp(-1 / memory), abs=0.02)
    first = np.stack([coloured(white(seed, 0, 2))["source"][0] for seed in range(400)])
    assert first.std() == pytest.approx(PROCESSES["source"][1], rel=0.15)


def test_noise_draws_do_not_depend_on_where_a_run_begins_or_ends():
    whole = white(1, 0, 3000)
    assert whole.shape == (3000, len(NAMES))
    np.testing.assert_array_equal(white(1, 700, 1500), whole[700:1500])


@pytest.mark.accuracy
@pytest.mark.parametrize("speed", [300.0, 400.0, 900.0, 2000.0])
def test_transit_agrees_with_integrating_the_drag_step_by_step(speed):
    distance, velocity, seconds, step = START_KM, speed, 0.0, 20.0
    while distance < EARTH_KM:
        velocity -= step * DRAG * abs(velocity - AMBIENT) * (velocity - AMBIENT)
        distance += step * velocity
        seconds += step
    hours, arriving = transit(speed)
    assert hours == pytest.approx(seconds / 3600, rel=2e-3)
    assert arriving == pytest.approx(velocity, rel=2e-3)


def test_cmes_come_from_living_regions_after_their_launch_and_follow_the_rate():
    config = SunConfig(start="2014-01-01", end="2015-01-01", cycle_phase=0.5)
    first, last = config.start_second // HOUR, config.stop_second // HOUR
    regions = [s for s in plant(config, first, last) if s.kind == "region"]
    counts = [sum(len(ejections(r, 0, rate)) for r in regions) for rate in (0.0, 1.0, 3.0)]
    assert counts[0] == 0 and 5 < counts[1] < 60 and counts[2] > 1.8 * counts[1]
    for region in regions:
        for event in ejections(region, 0, 3.0):
            assert region.birth < event.launch < region.death
            assert 15 <= event.arrival - event.launch <= 140


@pytest.mark.accuracy
def test_gsm_leans_as_the_dipole_does():
    day = to_seconds("2015-06-21") + HOUR * np.arange(24)
    angle = np.degrees(gsm_angle(day))
    assert angle.max() - angle.min() == pytest.approx(2 * 9.6, abs=3)
    year = to_seconds("2015-01-01") + HOUR * np.arange(8766)
    assert np.degrees(gsm_angle(year)).max() == pytest.approx(23.44 + 9.6, abs=0.5)
    by, bz = to_gsm(np.array([3.0]), np.array([-4.0]), np.array([0.7]))
    assert np.hypot(by, bz) == pytest.approx(5.0)


@pytest.mark.real
@pytest.mark.accuracy
def test_gsm_agrees_with_omni(real_data):
    words = np.loadtxt(real_data / "omni2" / "omni2_2015.dat", usecols=(1, 2, 13, 14, 15, 16))
    good = (words[:, 2:] < 900).all(1)
    day, hour, y_gse, z_gse, y_gsm, z_gsm = words[good].T
    seconds = to_seconds("2015-01-01") + (day - 1) * 86400 + hour * HOUR + HOUR / 2
    by, bz = to_gsm(y_gse, z_gse, gsm_angle(seconds))
    missed = np.sqrt(np.mean((by - y_gsm) ** 2 + (bz - z_gsm) ** 2))
    turned = np.sqrt(np.mean((y_gse - y_gsm) ** 2 + (z_gse - z_gsm) ** 2))
    assert missed < 0.25 and missed < turned / 5


def test_wind_is_in_the_vocabulary_and_its_range():
    config = SunConfig(start="2014-01-01", end="2014-07-01", cycle_phase=0.5, cme_share=3)
    world = build_world(config)
    wind = run_wind(world, world.first, world.last, (), coloured_noise(world))
    assert tuple(wind) == WIND_VARIABLES
    for name, values in wind.items():
        assert np.isfinite(values).all()
        assert VARIABLES[name].low <= values.min() and values.max() <= VARIABLES[name].high
    assert (wind["b_total"] <= wind["b_scalar"] + 1e-9).all()
    passing = [e for e in world.events if world.first < e.arrival < world.last - 80]
    assert passing
    for event in passing[:5]:
        at = int(np.ceil(event.arrival)) - world.first
        assert wind["speed"][at] >= event.speed - 1e-6

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.geomagnetic import AP_LEVELS
from heliosight.sun.index import (
    MERGING,
    OFFSET,
    POWER,
    VISCOUS,
    ap_continuous,
    coupling,
    kp_continuous,
    kp_step,
    reach_hours,
    remembered,
)


@pytest.mark.accuracy
@given(st.floats(250, 1500), st.floats(-30, 30), st.floats(-30, 30))
def test_coupling_agrees_with_its_definition(speed, by, bz):
    angle = np.arctan2(by, bz)
    expected = speed ** (4 / 3) * (by**2 + bz**2) ** (1 / 3) * abs(np.sin(angle / 2)) ** (8 / 3)
    found = coupling(np.array(speed), np.array(by), np.array(bz))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_coupling_needs_a_southward_field():
    speed = np.array(400.0)
    assert coupling(speed, np.array(0.0), np.array(5.0)) == 0
    south, east = (coupling(speed, np.array(y), np.array(z)) for y, z in ((0.0, -5.0), (5.0, 0.0)))
    assert south > east > 0


@pytest.mark.accuracy
@settings(max_examples=20)
@given(st.floats(0, 20), st.integers(0, 1000))
def test_memory_agrees_with_the_sum_written_out(memory, seed):
    driver = np.random.default_rng(seed).uniform(size=60)
    reach = int(np.ceil(6 * memory))
    weights = np.exp(-np.arange(reach + 1) / max(memory, 1e-9))
    weights /= weights.sum()
    expected = [
        sum(weights[a] * driver[t - a] for a in range(min(reach, t) + 1)) for t in range(60)
    ]
    np.testing.assert_allclose(remembered(driver, memory), expected, rtol=1e-12)


@pytest.mark.accuracy
def test_memory_solves_the_relaxation_equation():
    driver = np.zeros(100)
    driver[10] = 1.0
    answer = remembered(driver, 4.0)
    ratio = answer[11 : 11 + 20] / answer[10:30]
    np.testing.assert_allclose(ratio, np.exp(-1 / 4.0), rtol=1e-9)
    assert answer[10 + reach_hours(4.0) + 1] == 0.0
    assert answer.sum() == pytest.approx(1.0)


def test_kp_agrees_with_its_formula_for_a_steady_wind():
    wind = {
        "speed": np.full(60, 450.0),
        "by_gsm": np.full(60, 2.0),
        "bz_gsm": np.full(60, -3.0),
        "density": np.full(60, 4.0),
    }
    merging = coupling(450.0, np.array(2.0), np.array(-3.0))
    expected = OFFSET + MERGING * merging**POWER + VISCOUS * 2.0 * 450.0**2
    found = kp_continuous(wind, 2.0, np.zeros(60))
    assert found.shape == (20,)
    assert found[-1] == pytest.approx(expected, rel=1e-9)


def test_ap_lies_on_the_real_scale_and_its_smooth_form_passes_through_it():
    kp = np.arange(28) / 3
    np.testing.assert_array_equal(AP_LEVELS[kp_step(kp)], AP_LEVELS)
    np.testing.assert_allclose(ap_continuous(kp), AP_LEVELS)
    assert kp_step(np.array([-1.0, 12.0])).tolist() == [0, 27]
    assert (np.diff(ap_continuous(np.linspace(0, 9, 400))) >= 0).all()


@pytest.mark.real
@pytest.mark.accuracy
def test_the_index_follows_real_kp_from_real_wind(real_data):
    columns = (9, 15, 16, 23, 24, 38)
    words = np.loadtxt(real_data / "omni2" / "omni2_2017.dat", usecols=columns)
    _, by, bz, density, speed, kp = words.T
    fills = {"by_gsm": (by, 999.9), "bz_gsm": (bz, 999.9)}
    fills |= {"density": (density, 999.9), "speed": (speed, 9999.0)}
    hours = np.arange(len(kp))
    wind = {}
    for name, (x, fill) in fills.items():
        good = x < fill
        wind[name] = np.interp(hours, hours[good], x[good])
    found = kp_continuous(wind, 2.0, np.zeros(len(kp)))
    real = kp[::3] / 10
    assert np.corrcoef(found, real)[0, 1] > 0.83
    assert abs((found - real).mean()) < 0.15

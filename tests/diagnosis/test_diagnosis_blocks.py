import numpy as np
import pytest
from diagnosis_worlds import smooth
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.clock import DAY
from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.diagnosis import DiagnosisConfig
from heliosight.diagnosis.blocks import (
    TooFew,
    block_rows,
    discoveries,
    effective_size,
    jackknife,
    require_sample,
)
from heliosight.diagnosis.shifts import ROTATION, forbidden, shifts

TIMES = (np.arange(540) * DAY).astype(np.int64)


def mean(sums):
    return sums[..., 0] / sums[..., 1]


def ones(x):
    return np.stack([x, np.ones_like(x)], 1)


def slow_jackknife(x, rows):
    blocks = range(rows.max() + 1)
    left = [x[rows != b].mean() for b in blocks]
    k = len(left)
    return x.mean(), np.sqrt((k - 1) / k * sum((v - np.mean(left)) ** 2 for v in left))


def test_jackknife_equals_its_definition():
    x = smooth(540, 0)[:, 0]
    rows = block_rows(TIMES, 27.0)
    found = jackknife(ones(x), rows, mean)
    assert (found.value, found.error) == pytest.approx(slow_jackknife(x, rows))
    assert found.freedom == 19
    assert "20 blocks of 27 d" in found.interval().how


@pytest.mark.accuracy
@pytest.mark.parametrize("width", [2, 10])
def test_false_alarms_stay_near_five_per_cent_under_autocorrelation(width):
    """Truth 0; a test that took windows as independent would fail 30 to 60 % of the time."""
    rows = block_rows(TIMES, 27.0)
    alarms = [
        jackknife(ones(smooth(540, 1000 + s, width)[:, 0]), rows, mean).p_above(0.0) < 0.05
        for s in range(400)
    ]
    assert 0.02 <= np.mean(alarms) <= 0.10


def test_effective_size_of_an_ar1():
    x = smooth(20000, 3, width=4)[:, 0]
    r = np.exp(-1 / 4)
    assert effective_size(x) == pytest.approx(20000 * (1 - r) / (1 + r), rel=0.15)
    assert effective_size(np.ones(9)) == 9


def test_small_samples_are_refused():
    config = DiagnosisConfig()
    with pytest.raises(TooFew, match="8 blocks of 27 d"):
        require_sample(block_rows(TIMES[:100], 27.0), smooth(100, 0)[:, 0], config)
    with pytest.raises(TooFew, match="an effective sample of 50"):
        require_sample(block_rows(TIMES, 27.0), smooth(540, 0, width=200)[:, 0], config)


def slow_bh(p, q):
    order = np.argsort(p)
    last = max((k + 1 for k in range(len(p)) if p[order[k]] <= q * (k + 1) / len(p)), default=0)
    out = np.zeros(len(p), bool)
    out[order[:last]] = True
    return out.tolist()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.4))
@settings(max_examples=60, deadline=None)
def test_false_discovery_control_equals_its_definition(p, q):
    assert discoveries(p, q) == slow_bh(np.array(p), q)


@given(st.integers(-400, 400))
def test_forbidden_lags_surround_multiples_of_the_rotation(days):
    lag = np.array([days * DAY])
    near = min(abs(days * DAY - k * ROTATION) for k in range(-16, 17))
    assert forbidden(lag)[0] == (near < 3 * DAY)


def test_shifts_stay_away_from_the_rotation_and_from_themselves():
    found = shifts(TIMES, 16, seed=0)
    assert len(found) == 16
    for index, usable in found:
        assert sorted(index.tolist()) == list(range(540))
        assert usable.mean() >= 0.5
        assert not forbidden(TIMES[index] - TIMES)[usable].any()
    with pytest.raises(NotApplicable, match="a replacement comes from another time"):
        shifts(TIMES[:5] // 8, 16, seed=0)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("shifts", 1, "a count is at least 2"),
        ("smallest_use", 0.0, "a share lies between"),
        ("level_of_test", 0.7, "a share lies between"),
        ("block_days", 0.0, "a block has a length"),
    ],
)
def test_config_mistakes_are_refused(key, value, match):
    with pytest.raises(ConfigError, match=match):
        DiagnosisConfig(**{key: value})

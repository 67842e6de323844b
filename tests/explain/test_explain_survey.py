import numpy as np
import pytest

from heliosight.core.clock import DAY, to_seconds
from heliosight.core.errors import NotApplicable
from heliosight.explain.disc import RADIUS_SHARE, carrington_longitude, disc_mask, to_pixels
from heliosight.explain.survey import icc, survey

SIZE, T = 32, 4


def spot(latitude, west):
    """A map with one bright pixel."""
    row, column = to_pixels(np.array(latitude), np.array(west), SIZE, RADIUS_SHARE)
    out = np.zeros((SIZE, SIZE))
    out[round(float(row)), round(float(column))] = 1.0
    return out


def windows(count):
    issue = np.arange(count) * 27 * DAY
    return issue[:, None] + DAY * np.arange(T), issue


@pytest.mark.accuracy
def test_the_first_carrington_rotation_began_with_the_almanac():
    """Rotation 1 began on 1853-11-09 at about 21:40 UT; 1690 on 1979-12-27 at 20:10 UT."""
    for start in ("1853-11-09T21:40", "1979-12-27T20:10"):
        second = to_seconds(start)
        assert min(carrington_longitude(second), 360 - carrington_longitude(second)) < 1
    assert carrington_longitude(to_seconds("1979-12-28T20:10")) == pytest.approx(346.8, abs=0.5)


@pytest.mark.accuracy
def test_what_turns_with_the_sun_stays_in_one_cell_and_what_stays_smears():
    times, issue = windows(3)
    place = carrington_longitude(0.0) - 20

    def follows(n):
        west = [(place - carrington_longitude(float(t)) + 180) % 360 - 180 for t in times[n]]
        return np.stack([spot(20, w) for w in west])

    turning = survey(follows, times, issue)
    still = survey(lambda _: np.stack([spot(20, 0)] * T), times, issue)
    used = np.argwhere(np.nan_to_num(turning.sun_size) > 0)
    assert (
        len(used)
        and (abs(used[:, 0] - 7) <= 1).all()
        and (abs(used[:, 1] - place // 10) <= 1).all()
    )
    assert (np.nan_to_num(still.sun_size) > 0).sum() >= T - 1
    assert (still.disc > 0).sum() == 1 < (turning.disc > 0).sum()


@pytest.mark.accuracy
def test_profiles_and_channels_are_means_with_bounds():
    times, issue = windows(6)
    draw = np.random.default_rng(0).normal(size=(6, 2, T, SIZE, SIZE))
    found = survey(lambda n: draw[n], times, issue)
    np.testing.assert_allclose(found.profile, draw.sum((1, 3, 4)).mean(0))
    np.testing.assert_allclose(found.channels, draw.sum((2, 3, 4)).mean(0))
    assert (found.low <= found.profile).all() and (found.profile <= found.high).all()
    np.testing.assert_allclose(found.disc_size, np.abs(draw.sum(1)).mean((0, 1)))
    off = ~disc_mask(SIZE)
    assert np.isfinite(found.sun).any() and off.any()


@pytest.mark.accuracy
def test_agreement_is_one_for_equal_maps_and_none_for_noise():
    draw = np.random.default_rng(1)
    one = draw.normal(size=50)
    assert icc(np.stack([one] * 4)) == pytest.approx(1.0)
    assert abs(icc(draw.normal(size=(6, 4000)))) < 0.02
    half = np.stack([one + draw.normal(size=50) for _ in range(400)])
    spread = one.var(ddof=1)
    assert icc(half) == pytest.approx(spread / (spread + 1), abs=0.05)
    assert icc(np.zeros((3, 5))) == 0.0
    assert icc(np.stack([one, one + 5.0])) < 0.5  # absolute agreement: an offset disagrees


def test_one_window_is_no_survey():
    with pytest.raises(NotApplicable, match="at least two windows"):
        survey(lambda _: np.zeros((T, SIZE, SIZE)), *[x[:1] for x in windows(1)])

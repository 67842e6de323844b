import numpy as np
import pytest

from heliosight.core.clock import DAY, HOUR
from heliosight.core.tables import BAD_FRAME, ImageTable, SeriesTable
from heliosight.sun.curves import curves, sample_frames

DAYS = 400


def series(name, cadence, variable, values):
    times = cadence * np.arange(len(values), dtype=np.int64)
    flags = np.zeros((len(values), 1), dtype=np.uint8)
    return SeriesTable(
        name, times, cadence, (variable,), np.asarray(values, np.float32)[:, None], flags
    )


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    area = rng.uniform(0, 0.2, DAYS)
    speed = np.repeat(400 + 1000 * np.roll(area, 3), 24)
    ap = np.repeat(np.rint(5 + 100 * np.roll(area, 2)), 8)
    return {
        "coronal_holes": series("coronal_holes", DAY, "ch_area", area),
        "solar_wind_hourly": series("solar_wind_hourly", HOUR, "speed", speed),
        "geomagnetic": series("geomagnetic", 3 * HOUR, "ap", ap),
    }


def by_title(found):
    return {c.title: c for c in found}


def test_both_suns_stand_on_the_same_axes(tables):
    for curve in curves(tables, tables):
        for mine, theirs in zip(curve.simulated, curve.real, strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.shape == curve.simulated[0].shape
        assert "[" in curve.x_title


def test_a_response_planted_at_a_lag_peaks_there(tables):
    found = by_title(curves(tables))
    for title, lag in (("Coronal-hole area, then speed", 3), ("Coronal-hole area, then ap", 2)):
        days, value = found[title].simulated
        assert days[np.nanargmax(value)] == lag
        assert np.nanmax(value) > 0.95 and days[0] == -2 and days[-1] == 8


@pytest.mark.accuracy
def test_autocorrelation_agrees_with_its_definition(tables):
    lags, value = by_title(curves(tables))["Coronal-hole area: autocorrelation"].simulated
    area = tables["coronal_holes"].column("ch_area")
    slow = [1.0] + [np.corrcoef(area[:-k], area[k:])[0, 1] for k in range(1, 91)]
    np.testing.assert_allclose(value, slow, atol=1e-12)
    assert lags.tolist() == list(range(91))


def test_shares_add_up_and_a_step_that_never_came_is_a_gap(tables):
    found = by_title(curves(tables))
    kp, share = found["Kp: how often"].simulated
    assert len(kp) == 28 and np.nansum(share) == pytest.approx(100)
    assert np.isnan(share[-1])
    assert found["Solar wind speed: how often"].simulated[1].sum() == pytest.approx(100)


def test_quantiles_rise_and_agree_with_a_sort(tables):
    share, speed = by_title(curves(tables))["Solar wind speed: quantiles"].simulated
    ordered = np.sort(tables["solar_wind_hourly"].column("speed"))
    assert np.all(np.diff(speed) >= 0)
    for p, v in zip(share, speed, strict=True):
        assert ordered[int(p / 100 * (len(ordered) - 1))] <= v + 1e-9


def test_an_absent_table_leaves_its_curves_out(tables):
    found = by_title(curves({"geomagnetic": tables["geomagnetic"]}, tables))
    assert found["Coronal-hole area, then ap"].simulated is None
    assert found["Coronal-hole area, then ap"].real is not None
    assert curves({}) == []


def test_a_run_shorter_than_the_lags_gives_gaps_not_numbers():
    short = {"coronal_holes": series("coronal_holes", DAY, "ch_area", np.arange(10.0))}
    value = curves(short)[0].simulated[1]
    assert np.isfinite(value[:8]).all() and np.isnan(value[8:]).all()


def test_sample_frames_skip_bad_ones_and_spread_over_the_run():
    frames = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 4), np.uint8)
    flags = np.zeros((10, 2), dtype=np.uint8)
    flags[0, 1] = BAD_FRAME
    table = ImageTable("images", 6 * HOUR * np.arange(10), 6 * HOUR, ("a", "b"), frames, flags)
    chosen, times = sample_frames(table, 3)
    assert chosen.shape == (2, 3, 4, 4)
    assert (times // (6 * HOUR)).tolist() == [1, 5, 9] == chosen[0, :, 0, 0].tolist()

import csv

import numpy as np
import pytest

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.tables import MISSING, ImageTable, SeriesTable
from heliosight.sun import SunConfig, compare, simulate
from heliosight.sun.check import Row, correlation, daily

CONFIG = SunConfig(start="2014-01-01", end="2014-12-01", size=32, image_cadence_hours=6)


@pytest.fixture(scope="module")
def tables():
    return simulate(CONFIG).tables


def test_every_statistic_is_computed_and_compared_with_itself(tables):
    rows = compare(tables, tables)
    assert len(rows) > 40 and len({r.statistic for r in rows}) == len(rows)
    for row in rows:
        assert row.simulated == row.real
        assert row.simulated is not None and np.isfinite(row.simulated)
    assert all(row.ok is not False for row in rows if row.statistic.startswith("speed"))


def test_absent_tables_leave_their_statistics_out(tables):
    rows = compare({"geomagnetic": tables["geomagnetic"]})
    by_name = {r.statistic: r for r in rows}
    assert by_name["speed mean [km s-1]"].simulated is None
    assert by_name["speed mean [km s-1]"].ok is None
    assert by_name["ap mean [2 nT]"].simulated is not None
    assert by_name["ap mean [2 nT]"].real is None


def test_a_row_says_its_target_and_whether_it_is_met():
    assert Row("x", 0.5, 0.4, 0.3, 0.6).ok and not Row("x", 0.7, 0.4, 0.3, 0.6).ok
    assert Row("x", 0.5, 0.4, 0.3, 0.6).target == "0.3 to 0.6"
    assert Row("x", 0.5, 0.4).ok is None and Row("x", 0.5, 0.4).target == ""


@pytest.mark.accuracy
def test_correlation_agrees_with_numpy_and_skips_what_is_missing():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    assert correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    holed = a.copy()
    holed[::7] = np.nan
    keep = np.isfinite(holed)
    assert correlation(holed, b) == pytest.approx(np.corrcoef(a[keep], b[keep])[0, 1])
    assert np.isnan(correlation(np.ones(5), np.arange(5.0)))


def test_daily_means_skip_missing_values_and_keep_empty_days():
    times = np.arange(0, 4 * DAY, 3 * HOUR, dtype=np.int64)
    values = np.arange(32.0, dtype=np.float32)[:, None]
    flags = np.zeros((32, 1), dtype=np.uint8)
    flags[3] = flags[8:16] = MISSING
    number, mean = daily(SeriesTable("x", times, 3 * HOUR, ("ap",), values, flags), "ap")
    assert number.tolist() == [0, 1, 2, 3]
    assert mean[0] == pytest.approx((28 - 3) / 7) and np.isnan(mean[1]) and mean[2] == 19.5


def _real_tables(folder):
    columns = (1, 2, 8, 12, 16, 22, 23, 24, 49)
    fills = (0, 0, 999.9, 999.9, 999.9, 9999999.0, 999.9, 9999.0, 999.0)
    parts, stamps = [], []
    for year in range(2011, 2023):
        words = np.loadtxt(folder / "omni2" / f"omni2_{year}.dat", usecols=columns)
        start = to_seconds(f"{year}-01-01")
        stamps.append(start + ((words[:, 0] - 1) * DAY + words[:, 1] * HOUR).astype(np.int64))
        parts.append(np.where(words >= fills, np.nan, words)[:, 2:])
    values, times = np.concatenate(parts), np.concatenate(stamps)
    names = ("b_scalar", "bx_gse", "bz_gsm", "temperature", "density", "speed")
    with (folder / "coronal_holes" / "aia193_ch_area_daily_2011_2022.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    areas = np.array([float(r["ch_area"] or "nan") for r in rows])
    days = np.array([to_seconds(r["date"]) for r in rows])
    frames = np.load(folder / "sdo" / "sdo_30x6h_64px.npz")
    stack = np.stack([frames[k] for k in ("aia_193", "aia_211", "hmi_magnetogram")], axis=1)
    flags = np.zeros((30, 3), dtype=np.uint8)
    flags[24] = 4
    return {
        "solar_wind_hourly": _series(times, HOUR, names, values[:, :6]),
        "geomagnetic": _series(times[::3], 3 * HOUR, ("ap",), values[::3, 6:]),
        "coronal_holes": _series(days, DAY, ("ch_area",), areas[:, None]),
        "images": ImageTable("images", 21600 * np.arange(30), 21600, tuple(frames), stack, flags),
    }


def _series(times, cadence, names, values):
    flags = np.where(np.isnan(values), MISSING, 0).astype(np.uint8)
    return SeriesTable("real", times, cadence, names, values.astype(np.float32), flags)


@pytest.mark.real
@pytest.mark.slow
def test_the_simulated_sun_stands_beside_the_real_one(real_data):
    config = SunConfig(start="2011-01-01", end="2023-01-01", size=16, image_cadence_hours=24)
    long = dict(simulate(config).tables)
    shot = SunConfig(start="2014-03-01", end="2014-05-01", cycle_phase=0.45)
    long["images"] = simulate(shot).tables["images"]
    rows = {r.statistic: r for r in compare(long, _real_tables(real_data))}
    demanded = [
        "hole area to speed: best lag [d]",
        "hole area to speed: correlation at 3 d",
        "hole area to ap: best lag [d]",
        "hole area to ap: correlation at 2 d",
        "193 with 211 on the disc",
        "193 frame to frame on the disc, 6 h",
        "magnetogram frame to frame on the disc, 6 h",
        "speed standard deviation [km s-1]",
        "daily log1p(Ap) autocorrelation at 54 d",
    ]
    assert [name for name in demanded if not rows[name].ok] == []
    real = rows["193 frame to frame on the disc, 6 h"].real
    assert real == pytest.approx(0.77, abs=0.03)
    missed = [r.statistic for r in rows.values() if r.ok is False]
    assert len(missed) <= 8, missed

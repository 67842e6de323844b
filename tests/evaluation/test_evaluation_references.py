"""References: nothing from the future, the fast ridge against a slow twin, honest fallbacks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from sklearn.linear_model import Ridge

from heliosight.core.clock import DAY, HOUR
from heliosight.core.errors import ConfigError, DataError
from heliosight.core.folds import Fold
from heliosight.core.tables import MISSING, SeriesTable
from heliosight.evaluation import features, leakage
from heliosight.evaluation.dressing import DRAWS, Dressing
from heliosight.evaluation.real import RealTableConfig, column_groups, real_table
from heliosight.evaluation.references import Rows, simple_references
from heliosight.evaluation.ridge import STRENGTHS, Fit, Path, Scaling, Sums, fit_ridge
from heliosight.evaluation.scorecard import ScorecardConfig

START = 15000 * DAY
STEP = 3 * HOUR


def series(name: str, names: tuple[str, ...], days: int, cadence: int, seed: int, latency: int = 0):
    rng = np.random.default_rng(seed)
    n = days * DAY // cadence
    smooth = np.cumsum(rng.normal(size=(n, len(names))), 0)
    smooth -= 0.9 * np.concatenate([np.zeros((1, len(names))), smooth[:-1]])
    values = np.exp(1.5 + 0.3 * smooth).astype(np.float32)
    flags = np.zeros(values.shape, np.uint8)
    return SeriesTable(name, START + np.arange(n) * cadence, cadence, names, values, flags, latency)


def world(days: int = 500, seed: int = 0):
    ap = series("geomagnetic", ("kp", "ap"), days, STEP, seed)
    wind = series("solar_wind", features.WIND_VARIABLES, days, STEP, seed + 1)
    area = series("coronal_holes", ("ch_area",), days, DAY, seed + 2, -DAY)
    return ap, wind, area


def folds() -> list[Fold]:
    day = [START + k * DAY for k in (60, 190, 200, 240, 280, 360)]
    more = [START + k * DAY for k in (60, 260, 270, 320, 360, 440)]
    return [
        Fold(f"f{k}", (d[0], d[1]), (d[2], d[3]), (d[4], d[5]), 34.0)
        for k, d in enumerate((day, more))
    ]


AP, WIND, AREA = world()


def spoiled(table: SeriesTable, issue: int) -> SeriesTable:
    """The same table with everything not yet available at `issue` turned to nonsense."""
    later = table.available > issue
    values = np.where(later[:, None], np.float32(1e6), table.values)
    return replace(table, values=values)


@given(step=st.integers(60 * 8, 499 * 8), off=st.integers(0, STEP - 1))
@settings(max_examples=25, deadline=None)
def test_nothing_after_the_issue_time_enters_any_column(step: int, off: int) -> None:
    issue = START + step * STEP + off
    at = np.array([issue])
    known = column_groups(AP, WIND, AREA, at, (13,))
    blind = column_groups(*(spoiled(t, issue) for t in (AP, WIND, AREA)), at, (13,))
    for name, part in known.items():
        np.testing.assert_array_equal(part, blind[name], err_msg=name)


@given(latency=st.integers(-3, 9))
@settings(max_examples=13, deadline=None)
def test_late_values_are_waited_for(latency: int) -> None:
    late = replace(AP, latency=latency * HOUR)
    issue = START + 100 * DAY
    values = features.history(late, "ap", np.array([issue]), 4)[0]
    last = int(np.flatnonzero(late.available <= issue)[-1])
    np.testing.assert_array_equal(values, AP.column("ap")[last - 3 : last + 1])


def test_the_newest_known_value_enters_and_the_running_interval_does_not() -> None:
    issue = START + 100 * DAY
    newest = features.history(AP, "ap", np.array([issue]), 1)[0, 0]
    row = np.searchsorted(AP.times, issue)
    assert newest == AP.column("ap")[row - 1]
    back = features.recurrence(AP, np.array([issue]), 27)[0]
    np.testing.assert_array_equal(back, AP.column("ap")[row - 216 : row - 192])
    area = features.history(AREA, "ch_area", np.array([issue]), 7)[0]
    np.testing.assert_array_equal(area, AREA.column("ch_area")[94:101])


def test_a_hole_is_missing_not_shifted() -> None:
    keep = np.arange(len(AP.times)) != 799
    holed = replace(AP, times=AP.times[keep], values=AP.values[keep], flags=AP.flags[keep])
    values = features.history(holed, "ap", np.array([START + 100 * DAY]), 3)[0]
    assert np.isnan(values[2])
    np.testing.assert_array_equal(values[:2], AP.column("ap")[797:799])
    flagged = AP.flags.copy()
    flagged[798, 1] = MISSING
    marked = features.history(replace(AP, flags=flagged), "ap", np.array([START + 100 * DAY]), 3)
    assert np.isnan(marked[0]).tolist() == [False, True, False]


def test_an_empty_table_knows_nothing() -> None:
    empty = replace(AREA, times=AREA.times[:0], values=AREA.values[:0], flags=AREA.flags[:0])
    assert features.newest_stamps(empty, np.array([START]), 3).shape == (1, 3)


def test_area_columns_belong_to_their_time_of_day_and_a_shift_delays_them() -> None:
    issue = START + 100 * DAY + np.arange(8) * STEP
    part = features.area_group(AREA, issue).reshape(8, 14, 8)
    for k in range(8):
        assert (part[k][:, np.arange(8) != k] == 0).all()
        np.testing.assert_allclose(part[k, 7:, k], np.sqrt(part[k, :7, k]))
    late = features.area_group(AREA, issue, 13)
    np.testing.assert_array_equal(late, features.area_group(AREA, issue - 13 * DAY))


@pytest.mark.accuracy
def test_the_ridge_from_sums_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(1, 2, (120, 7)), rng.normal(size=(120, 3))
    sums = Sums.of(x[:50], y[:50]) + Sums.of(x[50:], y[50:])
    for strength in (1e-4, 0.1, 10.0):
        weights, intercept = Path.of(sums).fit(strength)
        slow = Ridge(alpha=120 * strength).fit(x, y)
        np.testing.assert_allclose(weights.T, slow.coef_, rtol=1e-6, atol=1e-10)
        np.testing.assert_allclose(intercept, slow.intercept_, rtol=1e-6)
        error = np.mean((slow.predict(x) - y) ** 2)
        assert sums.error(weights, intercept) == pytest.approx(error)
    columns = np.array([4, 1])
    block, alone = sums.block(columns), Sums.of(x[:, columns], y)
    np.testing.assert_allclose(block.xx, alone.xx)
    np.testing.assert_allclose(block.xy, alone.xy)


@pytest.mark.accuracy
def test_the_strength_is_that_of_the_least_validation_error() -> None:
    rng = np.random.default_rng(3)
    x, noise = rng.normal(size=(90, 30)), rng.normal(size=(90, 2))
    y = x[:, :2] + 2 * noise
    found = fit_ridge(Sums.of(x[:60], y[:60]), Sums.of(x[60:], y[60:]))
    errors = []
    for s in STRENGTHS:
        slow = Ridge(alpha=60 * s).fit(x[:60], y[:60])
        errors.append(np.mean((slow.predict(x[60:]) - y[60:]) ** 2))
    assert found.strength == STRENGTHS[int(np.argmin(errors))]
    both = Ridge(alpha=90 * found.strength).fit(x, y)
    np.testing.assert_allclose(Fit.predict(found, x), both.predict(x), rtol=1e-6)


def test_missing_values_become_the_training_mean() -> None:
    values = np.array([[1.0, 5.0, 2.0], [3.0, 5.0, np.nan], [np.nan, 5.0, 4.0]])
    scaling = Scaling.of(values)
    np.testing.assert_allclose(scaling.mean, [2, 5, 3])
    scaled = scaling.apply(values)
    assert scaled[2, 0] == scaled[1, 2] == 0
    assert (scaled[:, 1] == 0).all()
    with pytest.raises(DataError, match="known value in the training past"):
        Scaling.of(np.full((4, 2), np.nan))


def test_a_dressed_forecast_is_calibrated_on_its_own_past() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.5, (3000, 1)) + rng.normal(0, 0.3, (3000, 24))
    mean_log = np.full((3000, 24), 2.0)
    dressing = Dressing.of(shared)
    ap = np.expm1(mean_log + shared)
    np.testing.assert_allclose(dressing.mean_ap(mean_log)[0], ap.mean(0), rtol=1e-6)
    below = (ap[:, :, None] <= dressing.quantiles(mean_log)).mean((0, 1))
    np.testing.assert_allclose(below, [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95], atol=2e-3)
    share = (ap.reshape(3000, 3, 8).max(2) > 35.5).mean(0)
    found = dressing.event_probability(mean_log[:5])[:, :, 0]
    np.testing.assert_allclose(found, np.tile(share, (5, 1)), atol=1.5 / DRAWS)


def test_simple_references_say_what_their_names_say() -> None:
    rows = Rows.of(AP, folds())
    given = {p.name: p for p in simple_references(AP, rows).predictions}
    test = given["persistence"]
    ap = AP.column("ap")
    row = np.searchsorted(AP.times, test.issue_time)
    np.testing.assert_allclose(test.mean, np.repeat(ap[row - 1, None], 24, 1))
    np.testing.assert_allclose(given["persistence_24h"].mean[5, 0], ap[row[5] - 8 : row[5]].mean())
    np.testing.assert_allclose(given["trailing_27d"].mean[5, 9], ap[row[5] - 216 : row[5]].mean())
    np.testing.assert_allclose(given["recurrence_27d"].mean[:, 3], ap[row - 213])
    past = rows.target[rows.learn(rows.folds[1])]
    np.testing.assert_allclose(given["climatology"].mean[-1], past.mean())
    assert np.array_equal(test.fold, (test.issue_time >= rows.folds[1].test[0]).astype(int))


def test_references_learn_nothing_from_their_test_span() -> None:
    config = RealTableConfig(ScorecardConfig(replicates=5), (13,), leakage=False)
    last = folds()[-1].test[0]
    later = AP.times >= last + 20 * DAY
    other = replace(AP, values=np.where(later[:, None], AP.values + 50, AP.values))
    one, _, extras = real_table(AP, WIND, AREA, folds(), config)
    two, _, others = real_table(other, WIND, AREA, folds(), config)
    early = one[0].issue_time < last + 20 * DAY
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.mean_log[early], b.mean_log[early], err_msg=a.name)
        np.testing.assert_array_equal(extras.thresholds[a.name], others.thresholds[a.name])


def test_a_gap_in_ap_falls_back_to_climatology() -> None:
    flags = AP.flags.copy()
    flags[300 * 8 : 300 * 8 + 20, 1] = MISSING
    gap = replace(AP, flags=flags)
    rows = Rows.of(gap, folds())
    assert np.isfinite(rows.target).all()
    for p in simple_references(gap, rows).predictions:
        assert np.isfinite(p.mean).all() and np.isfinite(p.mean_log).all(), p.name


def test_others_are_scored_on_the_rows_all_have() -> None:
    config = RealTableConfig(ScorecardConfig(replicates=5), (), leakage=False)
    own, _, _ = real_table(AP, WIND, AREA, folds(), config)
    few = {k: v[40:] for k, v in own[5].arrays().items() if k != "levels"}
    network = replace(own[5], name="network", **few)
    all_rows, card, extras = real_table(AP, WIND, AREA, folds(), config, others=[network])
    assert all_rows[-1].name == "network"
    assert card.issue_times == len(own[0].issue_time) - 40
    assert extras.missing["wind"] == 0
    assert extras.columns["area"] == 112


def test_refusals() -> None:
    with pytest.raises(DataError, match="walk-forward evaluation has folds"):
        Rows.of(AP, [])
    late = replace(folds()[0], test=(START + 900 * DAY, START + 950 * DAY))
    with pytest.raises(DataError, match=r"fold f0: each span.*none in its test span"):
        Rows.of(AP, [late])
    with pytest.raises(ConfigError, match="delays the series"):
        RealTableConfig(shift_days=(0,))
    with pytest.raises(ConfigError, match="one of the table's own"):
        RealTableConfig(reference="oracle")
    with pytest.raises(DataError, match="10 neighbours need as many"):
        leakage.nearest_mean(np.zeros((3, 2)), np.zeros(3), np.zeros((1, 2)))


@pytest.mark.accuracy
def test_nearest_neighbours_equal_a_slow_twin() -> None:
    rng = np.random.default_rng(0)
    train, y, test = rng.normal(size=(60, 3)), rng.normal(size=60), rng.normal(size=(15, 3))
    slow = [y[np.argsort(((train - t) ** 2).sum(1))[:4]].mean() for t in test]
    np.testing.assert_allclose(leakage.nearest_mean(train, y, test, 4), slow)


def test_splits_are_disjoint_and_the_honest_ones_keep_their_distance() -> None:
    rows = Rows.of(AP, folds())
    t = rows.issue_time
    ((train, test),) = leakage.random_split(t, 0)
    assert not np.intersect1d(train, test).size and len(train) + len(test) == len(t)
    tested = []
    for train, test in leakage.block_split(t, 100.0, 34.0):
        gap = np.abs(t[train][:, None] - t[test][[0, -1]]).min()
        assert gap > 34 * DAY
        tested.append(test)
    assert leakage.block_split(t, 400.0) == []
    assert np.array_equal(np.concatenate(tested), np.arange(len(t)))
    for train, test in leakage.walk_forward_split(rows):
        assert t[train].max() < t[test].min() - 34 * DAY


def test_a_random_split_finds_skill_in_noise_that_only_tells_the_time() -> None:
    rows = Rows.of(AP, folds())
    noise = np.random.default_rng(0).normal(size=(len(rows.issue_time), 20))
    columns = lfilter([1.0], [1.0, -0.98], noise, axis=0)
    table = {r.split: r for r in leakage.leakage_table(rows, columns, 0, 2, 60.0)}
    assert table["random anchors"].pooled > 0.2
    assert table["walk-forward"].pooled < 0.2
    assert table["blocks with buffer"].pooled < 0.2
    assert table["random anchors"].within is None
    assert "blocks with buffer" not in {r.split for r in leakage.leakage_table(rows, columns)}

"""Block bootstrap and scorecard: coverage, pairing, identical rows, refusals, text."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from test_evaluation_metrics import make

from heliosight.core import records
from heliosight.core.clock import DAY
from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.records import Interval
from heliosight.core.seeding import numpy_stream
from heliosight.evaluation import metrics, table
from heliosight.evaluation.bootstrap import Blocks, interval, quantile_of, resolved
from heliosight.evaluation.scorecard import (
    ScorecardConfig,
    find,
    on_common_rows,
    scorecard,
    slice_names,
)

FEW = ScorecardConfig(replicates=50, block_days=2.0)


@pytest.mark.accuracy
def test_block_sums_and_draws_equal_a_slow_twin() -> None:
    rng = np.random.default_rng(1)
    times = np.sort(rng.choice(np.arange(0, 400 * DAY, 10800), 300, replace=False))
    fold = (times > 200 * DAY).astype(int)
    blocks, terms = Blocks.of(times, fold), rng.random((300, 2))
    slow = np.array([terms[blocks.row == k].sum(0) for k in range(len(blocks.fold))])
    np.testing.assert_allclose(blocks.sum(terms), slow)
    counts = blocks.draw(20, numpy_stream(0, "test"))
    found = blocks.resample(blocks.sum(terms), counts)
    for draw in (0, 7):
        for number in (0, 1):
            inside = fold == number
            weight = counts[draw][blocks.row[inside]]
            expected = (weight[:, None] * terms[inside]).sum(0)
            np.testing.assert_allclose(found[number, draw], expected)
    for number in (0, 1):
        assert (counts[:, blocks.fold == number].sum(1) == (blocks.fold == number).sum()).all()


def test_blocks_stay_inside_folds_and_near_the_length_asked_for() -> None:
    times = np.arange(0, 731 * DAY, 10800)
    fold = (times >= 365 * DAY).astype(int)
    blocks = Blocks.of(times, fold, 27.0)
    for block in range(len(blocks.fold)):
        inside = blocks.row == block
        assert len(np.unique(fold[inside])) == 1
        assert 25 * DAY < np.ptp(times[inside]) < 29 * DAY


def test_block_numbers_follow_their_rows_in_any_order() -> None:
    times, fold = np.arange(0, 200 * DAY, 10800), np.zeros(1600, int)
    order = np.random.default_rng(0).permutation(1600)
    whole, mixed = Blocks.of(times, fold), Blocks.of(times[order], fold)
    assert np.array_equal(whole.row[order], mixed.row)


@pytest.mark.accuracy
def test_coverage_on_autocorrelated_data_is_near_nominal_and_iid_coverage_is_not() -> None:
    rng, steps, hits, naive = np.random.default_rng(7), 8 * 27 * 40, 0, 0
    times, fold = np.arange(steps) * 10800, np.zeros(steps, int)
    blocks = Blocks.of(times, fold)
    for _ in range(200):
        x = lfilter([1.0], [1.0, -0.95], rng.normal(size=steps + 500))[500:]
        sums = blocks.resample(blocks.sum(x[:, None]), blocks.draw(200, rng))[0, :, 0]
        found = interval(sums / steps, 0.95, "")
        assert found is not None
        hits += found.low <= 0 <= found.high
        naive += abs(x.mean()) < 1.96 * x.std() / np.sqrt(steps)
    assert 0.88 < hits / 200 < 0.985
    assert naive / 200 < 0.5


def test_a_system_has_no_skill_against_itself() -> None:
    one = make(0)
    card = scorecard([one, replace(one, name="same")], "a", config=FEW)
    for row in card.differences:
        assert row.system == "same - a"
        for found in row.metrics.values():
            assert (found.value, found.low, found.high) == (0, 0, 0)
            assert not resolved(found)


def test_scorecard_values_are_those_of_the_plain_scores() -> None:
    one, other = make(0), make(1)
    other = replace(other, name="b", observed=one.observed)
    limit = {"b": np.full((2, 3, 3), 0.5)}
    card = scorecard([one, other], "a", thresholds=limit, config=FEW)
    assert [r.slice for r in card.rows[:27]] == slice_names(24)
    day = _part(other, slice(8, 16), slice(1, 2))
    expected = metrics.scores(day, np.full((200, 1), 0.5))
    for key in ("rmse_ap", "corr_log", "crps_ap"):
        found = find(card.rows, "b", "day 2", f"{key}_pooled")
        assert found is not None and found.value == pytest.approx(expected[key])
    for key in ("hss", "brier_skill"):
        found = find(card.rows, "b", "day 2", f"{key}_G1_pooled")
        assert found is not None and found.value == pytest.approx(expected[key])
    halves = [np.corrcoef(other.mean_log[k, 4], np.log1p(one.observed[k, 4]))[0, 1]
              for k in (slice(0, 100), slice(100, 200))]  # fmt: skip
    within = find(card.rows, "b", "lead 5", "corr_log_within")
    assert within is not None and within.value == pytest.approx(np.mean(halves))
    assert find(card.rows, "a", "day 1", "hss_G1_pooled") is None
    assert find(card.rows, "nobody", "day 1", "hss_G1_pooled") is None


def test_mse_skill_of_a_difference_is_the_share_of_squared_error_taken_away() -> None:
    one, other = make(0), replace(make(1), name="b", observed=make(0).observed)
    card = scorecard([one, other], "a", config=FEW)
    day = slice(8, 16)
    errors = [
        np.mean((p.mean_log[:, day] - np.log1p(one.observed[:, day])) ** 2) for p in (other, one)
    ]
    found = find(card.differences, "b - a", "day 2", "mse_skill_log_pooled")
    assert found is not None and found.value == pytest.approx(1 - errors[0] / errors[1])
    assert found.low is not None and found.low < found.value < found.high
    assert find(card.rows, "b", "day 2", "mse_skill_log_pooled") is None


def _part(p, leads: slice, days: slice):
    return replace(
        p,
        mean_log=p.mean_log[:, leads],
        mean=p.mean[:, leads],
        observed=p.observed[:, leads],
        quantiles=p.quantiles[:, leads],
        event_probability=p.event_probability[:, days],
    )


def test_a_difference_asked_for_twice_is_given_once() -> None:
    both = [make(0), replace(make(0), name="b")]
    card = scorecard(both, "a", [("b", "a"), ("a", "b"), ("a", "b")], config=FEW)
    names = [row.system for row in card.differences if row.slice == "day 1"]
    assert names == ["b - a", "a - b"]


def test_a_paired_difference_is_narrower_than_unpaired_ones() -> None:
    one = make(0)
    other = replace(one, name="b", mean_log=one.mean_log + 0.01 * np.sin(one.mean_log))
    card = scorecard([one, other], "a", config=FEW)
    width = [
        f.high - f.low
        for f in (
            find(card.differences, "b - a", "day 1", "corr_log_pooled"),
            find(card.rows, "a", "day 1", "corr_log_pooled"),
        )
    ]
    assert width[0] < 0.2 * width[1]


def test_a_scorecard_survives_its_folder(tmp_path) -> None:
    card = scorecard([make(0), replace(make(0), name="b")], "a", [("b", "a")], config=FEW)
    records.save(tmp_path / "card", card)
    assert records.load(tmp_path / "card", type(card)) == card
    assert card.issue_times == 200
    assert card.folds == ("0", "1")


@pytest.mark.parametrize("key", ["issue_time", "fold", "observed"])
def test_other_rows_are_refused(key: str) -> None:
    one = make(0)
    other = replace(one, name="b", **{key: getattr(one, key) + 1})
    with pytest.raises(SpecError, match=r"identical rows.*on_common_rows"):
        scorecard([one, other], "a", config=FEW)


def test_fewer_rows_are_refused_until_they_are_made_common() -> None:
    one, few = make(0), make(0, name="b")
    few = replace(few, **{k: v[20:] for k, v in few.arrays().items() if k != "levels"})
    with pytest.raises(SpecError, match="identical rows"):
        scorecard([one, few], "a", config=FEW)
    both = on_common_rows([one, few])
    assert [len(p.issue_time) for p in both] == [180, 180]
    assert scorecard(both, "a", config=FEW).issue_times == 180


def test_refusals_of_a_comparison() -> None:
    one = make(0)
    with pytest.raises(SpecError, match="at least one system"):
        scorecard([], "a")
    with pytest.raises(SpecError, match="at least one system"):
        on_common_rows([])
    with pytest.raises(SpecError, match="names differ"):
        scorecard([one, one], "a")
    with pytest.raises(SpecError, match=r"among those scored.*nobody.*Scored: a"):
        scorecard([one], "nobody")
    with pytest.raises(SpecError, match="share issue times"):
        on_common_rows([one, replace(one, name="b", issue_time=one.issue_time + 1)])
    other = replace(one, name="b", levels=one.levels + 0.01)
    with pytest.raises(SpecError, match="same quantile levels"):
        scorecard([one, other], "a")
    with pytest.raises(SpecError, match="every fold has its warning probability"):
        scorecard([one], "a", thresholds={"a": np.zeros((1, 3, 3))}, config=FEW)


def test_refusals_of_a_config() -> None:
    with pytest.raises(ConfigError, match="counted from 0"):
        ScorecardConfig(replicates=-1)
    with pytest.raises(ConfigError, match="coverage lies in"):
        ScorecardConfig(level=1.0)
    with pytest.raises(ConfigError, match="scored storm class"):
        ScorecardConfig(storm="G9")
    with pytest.raises(ConfigError, match="positive length"):
        Blocks.of(np.arange(3), np.zeros(3, int), 0.0)


def test_undefined_scores_and_absent_draws() -> None:
    assert interval(np.array([np.nan, 1.0]), 0.95, "") is None
    alone = interval(np.array([2.0]), 0.95, "")
    assert alone is not None and alone.low is None and not resolved(alone)
    assert resolved(Interval(1.0, 0.5, 1.5)) and not resolved(Interval(1.0, -0.5, 1.5))


def test_the_table_is_aligned_and_marks_what_is_not_resolved() -> None:
    one = make(0)
    card = scorecard([one, replace(one, name="longer_name")], "a", config=FEW)
    text = table.full_text(card)
    lines = [line for line in table.score_table(card).splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4
    assert "correlation of log ap, mean of folds" in text
    assert "~ +0.000 [+0.000, +0.000]" in text
    assert "HSS of G1" not in table.interval_table(card.rows, "mae_ap_pooled")
    value = find(card.rows, "a", "day 1", "rmse_ap_pooled")
    assert value is not None and f"{value.value:.2f}" in lines[2]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values, q):
    ordered = np.sort(np.array(values))
    assert quantile_of(ordered, q) == np.quantile(ordered, q)


def test_a_quantile_beyond_the_middle_is_counted_from_above_as_numpy_does():
    for low, high, q in (
        (0.1, 0.4000000000000001, 0.5),
        (-4.9726149982985195, 3.158535541215322, 0.6),
    ):
        ordered = np.array([low, high])
        assert quantile_of(ordered, q) == np.quantile(ordered, q) != low + (high - low) * q


def test_a_block_is_as_long_as_its_rows_and_one_second():
    """Two rows a second apart, in blocks of a second, are two blocks; nearer to none is one."""
    found = Blocks.of(np.array([7, 8]), np.zeros(2, int), 1 / 86400)
    assert found.row.tolist() == [0, 1] and found.fold.tolist() == [0, 0]
    assert Blocks.of(np.array([7, 8]), np.zeros(2, int), 27.0).fold.tolist() == [0]


def test_an_interval_that_ends_at_zero_resolves_nothing() -> None:
    assert not resolved(Interval(1.0, 0.0, 2.0)) and not resolved(Interval(-1.0, -2.0, 0.0))
    assert resolved(Interval(-1.0, -2.0, -0.5))
    assert resolved(Interval(1.0, 0.5, None)) is resolved(Interval(-1.0, None, -0.5)) is False


def test_a_percentile_interval_is_of_the_draws_alone() -> None:
    draws = np.random.default_rng(0).normal(size=1000)
    found = interval(np.concatenate([[3.0], draws, [np.nan, np.inf]]), 0.8, "so")
    assert found is not None and (found.value, found.level, found.how) == (3.0, 0.8, "so")
    np.testing.assert_allclose((found.low, found.high), np.quantile(draws, (0.1, 0.9)))


def test_blocks_have_27_days_unless_told() -> None:
    times, fold = DAY * np.arange(54), np.zeros(54, int)
    assert Blocks.of(times, fold).row.tolist() == [0] * 27 + [1] * 27
    assert Blocks.of(times, fold).days == 27.0
    assert len(Blocks.of(times[:5], fold[:5]).fold) == 1

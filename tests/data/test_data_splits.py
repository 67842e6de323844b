"""Folds: order, buffer to the second, hashed files, and the split that leaks."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.clock import DAY, HOUR, to_seconds
from heliosight.core.errors import ConfigError, RecordError
from heliosight.data.splits import (
    WalkForward,
    folds_hash,
    leaky_random_split,
    load_folds,
    save_folds,
    walk_forward,
    within,
)

FIRST, LAST = to_seconds("2011-03-01"), to_seconds("2023-01-01")
BLOCKS = [(to_seconds(f"{y}-01-01"), to_seconds(f"{y + 2}-01-01")) for y in (2015, 2017, 2019)]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(320, 4000), min_size=2, max_size=6, unique=True),
    st.floats(0, 60),
    st.floats(0, 0.49),
)
def test_no_target_reaches_into_the_buffer(days, buffer, share):
    edges = [FIRST + day * DAY for day in sorted(days)]
    blocks = list(pairwise(edges))
    for fold in walk_forward(FIRST, edges[-1], blocks, buffer, share):
        spans = [s for s in (fold.train, fold.validation, fold.test) if s[1] > s[0]]
        assert spans[0][0] == FIRST and spans[-1] in blocks
        for before, after in pairwise(spans):
            grid = np.arange(before[1] - DAY, before[1])[:: 3 * HOUR]
            last_issue = within(grid, before)[-1]
            last_target_end = last_issue + 72 * HOUR
            assert after[0] - last_target_end >= buffer * DAY - 1


def test_the_setting_of_the_known_facts():
    folds = walk_forward(FIRST, LAST, BLOCKS)
    for fold, block in zip(folds, BLOCKS, strict=True):
        past = block[0] - 37 * DAY - FIRST
        assert fold.test == block and fold.buffer_days == 34.0
        assert fold.validation[1] == block[0] - 37 * DAY
        share = (fold.validation[1] - fold.validation[0]) / past
        assert share == pytest.approx(0.15, abs=DAY / past)
        assert fold.validation[0] - fold.train[1] == 37 * DAY
    config = WalkForward(
        "2011-03-01",
        "2023-01-01",
        tuple((f"{y}-01-01", f"{y + 2}-01-01") for y in (2015, 2017, 2019)),
    )
    assert config.folds() == folds


def test_a_block_is_cut_at_the_end_of_the_data():
    folds = walk_forward(FIRST, to_seconds("2016-01-01"), BLOCKS[:1])
    assert folds[0].test[1] == to_seconds("2016-01-01")


def test_no_validation_share_gives_the_whole_past_to_training():
    fold = walk_forward(FIRST, LAST, BLOCKS, validation_share=0)[0]
    assert fold.validation[0] == fold.validation[1] == fold.train[1] == BLOCKS[0][0] - 37 * DAY


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"test_blocks": []}, "test_blocks.*rise in time.*none"),
        ({"test_blocks": BLOCKS[::-1]}, "rise in time"),
        ({"test_blocks": [(BLOCKS[0][1], BLOCKS[0][0])]}, "rise in time"),
        ({"test_blocks": [(LAST + 1, LAST + 2)]}, "between first and last"),
        ({"test_blocks": [(LAST, LAST + 1)]}, "between first and last"),
        ({"test_blocks": [(BLOCKS[0][0], BLOCKS[0][0])]}, "rise in time"),
        ({"test_blocks": [BLOCKS[0], (BLOCKS[0][1], BLOCKS[0][1])]}, "rise in time"),
        ({"validation_share": 0.5}, "validation_share lies in.*0.5"),
        ({"buffer_days": -1.0}, "buffer_days is 0 or more.*-1.0"),
        ({"validation_share": 0.6}, "validation_share lies in.*0.6"),
        ({"buffer_days": 1400.0}, "30 days to train on.*-1403.0 days before .*2015-01-01"),
    ],
)
def test_impossible_folds_are_refused(change, match):
    with pytest.raises(ConfigError, match=match):
        walk_forward(**{"first": FIRST, "last": LAST, "test_blocks": BLOCKS, **change})


def test_an_impossible_config_is_refused_when_it_is_made():
    with pytest.raises(ConfigError, match="rise in time"):
        WalkForward("2011-03-01", "2023-01-01", ())


def test_folds_are_saved_with_their_hash(tmp_path):
    folds = walk_forward(FIRST, LAST, BLOCKS)
    path = tmp_path / "splits" / "folds.json"
    assert save_folds(path, folds) == folds_hash(folds) == folds_hash(load_folds(path))
    assert load_folds(path) == folds
    assert folds_hash(folds) != folds_hash(folds[:2])
    assert [p.name for p in path.parent.iterdir()] == ["folds.json"]


def test_an_altered_or_broken_split_file_is_refused(tmp_path):
    path = tmp_path / "folds.json"
    save_folds(path, walk_forward(FIRST, LAST, BLOCKS))
    whole = path.read_text()
    content = json.loads(whole)
    content["folds"][0]["train"][1] += DAY
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="hash and version"):
        load_folds(path)
    for broken in (whole[:100], "[]", "{}"):
        path.write_text(broken)
        with pytest.raises(RecordError, match="whole JSON"):
            load_folds(path)
    with pytest.raises(RecordError, match="whole JSON"):
        load_folds(tmp_path / "absent.json")


def test_a_random_split_puts_neighbours_on_both_sides():
    issue = FIRST + 3 * HOUR * np.arange(4000)
    train, test = leaky_random_split(issue, seed=1)
    assert sorted([*train, *test]) == issue.tolist()
    assert 0.15 < len(test) / len(issue) < 0.25
    nearest = np.abs(
        test[:, None] - train[np.searchsorted(train, test).clip(0, len(train) - 1)][:, None]
    )
    assert np.median(nearest) == 3 * HOUR
    assert leaky_random_split(issue, seed=1)[1].tolist() == test.tolist()


def test_thirty_days_are_enough_to_train_on():
    (fold,) = walk_forward(0, 900 * DAY, [(40 * DAY, 800 * DAY)], 7.0, 0.0)
    assert fold.train == (0, 30 * DAY) and fold.name == "test_1970-02-10"
    with pytest.raises(ConfigError, match="a fold has at least 30 days to train on"):
        walk_forward(0, 900 * DAY, [(39 * DAY, 800 * DAY)], 7.0, 0.0)


def test_a_span_holds_its_start_and_not_its_end():
    assert within(np.arange(10), (2, 5)).tolist() == [2, 3, 4]


def test_a_split_file_says_its_schema_and_version(tmp_path):
    save_folds(tmp_path / "folds.json", walk_forward(FIRST, LAST, BLOCKS))
    content = json.loads((tmp_path / "folds.json").read_text())
    assert (content["schema"], content["version"]) == ("folds", 1)

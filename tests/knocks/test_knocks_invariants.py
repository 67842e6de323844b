"""What the documentation says holds always: properties that no other test asks for.

`docs/invariants.md` names a test for every such sentence; the last tests here hold it to that.
"""

import ast
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliosight.core.clock import DAY, HOUR
from heliosight.core.errors import ConfigError, DataError
from heliosight.core.folds import Fold
from heliosight.core.forecast import DEFAULT_LEVELS
from heliosight.data.net.client import _check_redirect
from heliosight.data.net.errors import Moved
from heliosight.data.net.ledger import place
from heliosight.data.splits import walk_forward
from heliosight.issuing.call import STORMS, day_calls
from heliosight.training.losses import ContrastiveConfig, contrastive_sum
from heliosight.workflows.outcome import _HORIZON, _until
from heliosight.workflows.systems import fold_for

ROOT = Path(__file__).parents[2]
KNOCKS = ROOT / "knocks"
sys.path.insert(0, str(KNOCKS))
raises = pytest.importorskip("raises", reason="the knocks lie beside the tests in a checkout")
finished = pytest.importorskip("finished")
few = settings(max_examples=40, deadline=None, database=None)

NAMES = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(["..", ".", "", "a", "~", "C:", "%2e%2e", "\0", "b.fits"]), max_size=6)
    .map("/".join),
)  # fmt: skip


@few
@given(NAMES)
def test_no_name_whatever_leads_out_of_a_folder_of_fetched_files(name):
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = place(Path(folder), name)
        except DataError:
            return
        assert found.resolve().is_relative_to(Path(folder).resolve()) and found != Path(folder)


HOSTS = st.sampled_from(["a.org", "b.org", "a.org:8443", "a.org.evil.com", "evil.com", "x@a.org"])
SCHEMES = st.sampled_from(["http", "https", "ftp", "file"])


@few
@given(SCHEMES, HOSTS, SCHEMES, HOSTS, st.sampled_from([(), ("b.org",)]))
def test_a_redirect_is_never_to_plain_http_nor_to_a_host_not_allowed(old, at, new, to, allowed):
    source, target = f"{old}://{at}/f", f"{new}://{to}/g"
    try:
        _check_redirect(source, source, target, allowed)
    except Moved:
        return
    assert new == "https" or (new == old == "http")
    assert to == at or to in allowed


ISSUES = st.integers(0, 4000).map(lambda k: k * 3 * HOUR)


@few
@given(ISSUES, st.lists(st.integers(80, 400), min_size=1, max_size=4, unique=True))
def test_a_forecast_is_made_by_a_model_that_has_not_seen_its_time(issue, starts):
    blocks = [(s * DAY, (s + 1) * DAY) for s in sorted(starts)]
    folds = walk_forward(0, 500 * DAY, blocks, 7.0, 0.2)
    try:
        number = fold_for(folds, issue)
    except ConfigError:
        assert issue < folds[0].test[0]
        return
    learned = max(folds[number].train[1], folds[number].validation[1])
    assert learned + 72 * HOUR <= issue  # also the last target it learned from is over
    assert all(fold.test[0] > issue for fold in folds[number + 1 :])


@few
@given(st.integers(0, 2**32), st.integers(0, 400))
def test_past_skill_is_of_outcomes_that_were_known(seed, days):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.choice(400, 30, replace=False)) * DAY
    made = rows_at(times)
    kept = _until(made, days * DAY - _HORIZON)
    last_lead_is_over = kept.issue_time + 72 * HOUR
    assert (last_lead_is_over <= days * DAY).all()
    assert len(kept.issue_time) == (times + 72 * HOUR <= days * DAY).sum()


def rows_at(times):
    from heliosight.core.predictions import Predictions

    shape = (len(times), 24)
    ones = np.ones(shape)
    return Predictions(
        "p", times, ones, ones, ones, np.array([0.5]), np.ones((*shape, 1)),
        np.zeros((len(times), 3, 3)), np.zeros(len(times), int),
    )  # fmt: skip


@few
@given(st.integers(0, 2**32))
def test_a_class_is_expected_from_a_half_on_and_warned_of_from_its_threshold_on(seed):
    rng = np.random.default_rng(seed)
    storm = np.sort(rng.random((3, len(STORMS))))[:, ::-1]
    limits = rng.random((3, 3))
    quantiles = np.sort(rng.lognormal(2, 1, (24, len(DEFAULT_LEVELS))), 1)
    valid = 10800 * np.arange(24)
    for day, call in enumerate(day_calls(valid, quantiles, storm, DEFAULT_LEVELS, limits)):
        expected = [g for g, p in zip(STORMS, storm[day], strict=True) if p >= 0.5]
        assert call.likely == (expected[-1] if expected else "")
        if call.storm:
            assert storm[day, 0] >= limits[day, 0]
            which = STORMS.index(call.storm)
            assert call.storm_probability == storm[day, which] >= limits[day, which]
        else:
            assert storm[day, 0] < limits[day, 0]
        assert call.start <= call.peak_start < call.peak_end <= call.end


@few
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_consistency_does_not_depend_on_the_batch_and_infonce_does(seed, cut):
    torch.manual_seed(seed)
    features = {"a": torch.randn(6, 3).double(), "b": torch.randn(6, 3).double()}
    for kind in ("consistency", "infonce"):
        config = ContrastiveConfig(kind)
        whole = float(contrastive_sum(features, config))
        parts = [
            float(contrastive_sum({k: v[rows] for k, v in features.items()}, config))
            for rows in (slice(0, cut), slice(cut, 6))
        ]
        assert (sum(parts) == pytest.approx(whole, rel=1e-9)) == (kind == "consistency")


@few
@given(st.integers(0, 40), st.integers(30, 400), st.floats(0, 0.49))
def test_spans_of_a_fold_never_touch(buffer, start, share):
    try:
        (fold,) = walk_forward(0, 900 * DAY, [(start * DAY, 800 * DAY)], buffer, share)
    except ConfigError:
        return
    gap = buffer * DAY + 72 * HOUR
    assert fold.train[1] + gap <= fold.test[0]
    if fold.validation[0] < fold.validation[1]:
        assert fold.train[1] + gap <= fold.validation[0]
        assert fold.validation[1] + gap <= fold.test[0]
    assert isinstance(fold, Fold)


def test_every_raise_is_asked_for_by_its_words():
    missing, count = raises.unasked()
    assert [f"{r.where}: {r.pieces}" for r in missing] == [] and count > 500


def test_what_a_kill_cut_off_in_a_ledger_of_knocks_is_done_again(tmp_path):
    ledger = finished.Finished(tmp_path / "runs" / "k.jsonl")
    ledger.add("one", lives=True)
    ledger.add("two", lives=False)
    whole = ledger.path.read_text()
    ledger.path.write_text(whole[:-5])
    again = finished.Finished(ledger.path)
    assert "one" in again and "two" not in again
    again.add("two", lives=True)
    rows = finished.Finished(ledger.path)
    assert [row["lives"] for row in rows.of(["one", "two", "three"])] == [True, True]
    assert json.loads(whole.splitlines()[0])["key"] == "one"


def test_every_invariant_of_the_docs_has_a_test_that_exists():
    named = re.findall(
        r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "docs/invariants.md").read_text()
    )
    assert len(named) > 60
    known = {}
    for file, test in named:
        if file not in known:
            tree = ast.parse((ROOT / file).read_text())
            known[file] = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        assert test in known[file], f"{file} has no {test}"

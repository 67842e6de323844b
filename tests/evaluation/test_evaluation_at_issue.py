"""References at issue time: the scorecard's own, without the outcome."""

from dataclasses import replace

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.folds import Fold
from heliosight.core.tables import SeriesTable
from heliosight.evaluation.at_issue import ISSUED, references_at
from heliosight.evaluation.references import Rows, simple_references

STEP = 10800


def _ap(days=700, seed=0):
    rng = np.random.default_rng(seed)
    n = days * 8
    noise = rng.normal(size=n)
    x = np.zeros(n)
    for i in range(1, n):
        x[i] = 0.8 * x[i - 1] + noise[i]
    ap = np.exp(2 + 0.4 * x).clip(0, 400)[:, None].astype(np.float32)
    flags = np.zeros((n, 1), np.uint8)
    return SeriesTable("geomagnetic", np.arange(n) * STEP, STEP, ("ap",), ap, flags)


FOLD = Fold("f", (60 * DAY, 400 * DAY), (440 * DAY, 520 * DAY), (560 * DAY, 690 * DAY), 34.0)


def test_they_are_those_of_the_scorecard():
    ap = _ap()
    scored = {p.name: p for p in simple_references(ap, Rows.of(ap, [FOLD])).predictions}
    limits = simple_references(ap, Rows.of(ap, [FOLD])).thresholds
    issue = scored["damped"].issue_time[5:200:7]
    for given, limit in references_at(ap, ap, FOLD, issue):
        rows = np.searchsorted(scored[given.name].issue_time, issue)
        for key in ("mean", "mean_log", "quantiles"):
            np.testing.assert_allclose(
                getattr(given, key), getattr(scored[given.name], key)[rows], rtol=1e-5, atol=1e-6
            )
        np.testing.assert_allclose(
            given.event_probability[:, :, :3], scored[given.name].event_probability[rows]
        )
        np.testing.assert_allclose(limit[:, :3], limits[given.name][0])
        assert given.event_probability.shape[2] == 5


def test_nothing_later_than_the_issue_time_changes_them():
    ap = _ap()
    issue = np.array([600 * DAY])
    future = ap.available > issue[0]
    values = ap.values.copy()
    values[future] = 400.0
    altered = replace(ap, values=values)
    for (one, a), (other, b) in zip(
        references_at(ap, ap, FOLD, issue), references_at(altered, altered, FOLD, issue),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(one.quantiles, other.quantiles)
        np.testing.assert_array_equal(one.event_probability, other.event_probability)
        np.testing.assert_array_equal(a, b)


def test_without_a_newest_value_they_fall_back_and_stay_finite():
    ap = _ap()
    issue = np.array([600 * DAY])
    early = ap.times < 500 * DAY
    old = replace(ap, times=ap.times[early], values=ap.values[early], flags=ap.flags[early])
    found = {p.name: p for p, _ in references_at(ap, old, FOLD, issue)}
    assert set(found) == set(ISSUED)
    for given in found.values():
        assert np.isfinite(given.quantiles).all()
    np.testing.assert_allclose(found["persistence_24h"].mean, found["climatology"].mean)

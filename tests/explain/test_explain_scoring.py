import numpy as np
import pytest

from heliosight.core.errors import SpecError
from heliosight.core.records import Interval
from heliosight.core.records_explain import ScoredModel
from heliosight.explain.baselines import disc_median
from heliosight.explain.question import ExplainConfig
from heliosight.explain.reference import lamp
from heliosight.explain.scoring import BASELINES, best_prior, score_methods
from heliosight.explain.summary import (
    ALL,
    RATIO,
    STRONG,
    claims,
    interval,
    summary_rows,
    with_ratio,
)
from heliosight.explain.truth import DEFINITIONS, correlation, scores, scores_over

CONFIG = ExplainConfig(
    target="mean_ap", methods=("hires_cam", "integrated_gradients"), steps=4, samples=4
)


@pytest.fixture(scope="module")
def lit():
    return lamp(1)


@pytest.fixture(scope="module")
def truth(lit):
    change = lit.batch.inputs["images"] - disc_median(lit.batch).inputs["images"]
    return (lit.network.image_weight() * change[0]).numpy()


@pytest.fixture(scope="module")
def found(lit, truth):
    return score_methods(lit.subject, lit.batch, [truth], CONFIG, lit.context)


@pytest.mark.accuracy
def test_an_exact_method_scores_as_the_truth_itself(found, truth):
    own = found["integrated_gradients"]
    exact = scores_over([(truth, truth)])
    for name, value in exact.items():
        assert own[name] == pytest.approx(value, abs=1e-4), name
    assert own["time_correlation"] == pytest.approx(1.0, abs=1e-6)
    assert own["mass"] > 3 * best_prior(found, "mass")


@pytest.mark.accuracy
def test_cams_are_scored_by_channel_too(found):
    assert found["hires_cam, by channel"]["channel_correlation"] > 0.95
    assert "channel_correlation" not in found["hires_cam"]


@pytest.mark.consistency
def test_every_baseline_and_every_score_is_there(found):
    assert set(BASELINES) < set(found)
    assert set(found["integrated_gradients"]) == set(DEFINITIONS)
    assert all(np.isfinite(v) for row in found.values() for v in row.values())


def test_a_window_without_truth_is_refused(lit):
    with pytest.raises(SpecError, match="each scored window has its truth"):
        score_methods(lit.subject, lit.batch, [], CONFIG)


@pytest.mark.accuracy
def test_profiles_of_several_windows_are_joined_before_they_are_correlated():
    """A quiet window with a wild profile of tiny size must not count as much as a storm."""
    draw = np.random.default_rng(0)
    storm, quiet = draw.normal(size=(2, 3, 5, 4, 4))
    quiet_said = -1e-6 * quiet
    found = scores_over([(storm, storm), (quiet_said, 1e-6 * quiet)])
    joined = np.concatenate([storm.sum((0, 2, 3)), quiet_said.sum((0, 2, 3))])
    true = np.concatenate([storm.sum((0, 2, 3)), 1e-6 * quiet.sum((0, 2, 3))])
    assert found["time_correlation"] == pytest.approx(correlation(joined, true))
    assert found["time_correlation"] > 0.99
    assert found["time_correlation_each"] == pytest.approx(0.0, abs=1e-6)
    assert found["mass"] == pytest.approx(
        (scores(storm, storm)["mass"] + scores(quiet_said, 1e-6 * quiet)["mass"]) / 2
    )


def test_a_profile_one_frame_off_is_right_to_within_a_frame():
    truth, late = np.zeros((2, 9, 4, 4)), np.zeros((2, 9, 4, 4))
    truth[:, 4], late[:, 5] = 1.0, 1.0
    found = scores_over([(late, truth)])
    assert found["time_correlation"] < 0 and found["time_correlation_near"] > 0.5
    smooth = [np.convolve(x.sum((0, 2, 3)), [0.25, 0.5, 0.25], "same") for x in (late, truth)]
    assert found["time_correlation_near"] == pytest.approx(np.corrcoef(*smooth)[0, 1])


def model(world, seed, skill, mass, time):
    rows = {"ig": {"mass": mass, "time_correlation": time}, "centre": {"mass": 0.1}}
    return ScoredModel(world=world, seed=seed, skill=skill, achievable=0.5, scores=rows)


MODELS = [model("a", 1, 0.45, 0.4, 0.9), model("a", 2, 0.1, 0.1, 0.0), model("b", 1, 0.5, 0.6, 0.7)]


@pytest.mark.accuracy
def test_worlds_count_alike_however_many_seeds_they_have():
    middle = interval([("a", 1.0), ("a", 3.0), ("b", 10.0)], 0)
    assert middle.value == pytest.approx(6.0)
    assert middle.low is not None and middle.low < 6.0 < middle.high
    assert middle.low >= 1.0 and middle.high <= 10.0


def test_one_model_has_no_interval():
    assert interval([("a", 1.0)], 0) == Interval(1.0, how="one model: no interval")


@pytest.mark.accuracy
def test_strong_models_are_summed_apart():
    rows = {(r.slice, r.system): r.metrics for r in summary_rows(MODELS, 0.8)}
    assert rows[STRONG, "ig"]["mass"].value == pytest.approx(0.5)
    assert rows[ALL, "ig"]["mass"].value == pytest.approx((0.25 + 0.6) / 2)
    assert rows["b", "ig"][RATIO].value == pytest.approx(6.0)
    assert with_ratio(MODELS[0], "ig")[RATIO] == pytest.approx(4.0)


@pytest.mark.accuracy
def test_claims_say_what_was_found_and_what_was_not():
    rows = summary_rows(MODELS, 0.8)
    held = claims(rows, MODELS, 0.8, "ig")
    assert [c.passed for c in held] == [True, True, True]
    assert held[0].value == 2 and "a, b" in held[0].reason
    weak = [model("a", 1, 0.1, 0.9, 0.9)]
    none = claims(summary_rows(weak, 0.8), weak, 0.8, "ig")
    assert [c.passed for c in none] == [False, None, None]
    poor = [model("a", s, 0.5, 0.2, 0.5) for s in (1, 2)]
    missed = claims(summary_rows(poor, 0.8), poor, 0.8, "ig")
    assert [c.passed for c in missed] == [True, False, False]

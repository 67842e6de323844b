import numpy as np
import pytest
import torch
from diagnosis_worlds import CALL, SPEC, Line, line, outcome, windows

from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.blocks import Estimate
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.usage import judge
from heliosight.diagnosis.use import holdings, use_of, uses
from heliosight.subject import examine, wrap

USE = DiagnosisConfig(checks=("T8", "T9", "T10", "USE"))


def diagnosed(world=None, **model):
    return diagnose(line(**model), windows(**(world or {})), USE)


def test_both_modalities_used_and_needed():
    found = diagnosed()
    for m in ("images", "solar_wind"):
        for check in ("T8", "T9", "T10", "USE"):
            assert outcome(found, check, m).outcome == "healthy", (check, m)


def test_unused_though_the_data_hold_it_is_a_fault():
    found = diagnosed(image=1e-4)
    for check in ("T8", "USE"):
        verdict = outcome(found, check, "images")
        assert (verdict.outcome, verdict.cause) == ("fault", "lazy_or_blocked")
    assert "Then:" not in found.verdict
    assert outcome(found, "USE", "solar_wind").outcome == "healthy"


def test_unused_and_not_in_the_data_is_benign():
    found = diagnosed({"image_effect": 0.0, "noise": 0.3, "n": 800}, image=0.0, noise=0.0)
    assert outcome(found, "T10", "images").outcome in ("benign_unused", "inconclusive")
    assert outcome(found, "USE", "images").outcome in ("benign_unused", "inconclusive")
    assert not [f for f in found.findings if f.outcome == "fault"]


def test_use_of_what_the_data_do_not_hold_is_a_fault():
    found = diagnosed({"image_effect": 0.0, "noise": 0.3, "n": 500}, image=0.3)
    verdict = outcome(found, "USE", "images")
    assert verdict.outcome == "fault"
    assert verdict.cause in ("spurious_reliance", "harmful_reliance")
    assert outcome(found, "T9", "images").value.high < 0


def test_use_of_the_wrong_frame_is_misuse():
    found = diagnosed({"noise": 0.3, "n": 500}, frame=0)
    verdict = outcome(found, "USE", "images")
    assert (verdict.outcome, verdict.cause) == ("fault", "misused")


def test_a_sign_error_is_misuse():
    verdict = outcome(diagnosed(image=-0.3), "USE", "images")
    assert (verdict.outcome, verdict.cause) == ("fault", "misused")


def test_a_small_but_real_share_is_not_called_unused():
    image = 0.3 * np.sqrt(0.05 / 0.95)
    finding = outcome(diagnosed(image=image), "T8", "images")
    assert finding.outcome == "healthy"
    assert 0.02 < finding.value.low < finding.value.value < 0.1


def test_few_rotations_abstain():
    found = diagnose(line(), windows(n=400, days=0.25), USE)
    for check in ("T8", "T9", "T10"):
        finding = outcome(found, check)
        assert finding.outcome == "inconclusive"
        assert "blocks" in finding.reason


def test_a_constant_forecast_has_no_shares():
    found = diagnosed(image=0.0, wind=0.0)
    assert outcome(found, "T8").outcome == "not_applicable"
    assert "constant" in outcome(found, "T8").reason


def test_the_share_has_its_known_value():
    """Analytic: f = 2 + a A + b B with independent unit A, B gives a^2 / (a^2 + b^2)."""
    subject, batch = line(image=0.1, wind=0.3), windows(n=600)
    with examine(subject):
        found = uses(Evidence(subject, batch, USE))
    x = batch.inputs["images"][:, :, -1].mean((1, 2, 3)) / 20
    a, b = 0.1 * x.std(), 0.3 * batch.inputs["solar_wind"][:, -1, 0].std()
    truth = float(a**2 / (a**2 + b**2))
    assert found["images"].share.value == pytest.approx(truth, rel=0.25)


def slow_share(subject, batch, m, evidence):
    """Twin of the Sobol index, from full batches and plain loops."""
    f = np.log1p(subject.forecast(batch).double().numpy())
    total, count = np.zeros(len(batch)), np.zeros(len(batch))
    for index, usable in evidence.shifts:
        other = batch.with_inputs({m: batch.inputs[m][torch.as_tensor(index)]})
        g = np.log1p(subject.forecast(other).double().numpy())
        for i in np.flatnonzero(usable):
            total[i] += ((f[i] - g[i]) ** 2 / 2).mean()
            count[i] += 1
    return (total[count > 0] / count[count > 0]).mean() / f.var(0).mean()


@pytest.mark.parametrize("m", ["images", "solar_wind"])
def test_cached_crossing_equals_full_forwards(m):
    subject, batch = line(), windows(n=300)
    with examine(subject):
        evidence = Evidence(subject, batch, USE)
        assert evidence.crossable
        found = uses(evidence)[m].share.value
        assert found == pytest.approx(slow_share(subject, batch, m, evidence), rel=1e-4)


def test_without_encoder_parts_whole_forwards_are_used():
    subject = wrap(Line(), SPEC, call=CALL, parts={})
    batch = windows(n=300)
    with examine(subject):
        evidence = Evidence(subject, batch, USE)
        assert not evidence.crossable
        assert len(evidence.shifts) == 3
        found = uses(evidence)["images"].share.value
        assert found == pytest.approx(slow_share(subject, batch, "images", evidence), rel=1e-4)


@pytest.mark.parametrize("factor", [1e-2, 1e2])
def test_use_does_not_see_a_rescaled_branch(factor):
    batch = windows(n=300)

    def numbers(subject):
        with examine(subject):
            found = uses(Evidence(subject, batch, USE))
        return [v for u in found.values() for v in (u.share.value, u.gain.value, u.rise.value)]

    changed = line()
    with torch.no_grad():
        changed.module.eye.scale *= factor
        changed.module.weights[0] /= factor
    assert numbers(changed) == pytest.approx(numbers(line()), rel=1e-3, abs=1e-5)


def test_order_of_shifts_or_units_of_target_do_not_matter():
    """Gain is a share of variance: scaling forecast and target alike changes nothing."""
    subject, batch = line(), windows(n=300)
    with examine(subject):
        evidence = Evidence(subject, batch, USE)
        use = use_of(evidence, evidence.shifted["images"])
        again = use_of(evidence, evidence.shifted["images"][::-1])
    assert again.share.value == pytest.approx(use.share.value)


def test_a_probe_finds_what_was_planted():
    subject, batch = line(), windows(n=400)
    with examine(subject):
        found = holdings(Evidence(subject, batch, USE))
    assert all(h.gain.value > 0.2 for h in found.values())
    assert all(h.detectable is not None and h.detectable <= 0.1 for h in found.values())


TABLE = [
    ("no", "no", "yes", "fault", "lazy_or_blocked"),
    ("no", "no", "no", "benign_unused", ""),
    ("no", "no", "unsure", "inconclusive", ""),
    ("yes", "yes", "no", "healthy", ""),
    ("yes", "yes", "unsure", "healthy", ""),
    ("yes", "harm", "no", "fault", "spurious_reliance"),
    ("yes", "harm", "yes", "fault", "misused"),
    ("yes", "harm", "unsure", "fault", "harmful_reliance"),
    ("yes", "no", "yes", "fault", "misused"),
    ("yes", "no", "no", "benign_unused", ""),
    ("yes", "no", "unsure", "inconclusive", ""),
    ("yes", "unsure", "yes", "inconclusive", ""),
    ("unsure", "no", "yes", "inconclusive", ""),
    ("unsure", "yes", "yes", "healthy", ""),
]


@pytest.mark.parametrize(("use", "need", "hold", "outcome_", "cause"), TABLE)
def test_verdict_table(use, need, hold, outcome_, cause):
    found = judge(use, need, hold)
    assert found[:2] == (outcome_, cause)
    assert found[2]


@pytest.mark.accuracy
def test_gain_has_its_known_value():
    """Analytic: f = m + n with n independent of y costs Var n, so gain = -Var n / Var y."""
    batch = windows(n=900, image_effect=0.0, noise=0.3)
    subject = line(image=0.1, wind=0.3)
    with examine(subject):
        evidence = Evidence(subject, batch, USE)
        use = uses(evidence)["images"]
        y = evidence.observed[0]
    noise = 0.1 * batch.inputs["images"][:, :, -1].mean((1, 2, 3)) / 20
    truth = -float(noise.var()) / float(y.var(0).mean())
    interval = use.gain.interval(0.99)
    assert interval.low < truth < interval.high
    assert truth == pytest.approx(use.gain.value, abs=0.05)


@pytest.mark.accuracy
def test_best_amplitude_has_its_known_value():
    """A part that is right but twice too large gains nothing as it is, and its R2 when halved."""
    batch = windows(n=900, noise=0.3)
    subject = line(image=0.6, wind=0.3)
    with examine(subject):
        evidence = Evidence(subject, batch, USE)
        use, y = uses(evidence)["images"], evidence.observed[0]
    right = 0.3 * batch.inputs["images"][:, :, -1].mean((1, 2, 3)) / 20
    truth = float(right.var()) / float(y.var(0).mean())
    interval = use.best.interval(0.99)
    assert interval.low < truth < interval.high
    assert truth == pytest.approx(use.best.value, abs=0.06)
    assert use.gain.value == pytest.approx(0.0, abs=0.06)
    assert outcome(diagnose(subject, batch, USE), "USE", "images").outcome == "healthy"


def test_estimate_tests_are_the_two_halves_of_one():
    e = Estimate(0.2, 0.1, 12)
    assert e.p_above(0.1) + e.p_below(0.1) == pytest.approx(1.0)
    assert Estimate(0.2, 0.0, 12).p_above(0.1) == 0.0

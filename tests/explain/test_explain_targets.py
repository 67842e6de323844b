import pytest
import torch

from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.core.spec import ForecastSpec
from heliosight.explain.targets import known_targets, target_named
from heliosight.subject import wrap


@pytest.mark.accuracy
def test_targets_are_the_named_leads(windows_of, toy_spec):
    ap = torch.arange(48.0).reshape(2, 24)
    chance, joint = torch.rand(2, 24), torch.rand(2, 3)
    told = {"forecast": ap, "event_probability": chance, "day_event_probability": joint}
    subject = wrap(lambda _: told, toy_spec, parts={}, name="x")
    batch = windows_of(2)

    def value(name):
        return target_named(name, toy_spec).value(subject, batch)

    assert torch.equal(value("mean_ap"), ap.mean(1))
    assert torch.equal(value("mean_ap_day2"), ap[:, 8:16].mean(1))
    assert torch.equal(value("ap_at_36h"), ap[:, 12])
    assert torch.equal(value("p_g1_day3"), joint[:, 2])
    assert torch.equal(value("largest_p_g1_day3"), chance[:, 16:].amax(1))
    assert target_named("p_g1_day1", toy_spec).units == "probability"


@pytest.mark.consistency
def test_names_follow_the_specification():
    known = known_targets(ForecastSpec({}, target="dst", leads=4, lead_hours=6))
    assert "mean_ap_day1" in known and "mean_ap_day2" not in known
    assert "ap_at_18h" in known and known["mean_ap"].units == "dst"


def test_unknown_target_is_refused_with_the_nearest(toy_spec):
    with pytest.raises(ConfigError, match=r"named function.*Nearest: 'mean_ap_day1'"):
        target_named("mean_ap_dya1", toy_spec)


def test_probability_of_a_subject_without_one_is_refused(subject_of, windows_of, toy_spec):
    with pytest.raises(NotApplicable, match=r"gives day_event_probability.*mean_ap_day1\."):
        target_named("p_g1_day1", toy_spec).value(subject_of(), windows_of(1))
    told = {"forecast": torch.zeros(1, 24), "event_probability": torch.zeros(1, 24)}
    leads_alone = wrap(lambda _: told, toy_spec, parts={}, name="x")
    with pytest.raises(NotApplicable, match="largest_p_g1_day1, a lower bound"):
        target_named("p_g1_day1", toy_spec).value(leads_alone, windows_of(1))

"""What the certificate's development half taught the checks: each in a world with and without."""

import numpy as np
import torch
from diagnosis_worlds import SPEC, line, net, outcome, windows
from torch import nn

from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.left import missed
from heliosight.diagnosis.sample import Part
from heliosight.diagnosis.usage import judge, unless_known
from heliosight.subject import examine, wrap


def asked(subject, batch, *checks, **more):
    return diagnose(subject, batch, DiagnosisConfig(checks=checks, shifts=8, **more))


def test_a_modality_used_far_less_than_it_holds_is_blocked_though_it_is_needed():
    batch = windows(n=400)
    weak = asked(line(image=0.06, wind=0.3), batch, "USE")
    found = outcome(weak, "USE", "images")
    assert (found.outcome, found.cause) == ("fault", "lazy_or_blocked")
    assert "beside the forecast gains" in found.reason
    assert outcome(weak, "USE", "solar_wind").outcome == "healthy"
    right = asked(line(image=0.3, wind=0.3), batch, "USE")
    assert {f.outcome for f in right.findings} == {"healthy"}


def test_what_the_forecast_leaves_is_what_was_planted_and_does_not_see_its_scale():
    batch = windows(n=400, noise=0.5)
    left = {}
    for scale in (1.0, 1e-3):
        subject = line(image=0.0, wind=0.3)
        with torch.no_grad():
            subject.module.breeze.scale.mul_(scale)
            subject.module.weights[1:] /= scale
        with examine(subject):
            evidence = Evidence(subject, batch, DiagnosisConfig(shifts=8))
            left[scale] = missed(evidence)["images"].gain.value
    assert 0.25 < left[1.0] < 0.55  # images hold 1 of 2.25 parts of the variance
    assert np.isclose(left[1.0], left[1e-3], atol=1e-6)


def test_an_unused_input_is_not_blocked_when_the_forecast_knows_what_it_holds():
    batch = windows(n=400)
    verdict = judge("no", "no", "yes")
    for image, cause in ((0.0, "lazy_or_blocked"), (0.3, "")):
        subject = line(image=image, wind=0.3)
        with examine(subject):
            evidence = Evidence(subject, batch, DiagnosisConfig(shifts=8))
            assert unless_known(evidence, Part("images"), verdict)[1] == cause


def test_a_used_input_without_gain_is_no_fault_when_the_forecast_misses_nothing():
    batch = windows(n=400)
    for image, outcome_ in ((0.0, "fault"), (0.3, "benign_unused")):
        with examine(subject := line(image=image, wind=0.3)):
            evidence = Evidence(subject, batch, DiagnosisConfig(shifts=8))
            found = unless_known(evidence, Part("images"), judge("yes", "no", "yes"))
            assert found[0] == outcome_ and (found[1] == "misused") == (outcome_ == "fault")
    harm = judge("yes", "harm", "yes")
    assert unless_known(evidence, Part("images"), harm) is harm


def test_frames_handed_out_backwards_leave_the_state_carried():
    found = asked(net(eye="reversed_frames"), windows(n=60), "T4")
    causes = {f.cause for f in found.findings if f.outcome == "fault"}
    assert causes == {"reversed_frames"}
    lost = asked(net(eye="not_carried"), windows(n=60), "T4")
    assert {f.cause for f in lost.findings if f.outcome == "fault"} == {"state_not_carried"}


def test_memory_is_not_asked_of_a_cell_that_always_sees_the_same_frame():
    found = asked(net(eye="same_frame"), windows(n=60), "T4", "T13")
    assert outcome(found, "T13").outcome == "not_applicable"
    assert {f.cause for f in found.findings if f.outcome == "fault"} == {"same_frame"}


class Noisy(nn.Module):
    def forward(self, batch):
        y = batch.inputs["solar_wind"][:, -1, :1].expand(-1, 4)
        return torch.expm1(2 + 0.1 * y + 0.01 * torch.randn(len(y), 4))


def test_a_random_forecast_is_no_leak_of_the_future():
    found = outcome(asked(wrap(Noisy(), SPEC), windows(n=40), "T7"), "T7")
    assert (found.outcome, found.cause) == ("inconclusive", "")


def test_a_dead_channel_is_told_even_of_a_handful_of_windows():
    batch = windows(n=8)
    images = batch.inputs["images"].clone()
    images[:, 1] = 130.0
    few = batch.with_inputs({"images": images})
    found = asked(line(), few, "T11")
    assert outcome(found, "T11", "images/aia_211").cause == "constant_channel"
    assert outcome(found, "T11", "images").outcome == "inconclusive"


def test_probes_of_the_same_windows_are_shared_between_subjects():
    batch, shared = windows(n=200), {}
    config = DiagnosisConfig(checks=("T10",), shifts=4)
    first = diagnose(line(image=0.3), batch, config, shared=shared)
    kept = dict(shared)
    again = diagnose(line(image=0.1), batch, config, shared=shared)
    assert kept and all(shared[key] is value for key, value in kept.items())
    values = [[f.value for f in d.findings] for d in (first, again)]
    assert values[0] == values[1] == [f.value for f in diagnose(line(), batch, config).findings]

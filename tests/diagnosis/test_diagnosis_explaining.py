import numpy as np
import pytest
import torch
from diagnosis_explainers import (
    each_map_scaled,
    grad_cam,
    gradient,
    gradient_x_input,
    last_call_only,
    noise,
    reversed_frames,
    wrong_channel,
    wrong_sign,
)
from diagnosis_worlds import SPEC, line, net, outcome, windows
from torch import nn

from heliosight.core.errors import NotApplicable, SubjectError
from heliosight.core.spec import ForecastSpec
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.explaining import asked, image_modality, maps_of, phase_random
from heliosight.diagnosis.lamp import LampNetwork, lamp
from heliosight.subject import examine, wrap

T1 = DiagnosisConfig(checks=("T1",))


def against_the_others(subject, batch):
    """Gradient times the difference to each other window, averaged: needs windows that differ."""
    x = batch.inputs["images"]
    return gradient(subject, batch) * (x - x[1:].mean(0))


def trial_of(explainer):
    return outcome(diagnose(net(), windows(n=12), T1, explainers={"e": explainer}), "T1", "e")


@pytest.mark.parametrize("explainer", [gradient, gradient_x_input, grad_cam, against_the_others])
def test_a_right_explainer_passes(explainer):
    found = trial_of(explainer)
    assert found.outcome == "healthy", found.reason
    assert found.value.value >= 0.9


@pytest.mark.parametrize(
    ("explainer", "said"),
    [
        (last_call_only, "maps of all frames are identical"),
        (wrong_sign, "not positive"),
        (each_map_scaled, "time profile correlates"),
        (reversed_frames, "time profile correlates"),
        (wrong_channel, "planted channel"),
        (noise, "that of random maps"),
    ],
)
def test_a_wrong_explainer_is_found(explainer, said):
    found = trial_of(explainer)
    assert (found.outcome, found.cause) == ("fault", "explainer")
    assert said in found.reason


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_size_of_maps_decides_nothing(factor):
    plain = trial_of(gradient_x_input)
    scaled = trial_of(lambda s, b: gradient_x_input(s, b) * factor)
    assert scaled.outcome == plain.outcome
    assert scaled.value.value == pytest.approx(plain.value.value, rel=1e-5)


def test_without_an_explainer_the_reason_is_told():
    found = diagnose(net(), windows(n=12), DiagnosisConfig(checks=("T1", "T22", "T23", "T24")))
    for check in ("T1", "T22", "T23", "T24"):
        assert outcome(found, check).outcome == "not_applicable"
        assert "explainers={name: f}" in outcome(found, check).reason


def test_an_explainer_that_cannot_be_applied_says_so():
    def refuses(subject, batch):
        raise NotApplicable("a map needs a cell", "none")

    assert trial_of(refuses).outcome == "not_applicable"


def test_one_failing_explainer_does_not_stop_the_others():
    def breaks(subject, batch):
        raise ZeroDivisionError("on purpose")

    both = {"broken": breaks, "right": gradient}
    found = diagnose(line(), windows(), DiagnosisConfig(checks=("T1", "T24")), explainers=both)
    for check in ("T1", "T24"):
        assert outcome(found, check, "broken").outcome == "inconclusive"
        assert "ZeroDivisionError: on purpose" in outcome(found, check, "broken").reason
        assert outcome(found, check, "right").outcome == "healthy"


def test_images_are_needed():
    series = ForecastSpec({"solar_wind": SPEC.modalities["solar_wind"]}, leads=4)
    evidence = Evidence(wrap(nn.Identity(), series), windows(n=12), T1, {"e": gradient})
    with pytest.raises(NotApplicable, match="maps need an image modality"):
        image_modality(evidence)
    with pytest.raises(NotApplicable, match="needs an explainer"):
        asked(Evidence(net(), windows(n=12), T1))


def test_maps_of_another_shape_or_not_finite_are_refused():
    batch = windows(n=4)
    with pytest.raises(SubjectError, match=r"maps \(B, C, T, H, W\) or"):
        maps_of(lambda s, b: gradient(s, b).mean((1, 2)), net(), batch, "images")
    with pytest.raises(SubjectError, match="finite maps"):
        maps_of(lambda s, b: gradient(s, b) * float("nan"), net(), batch, "images")


@pytest.mark.parametrize("seed", range(3))
def test_the_lamps_truth_is_what_replacing_the_blob_does(seed):
    lit = lamp(seed)
    images = lit.batch.inputs["images"]
    with examine(lit.subject):
        whole = lit.subject.forecast(lit.batch)[0, 0]
        effects = []
        for t in range(images.shape[2]):
            dark = images.clone()
            dark[:, lit.channel, t] *= ~torch.as_tensor(lit.blob[t])
            effects.append(float(whole - lit.subject.forecast(lit.batch.with_inputs(
                {"images": dark}))[0, 0]))  # fmt: skip
    scale = 2 / images.shape[-1] ** 2
    np.testing.assert_allclose(effects, scale * lit.profiles[0], atol=1e-4)
    weights = lit.subject.module.weights
    assert isinstance(lit.subject.module, LampNetwork)
    assert (lit.profiles[1][(weights == 0).numpy()] == 0).all()
    np.testing.assert_allclose(float(whole) - 10, scale * lit.profiles[1].sum(), rtol=1e-5)


def test_random_maps_share_the_spectrum():
    stream = np.random.default_rng(0)
    maps = stream.standard_normal((2, 4, 8, 8)).cumsum(-1)
    other = phase_random(maps, stream)
    axes = (-3, -2, -1)
    np.testing.assert_allclose(
        np.abs(np.fft.fftn(other, axes=axes)), np.abs(np.fft.fftn(maps, axes=axes)), atol=1e-9
    )
    assert abs(np.corrcoef(maps.ravel(), other.ravel())[0, 1]) < 0.9

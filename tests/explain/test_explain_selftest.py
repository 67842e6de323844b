"""The calibration must pass the right instrument and fail every broken one."""

from dataclasses import replace

import pytest
import torch

from heliosight.core.errors import NotApplicable
from heliosight.explain.gradcam import FORMS, grad_cam
from heliosight.explain.gradients import (
    expected_gradients,
    gradient_x_input,
    integrated_gradients,
    smooth_grad,
)
from heliosight.explain.reference import FRAMES, lamp
from heliosight.explain.selftest import self_test


def cam_of(form):
    def method(question):
        evaluator = question.evaluator
        return grad_cam(
            evaluator.subject, question.part, evaluator.target, question.batch,
            question.modality, (form,),
        )[0]  # fmt: skip

    return method


GRADIENTS = (integrated_gradients, expected_gradients, gradient_x_input, smooth_grad)


@pytest.mark.accuracy
@pytest.mark.parametrize("method", [*GRADIENTS, *map(cam_of, FORMS)])
def test_right_instruments_pass(method):
    check = self_test(method, "x")
    assert check.passed, check.reason
    assert check.value >= 0.95


def broken(change):
    """Integrated gradients with its image maps `(C, T, H, W)` spoilt."""

    def method(question):
        found = integrated_gradients(question)
        return replace(found, parts={**found.parts, "images": change(found.parts["images"])})

    return method


FAULTS = {
    "last call for every frame": (lambda m: m[:, -2:-1].expand_as(m), "maps of all frames are the"),
    "frames reversed": (lambda m: m.flip(1), "time profile"),
    "one frame late": (lambda m: m.roll(1, 1), "time profile"),
    "wrong channel": (lambda m: m.roll(1, 0), "planted channel"),
    "wrong sign": (lambda m: -m, "time profile"),
    "twice the size": (lambda m: 2 * m, "miss the difference"),
    "scaled per frame": (lambda m: m / m.abs().amax((0, 2, 3), keepdim=True), "time profile"),
    "mirrored": (lambda m: m.flip(-1).flip(-2), "within that of random maps"),
    "blind": (torch.zeros_like, "time profile"),
}


@pytest.mark.accuracy
@pytest.mark.parametrize("fault", FAULTS)
def test_broken_instruments_fail(fault):
    change, reason = FAULTS[fault]
    check = self_test(broken(change), "x")
    assert not check.passed
    assert reason in check.reason


def test_a_hook_that_keeps_the_last_call_fails():
    def published(question):
        found = cam_of("grad_cam")(question)
        maps = found.parts["images"]
        return replace(found, parts={"images": maps[2:3].expand(FRAMES, -1, -1)})

    assert not self_test(published, "x").passed


def test_a_method_that_cannot_run_does_not_pass():
    def refuses(question):
        raise NotApplicable("this method needs a cell", "none")

    check = self_test(refuses, "x")
    assert not check.passed and "needs a cell" in check.reason


@pytest.mark.accuracy
@pytest.mark.parametrize("seed", range(3))
def test_the_planted_weights_are_the_networks_own(seed):
    """Exact weights against one finite difference per frame and channel."""
    lit = lamp(seed)
    double = lit.batch.to("cpu", torch.float64)
    base = lit.subject.forecast(double)[0, 0]
    weight = lit.network.image_weight()
    for channel in range(3):
        for frame in range(FRAMES):
            moved = double.inputs["images"].clone()
            moved[0, channel, frame, 5, 9] += 1
            slope = lit.subject.forecast(double.with_inputs({"images": moved}))[0, 0] - base
            assert float(slope) == pytest.approx(float(weight[channel, frame, 5, 9]), abs=1e-9)

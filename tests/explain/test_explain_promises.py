"""What the page of each method promises of every model and window, on drawn ones."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from heliosight.explain.baselines import WORDS
from heliosight.explain.evaluator import Evaluator
from heliosight.explain.gradcam import cam
from heliosight.explain.gradients import (
    expected_gradients,
    gradient_x_input,
    integrated_gradients,
    smooth_grad,
)
from heliosight.explain.importance import attention_weights, elements, importance, shapley
from heliosight.explain.occlusion import occlusion
from heliosight.explain.question import ExplainConfig, Question
from heliosight.explain.targets import target_named
from heliosight.subject import wrap

SEEDS = st.integers(0, 2**16)
GRADIENTS = (integrated_gradients, expected_gradients, gradient_x_input, smooth_grad)
SMALL = {"target": "mean_ap", "patch": 6, "patch_frames": 1, "series_steps": 6, "steps": 2}
pytestmark = pytest.mark.consistency
few = settings(max_examples=15)


class Formula(nn.Module):
    """A forecast that is a formula of the images `(B, C, T, H, W)` and the wind `(B, S, V)`."""

    def __init__(self, formula):
        super().__init__()
        self.formula, self.rows = formula, 0

    def forward(self, batch):
        images, wind = batch.inputs["images"], batch.inputs["solar_wind"]
        self.rows += len(images)
        return self.formula(images / 100, wind)[:, None].expand(-1, 24)


def asked(toy, formula, batch, context=None, **config):
    chosen = ExplainConfig(**{**SMALL, "samples": 3, **config})
    subject = wrap(Formula(formula), toy[1], parts={})
    target = target_named(chosen.target, subject.spec)
    return Question(Evaluator(subject, target, chosen.chunk), batch, context, chosen)


def bent(images, wind):
    """Every place of both inputs counts, none of them linearly."""
    return torch.tanh(images).mean((1, 2, 3, 4)) + torch.sin(wind).mean((1, 2))


@few
@given(seed=SEEDS, channel=st.integers(0, 1), value=st.floats(-300, 300))
def test_what_is_common_to_all_windows_gets_nothing(toy, seed, channel, value):
    batch, context = toy[0](1, seed=seed), toy[0](4, seed=seed + 1)
    for some in (batch, context):
        some.inputs["images"][:, channel] = value
    found = expected_gradients(asked(toy, bent, batch, context)).parts["images"]
    assert torch.count_nonzero(found[channel]) == 0 and found[1 - channel].abs().sum() > 0


@few
@given(seed=SEEDS, scale=st.floats(-3, 3).filter(lambda s: abs(s) > 0.1))
def test_maps_are_signed_and_in_units_of_the_forecast(toy, seed, scale):
    batch, context = toy[0](1, seed=seed), toy[0](3, seed=seed + 1)

    def scaled(images, wind):
        return scale * bent(images, wind)

    for method in (*GRADIENTS, occlusion):
        one = method(asked(toy, bent, batch, context)).parts
        other = method(asked(toy, scaled, batch, context)).parts
        for name in one:
            torch.testing.assert_close(other[name], scale * one[name], rtol=1e-7, atol=1e-10)


@few
@given(seed=SEEDS)
def test_every_baseline_gives_another_answer_and_each_is_exact(toy, seed):
    def product(images, wind):
        return images[:, 0].mean((1, 2, 3)) * images[:, 1].mean((1, 2, 3)) + wind.mean((1, 2))

    batch, context, shares = toy[0](1, seed=seed), toy[0](3, seed=seed + 1), []
    for baseline in WORDS:
        found = integrated_gradients(asked(toy, product, batch, context, baseline=baseline))
        whole = float(sum(part.sum() for part in found.parts.values()))
        assert whole == pytest.approx(found.value - found.reference, abs=1e-9)
        shares.append(float(found.parts["images"][0].sum()))
    assert len({round(share, 9) for share in shares}) == len(WORDS)


@few
@given(seed=SEEDS, steepness=st.floats(60, 200))
def test_a_saturated_model_is_not_seen_by_the_gradient_at_the_window(toy, seed, steepness):
    def flat(images, _):
        return torch.tanh(steepness * images.mean((1, 2, 3, 4)))

    batch, config = toy[0](1, seed=seed), {"baseline": "black", "steps": 256}
    first = gradient_x_input(asked(toy, flat, batch, **config)).parts["images"].sum()
    whole = integrated_gradients(asked(toy, flat, batch, **config)).parts["images"].sum()
    assert abs(float(first)) < 1e-9 and float(whole) > 0.9


@few
@given(seed=SEEDS)
def test_smooth_grad_without_noise_is_gradient_times_input_and_noise_blurs_an_edge(toy, seed):
    def edge(images, _):
        return torch.relu(images - 1).mean((1, 2, 3, 4))

    batch = toy[0](1, seed=seed)
    plain = gradient_x_input(asked(toy, edge, batch)).parts["images"]
    still = smooth_grad(asked(toy, edge, batch, noise=1e-9)).parts["images"]
    torch.testing.assert_close(still, plain, rtol=1e-6, atol=1e-9)
    blurred = smooth_grad(asked(toy, edge, batch, noise=1.0, samples=24)).parts["images"]
    assert torch.count_nonzero(blurred) > torch.count_nonzero(plain) > 0


@few
@given(seed=SEEDS)
def test_occlusion_sees_a_branch_that_no_gradient_reaches(toy, seed):
    def cut(images, wind):
        return torch.tanh(images).mean((1, 2, 3, 4)).detach() + wind.mean((1, 2))

    batch = toy[0](1, seed=seed)
    assert not integrated_gradients(asked(toy, cut, batch)).parts["images"].any()
    assert occlusion(asked(toy, cut, batch, fill="disc_median")).parts["images"].any()


@few
@given(seed=SEEDS)
def test_two_frames_of_which_either_is_enough_look_idle(toy, seed):
    def either(images, _):
        level = images[:, :, :, 4:8, 4:8].amax((1, 3, 4))
        return torch.maximum(level[:, 3], level[:, 4])

    batch = toy[0](1, seed=seed)
    batch.inputs["images"][:, :, 4] = batch.inputs["images"][:, :, 3]
    found = occlusion(asked(toy, either, batch))
    assert not found.parts["images"].any()
    both = occlusion(asked(toy, either, batch, patch=12, patch_frames=5))
    assert both.parts["images"].sum() > 0


@few
@given(seed=SEEDS, share=st.floats(0.2, 0.8))
def test_models_with_equal_forecasts_can_have_different_importances(toy, seed, share):
    windows = toy[0](4, seed=seed)
    windows.inputs["images"][:, 1] = windows.inputs["images"][:, 0]

    def profile(weight):
        def mixed(images, _):
            level = images.mean((2, 3, 4))
            return weight * level[:, 0] + (1 - weight) * level[:, 1]

        evaluator = asked(toy, mixed, windows).evaluator
        items = elements(windows, "images", "variables")
        return evaluator.values(windows), importance(evaluator, windows, items, "channels").value

    (first, alone), (second, shared) = profile(1.0), profile(share)
    torch.testing.assert_close(first, second)
    assert alone[1] == 0 and shared == pytest.approx(alone[0] * np.array([share, 1 - share]))


@few
@given(seed=SEEDS, count=st.integers(2, 5))
def test_shapley_shares_credit_among_equals_and_doubles_its_forwards(toy, seed, count):
    window, donor = toy[0](1, seed=seed), toy[0](1, seed=seed + 1)
    for some in (window, donor):
        some.inputs["images"][:] = some.inputs["images"][:, :, :1]

    def highest(images, _):
        return images.mean((1, 3, 4)).amax(1)

    frames = elements(window, "images", "steps")
    evaluator = asked(toy, highest, window).evaluator
    found = shapley(evaluator, window, donor, {str(k): [frames[k]] for k in range(count)})
    assert list(found.values()) == pytest.approx([next(iter(found.values()))] * count)
    assert evaluator.subject.module.rows == 2**count


@few
@given(seed=SEEDS)
def test_equal_structures_look_the_same_to_grad_cam_and_not_to_hires_cam(toy, seed):
    draw = torch.Generator().manual_seed(seed)
    state, gradient = torch.randn(2, 3, 4, 6, 6, generator=draw).unbind()
    state[..., 3:] = state[..., :3]
    found = cam(state, gradient)
    torch.testing.assert_close(found[..., 3:], found[..., :3], rtol=0, atol=0)
    fine = cam(state, gradient, "hires_cam")
    assert not torch.allclose(fine[..., 3:], fine[..., :3])


@few
@given(seed=SEEDS, size=st.floats(-5, 5))
def test_an_attention_weight_does_not_know_the_value_it_multiplies(toy, seed, size):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(2, 1, batch_first=True)

        def forward(self, batch):
            x = batch.inputs["solar_wind"].float()
            return self.attention(x, x, size * x)[0].mean((1, 2))[:, None].expand(-1, 24)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Net()
    found = attention_weights(wrap(net, toy[1], parts={}), toy[0](2, seed=seed))["attention"]
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 6))
    x = toy[0](2, seed=seed).inputs["solar_wind"].float()
    torch.testing.assert_close(found, net.attention(x, x, x)[1].detach())

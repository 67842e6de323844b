"""Grad-CAM per call against one correct forward and backward per frame, and the known artefact."""

import pytest
import torch
from torch.nn import functional as F

from heliosight.core.errors import NotApplicable
from heliosight.explain.gradcam import cam, enlarged, grad_cam, states_of
from heliosight.explain.targets import Target, target_named
from heliosight.subject import change_outputs, wrap

CELL = "cell.images.0"


def slow_states(net, batch, frame, wanted):
    """State and gradient of one frame by running the loop by hand, cutting the graph there."""
    x, z = batch.inputs["images"], batch.inputs["solar_wind"]
    zero = x.new_zeros(1, net.cell.hidden, *x.shape[-2:])
    state, pooled, leaf = (zero, zero), zero.new_zeros(1, net.cell.hidden), None
    for t in range(x.shape[2]):
        h, c = net.cell(x[:, :, t] / 50, state)
        if t == frame:
            leaf = (h if wanted == "hidden" else c).detach().requires_grad_()
            h, c = (leaf, c.detach()) if wanted == "hidden" else (h.detach(), leaf)
        state = (h, c)
        pooled = pooled + h.mean((2, 3)) * (1 + t % 3)
    both = torch.cat([pooled, torch.tanh(net.wind(z.flatten(1)))], 1)
    value = (20 + 10 * net.head(torch.tanh(both)))[:, :8].mean()
    gradient = torch.autograd.grad(value, leaf, allow_unused=True)[0]
    return leaf.detach()[0], torch.zeros_like(leaf[0]) if gradient is None else gradient[0]


def published_loop(net, subject, batch, target):
    """A hook keeps the last call, the backward hook the first: one map, whatever the frame."""
    kept = {}
    forward = net.cell.register_forward_hook(lambda *args: kept.update(h=args[2][0]))
    backward = net.cell.register_full_backward_hook(lambda *args: kept.update(g=args[2][0]))
    maps = []
    for _ in range(batch.inputs["images"].shape[2]):
        target.value(subject, batch).sum().backward()
        weight = kept["g"].mean((2, 3), keepdim=True)
        maps.append((weight * kept["h"]).sum(1)[0].detach())
    forward.remove(), backward.remove()
    return torch.stack(maps)


@pytest.mark.accuracy
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("path", ["hidden", "cell"])
def test_one_backward_equals_one_backward_per_frame(subject_of, windows_of, dtype, tolerance, path):
    subject, batch = subject_of(dtype), windows_of(1, dtype)
    found = states_of(subject, CELL, target_named("mean_ap_day1", subject.spec), batch)
    states = found.hidden if path == "hidden" else found.cell
    gradients = found.hidden_gradient if path == "hidden" else found.cell_gradient
    for t in range(len(states)):
        state, gradient = slow_states(subject.module, batch, t, path)
        torch.testing.assert_close(states[t], state, rtol=0, atol=tolerance)
        torch.testing.assert_close(gradients[t], gradient, rtol=0, atol=tolerance)
        slow = sum(gradient[f].mean() * state[f] for f in range(len(state)))
        ours = cam(states[t : t + 1], gradients[t : t + 1])[0]
        torch.testing.assert_close(ours, slow, rtol=0, atol=tolerance)


@pytest.mark.accuracy
@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_published_loop_repeats_one_map_and_ours_does_not(subject_of, windows_of):
    subject, batch = subject_of(), windows_of(1)
    target = target_named("mean_ap_day1", subject.spec)
    published = published_loop(subject.module, subject, batch, target)
    ours = grad_cam(subject, CELL, target, batch, "images")[0].parts["images"]
    assert all(torch.equal(published[0], other) for other in published)
    assert all(not torch.allclose(ours[t], ours[t + 1], rtol=1e-3) for t in range(len(ours) - 1))
    assert not torch.allclose(published[0], ours[-1], rtol=1e-3)


@pytest.mark.accuracy
def test_elementwise_form_is_the_first_order_effect_of_a_state(subject_of, windows_of):
    """A small relative change e of h_t moves the target by e times the sum of its map."""
    subject, batch = subject_of(), windows_of(1)
    target = target_named("mean_ap", subject.spec)
    found = grad_cam(subject, CELL, target, batch, "images", ("hires_cam",))[0]
    step = 1e-6

    def grown(frame):
        def change(index, output):
            return (output[0] * (1 + step * (index == frame)), output[1])

        with torch.no_grad(), change_outputs(subject, CELL, change):
            return float(target.value(subject, batch))

    for t in range(5):
        slope = (grown(t) - found.value) / step
        assert slope == pytest.approx(float(found.parts["images"][t].sum()), rel=1e-4)


@pytest.mark.accuracy
def test_plusplus_weights_follow_the_paper_entry_by_entry():
    draw = torch.Generator().manual_seed(1)
    state = torch.rand(1, 2, 4, 4, generator=draw, dtype=torch.float64)
    gradient = torch.rand(1, 2, 4, 4, generator=draw, dtype=torch.float64)
    slow = torch.zeros(4, 4, dtype=torch.float64)
    for f in range(2):
        a, g = state[0, f], gradient[0, f]
        weight = 0.0
        for i in range(4):
            for j in range(4):
                alpha = g[i, j] ** 2 / (2 * g[i, j] ** 2 + a.sum() * g[i, j] ** 3)
                weight = weight + alpha * max(float(g[i, j]), 0.0)
        slow += weight * a * 2 / 16
    torch.testing.assert_close(cam(state, gradient, "grad_cam_plus_plus")[0], slow)


@pytest.mark.accuracy
def test_plusplus_is_odd_in_the_target_and_becomes_grad_cam_for_a_large_scale():
    draw = torch.Generator().manual_seed(2)
    state = torch.randn(3, 2, 4, 4, generator=draw, dtype=torch.float64)
    gradient = torch.randn(3, 2, 4, 4, generator=draw, dtype=torch.float64)
    plus = cam(state, gradient, "grad_cam_plus_plus")
    torch.testing.assert_close(cam(state, -gradient, "grad_cam_plus_plus"), -plus)
    wide = cam(state, gradient, "grad_cam_plus_plus", scale=1e12)
    torch.testing.assert_close(wide, cam(state, gradient, "grad_cam"))


@pytest.mark.consistency
def test_maps_are_in_target_units_and_keep_their_sign(subject_of, windows_of):
    subject, batch = subject_of(), windows_of(1)
    target = target_named("mean_ap", subject.spec)
    minus = Target("minus", "ap", "minus", lambda y: -3 * target.of_leads(y), target.leads)
    one = grad_cam(subject, CELL, target, batch, "images", ("grad_cam",))[0]
    other = grad_cam(subject, CELL, minus, batch, "images", ("grad_cam",))[0]
    torch.testing.assert_close(other.parts["images"], -3 * one.parts["images"])
    torch.testing.assert_close(other.extra["cell"], -3 * one.extra["cell"])


@pytest.mark.consistency
def test_enlarging_keeps_each_frame_sum():
    maps = torch.randn(3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(enlarged(maps, 16).sum((1, 2)), maps.sum((1, 2)))
    assert enlarged(maps, 4) is maps
    assert enlarged(maps, 16).shape == F.interpolate(maps[:, None], scale_factor=4)[:, 0].shape


@pytest.mark.consistency
def test_subject_is_left_without_hooks_or_gradients(subject_of, windows_of):
    subject, batch = subject_of(), windows_of(1)
    grad_cam(subject, CELL, target_named("mean_ap", subject.spec), batch, "images")
    assert not subject.module.cell._forward_hooks
    assert all(p.grad is None for p in subject.module.parameters())


@pytest.mark.consistency
def test_frozen_weights_and_a_plain_tensor_output_still_give_maps(windows_of, subject_of):
    subject, batch = subject_of(), windows_of(1)
    for parameter in subject.module.parameters():
        parameter.requires_grad_(False)
    target = target_named("mean_ap", subject.spec)
    frozen = grad_cam(subject, CELL, target, batch, "images")[0].parts["images"]
    thawed = grad_cam(subject_of(), CELL, target, batch, "images")[0].parts["images"]
    torch.testing.assert_close(frozen, thawed)
    gates = states_of(subject, "cell.gates", target, batch)
    assert gates.hidden.shape[0] == 5 and gates.cell is None


def test_more_than_one_window_is_refused(subject_of, windows_of):
    subject = subject_of()
    with pytest.raises(NotApplicable, match="Grad-CAM explains one window"):
        states_of(subject, CELL, target_named("mean_ap", subject.spec), windows_of(2))


def test_a_part_without_maps_is_refused(subject_of, windows_of):
    subject = subject_of()
    with pytest.raises(NotApplicable, match=r"gives \(1, F, H, W\) at each of its calls"):
        states_of(subject, "head", target_named("mean_ap", subject.spec), windows_of(1))


def test_a_target_without_graph_is_refused(net_of, windows_of, toy_spec):
    net = net_of()
    subject = wrap(net, toy_spec, parts={CELL: net.cell}, output=lambda y: y.detach())
    with pytest.raises(NotApplicable, match="attached to the graph"):
        states_of(subject, CELL, target_named("mean_ap", subject.spec), windows_of(1))

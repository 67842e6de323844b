"""Small explainers, right and wrong ones."""

import torch

from heliosight.subject import capture_calls


def gradient(subject, batch):
    """d(mean forecast) / d input, `(B, C, T, H, W)`."""
    x = batch.inputs["images"].detach().clone().float().requires_grad_()
    score = subject.score(batch.with_inputs({"images": x})).mean(1).sum()
    return torch.autograd.grad(score, x)[0]


def gradient_x_input(subject, batch):
    return gradient(subject, batch) * batch.inputs["images"]


def grad_cam(subject, batch):
    """Activation times gradient at every call of the cell, `(B, T, H, W)`."""
    with capture_calls(subject, "cell.images.0") as calls:
        score = subject.score(batch).mean(1).sum()
    states = calls.tensors(0)
    found = torch.autograd.grad(score, states, allow_unused=True)
    grads = [torch.zeros_like(s) if g is None else g for s, g in zip(states, found, strict=True)]
    return torch.stack([(s * g).sum(1) for s, g in zip(states, grads, strict=True)], 1)


def last_call_only(subject, batch):
    """What a hook that is overwritten at each call gives: one map, copied to every frame."""
    with capture_calls(subject, "cell.images.0") as calls:
        subject.score(batch)
    last = calls.tensors(0)[-1].sum(1)
    return last[:, None].expand(-1, len(calls), -1, -1)


def wrong_sign(subject, batch):
    return -gradient_x_input(subject, batch)


def each_map_scaled(subject, batch):
    """Every frame's map divided by its own maximum, as image overlays do."""
    maps = gradient_x_input(subject, batch).sum(1)
    return maps / maps.abs().amax((2, 3), keepdim=True).clamp(min=1e-12)


def reversed_frames(subject, batch):
    return gradient_x_input(subject, batch).flip(2)


def wrong_channel(subject, batch):
    return gradient_x_input(subject, batch).roll(1, 1)


def noise(subject, batch):
    shape = batch.inputs["images"].shape
    return torch.randn(shape, generator=torch.Generator().manual_seed(int(shape[0])))


def elsewhere(explainer):
    """Right on the network with known answer, `explainer` on any other."""

    def explain(subject, batch):
        return (gradient if subject.name == "lamp" else explainer)(subject, batch)

    return explain

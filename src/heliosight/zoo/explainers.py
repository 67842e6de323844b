"""Small explainers, one right and some wrong in ways that are found in published code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from heliosight.core.batch import Batch


def gradient_x_input(subject: Any, batch: Batch) -> Tensor:
    """`(B, C, T, H, W)` input times d(mean forecast) / d input: a right one."""
    x = batch.inputs["images"].detach().clone().float().requires_grad_()
    score = subject.score(batch.with_inputs({"images": x})).mean(1).sum()
    return torch.autograd.grad(score, x)[0] * x.detach()


def last_call_only(subject: Any, batch: Batch) -> Tensor:
    """A hook that every call overwrites: the last frame's map, copied to every frame."""
    maps = gradient_x_input(subject, batch)
    return maps[:, :, -1:].expand_as(maps)


def wrong_sign(subject: Any, batch: Batch) -> Tensor:
    """What lowers the forecast is shown as raising it."""
    return -gradient_x_input(subject, batch)


def each_map_scaled(subject: Any, batch: Batch) -> Tensor:
    """Every frame's map divided by its own maximum, as overlays do."""
    maps = gradient_x_input(subject, batch)
    return maps / maps.abs().amax((1, 3, 4), keepdim=True).clamp(min=1e-12)


def reversed_maps(subject: Any, batch: Batch) -> Tensor:
    """Gradient hooks fire newest first: frame t is given the map of frame T - 1 - t."""
    return gradient_x_input(subject, batch).flip(2)


RIGHT: dict[str, Callable[[Any, Batch], Tensor]] = {"gradient_x_input": gradient_x_input}
WRONG: dict[str, Callable[[Any, Batch], Tensor]] = {
    "last_call_only": last_call_only,
    "wrong_sign": wrong_sign,
    "each_map_scaled": each_map_scaled,
    "reversed_maps": reversed_maps,
}


def explainer_took(name: str, subject: Any, batch: Batch) -> bool:
    """True when the wrong explainer's maps differ from the right one's on a subject."""
    right, wrong = gradient_x_input(subject, batch), WRONG[name](subject, batch)
    return not torch.allclose(right, wrong, rtol=1e-3)

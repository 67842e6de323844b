"""Stems that see a window's frames one by one: frames that did not change are not computed again.

A convolution is given all frames of a window as rows of one batch. Each row is compared with the
row at its place in the unchanged window; equal rows take the remembered answer. Only convolutions
and what acts on single rows like them qualify, so nothing is assumed of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, final

import torch
from torch import Tensor, nn

from heliosight.subject.capture import Calls

BY_ROW = (
    nn.Conv2d, nn.ReLU, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Identity,
    nn.MaxPool2d, nn.AvgPool2d, nn.GroupNorm, nn.Dropout, nn.Dropout2d, nn.BatchNorm2d,
)  # fmt: skip


def stems(module: nn.Module, cells: Collection[nn.Module] = ()) -> list[nn.Module]:
    """Outermost sub-modules that are a convolution or a sequence of what acts row by row.

    cells : parts called once a frame, whose own convolutions are left to them.
    """
    found: list[nn.Module] = []
    for child in module.children():
        if any(child is cell for cell in cells):
            continue
        if _convolves(child):
            found.append(child)
        else:
            found += stems(child, cells)
    return found


def _convolves(module: nn.Module) -> bool:
    """In evaluation a BatchNorm uses what it learned, so it too acts on single rows."""
    if type(module) is nn.Conv2d:
        return True
    parts = list(module.modules())[1:] if type(module) is nn.Sequential else []
    plain = all(type(part) in (*BY_ROW, nn.Sequential) for part in parts)
    return plain and any(type(part) is nn.Conv2d for part in parts)


def once(calls: Calls) -> tuple[Tensor, Tensor] | None:
    """What a stem got and gave, if it was called once with several `(C, H, W)` in one batch."""
    if len(calls) != 1:
        return None
    (x, *_), output = calls.inputs[0], calls.outputs[0]
    rows = x.ndim == output.ndim == 4 and len(x) == len(output) > 1
    return (x, output) if rows else None


@final
class Rows:
    """Rows of the unchanged window, `(T, C, H, W)`, and what the stem gave for them.

    Another call than with rows alike, or with gradients on, is computed as usual.
    """

    def __init__(self, rows: Tensor, answer: Tensor) -> None:
        self.rows, self.answer = rows.detach().unbind(), answer.detach().contiguous()

    def install(self, stem: nn.Module) -> Callable[[], None]:
        """Put the memory before the stem's forward; returns what takes it away again."""
        own = "forward" in vars(stem)
        forward = stem.forward

        def remembering(x: Tensor, *more: Any, **kwargs: Any) -> Tensor:
            fits = x.shape[1:] == self.rows[0].shape and len(x) % len(self.rows) == 0
            if torch.is_grad_enabled() or more or kwargs or not fits:
                return forward(x, *more, **kwargs)
            return self._answer(forward, x)

        stem.forward = remembering

        def restore() -> None:
            if own:
                stem.forward = forward
            else:
                del stem.forward

        return restore

    def _answer(self, forward: Callable[..., Tensor], x: Tensor) -> Tensor:
        count = len(self.rows)
        same = [torch.equal(row, self.rows[k % count]) for k, row in enumerate(x.unbind())]
        changed = ~torch.tensor(same)
        if changed.all():
            return forward(x)
        out = self.answer.repeat(len(x) // count, *[1] * (self.answer.ndim - 1))
        if changed.any():
            out[changed] = forward(x[changed])
        return out

"""Stems that see a window's frames one by one: frames that did not change are not computed again.

A convolution is given all frames of a window as rows of one batch. Each row is compared with the
row at its place in the unchanged window; equal rows take the remembered answer. Only convolutions
and what acts on single rows like them qualify, so nothing is assumed of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.subject import Subject

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


@contextmanager
def remembered_rows(subject: Subject, batch: Batch) -> Iterator[None]:
    """Inside the block, stems reuse what they gave for the frames of `batch` (one window).

    Stems called once a forward with several rows for one window; others are computed as usual, and
    so is everything while gradients are on.
    """
    undo: list[Callable[[], None]] = []
    try:
        for stem, rows, answer in _remembered(subject, batch):
            undo.append(_Rows(rows, answer).install(stem))
        yield
    finally:
        for step in reversed(undo):
            step()


def _remembered(subject: Subject, batch: Batch) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """Stems with the rows they got and gave in one forward."""
    calls: dict[int, list[tuple[Tensor, Tensor]]] = {}
    candidates = stems(subject.module, [p for r, p in subject.parts.items() if r[:5] == "cell."])
    if not candidates:
        return []
    handles = [
        stem.register_forward_hook(
            lambda module, args, output: calls.setdefault(id(module), []).append((args[0], output))
        )
        for stem in candidates
    ]
    try:
        subject.forecast(batch)
    finally:
        for handle in handles:
            handle.remove()
    found = []
    for stem in candidates:
        seen = calls.get(id(stem), [])
        if len(seen) == 1 and _are_rows(*seen[0]):
            found.append((stem, seen[0][0].detach(), seen[0][1].detach()))
    return found


def _are_rows(x: Tensor, output: Tensor) -> bool:
    """Several `(C, H, W)` in one batch, as many out as in."""
    return x.ndim == output.ndim == 4 and len(x) == len(output) > 1


@final
class _Rows:
    """Rows of the unchanged window, `(T, C, H, W)`, and what the stem gave for them."""

    def __init__(self, rows: Tensor, answer: Tensor) -> None:
        self.rows, self.answer = rows, answer

    def install(self, stem: nn.Module) -> Callable[[], None]:
        """Put the memory before the stem's forward; returns what takes it away again."""
        own = "forward" in vars(stem)
        forward = stem.forward

        def remembering(x: Tensor, *more: Any, **kwargs: Any) -> Tensor:
            fits = x.shape[1:] == self.rows.shape[1:] and len(x) % len(self.rows) == 0
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
        shape = (len(x) // count, *self.answer.shape)
        out = self.answer.expand(shape).reshape(-1, *self.answer.shape[1:]).clone()
        if changed.any():
            out[changed] = forward(x[changed])
        return out

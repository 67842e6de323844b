"""Values and input gradients of a target over many windows, in chunks the memory can hold.

A subject whose answer depends on who shares its batch is asked one window at a time: batching
would silently change what is explained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.explain.targets import Target
from heliosight.subject import Subject

# Rounding moves a sum by about 1e-6 of its size; anything beyond this share is a real dependence.
SHARE = 1e-3
VALUES_A_GRAPH = 2


@final
@dataclass(frozen=True)
class Evaluator:
    """A target of a subject.

    Attributes
    ----------
    chunk : windows computed at once with a graph; 1 for a subject that depends on its batch.
    notes : what a reader of the explanation must be told.
    """

    subject: Subject
    target: Target
    chunk: int = 8
    notes: tuple[str, ...] = ()

    @property
    def wide(self) -> int:
        """Windows computed at once without a graph, which would keep every frame's tensors."""
        return 1 if self.chunk == 1 else self.chunk * VALUES_A_GRAPH

    def values(self, batch: Batch) -> Tensor:
        """The target of each window, `(B,)`, without a graph."""
        with torch.no_grad():
            parts = [self.target.value(self.subject, p) for p in _parts(batch, self.wide)]
        return torch.cat(parts)

    def gradients(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Values `(B,)` and their gradients with respect to every input, shaped like the inputs.

        Raises
        ------
        NotApplicable : the target is not attached to the graph of the inputs.
        """
        values, parts = [], []
        for part in _parts(batch, self.chunk):
            value, gradient = self._gradient(part)
            values.append(value)
            parts.append(gradient)
        joined = {name: torch.cat([p[name] for p in parts]) for name in batch.inputs}
        return torch.cat(values), joined

    def _gradient(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        leaves = {name: x.detach().clone().requires_grad_() for name, x in batch.inputs.items()}
        with torch.enable_grad():
            value = self.target.value(self.subject, batch.with_inputs(leaves))
        if not value.requires_grad:
            raise NotApplicable(
                "a gradient method needs a target attached to the graph of the inputs",
                f"target {self.target.name!r} has no graph",
                "Use occlusion or importance, or another target.",
            )
        found = torch.autograd.grad(value.sum(), list(leaves.values()), allow_unused=True)
        filled = {
            name: torch.zeros_like(leaf) if grad is None else grad
            for (name, leaf), grad in zip(leaves.items(), found, strict=True)
        }
        return value.detach(), filled


def _parts(batch: Batch, size: int) -> Iterator[Batch]:
    for start in range(0, len(batch), size):
        yield batch.select(slice(start, start + size))


def floating(batch: Batch, dtype: torch.dtype = torch.float32) -> Batch:
    """The batch with integer inputs as `dtype`; floating inputs are kept as they are."""
    change = {name: x if x.is_floating_point() else x.to(dtype) for name, x in batch.inputs.items()}
    return batch.with_inputs(change)


def evaluator_for(
    subject: Subject, target: Target, batch: Batch, context: Batch | None, chunk: int = 8
) -> Evaluator:
    """An evaluator whose chunk respects a dependence of the subject on its batch."""
    alone = Evaluator(subject, target, 1)
    if context is None or len(context) == 0 or chunk == 1:
        note = "batch independence not tested: no other window"
        return Evaluator(subject, target, chunk, (note,))
    mates = context.select(slice(0, min(3, len(context))))
    together = Batch.join([mates, batch, mates])
    value = alone.values(together)
    beside = Evaluator(subject, target, len(together)).values(together)
    spread = float(value.std()) or float(value.abs().mean()) or 1.0
    moved = float((value - beside).abs().max()) / spread
    if moved <= SHARE:
        return Evaluator(subject, target, chunk)
    note = (
        f"the subject's answer depends on its batch (moved by {moved:.3g} of the windows' spread); "
        "every explanation was computed one window at a time"
    )
    return Evaluator(subject, target, 1, (note,))


def expand(batch: Batch, count: int) -> Batch:
    """One window repeated `count` times, as a batch without copies."""
    return batch.select([0] * count)

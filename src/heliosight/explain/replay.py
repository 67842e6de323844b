"""Recurrent cells that compute only what a changed window changes.

When some frames of a window are replaced, the calls of a cell before the first replaced frame get
exactly what they got before. Each call's arguments are compared row by row with those of the
unchanged window: an equal row takes the remembered output, the others are computed. Nothing is
assumed of the model, so the answer is the full forward's; the cell must act on rows independently,
which batch independence says of the whole subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.explain.frame_rows import remembered_rows
from heliosight.subject import Subject, capture_calls


@contextmanager
def remembered_calls(subject: Subject, batch: Batch) -> Iterator[None]:
    """Inside the block, cells and stems reuse what they gave for `batch` (one window).

    Without cells and stems, or with gradients on, everything is computed as usual.
    """
    with remembered_rows(subject, batch), _remembered_cells(subject, batch):
        yield


@contextmanager
def _remembered_cells(subject: Subject, batch: Batch) -> Iterator[None]:
    cells = {role: part for role, part in subject.parts.items() if role.startswith("cell.")}
    undo: list[Callable[[], None]] = []
    try:
        memories = _remember(subject, cells, batch)
        for role, cell in cells.items():
            undo.append(memories[role].install(cell))
        handle = subject.module.register_forward_pre_hook(_restart(memories))
        undo.append(handle.remove)
        yield
    finally:
        for step in reversed(undo):
            step()


def _remember(subject: Subject, cells: Mapping[str, nn.Module], batch: Batch) -> dict[str, _Memory]:
    """What every cell got and gave in one forward."""
    if not cells:
        return {}
    with torch.no_grad(), ExitStack() as stack:
        calls = {role: stack.enter_context(capture_calls(subject, c)) for role, c in cells.items()}
        subject.forecast(batch)
    return {
        role: _Memory([_tensors(a) for a in c.inputs], [_tensors(o) for o in c.outputs])
        for role, c in calls.items()
    }


def _restart(memories: Mapping[str, _Memory]) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        for memory in memories.values():
            memory.call = memory.leading = 0

    return hook


def _tensors(value: Any) -> Any:
    """The same nesting with tensors detached."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, (tuple, list)):
        return tuple(_tensors(item) for item in value)
    return value


@final
class _Memory:
    """Arguments and outputs of every call for the unchanged window.

    `leading` rows at the top of the batch were changed at the last call; they are computed again
    without being compared, since a state that differs seldom returns.
    """

    def __init__(self, inputs: list[Any], outputs: list[Any]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.call = self.leading = 0

    def install(self, cell: nn.Module) -> Callable[[], None]:
        """Put the memory before the cell's forward; returns what takes it away again."""
        own = "forward" in vars(cell)
        forward = cell.forward

        def remembering(*args: Any, **kwargs: Any) -> Any:
            index, self.call = self.call, self.call + 1
            if torch.is_grad_enabled() or kwargs or index >= len(self.outputs):
                return forward(*args, **kwargs)
            return self._answer(forward, args, index)

        cell.forward = remembering

        def restore() -> None:
            if own:
                cell.forward = forward
            else:
                del cell.forward

        return restore

    def _answer(self, forward: Callable[..., Any], args: tuple[Any, ...], index: int) -> Any:
        later = _changed_rows(_rows(args, slice(self.leading, None)), self.inputs[index])
        if later is None:
            return forward(*args)
        changed = torch.cat([later.new_ones(self.leading), later])
        self.leading = int(changed.to(torch.int64).cumprod(0).sum())
        if self.leading == len(changed):
            return forward(*args)
        kept = _spread(self.outputs[index], len(changed))
        if not changed.any():
            return kept
        return _merged(kept, forward(*_rows(args, changed)), changed)


def _changed_rows(args: Any, before: Any) -> Tensor | None:
    """Rows `(B,)` whose arguments differ from the remembered ones; None when that is unclear."""
    if isinstance(args, Tensor):
        if not isinstance(before, Tensor) or args.shape[1:] != before.shape[1:]:
            return None
        one = before[0]  # comparing row by row stops at the first difference and makes no copy
        return ~torch.tensor([torch.equal(row, one) for row in args.unbind()], dtype=torch.bool)
    if isinstance(args, (tuple, list)):
        if not isinstance(before, (tuple, list)) or len(args) != len(before):
            return None
        found = [_changed_rows(a, b) for a, b in zip(args, before, strict=True) if a is not None]
        rows = [f for f in found if f is not None]
        return torch.stack(rows).any(0) if rows and len(rows) == len(found) else None
    return None


def _rows(value: Any, rows: Tensor | slice) -> Any:
    if isinstance(value, Tensor):
        return value[rows]
    return tuple(_rows(v, rows) for v in value) if isinstance(value, (tuple, list)) else value


def _spread(value: Any, count: int) -> Any:
    """Remembered output of one window as that of `count` windows, without copies."""
    if isinstance(value, Tensor):
        return value.expand(count, *value.shape[1:])
    return tuple(_spread(v, count) for v in value) if isinstance(value, tuple) else value


def _merged(kept: Any, new: Any, rows: Tensor) -> Any:
    if isinstance(kept, Tensor):
        out = kept.clone()
        out[rows] = new
        return out
    if isinstance(kept, tuple):
        return tuple(_merged(k, n, rows) for k, n in zip(kept, new, strict=True))
    return kept

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
from heliosight.explain.frame_rows import Rows, once, stems
from heliosight.subject import Subject, capture_calls


@contextmanager
def remembered_calls(subject: Subject, batch: Batch) -> Iterator[None]:
    """Inside the block, cells and stems reuse what they gave for `batch` (one window).

    Without cells and stems, or with gradients on, everything is computed as usual.
    """
    cells = {role: part for role, part in subject.parts.items() if role.startswith("cell.")}
    seen = stems(subject.module, list(cells.values()))
    undo: list[Callable[[], None]] = []
    try:
        memories, rows = _remember(subject, cells, seen, batch)
        undo += [memories[role].install(cell) for role, cell in cells.items()]
        undo += [memory.install(stem) for stem, memory in rows]
        undo.append(subject.module.register_forward_pre_hook(_restart(memories)).remove)
        yield
    finally:
        for step in reversed(undo):
            step()


def _remember(
    subject: Subject, cells: Mapping[str, nn.Module], seen: list[nn.Module], batch: Batch
) -> tuple[dict[str, _Memory], list[tuple[nn.Module, Rows]]]:
    """What every cell and every stem got and gave in one forward."""
    if not cells and not seen:
        return {}, []
    with torch.no_grad(), ExitStack() as stack:
        calls = {role: stack.enter_context(capture_calls(subject, c)) for role, c in cells.items()}
        frames = [(s, stack.enter_context(capture_calls(subject, s))) for s in seen]
        subject.forecast(batch)
    rows = [(stem, Rows(*one)) for stem, c in frames if (one := once(c)) is not None]
    return {role: _Memory(c.inputs, c.outputs) for role, c in calls.items()}, rows


def _restart(memories: Mapping[str, _Memory]) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        for memory in memories.values():
            memory.call, memory.leading, memory.given = 0, 0, None

    return hook


def _is(value: Any, given: Any) -> bool:
    """The very tensors of `given`, in a tuple of theirs or in another."""
    if isinstance(value, tuple) and isinstance(given, tuple) and len(value) == len(given) > 0:
        return all(_is(v, g) for v, g in zip(value, given, strict=True))
    return isinstance(value, Tensor) and value is given


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
        self.inputs, self.outputs = _tensors(inputs), _tensors(outputs)
        earlier = [None, *outputs]
        self.carried = [[_is(a, o) for a in args] for args, o in zip(inputs, earlier, strict=False)]
        self.given: Any = None
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
        later = self._later(args, index)
        if later is None:
            return forward(*args)
        changed = torch.cat([later.new_ones(self.leading), later])
        self.leading = int(changed.to(torch.int64).cumprod(0).sum())
        self.given = None
        if self.leading == len(changed):
            return forward(*args)
        if int(changed.sum()) == self.leading:
            self.given = self._led(forward, args, index, len(changed))
            return self.given
        kept = _spread(self.outputs[index], len(changed))
        return _merged(kept, forward(*_rows(args, changed)), changed)

    def _later(self, args: tuple[Any, ...], index: int) -> Tensor | None:
        """Which rows after the leading ones differ; None when that is unclear.

        What was given at the last call and comes back, as it did for the window, needs no look.
        """
        before = self.inputs[index]
        if len(args) != len(before):
            return None
        carried = self.carried[index]
        known = [back and _is(a, self.given) for a, back in zip(args, carried, strict=True)]
        looked = [k for k, one in enumerate(known) if not one]
        rows = _rows(args, slice(self.leading, None))
        return _changed_rows([rows[k] for k in looked], [before[k] for k in looked])

    def _led(
        self, forward: Callable[..., Any], args: tuple[Any, ...], index: int, count: int
    ) -> Any:
        """The leading rows computed, the others as remembered."""
        if not self.leading:
            return _spread(self.outputs[index], count)
        new = forward(*_rows(args, slice(0, self.leading)))
        return _followed(new, self.outputs[index], count - self.leading)


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


def _followed(new: Any, remembered: Any, count: int) -> Any:
    """New rows, then `count` times the remembered one."""
    if isinstance(new, Tensor):
        return torch.cat([new, remembered.expand(count, *remembered.shape[1:])])
    if isinstance(new, tuple):
        return tuple(_followed(n, r, count) for n, r in zip(new, remembered, strict=True))
    return new


def _merged(kept: Any, new: Any, rows: Tensor) -> Any:
    if isinstance(kept, Tensor):
        out = kept.clone()
        out[rows] = new
        return out
    if isinstance(kept, tuple):
        return tuple(_merged(k, n, rows) for k, n in zip(kept, new, strict=True))
    return kept

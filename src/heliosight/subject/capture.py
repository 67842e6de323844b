"""Every call of a module, not the last one: a recurrent cell is called T times per forward.

Libraries that hook a module keep one call (the first or the last) or mix the activation of one
with the gradient of another; here each call's inputs and outputs are kept in order, attached to
the graph, so one `torch.autograd.grad` gives the gradient at all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from heliosight.core.errors import SubjectError
from heliosight.subject.wrap import Subject


@final
@dataclass
class Calls:
    """What a module received and gave, one entry per call, in order of calling.

    Attributes
    ----------
    inputs : positional arguments followed by keyword values of each call.
    outputs : what each call returned: a tensor, or a tuple such as (h, c).
    """

    inputs: list[tuple[Any, ...]] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.outputs)

    def tensors(self, which: int = 0) -> list[Tensor]:
        """The `which`-th tensor of each call's output; (h, c) gives h for 0 and c for 1.

        Raises
        ------
        SubjectError : some call's output has fewer tensors.
        """
        found = [flat_tensors(output) for output in self.outputs]
        if any(len(tensors) <= which for tensors in found):
            raise SubjectError(
                "every call of a captured module gives the tensor asked for",
                f"output {which} of {[len(tensors) for tensors in found]} tensors",
            )
        return [tensors[which] for tensors in found]


def flat_tensors(value: Any) -> list[Tensor]:
    """Floating tensors inside nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, Mapping):
        return [t for item in value.values() for t in flat_tensors(item)]
    if isinstance(value, (tuple, list)):
        return [t for item in value for t in flat_tensors(item)]
    return []


def part_of(subject: Subject, part: str | nn.Module) -> nn.Module:
    """The module of a role (`cell.images.0`), of a path inside the module, or itself.

    Raises
    ------
    SubjectError : no role and no path has that name.
    """
    if isinstance(part, nn.Module):
        return part
    if part in subject.parts:
        return subject.parts[part]
    try:
        return subject.module.get_submodule(part)
    except AttributeError as error:
        raise SubjectError(
            "a part is a role or a path of the subject",
            repr(part),
            f"Roles: {', '.join(subject.parts) or 'none'}.",
            subject.name,
        ) from error


@contextmanager
def capture_calls(subject: Subject, part: str | nn.Module) -> Iterator[Calls]:
    """Record every call of `part` while the block runs; hooks are removed even on an exception.

    With the graph on, an output that needs no gradient (frozen weights) is made to need one, so
    that gradients at every call exist.
    """
    calls = Calls()

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Any) -> None:
        if torch.is_grad_enabled():
            for tensor in flat_tensors(output):
                if not tensor.requires_grad:
                    tensor.requires_grad_()
        calls.inputs.append((*args, *kwargs.values()))
        calls.outputs.append(output)

    handle = part_of(subject, part).register_forward_hook(hook, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


@contextmanager
def change_outputs(
    subject: Subject, part: str | nn.Module, change: Callable[[int, Any], Any]
) -> Iterator[None]:
    """Replace the output of each call by `change(index, output)` while the block runs.

    `index` counts the calls within one forward of the whole module.
    """
    count = _Counter(subject)

    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        return change(count.next(), output)

    handle = part_of(subject, part).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
        count.close()


@contextmanager
def change_inputs(
    subject: Subject,
    part: str | nn.Module,
    change: Callable[
        [int, tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]
    ],
) -> Iterator[None]:
    """Replace the arguments of each call by `change(index, args, kwargs)` while the block runs."""
    count = _Counter(subject)

    def hook(
        _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return change(count.next(), args, kwargs)

    handle = part_of(subject, part).register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
        count.close()


@final
class _Counter:
    """Counts calls of a part, from 0 again at each forward of the whole module."""

    def __init__(self, subject: Subject) -> None:
        self._n = 0
        self._handle = subject.module.register_forward_pre_hook(self._reset)

    def _reset(self, _module: nn.Module, _args: Any) -> None:
        self._n = 0

    def next(self) -> int:
        self._n += 1
        return self._n - 1

    def close(self) -> None:
        self._handle.remove()


@contextmanager
def replaced(subject: Subject, part: str | nn.Module, value: Any) -> Iterator[None]:
    """Let `part` return `value` without running at all, while the block runs."""
    module = part_of(subject, part)
    had, before = "forward" in vars(module), vars(module).get("forward")
    module.forward = lambda *_args, **_kwargs: value
    try:
        yield
    finally:
        if had:
            module.forward = before
        else:
            del module.forward

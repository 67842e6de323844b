"""What each submodule is given while a model runs, and which modalities that depends on."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch

if TYPE_CHECKING:
    from heliosight.subject.wrap import Subject


@final
@dataclass
class Seen:
    """What one submodule was given in one forward.

    Attributes
    ----------
    order : place among the first calls, a container before what it holds.
    digests : of the arguments of each call.
    state : some call was given, beside its input, a tensor shaped like what it returns.
    output : what its last call returned.
    """

    order: int
    digests: list[str] = field(default_factory=list)
    state: bool = False
    output: Any = None


@final
@dataclass(frozen=True)
class Trace:
    """A forward of some windows.

    Attributes
    ----------
    modules : submodules that ran, by path. seen : what each was given.
    sees : the modalities on which that depends.
    """

    modules: dict[str, nn.Module]
    seen: dict[str, Seen]
    sees: dict[str, set[str]]

    def size(self, name: str) -> int:
        """Number of weights of a submodule."""
        return sum(p.numel() for p in self.modules[name].parameters())


def trace(subject: Subject, batch: Batch) -> Trace:
    """Run the subject plainly and with each modality's windows in another order."""
    base = _forward(subject, batch)
    sees: dict[str, set[str]] = {name: set() for name in base}
    for modality, x in batch.inputs.items():
        other = _forward(subject, batch.with_inputs({modality: x.flip(0)}))
        for name in base:
            if name in other and other[name].digests != base[name].digests:
                sees[name].add(modality)
    modules = {name: part for name, part in subject.module.named_modules() if name in base}
    return Trace(modules, base, sees)


def carries(subject: Subject, batch: Batch, modality: str, name: str, seen: Seen) -> bool:
    """True when all that the forecast takes of a modality passes through this submodule's output.

    The modality is replaced and the submodule made to return what it returned before: the forecast
    must be as before.
    """
    flipped = batch.with_inputs({modality: batch.inputs[modality].flip(0)})
    part = subject.module.get_submodule(name)
    handle = part.register_forward_hook(lambda *_: seen.output)
    try:
        again = subject.forecast(flipped)
    finally:
        handle.remove()
    return bool(torch.allclose(again, subject.forecast(batch), rtol=1e-4, atol=1e-5))


def _forward(subject: Subject, batch: Batch) -> dict[str, Seen]:
    seen: dict[str, Seen] = {}
    with ExitStack() as stack:
        for name, module in subject.module.named_modules():
            if name:
                stack.callback(_before(seen, name, module).remove)
                stack.callback(_after(seen, name, module).remove)
        subject.forecast(batch)
    return seen


def _before(seen: dict[str, Seen], name: str, module: nn.Module) -> Any:
    def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
        entry = seen.setdefault(name, Seen(len(seen)))
        entry.digests.append(digest((*args, *kwargs.values())))

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _after(seen: dict[str, Seen], name: str, module: nn.Module) -> Any:
    def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        values = (*args, *kwargs.values())
        given = tensors_in(values[:1])
        shapes = {tuple(t.shape) for t in tensors_in(output)}
        extra = [t for t in tensors_in(values[1:]) if all(t is not g for g in given)]
        entry = seen[name]
        entry.state = entry.state or any(tuple(t.shape) in shapes for t in extra)
        entry.output = output

    return module.register_forward_hook(hook, with_kwargs=True)


def digest(value: Any) -> str:
    """A fingerprint of all tensors inside a value."""
    if isinstance(value, Tensor):
        data = value.detach().cpu().contiguous()
        return hashlib.sha1(data.numpy().tobytes(), usedforsecurity=False).hexdigest()
    return "/".join(digest(item) for item in _items(value))


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors inside a value, in order."""
    if isinstance(value, Tensor):
        return [value]
    return [t for item in _items(value) for t in tensors_in(item)]


def _items(value: Any) -> list[Any]:
    if isinstance(value, Batch):
        return list(value.inputs.values())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return list(vars(value).values())
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (tuple, list)) else []

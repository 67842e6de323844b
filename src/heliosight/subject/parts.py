"""Which submodule is which: roles guessed from what each one sees while the model runs.

A module sees a modality when its arguments change with that modality. A branch is the largest
submodule that sees one modality alone; the fusion is the first that sees two; a recurrent cell is
called several times in a forward and carries a state; the head is the last one with weights.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.seeding import torch_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.subject.examine import examine

if TYPE_CHECKING:
    from heliosight.subject.wrap import Subject


@final
@dataclass
class _Seen:
    """What one submodule was given in one forward."""

    order: int
    digests: list[str] = field(default_factory=list)
    state: bool = False


def example_batch(spec: ForecastSpec, windows: int = 3) -> Batch:
    """Random windows of a specification: images uint8-like in 0..255, series standard normal."""
    inputs, observed = {}, {}
    for name, modality in spec.modalities.items():
        inputs[name], observed[name] = _random_input(name, modality, windows)
    target = torch.zeros(windows, spec.leads)
    times = torch.arange(windows, dtype=torch.int64) * 10800
    return Batch(inputs, observed, times, target, torch.zeros(target.shape, dtype=torch.bool))


def _random_input(name: str, modality: ModalitySpec, windows: int) -> tuple[Tensor, Tensor]:
    draw = torch_stream(0, "example", name)
    count = len(modality.variables)
    if modality.kind == "series":
        x = torch.randn(windows, modality.steps, count, generator=draw)
        return x, torch.ones(x.shape, dtype=torch.bool)
    shape = (windows, count, modality.steps, modality.size, modality.size)
    x = torch.rand(shape, generator=draw) * 255
    return x, torch.ones(shape[:3], dtype=torch.bool)


def guess_parts(subject: Subject, example: Batch | None) -> dict[str, nn.Module]:
    """Roles of a foreign module; empty when nothing can be told apart.

    Keys: `encoder.M`, `cell.M.i`, `rnn.M.i`, `attention.M.i` (M a modality or `fusion`), `fusion`,
    `gate`, `head`.
    """
    if example is None or len(example) < 2:
        example = example_batch(subject.spec)
    batch = example.select(slice(0, 3))
    with examine(subject):
        base = _trace(subject, batch)
        sees: dict[str, set[str]] = {name: set() for name in base}
        for modality, x in batch.inputs.items():
            other = _trace(subject, batch.with_inputs({modality: x.flip(0)}))
            for name in base:
                if name in other and other[name].digests != base[name].digests:
                    sees[name].add(modality)
    return _roles(subject.module, base, sees)


def _trace(subject: Subject, batch: Batch) -> dict[str, _Seen]:
    seen: dict[str, _Seen] = {}
    handles = []

    def listen(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
            entry = seen.setdefault(name, _Seen(len(seen)))
            values = (*args, *kwargs.values())
            entry.digests.append(_digest(values))
            entry.state = entry.state or len(values) > 1

        handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))

    for name, module in subject.module.named_modules():
        if name:
            listen(name, module)
    try:
        subject.forecast(batch)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _digest(value: Any) -> str:
    if isinstance(value, Tensor):
        data = value.detach().cpu().contiguous()
        return hashlib.sha1(data.numpy().tobytes(), usedforsecurity=False).hexdigest()
    if isinstance(value, Batch):
        return _digest(list(value.inputs.values()))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _digest(list(vars(value).values()))
    if isinstance(value, Mapping):
        return _digest(list(value.values()))
    if isinstance(value, (tuple, list)):
        return "/".join(_digest(item) for item in value)
    return ""


def _roles(
    module: nn.Module, seen: dict[str, _Seen], sees: dict[str, set[str]]
) -> dict[str, nn.Module]:
    modules = {name: part for name, part in module.named_modules() if name in seen}
    roles: dict[str, nn.Module] = {}
    for modality in sorted(set().union(*sees.values())) if sees else []:
        alone = [name for name in modules if sees[name] == {modality} and _size(modules[name])]
        if alone:
            roles[f"encoder.{modality}"] = modules[_largest(alone, modules)]
    roles |= _repeated(modules, seen, sees)
    roles |= _instances(modules, sees)
    return roles | _joint(modules, seen, sees)


def _repeated(
    modules: dict[str, nn.Module], seen: dict[str, _Seen], sees: dict[str, set[str]]
) -> dict[str, nn.Module]:
    """Outermost modules called several times and given a state beside their input."""
    many = [n for n in modules if len(seen[n].digests) > 1 and seen[n].state and _size(modules[n])]
    outer = [n for n in many if not any(n.startswith(f"{m}.") for m in many)]
    return _numbered("cell", outer, modules, sees)


def _instances(modules: dict[str, nn.Module], sees: dict[str, set[str]]) -> dict[str, nn.Module]:
    """Fused recurrent layers and attention layers, known by their class."""
    kinds = {"rnn": nn.RNNBase, "attention": nn.MultiheadAttention}
    found: dict[str, nn.Module] = {}
    for role, kind in kinds.items():
        names = [name for name, part in modules.items() if isinstance(part, kind)]
        found |= _numbered(role, names, modules, sees)
    return found


def _numbered(
    role: str, names: list[str], modules: dict[str, nn.Module], sees: dict[str, set[str]]
) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    for name in names:
        where = next(iter(sees[name])) if len(sees[name]) == 1 else "fusion"
        number = sum(key.startswith(f"{role}.{where}.") for key in found)
        found[f"{role}.{where}.{number}"] = modules[name]
    return found


def _joint(
    modules: dict[str, nn.Module], seen: dict[str, _Seen], sees: dict[str, set[str]]
) -> dict[str, nn.Module]:
    """Fusion, gate and head: modules that see two modalities and hold no branch."""
    single = [name for name in modules if len(sees[name]) == 1]
    joint = [
        name
        for name in sorted(modules, key=lambda n: seen[n].order)
        if len(sees[name]) > 1 and not any(s.startswith(f"{name}.") for s in single)
    ]
    outer = [
        n for n in joint if not any(n.startswith(f"{m}.") for m in joint) and _size(modules[n])
    ]
    roles = {"fusion": modules[outer[0]]} if outer else {}
    gates = [name for name in joint if "gate" in name.rsplit(".", 1)[-1].lower()]
    if gates:
        roles["gate"] = modules[gates[0]]
    if len(outer) > 1:
        roles["head"] = modules[outer[-1]]
    return roles


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _largest(names: list[str], modules: dict[str, nn.Module]) -> str:
    return max(names, key=lambda name: (_size(modules[name]), -len(name)))


def describe(subject: Subject) -> str:
    """Role, path, class and number of weights, one line each."""
    paths = {id(part): name for name, part in subject.module.named_modules()}
    lines = [
        f"{role:<22} {paths.get(id(part), '?'):<30} {type(part).__name__} ({_size(part)} weights)"
        for role, part in subject.parts.items()
    ]
    return "\n".join([f"{subject.name}: {_size(subject.module)} weights", *lines])

"""Which submodule is which: roles guessed from what each one sees while the model runs.

A module sees a modality when its arguments change with that modality. The fusion is the first
module with weights that sees two modalities after some of them were encoded; a branch is the last
module before it through which all of one modality passes; a recurrent cell is called several times
in a forward and carries a state; the head is the last one with weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.seeding import torch_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.subject.examine import examine
from heliosight.subject.tracing import Trace, carries, trace

if TYPE_CHECKING:
    from heliosight.subject.wrap import Subject

WINDOWS = 3


def example_batch(spec: ForecastSpec, windows: int = WINDOWS) -> Batch:
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
    batch = example.select(slice(0, WINDOWS))
    with examine(subject):
        found = trace(subject, batch)
        late = _late(found)
        names = _branches(subject, batch, found, late)
    names |= _repeated(found)
    names |= _instances(found)
    names |= _joint(found, late)
    return {role: found.modules[name] for role, name in names.items()}


def _late(found: Trace) -> list[str]:
    """Modules that see two modalities after another module has encoded one of them."""
    weighted = [n for n in found.modules if len(found.sees[n]) == 1 and found.size(n)]
    joint = [n for n in found.modules if len(found.sees[n]) > 1]
    return [
        name
        for name in sorted(joint, key=lambda n: found.seen[n].order)
        if any(
            found.seen[s].order < found.seen[name].order and not s.startswith(f"{name}.")
            for s in weighted
        )
    ]


def _branches(subject: Subject, batch: Batch, found: Trace, late: list[str]) -> dict[str, str]:
    roles = {}
    for modality in sorted(set().union(*found.sees.values())) if found.sees else []:
        alone = [n for n in found.modules if found.sees[n] == {modality} and found.size(n)]
        before = [n for n in alone if not _inside(n, late)] or alone
        if before:
            roles[f"encoder.{modality}"] = _branch(subject, batch, found, modality, before)
    return roles


def _branch(subject: Subject, batch: Batch, found: Trace, modality: str, names: list[str]) -> str:
    """The last outermost module through which all of the modality passes, else the largest."""
    outer = sorted(_outermost(names), key=lambda n: found.seen[n].order, reverse=True)
    if len(outer) > 1 and len(batch.inputs) > 1:
        for name in outer:
            once = len(found.seen[name].digests) == 1
            if once and carries(subject, batch, modality, name, found.seen[name]):
                return name
    return max(outer, key=lambda name: (found.size(name), -len(name)))


def _inside(name: str, owners: Iterable[str]) -> bool:
    return any(name.startswith(f"{owner}.") for owner in owners)


def _outermost(names: list[str]) -> list[str]:
    return [name for name in names if not _inside(name, names)]


def _repeated(found: Trace) -> dict[str, str]:
    """Outermost modules called several times and given a state beside their input."""
    many = [
        n
        for n, seen in found.seen.items()
        if len(seen.digests) > 1 and seen.state and found.size(n) and _may_carry(found.modules[n])
    ]
    return _numbered("cell", _outermost(many), found)


def _may_carry(module: nn.Module) -> bool:
    """torch's own layers carry no state beside their input, but for its recurrent cells."""
    return not type(module).__module__.startswith("torch.nn") or isinstance(module, nn.RNNCellBase)


def _instances(found: Trace) -> dict[str, str]:
    """Fused recurrent layers and attention layers, known by their class."""
    kinds = {"rnn": nn.RNNBase, "attention": nn.MultiheadAttention}
    roles: dict[str, str] = {}
    for role, kind in kinds.items():
        names = [name for name, part in found.modules.items() if isinstance(part, kind)]
        roles |= _numbered(role, names, found)
    return roles


def _numbered(role: str, names: list[str], found: Trace) -> dict[str, str]:
    roles: dict[str, str] = {}
    for name in names:
        sees = found.sees[name]
        where = next(iter(sees)) if len(sees) == 1 else "fusion"
        number = sum(key.startswith(f"{role}.{where}.") for key in roles)
        roles[f"{role}.{where}.{number}"] = name
    return roles


def _joint(found: Trace, late: list[str]) -> dict[str, str]:
    """Fusion, gate and head among the modules that see two modalities."""
    outer = _outermost([name for name in late if found.size(name)])
    roles = {"fusion": outer[0]} if outer else {}
    gates = [name for name in late if _chooses(name, found.modules[name])]
    if gates:
        roles["gate"] = gates[0]
    if len(outer) > 1:
        roles["head"] = outer[-1]
    return roles


def _chooses(name: str, module: nn.Module) -> bool:
    """A gate by its name, or a sequence of layers that ends in shares."""
    if "gate" in name.rsplit(".", 1)[-1].lower():
        return True
    last = list(module.children())[-1:] if isinstance(module, nn.Sequential) else []
    return any(isinstance(layer, (nn.Sigmoid, nn.Softmax)) for layer in last)


def paths(subject: Subject) -> dict[str, str]:
    """Path inside the module of every role."""
    names = {id(part): name for name, part in subject.module.named_modules()}
    return {role: names.get(id(part), "?") for role, part in subject.parts.items()}


def describe(subject: Subject) -> str:
    """Role, path, class and number of weights, one line each."""
    lines = [
        f"{role:<22} {path:<30} {_kind(subject.parts[role])}"
        for role, path in paths(subject).items()
    ]
    return "\n".join([f"{subject.name}: {_size(subject.module)} weights", *lines])


def _kind(module: nn.Module) -> str:
    return f"{type(module).__name__} ({_size(module)} weights)"


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())

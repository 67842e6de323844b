"""From one world to another: fine-tuning, and progressive columns that forget nothing.

Rusu et al. 2016 (arXiv:1606.04671): the old column stays frozen, a new one learns beside it and
reads the old features through lateral adapters (eq. 2, with the adapter of section 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.errors import SpecError
from heliosight.core.output import ModelOutput
from heliosight.core.spec import ForecastSpec
from heliosight.training.protocol import FROZEN, parameters_by_group
from heliosight.training.weights import read_weights

LATERAL = "lateral"
Calls = dict[str, list[Tensor]]


@dataclass(frozen=True)
class Transferred:
    """Names of the parameters taken over and of those that start fresh."""

    taken: tuple[str, ...]
    fresh: tuple[str, ...]


def take_weights(model: nn.Module, path: Path, parts: Sequence[str] = ("",)) -> Transferred:
    """Fine-tuning's start: take every parameter of the same name and shape from saved weights.

    Buffers stay: the moments by which a model normalises belong to the world it learns next.

    Parameters
    ----------
    parts : beginnings of the names that are taken, for example `encoders.images`.

    Raises
    ------
    SpecError : nothing fits. RecordError : the file is absent or broken.
    """
    saved = read_weights(path)
    own = dict(model.named_parameters())
    fits = [n for n, p in own.items() if n in saved and saved[n].shape == p.shape]
    taken = [n for n in fits if n.startswith(tuple(parts))]
    if not taken:
        do = "Fine-tune a model of the same architecture."
        raise SpecError("saved weights share parameters with the model", "none", do, str(path))
    with torch.no_grad():
        for name in taken:
            own[name].copy_(saved[name])
    return Transferred(tuple(taken), tuple(n for n in own if n not in set(taken)))


@final
class Adapter(nn.Module):
    """Lateral connection U relu(V a h): learned scale a, narrow layer, zero start.

    With U = 0 at first the new column begins as if it stood alone.
    """

    def __init__(self, old: int, new: int, hidden: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.down, self.up = nn.Linear(old, hidden), nn.Linear(hidden, new, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., F_old)` to `(..., F_new)`."""
        return self.up(torch.relu(self.down(self.scale * x)))


@final
class ProgressiveColumns(nn.Module):
    """A new forecaster beside a frozen old one, whose branches it reads.

    Wherever both have a part of the same role whose name begins with `roles`, the adapter of
    what the old part gave is added to what the new part gives, call by call. The default reads
    each branch as it leaves its norm: tokens `(B, K, F)` and summary `(B, F)`.

    Parameters
    ----------
    old, new : forecasters with `parts`; the new one may have other widths and moments.
    sample : a batch both take, to learn the widths from.
    roles : beginnings of part names.
    hidden : width of the adapters.

    Raises
    ------
    SpecError : no part in common, or parts called differently.
    """

    def __init__(
        self,
        old: Any,
        new: Any,
        sample: Batch,
        roles: Sequence[str] = ("branch_norm.",),
        hidden: int = 16,
    ) -> None:
        super().__init__()
        self.old, self.new = old.eval().requires_grad_(False), new
        common = [r for r in new.parts if r in old.parts and r.startswith(tuple(roles))]
        self._given: Calls | None = None
        self._place: dict[str, int] = {}
        widths = [_widths(column, common, sample) for column in (old, new)]
        if not common or any(widths[0][r].keys() != widths[1][r].keys() for r in common):
            raise SpecError(
                "two columns share parts that are called alike",
                f"parts {', '.join(common) or 'none'} beginning with {tuple(roles)}",
                "Columns need the same modalities and numbers of tokens.",
            )
        self.adapters = nn.ModuleDict()
        for role in common:
            for call, width in widths[0][role].items():
                wide = widths[1][role][call]
                self.adapters[_key(role, call[0])] = Adapter(width, wide, hidden)
            old.parts[role].register_forward_hook(partial(self._remember, role))
            new.parts[role].register_forward_hook(partial(self._add, role))

    def _remember(self, role: str, _module: nn.Module, _args: Any, out: Tensor) -> None:
        if self._given is not None:
            self._given.setdefault(role, []).append(out)

    def _add(self, role: str, _module: nn.Module, _args: Any, out: Tensor) -> Tensor:
        if self._given is None:
            return out
        call = self._place.get(role, 0)
        self._place[role] = call + 1
        return out + self.adapters[_key(role, call)](self._given[role][call])

    def forward(self, batch: Batch) -> ModelOutput:
        """The new column's output; a graph of the inputs runs through both columns."""
        self._given, self._place = {}, {}
        try:
            self.old(batch)
            return self.new(batch)
        finally:
            self._given = None

    def train(self, mode: bool = True) -> ProgressiveColumns:
        """Training mode for the new column alone."""
        super().train(mode)
        self.old.eval()
        return self

    def modules_by_group(self) -> Mapping[str, list[tuple[str, nn.Parameter]]]:
        """The new column's groups, `lateral`, and the old column as `frozen`."""
        own = {g: list(m.items()) for g, m in parameters_by_group(self.new).items()}
        lateral = [(f"adapters.{n}", p) for n, p in self.adapters.named_parameters()]
        frozen = [(f"old.{n}", p) for n, p in self.old.named_parameters()]
        return {**own, LATERAL: lateral, FROZEN: frozen}

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target of the new column."""
        return self.new.spec

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """Parts of the new column."""
        return self.new.parts

    def score(self, batch: Batch) -> Tensor:
        """Mean ap `(B, L)` with its graph."""
        return self(batch).forecast.mean_ap()

    @torch.no_grad()
    def forecast(self, batch: Batch) -> Tensor:
        """Mean ap `(B, L)`, without a graph."""
        return self.score(batch)

    def set_copula(self, correlation: np.ndarray, seed: int) -> None:
        """The new column's copula."""
        self.new.set_copula(correlation, seed)

    def event_probability(self, output: ModelOutput) -> Tensor:
        """The new column's day probabilities, `(B, D, G)`."""
        return self.new.event_probability(output)


def _key(role: str, call: int) -> str:
    return f"{role.replace('.', '_')}_{call}"


def _widths(
    column: nn.Module, roles: Sequence[str], sample: Batch
) -> dict[str, dict[tuple[int, tuple[int, ...]], int]]:
    """Per role: width of each call's output, by place and leading shape."""
    found: dict[str, dict[tuple[int, tuple[int, ...]], int]] = {role: {} for role in roles}

    def note(role: str, _module: nn.Module, _args: Any, out: Tensor) -> None:
        found[role][len(found[role]), tuple(out.shape[:-1])] = out.shape[-1]

    parts: Mapping[str, nn.Module] = column.parts
    hooks = [parts[role].register_forward_hook(partial(note, role)) for role in roles]
    was_training = column.training
    try:
        with torch.no_grad():
            column.eval()(sample)
    finally:
        column.train(was_training)
        for hook in hooks:
            hook.remove()
    return found

"""A batch of windows: one shape, never tensor-or-tuple."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from heliosight.core.errors import SpecError


@dataclass(frozen=True)
class Batch:
    """Inputs in physical units with their masks, and the target.

    Attributes
    ----------
    inputs : by modality; images `(B, C, T, H, W)` uint8 or float, series `(B, S, V)` float.
        Every value is finite: an unobserved place holds 0 and `observed` says so.
    observed : by modality; images `(B, C, T)` bool, series `(B, S, V)` bool.
    issue_time : `(B,)` int64, UTC seconds since 1970.
    target : `(B, L)` float32 ap, 0 where unknown.
    target_mask : `(B, L)` bool.
    """

    inputs: Mapping[str, Tensor]
    observed: Mapping[str, Tensor]
    issue_time: Tensor
    target: Tensor
    target_mask: Tensor

    def __len__(self) -> int:
        return int(self.issue_time.shape[0])

    def _map(self, change: Any) -> Batch:
        return Batch(
            {name: change(x) for name, x in self.inputs.items()},
            {name: change(x) for name, x in self.observed.items()},
            change(self.issue_time),
            change(self.target),
            change(self.target_mask),
        )

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Batch:
        """On another device; floating tensors also in another dtype if given."""
        return self._map(
            lambda x: x.to(device, dtype) if dtype and x.is_floating_point() else x.to(device)
        )

    def select(self, index: Tensor | slice | list[int]) -> Batch:
        """The windows of `index`, in its order."""
        return self._map(lambda x: x[index])

    def with_inputs(
        self, inputs: Mapping[str, Tensor], observed: Mapping[str, Tensor] | None = None
    ) -> Batch:
        """The same windows with some modalities replaced."""
        return replace(
            self,
            inputs={**self.inputs, **inputs},
            observed={**self.observed, **(observed or {})},
        )

    @staticmethod
    def join(batches: list[Batch]) -> Batch:
        """Several batches as one, in order."""
        if not batches:
            raise SpecError("joining needs at least one batch", "none")
        first = batches[0]
        return Batch(
            {name: torch.cat([b.inputs[name] for b in batches]) for name in first.inputs},
            {name: torch.cat([b.observed[name] for b in batches]) for name in first.observed},
            torch.cat([b.issue_time for b in batches]),
            torch.cat([b.target for b in batches]),
            torch.cat([b.target_mask for b in batches]),
        )

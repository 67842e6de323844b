"""Is an effect exactly zero? Rounding shrinks with the precision, a real effect does not.

An effect is computed in float32 and in float64. Rounding falls by eps64 / eps32 = 1.9e-9; a real
effect keeps its size. The effect is zero when the ratio lies below the geometric middle,
sqrt(eps64 / eps32) = 4.3e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.records import Interval
from heliosight.subject import Subject, doubled

EPS32, EPS64 = torch.finfo(torch.float32).eps, torch.finfo(torch.float64).eps
BOUND = (EPS64 / EPS32) ** 0.5
RULE = (
    "zero when the float64 effect is below 4.3e-5 of the float32 effect (precision scaling), "
    "real otherwise"
)


@dataclass(frozen=True)
class Effect:
    """Root mean square of a difference in both precisions, in units of the forecast's size."""

    narrow: float
    wide: float

    @property
    def zero(self) -> bool:
        """True when what was seen is rounding."""
        return self.wide / max(self.narrow, EPS32) < BOUND

    @property
    def interval(self) -> Interval:
        """The float64 effect; exact, so without bounds."""
        return Interval(self.wide, how="exact: float32 against float64")

    def text(self) -> str:
        """Both numbers."""
        return f"{self.narrow:.2g} in float32, {self.wide:.2g} in float64"


def effect(
    subject: Subject, batch: Batch, difference: Callable[[Batch], tuple[Tensor, Tensor]]
) -> Effect:
    """The effect of `difference(batch) -> (plain, changed)` in both precisions.

    Raises
    ------
    NotApplicable : the subject cannot compute in float64, so zero and small cannot be told apart.
    """
    narrow, _ = _size(*difference(floating(batch, torch.float32)))
    with doubled(subject):
        wide, dtype = _size(*difference(floating(batch, torch.float64)))
    if dtype != torch.float64:
        raise NotApplicable(
            "precision scaling needs a subject that can compute in float64",
            f"its output stays {dtype}",
            "Avoid fixed casts in the subject's code.",
        )
    return Effect(narrow, wide)


def floating(batch: Batch, dtype: torch.dtype) -> Batch:
    """The batch with all inputs floating in one precision (images too)."""
    inputs = {name: x.to(dtype) for name, x in batch.inputs.items()}
    return batch.to(batch.target.device, dtype).with_inputs(inputs)


def _size(plain: Tensor, changed: Tensor) -> tuple[float, torch.dtype]:
    """RMS of the difference in units of the plain forecast's RMS."""
    a, b = plain.detach().double(), changed.detach().double()
    scale = float(a.pow(2).mean().sqrt())
    rms = float((a - b).pow(2).mean().sqrt())
    return rms / (scale or 1.0), plain.dtype

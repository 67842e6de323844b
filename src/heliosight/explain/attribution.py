"""What a method gives: signed numbers per input, in the target's unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True)
class Attribution:
    """Contributions to one window's target.

    Attributes
    ----------
    method : its name; baseline : what the input is compared with, in physical words.
    parts : by modality; images `(C, T, H, W)`, or `(T, H, W)` for a method without channels; a
        series `(S, V)`. A modality the method cannot speak about is absent.
    value, reference : the target at the window and at the baseline.
    additive : the parts should sum to `value - reference`.
    extra : further tensors by name (profiles, other maps), notes : what a reader must know.
    gaps : completeness gap over `|value - reference|` by number of steps.
    """

    method: str
    baseline: str
    parts: Mapping[str, Tensor]
    value: float
    reference: float | None = None
    additive: bool = False
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    gaps: Mapping[int, float] = field(default_factory=dict)

    def total(self) -> float:
        """Sum over every part."""
        return float(sum(part.sum() for part in self.parts.values()))

    def gap(self) -> float | None:
        """|sum - (value - reference)| / |value - reference|; None for a method not additive."""
        if not self.additive or self.reference is None:
            return None
        return relative_gap(self.total(), self.value - self.reference)


def relative_gap(total: float, difference: float) -> float:
    """Completeness gap as a share of the difference to be explained; 0 when both vanish."""
    if total == difference:
        return 0.0
    return abs(total - difference) / max(abs(difference), 1e-12)


def temporal_profile(attribution: Attribution, modality: str) -> Tensor:
    """Signed sum per frame `(T,)` or step `(S,)`."""
    part = attribution.parts[modality]
    if part.ndim == 4:
        return part.sum((0, 2, 3))
    return part.sum((1, 2)) if part.ndim == 3 else part.sum(1)


def channel_profile(attribution: Attribution, modality: str) -> Tensor | None:
    """Signed sum per channel `(C,)` or variable `(V,)`; None for maps without channels."""
    part = attribution.parts[modality]
    if part.ndim == 4:
        return part.sum((1, 2, 3))
    return None if part.ndim == 3 else part.sum(0)

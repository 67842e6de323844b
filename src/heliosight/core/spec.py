"""What a model eats and says: modalities, cadences, look-back, leads. Compared on arrival."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from heliosight.core.errors import SpecError

ModalityKind = Literal["images", "series"]


@dataclass(frozen=True)
class ModalitySpec:
    """One input stream of a window.

    Attributes
    ----------
    kind : `images` gives `(B, C, T, H, W)`, `series` gives `(B, S, V)`.
    table : name of the store's table it is cut from.
    variables : channels C or variables V, in order.
    steps : T or S.
    cadence_hours : spacing of the steps.
    lag_hours : the newest step is at least this old at issue time (recurrence inputs).
    size : pixels on a side, images only.
    """

    kind: ModalityKind
    table: str
    variables: tuple[str, ...]
    steps: int
    cadence_hours: int
    lag_hours: int = 0
    size: int = 64


@dataclass(frozen=True)
class ForecastSpec:
    """Inputs and target of a forecaster; leads are 3-hour intervals starting at issue time."""

    modalities: dict[str, ModalitySpec] = field(default_factory=dict)
    target: str = "ap"
    target_table: str = "geomagnetic"
    leads: int = 24
    lead_hours: int = 3

    def mismatches(self, other: ForecastSpec) -> list[str]:
        """Every difference to `other`, one line each; empty when they agree."""
        found = [
            f"{name}: {getattr(self, name)!r} against {getattr(other, name)!r}"
            for name in ("target", "target_table", "leads", "lead_hours")
            if getattr(self, name) != getattr(other, name)
        ]
        for name in sorted(self.modalities.keys() | other.modalities.keys()):
            ours, theirs = self.modalities.get(name), other.modalities.get(name)
            if ours != theirs:
                found.append(f"modality {name}: {ours} against {theirs}")
        return found

    def require_equal(self, other: ForecastSpec, where: str = "") -> None:
        """Raise `SpecError` naming every mismatch at once."""
        found = self.mismatches(other)
        if found:
            raise SpecError(
                "model and data must have the same specification",
                "; ".join(found),
                "Use the config the model was trained with.",
                where,
            )

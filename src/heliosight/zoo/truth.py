"""Is a model called healthy really healthy? Asked of the whole test span, not of one diagnosis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from heliosight.core.batch import Batch
from heliosight.models import Forecaster
from heliosight.zoo.manipulation import mean_of

# Days to another time; all of them lie more than ten days from a multiple of the solar rotation.
DAYS = (40, 95, 205, 314)
HARM = 0.01  # R2: the smallest effect that a diagnosis asks about

BRINGS = 0.02  # R2 that a modality with a planted share brings to a healthy model at least


@dataclass(frozen=True)
class Truth:
    """R2 of the forecast, what each modality brings to it, and what recalibration would recover."""

    skill: float
    gains: dict[str, float]
    miscalibration: float

    def healthy(self, used: tuple[str, ...]) -> bool:
        """No modality costs skill, those that hold something bring some, the amplitude fits."""
        brings = all(self.gains[m] > BRINGS for m in used)
        return brings and min(self.gains.values()) > -HARM and self.miscalibration < HARM

    def text(self) -> str:
        """All numbers."""
        gains = ", ".join(f"{m} {g:+.3f}" for m, g in self.gains.items())
        return f"R2 {self.skill:.3f}; brings {gains}; miscalibration {self.miscalibration:.4f}"


def truth_of(model: Forecaster, batch: Batch, stride_hours: int) -> Truth:
    """Truth on windows in order of time, `stride_hours` apart; several years of them."""
    y = torch.log1p(batch.target).double().numpy()
    f = _forecasts(model, batch)
    own = _error(f, y)
    spread = float(y.var(0).mean())
    gains = {m: _without(model, batch, m, y, stride_hours) - own for m in batch.inputs}
    a, b = f - f.mean(0), y - y.mean(0)
    variance = float((a**2).mean())
    slope = float((a * b).mean()) / max(variance, 1e-12)
    lost = (slope - 1) ** 2 * variance / spread
    return Truth(1 - own / spread, {m: g / spread for m, g in gains.items()}, lost)


def _forecasts(model: Forecaster, batch: Batch) -> np.ndarray:
    with torch.no_grad():
        pieces = [
            mean_of(model, batch.select(slice(i, i + 256))) for i in range(0, len(batch), 256)
        ]
    return torch.cat(pieces).double().numpy()


def _error(f: np.ndarray, y: np.ndarray) -> float:
    """Mean squared error with each lead's own bias taken out."""
    return float(((f - y - (f - y).mean(0)) ** 2).mean())


def _without(model: Forecaster, batch: Batch, m: str, y: np.ndarray, stride: int) -> float:
    """Error of the forecast averaged over other times of a modality."""
    found = []
    for days in DAYS:
        shift = days * 24 // stride
        other = batch.with_inputs(
            {m: batch.inputs[m].roll(shift, 0)}, {m: batch.observed[m].roll(shift, 0)}
        )
        found.append(_forecasts(model, other))
    mean = np.mean(found, 0)
    among = float(np.var(found, 0).mean()) / (len(found) - 1)
    return _error(mean, y) - among

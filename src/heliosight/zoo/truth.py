"""Is a model called healthy really healthy? Asked of the whole test span, not of one diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from heliosight.core.batch import Batch
from heliosight.models import Forecaster
from heliosight.zoo.manipulation import mean_of

Forecasts = Callable[[Batch], np.ndarray]  # windows to forecasts of log1p(ap), (N, L)
# Days to another time; all of them lie more than ten days from a multiple of the solar rotation.
DAYS = (40, 95, 205, 314)
HARM = 0.01  # R2: the smallest effect that a diagnosis asks about

BRINGS = 0.02  # R2 that a modality with a planted share brings to a healthy model at least
MISSES = 0.03  # R2 that a healthy model may leave of what was planted in a modality


@dataclass(frozen=True)
class Truth:
    """What is known of a model from its world, none of it from the diagnosis.

    Attributes
    ----------
    skill : R2 of the forecast. gains : R2 that each modality brings to it.
    miscalibration : R2 that recalibrating it would recover.
    left : R2 that what was planted in each modality would bring beside the forecast.
    """

    skill: float
    gains: dict[str, float]
    miscalibration: float
    left: dict[str, float]

    def healthy(self, used: tuple[str, ...]) -> bool:
        """No modality costs skill or is left far below what it holds, the amplitude fits.

        Those that hold something bring some; what is left of one is small, or less than half of
        what it brings.
        """
        brings = all(self.gains[m] > BRINGS for m in used)
        takes = all(x < max(MISSES, self.gains[m] / 2) for m, x in self.left.items())
        harmless = min(self.gains.values()) > -HARM and self.miscalibration < HARM
        return brings and takes and harmless

    def text(self) -> str:
        """All numbers."""
        gains = ", ".join(f"{m} {g:+.3f}" for m, g in self.gains.items())
        left = ", ".join(f"{m} {x:.3f}" for m, x in self.left.items())
        return (
            f"R2 {self.skill:.3f}; brings {gains}; leaves {left}; "
            f"miscalibration {self.miscalibration:.4f}"
        )


def truth_of(
    forecasts: Forecasts, batch: Batch, stride_hours: int, planted: dict[str, np.ndarray]
) -> Truth:
    """Truth on windows in order of time, `stride_hours` apart; several years of them.

    planted : `(N, L)` what a law took from each modality.
    """
    y = torch.log1p(batch.target).double().numpy()
    f = forecasts(batch)
    own = _error(f, y)
    spread = float(y.var(0).mean())
    gains = {m: _without(forecasts, batch, m, y, stride_hours) - own for m in batch.inputs}
    a, b = f - f.mean(0), y - y.mean(0)
    variance = float((a**2).mean())
    slope = float((a * b).mean()) / max(variance, 1e-12)
    lost = (slope - 1) ** 2 * variance / spread
    left = {m: beside(f, x, y) for m, x in planted.items()}
    return Truth(1 - own / spread, {m: g / spread for m, g in gains.items()}, lost, left)


def forecasts_of(model: Forecaster, batch: Batch) -> np.ndarray:
    """`(N, L)` means of log1p(ap)."""
    with torch.no_grad():
        pieces = [
            mean_of(model, batch.select(slice(i, i + 256))) for i in range(0, len(batch), 256)
        ]
    return torch.cat(pieces).double().numpy()


def beside(f: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """R2 of y that a line in f and x has more than one in f alone; all `(N, L)`, each lead apart.

    The squared semi-partial correlation: x less what f tells of it, correlated with y.
    """
    a, b, c = (z - z.mean(0) for z in (f, x, y))
    b = b - a * ((a * b).sum(0) / np.maximum((a * a).sum(0), 1e-12))
    c_rest = c - a * ((a * c).sum(0) / np.maximum((a * a).sum(0), 1e-12))
    explained = (b * c_rest).sum(0) ** 2 / np.maximum((b * b).sum(0), 1e-12)
    return float(explained.sum() / (c * c).sum())


def _error(f: np.ndarray, y: np.ndarray) -> float:
    """Mean squared error with each lead's own bias taken out."""
    return float(((f - y - (f - y).mean(0)) ** 2).mean())


def _without(forecasts: Forecasts, batch: Batch, m: str, y: np.ndarray, stride: int) -> float:
    """Error of the forecast averaged over other times of a modality."""
    found = []
    for days in DAYS:
        shift = days * 24 // stride
        other = batch.with_inputs(
            {m: batch.inputs[m].roll(shift, 0)}, {m: batch.observed[m].roll(shift, 0)}
        )
        found.append(forecasts(other))
    mean = np.mean(found, 0)
    among = float(np.var(found, 0).mean()) / (len(found) - 1)
    return _error(mean, y) - among

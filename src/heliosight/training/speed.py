"""The second auxiliary target: solar-wind speed over the leads, read from a later window.

Batches hold no such target, but the window issued at the end of the leads does: its newest L steps
are the speeds at the leads. Only training reads it, and only as a target; it lies no later than
the target ap itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.clock import HOUR
from heliosight.core.errors import ConfigError
from heliosight.core.ports import WindowSource
from heliosight.core.spec import ForecastSpec

SPEED = "speed"
SPEED_SCALE = 100.0  # km/s, a usual deviation, so that its error weighs like that of log1p(ap)


@final
@dataclass(frozen=True)
class Speed:
    """Speed `(B, L)` [km/s] and whether it is known, `(B, L)` bool."""

    values: Tensor
    known: Tensor

    def error(self, predicted: Tensor) -> Tensor:
        """Squared error `(B, L)` in units of `SPEED_SCALE`, 0 where unknown."""
        gap = (predicted - self.values.to(predicted)) / SPEED_SCALE
        return torch.where(self.known, gap, 0.0) ** 2


def speed_column(spec: ForecastSpec) -> tuple[str, int]:
    """Modality and column that hold the speed at the leads' cadence.

    Raises
    ------
    ConfigError : no series has it.
    """
    for name, m in spec.modalities.items():
        fits = m.kind == "series" and m.cadence_hours == spec.lead_hours and m.lag_hours == 0
        if fits and SPEED in m.variables and m.steps >= spec.leads:
            return name, m.variables.index(SPEED)
    raise ConfigError(
        "a speed head learns from an input series with `speed` at the leads' cadence",
        f"modalities {', '.join(spec.modalities)}",
        "Add one of at least as many steps as leads, or set model.auxiliary.speed=false.",
        "model.auxiliary.speed",
    )


def speed_ahead(source: WindowSource, times: np.ndarray) -> Speed:
    """Speed over the leads of the issue times `(B,)`."""
    spec = source.spec
    name, column = speed_column(spec)
    window = source.batch(times + spec.leads * spec.lead_hours * HOUR)
    values = window.inputs[name][:, -spec.leads :, column]
    return Speed(values, window.observed[name][:, -spec.leads :, column])

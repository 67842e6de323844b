"""What a forecaster's forward returns, in training and in evaluation alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from heliosight.core.forecast import Forecast


@dataclass(frozen=True)
class ModelOutput:
    """One type, always.

    Attributes
    ----------
    forecast : the predictive distribution.
    auxiliary : extra forecasts by name (`image` predicts the target from images alone, `(B, L)`
        of log1p(ap); `speed` predicts solar-wind speed, `area` names coronal-hole areas), empty
        when the model has none.
    every_frame : what the auxiliary heads say after every frame, `(B, T, L)`; the last is what
        `auxiliary` holds. Empty unless a model speaks at every frame.
    features : branch features before fusion by modality, `(B, F)`, and whatever a model exposes
        for inspection (`hidden_states` `(B, T, F)`, attention weights).
    """

    forecast: Forecast
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)
    features: Mapping[str, Tensor] = field(default_factory=dict)
    every_frame: Mapping[str, Tensor] = field(default_factory=dict)

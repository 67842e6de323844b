"""What a check may ask of a model; without a port it needs, a check is not applicable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.spec import ForecastSpec


@runtime_checkable
class Forecaster(Protocol):
    """Says what it eats and gives a forecast in the target's unit."""

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target."""
        ...

    def forecast(self, batch: Batch) -> Tensor:
        """Mean forecast `(B, L)` in the target's unit, without a graph."""
        ...


@runtime_checkable
class Differentiable(Protocol):
    """Gives the forecast with its graph."""

    def score(self, batch: Batch) -> Tensor:
        """Mean forecast `(B, L)` attached to the graph of float inputs."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """Names its parts."""

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """Sub-modules by role, for example `encoder.images`, `cell.images.0`, `fusion`, `head`."""
        ...


@runtime_checkable
class WindowSource(Protocol):
    """Gives windows by issue time, never anything that was not yet available then."""

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target."""
        ...

    def batch(self, issue_times: np.ndarray, image_shift: np.ndarray | None = None) -> Batch:
        """Windows of `(B,)` UTC seconds; `image_shift` `(B,)` frames further into the past."""
        ...

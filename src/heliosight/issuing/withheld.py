"""Windows from which the newest steps of some inputs were withheld."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.ports import WindowSource
from heliosight.core.spec import ForecastSpec
from heliosight.issuing.gaps import State


@final
class Withheld:
    """A window source (the port) that hides what `state` says; nothing else is changed."""

    def __init__(self, source: WindowSource, state: State) -> None:
        self._source, self._state = source, state

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target of the source."""
        return self._source.spec

    def batch(self, issue_times: np.ndarray, image_shift: np.ndarray | None = None) -> Batch:
        """Windows of `(B,)` issue times with the newest steps unobserved and at 0."""
        return hide(self.spec, self._source.batch(issue_times, image_shift), self._state)


def hide(spec: ForecastSpec, batch: Batch, state: State) -> Batch:
    """A batch whose newest steps are unobserved; the batch given stays as it was."""
    inputs: dict[str, Tensor] = {}
    observed: dict[str, Tensor] = {}
    for name, counts in state:
        if not any(counts):
            continue
        images = spec.modalities[name].kind == "images"
        values, mask = batch.inputs[name].clone(), batch.observed[name].clone()
        for v, count in enumerate(counts):
            newest = slice(mask.shape[2 if images else 1] - count, None)
            if images:
                mask[:, v, newest], values[:, v, newest] = False, 0
            else:
                mask[:, newest, v], values[:, newest, v] = False, 0
        inputs[name], observed[name] = values, mask
    return batch.with_inputs(inputs, observed) if inputs else batch


def as_tensor(values: np.ndarray) -> Tensor:
    """Float64 on the CPU, where distributions are worked out."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float64))

"""From what somebody else's model returns to a forecast in ap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from heliosight.core.errors import SubjectError
from heliosight.core.geomagnetic import AP_LEVELS
from heliosight.subject.config import OutputConfig


def output_of(config: OutputConfig, leads: int) -> Callable[[Any], Tensor]:
    """An `output` for `wrap`: takes the named part, drops axes of length 1, gives `(B, L)` ap.

    Raises
    ------
    SubjectError : when called, nothing of that name, or no tensor.
    """

    def read(raw: Any) -> Tensor:
        y = _part(raw, config.key)
        y = y.reshape(len(y), leads) if y.ndim and y.numel() == len(y) * leads else y
        return in_ap(y * config.std + config.mean, config.scale)

    return read


def in_ap(y: Tensor, scale: str) -> Tensor:
    """ap of a forecast in another scale, differentiable; Kp between levels is interpolated."""
    if scale == "log1p_ap":
        return torch.expm1(y)
    if scale == "kp":
        levels = torch.tensor(AP_LEVELS, dtype=y.dtype, device=y.device)
        place = (3 * y).clamp(0, len(AP_LEVELS) - 1)
        low = place.detach().floor().long().clamp(max=len(AP_LEVELS) - 2)
        return levels[low] + (place - low) * (levels[low + 1] - levels[low])
    return y


def _part(raw: Any, key: str) -> Tensor:
    found = raw
    if key:
        try:
            found = raw[key] if isinstance(raw, Mapping) else raw[int(key)]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise SubjectError(
                "a model returns what subject.output.key names", repr(key), _there(raw)
            ) from error
    elif isinstance(raw, (tuple, list)) and len(raw) == 1:
        found = raw[0]
    if not isinstance(found, Tensor):
        raise SubjectError(
            "a forecast is a tensor",
            type(found).__name__,
            f"{_there(raw)} Name the part: subject.output.key=...",
        )
    return found


def _there(raw: Any) -> str:
    if isinstance(raw, Mapping):
        return f"It returns: {', '.join(map(str, raw))}."
    if isinstance(raw, (tuple, list)):
        return f"It returns {len(raw)} things, counted from 0."
    return f"It returns {type(raw).__name__}."

"""What auxiliary heads learn from beyond the window's own target.

A head that speaks after every frame is held to what was ahead of that frame; a head that names
coronal-hole areas to the areas known by then. A teacher, a source of series windows, is asked for
both by issue time. Only training reads it; nothing of it enters a model.
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
from heliosight.core.spec import ForecastSpec, ModalitySpec

AREA = "area"
AREA_SCALE = 0.1  # a usual deviation of the root of an area, so that it weighs like log1p(ap)


@final
@dataclass(frozen=True)
class Lesson:
    """What was to be said at K moments of each window.

    Attributes
    ----------
    target, target_mask : ap ahead and whether it is known, `(B, K, L)`.
    area, area_mask : square root of the last daily areas and whether known, `(B, K, days)`, or
        None where no head names them.
    """

    target: Tensor
    target_mask: Tensor
    area: Tensor | None = None
    area_mask: Tensor | None = None

    def to(self, device: torch.device) -> Lesson:
        """On another device."""
        area, mask = self.area, self.area_mask
        return Lesson(
            self.target.to(device),
            self.target_mask.to(device),
            None if area is None else area.to(device),
            None if mask is None else mask.to(device),
        )

    def area_error(self, named: Tensor) -> Tensor:
        """`(B, K)` squared error of the areas `(B, K, days)`, mean over days, in `AREA_SCALE`."""
        assert self.area is not None
        assert self.area_mask is not None
        gap = torch.where(self.area_mask, (named - self.area.to(named)) / AREA_SCALE, 0.0)
        return (gap**2).mean(-1)


def teacher_spec(area_days: int) -> ForecastSpec:
    """What a teacher's windows hold: the target, and the daily areas that a head names."""
    area = ModalitySpec("series", "coronal_holes", ("ch_area",), max(area_days, 1), 24)
    return ForecastSpec({AREA: area} if area_days else {})


def frame_cadence(spec: ForecastSpec) -> int:
    """Seconds between the frames after which heads speak."""
    return next(m.cadence_hours for m in spec.modalities.values() if m.kind == "images") * HOUR


def moments_of(issue_time: np.ndarray, count: int, cadence: int) -> np.ndarray:
    """`(B, K)` moments that end with each issue time."""
    return np.asarray(issue_time)[:, None] - cadence * np.arange(count - 1, -1, -1)


def lesson(teacher: WindowSource, moments: np.ndarray) -> Lesson:
    """The lesson of moments `(B, K)`; what the teacher has no row for is not taught."""
    each, place = np.unique(moments, return_inverse=True)
    batch = teacher.batch(each)
    at = torch.as_tensor(place.reshape(moments.shape))
    target, mask = batch.target[at], batch.target_mask[at]
    if AREA not in batch.inputs:
        return Lesson(target, mask)
    root = batch.inputs[AREA][..., 0].clamp(min=0).sqrt()
    return Lesson(target, mask, root[at], batch.observed[AREA][..., 0][at])


def require_teacher(teacher: WindowSource | None, days: int, every: bool) -> None:
    """Refuse a teacher that cannot teach what the model's heads say.

    Raises
    ------
    ConfigError : no teacher, or one of other days of area.
    """
    if teacher is None and (days or every):
        raise ConfigError(
            "heads that speak at every frame or name areas need a teacher",
            "none",
            "Give train(..., teacher=) windows of teacher_spec(days).",
            "teacher",
        )
    if teacher is not None and days:
        told = teacher.spec.modalities.get(AREA)
        if told is None or told.steps != days:
            raise ConfigError(
                "a teacher tells as many daily areas as the head names",
                f"{0 if told is None else told.steps} against {days}",
                "Use teacher_spec(days).",
                "teacher",
            )

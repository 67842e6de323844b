"""Auxiliary heads: what the image branch can say alone; used in training, reported always."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from heliosight.core.errors import ConfigError
from heliosight.models.limits import fraction, positive

# Usual mean and deviation of the square root of the daily coronal-hole area.
ROOT_AREA = (0.15, 0.1)


@final
@dataclass(frozen=True)
class AuxiliaryConfig:
    """Heads on the image branches (none exist in a model without images).

    Attributes
    ----------
    image : forecast log1p(ap) from images alone.
    speed : forecast solar-wind speed at L1 [km s-1] from images alone.
    area : name so many of the last daily coronal-hole areas, oldest first, from images alone; 0 for
        no such head. It gives the square root of the share, so that small holes count.
    every_frame : the heads speak after every frame, each time to what was then ahead: a week of 28
        frames teaches 28 times. Needs pooling `last`, whose summary is the newest frame's token.
    hidden : width of each head's middle layer.
    alignment : width of a projection of every branch for contrastive losses, 0 for none.
    """

    image: bool = True
    speed: bool = False
    area: int = 0
    every_frame: bool = False
    hidden: int = 128
    dropout: float = 0.1
    alignment: int = 0

    def __post_init__(self) -> None:
        positive(self, "hidden")
        if self.area < 0:
            raise ConfigError(
                "a number of days is not negative", str(self.area), where="auxiliary.area"
            )
        if self.alignment < 0:
            raise ConfigError(
                "a width is not negative", str(self.alignment), where="auxiliary.alignment"
            )
        fraction(self, "dropout")


@final
class AuxiliaryHead(nn.Module):
    """Linear, ReLU, linear: `(..., F)` to `(..., L)` around `mean`, in units of `std`."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self, config: AuxiliaryConfig, width: int, leads: int, mean: float, std: float
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, leads),
        )
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("scale", torch.tensor(std))

    def forward(self, summary: Tensor) -> Tensor:
        """`(..., L)` in the unit of the moments."""
        return self.mean + self.scale * self.layers(summary)

"""Heads: a joint vector to the distribution of y = log1p(ap) at every lead.

Quantiles rise by construction. The last layer starts small and its bias at the target's moments,
so an untrained forecast is close to climatology.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heliosight.core.errors import ConfigError
from heliosight.core.forecast import DEFAULT_LEVELS, Forecast
from heliosight.models.limits import fraction, positive

START_GAIN = 0.1
SMALLEST_WIDTH = 1e-3  # of a quantile interval or scale, in log1p(ap)


@final
@dataclass(frozen=True)
class QuantileHeadConfig:
    """Free quantiles: the median, and gaps above and below it through softplus; a free mean."""

    type: Literal["quantile"] = "quantile"
    levels: tuple[float, ...] = DEFAULT_LEVELS
    hidden: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check(self)


@final
@dataclass(frozen=True)
class GaussianHeadConfig:
    """A Gaussian in log1p(ap): location and scale; quantiles at `levels` in closed form."""

    type: Literal["gaussian"] = "gaussian"
    levels: tuple[float, ...] = DEFAULT_LEVELS
    hidden: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check(self)


@final
@dataclass(frozen=True)
class SplitNormalHeadConfig:
    """A Gaussian with its own scale below and above the mode: skewness of either sign."""

    type: Literal["split_normal"] = "split_normal"
    levels: tuple[float, ...] = DEFAULT_LEVELS
    hidden: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check(self)


HeadConfig = QuantileHeadConfig | GaussianHeadConfig | SplitNormalHeadConfig


def _check(config: HeadConfig) -> None:
    positive(config, "hidden")
    fraction(config, "dropout")
    levels = config.levels
    rising = all(a < b for a, b in pairwise((0.0, *levels, 1.0)))
    if len(levels) < 3 or not rising:
        raise ConfigError(
            "levels are at least three and rise strictly between 0 and 1",
            str(levels),
            where=f"{config.type}.levels",
        )


@final
class Trunk(nn.Module):
    """Joint vector `(B, F)` to `(B, L, K)` numbers a lead, starting near `start` `(K,)`."""

    def __init__(self, width: int, leads: int, config: HeadConfig, start: Tensor) -> None:
        super().__init__()
        self.shape = (leads, len(start))
        self.hidden = nn.Sequential(
            nn.Linear(width, config.hidden), nn.GELU(), nn.Dropout(config.dropout)
        )
        self.out = nn.Linear(config.hidden, leads * len(start))
        with torch.no_grad():
            self.out.weight.mul_(START_GAIN)
            self.out.bias.copy_(start.to(self.out.bias).repeat(leads))

    def forward(self, vector: Tensor) -> Tensor:
        """`(B, L, K)`, in the weights' precision even under autocast."""
        raw = self.out(self.hidden(vector)).to(self.out.weight.dtype)
        return raw.unflatten(-1, self.shape)


@final
class QuantileHead(nn.Module):
    """See `QuantileHeadConfig`."""

    levels: Tensor

    def __init__(
        self, config: QuantileHeadConfig, width: int, leads: int, mean: float, std: float
    ) -> None:
        super().__init__()
        levels = torch.tensor(config.levels, dtype=torch.float64)
        self.register_buffer("levels", levels.to(torch.get_default_dtype()), persistent=False)
        self.middle = int((levels - 0.5).abs().argmin())
        at = mean + std * torch.special.ndtri(levels)
        gaps = _unsoftplus(at.diff() - SMALLEST_WIDTH)
        start = torch.cat([torch.tensor([mean, float(at[self.middle])], dtype=at.dtype), gaps])
        self.trunk = Trunk(width, leads, config, start)

    def forward(self, vector: Tensor) -> tuple[Forecast, Mapping[str, Tensor]]:
        """The forecast, and nothing else to inspect."""
        raw = self.trunk(vector)
        gaps = F.softplus(raw[..., 2:]) + SMALLEST_WIDTH
        below, above = gaps[..., : self.middle], gaps[..., self.middle :]
        median = raw[..., 1:2]
        down = median - below.flip(-1).cumsum(-1).flip(-1)
        quantiles = torch.cat([down, median, median + above.cumsum(-1)], -1)
        return Forecast(raw[..., 0], quantiles, self.levels), {}


@final
class GaussianHead(nn.Module):
    """See `GaussianHeadConfig`; exposes `head.location` and `head.scale`, `(B, L)`."""

    levels: Tensor
    normal: Tensor

    def __init__(
        self, config: GaussianHeadConfig, width: int, leads: int, mean: float, std: float
    ) -> None:
        super().__init__()
        _register_levels(self, config)
        scale = _unsoftplus(torch.tensor(std - SMALLEST_WIDTH, dtype=torch.float64))
        self.trunk = Trunk(width, leads, config, torch.tensor([mean, float(scale)]))

    def forward(self, vector: Tensor) -> tuple[Forecast, Mapping[str, Tensor]]:
        """The forecast with quantiles location + scale z, z the standard normal quantile."""
        location, raw = self.trunk(vector).unbind(-1)
        scale = F.softplus(raw) + SMALLEST_WIDTH
        quantiles = location[..., None] + scale[..., None] * self.normal
        features = {"head.location": location, "head.scale": scale}
        return Forecast(location, quantiles, self.levels), features


@final
class SplitNormalHead(nn.Module):
    """See `SplitNormalHeadConfig`; exposes `head.mode`, `head.below`, `head.above`, `(B, L)`.

    Source: two-piece normal, Wallis 2014 (Statistical Science 29, 106), eq. 1, with scales s1
    below and s2 above the mode m: P(Y <= m) = s1 / (s1 + s2), mean m + sqrt(2/pi) (s2 - s1).
    """

    levels: Tensor
    normal: Tensor

    def __init__(
        self, config: SplitNormalHeadConfig, width: int, leads: int, mean: float, std: float
    ) -> None:
        super().__init__()
        _register_levels(self, config)
        scale = float(_unsoftplus(torch.tensor(std - SMALLEST_WIDTH, dtype=torch.float64)))
        self.trunk = Trunk(width, leads, config, torch.tensor([mean, scale, scale]))

    def forward(self, vector: Tensor) -> tuple[Forecast, Mapping[str, Tensor]]:
        """The forecast with quantiles in closed form."""
        mode, raw1, raw2 = self.trunk(vector).unbind(-1)
        s1, s2 = F.softplus(raw1) + SMALLEST_WIDTH, F.softplus(raw2) + SMALLEST_WIDTH
        quantiles = _split_normal_quantiles(mode, s1, s2, self.levels)
        mean = mode + math.sqrt(2 / math.pi) * (s2 - s1)
        features = {"head.mode": mode, "head.below": s1, "head.above": s2}
        return Forecast(mean, quantiles, self.levels), features


def _split_normal_quantiles(mode: Tensor, s1: Tensor, s2: Tensor, levels: Tensor) -> Tensor:
    """`(B, L, Q)`: below level s1 / (s1 + s2) the lower half's quantile, above it the upper's."""
    total = (s1 + s2)[..., None]
    lower, upper = s1[..., None], s2[..., None]
    low = torch.special.ndtri((levels * total / (2 * lower)).clamp(1e-6, 0.5))
    high = torch.special.ndtri((1 - (1 - levels) * total / (2 * upper)).clamp(0.5, 1 - 1e-6))
    return mode[..., None] + lower * low + upper * high


def _register_levels(module: nn.Module, config: HeadConfig) -> None:
    levels = torch.tensor(config.levels, dtype=torch.float64)
    for name, value in (("levels", levels), ("normal", torch.special.ndtri(levels))):
        module.register_buffer(name, value.to(torch.get_default_dtype()), persistent=False)


def _unsoftplus(x: Tensor) -> Tensor:
    """The number whose softplus is x > 0."""
    x = x.clamp(min=1e-4)
    return x + torch.log(-torch.expm1(-x))


def build_head(config: HeadConfig, width: int, leads: int, mean: float, std: float) -> nn.Module:
    """The head its config names; `mean`, `std` are the target's moments in log1p(ap)."""
    if isinstance(config, QuantileHeadConfig):
        return QuantileHead(config, width, leads, mean, std)
    if isinstance(config, GaussianHeadConfig):
        return GaussianHead(config, width, leads, mean, std)
    return SplitNormalHead(config, width, leads, mean, std)

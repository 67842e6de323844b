"""Encoders of image sequences `(B, C, T, H, W)`: stem, ConvLSTM or Conv3D, readout, pooling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from heliosight.core.errors import ConfigError
from heliosight.core.spec import ModalitySpec
from heliosight.models.convlstm import ConvLSTM, ForgetBias
from heliosight.models.limits import divides, fraction, odd, positive
from heliosight.models.tokens import Encoded, PoolingKind, TemporalPooling

StemKind = Literal["none", "strided", "patch"]


@final
@dataclass(frozen=True)
class ConvLSTMConfig:
    """ConvLSTM over frames.

    Attributes
    ----------
    stem : `patch` cuts each frame into squares of `patch` pixels, `strided` halves it by
        convolutions until it is `patch` times smaller, `none` keeps full resolution.
    pixel_channels : nonlinear answers of small squares before the patch sums them; 0 makes the
        patch a linear map, which sees a mean brightness and hardly a coronal hole.
    pixel_size : side of those squares [pixel]; the greatest common divisor with the patch is used.
    position : add a learned code for each place of the map after the stem.
    forget_bias : `chrono` spreads the cells' memory up to `memory` frames (0: all frames).
    grid : a frame's token keeps this many rows and columns of the map (at most; the greatest
        common divisor with the map's side is used), so that place is not averaged away.
    pooling : `last`, `mean`, `attention` (learned query) or `self_attention` over frames.
    accelerate : on a CPU run 3x3 gates by a compiled Winograd kernel where one can be built;
        the numbers agree with plain torch to rounding.
    """

    type: Literal["convlstm"] = "convlstm"
    features: int = 32
    hidden: int = 16
    layers: int = 1
    kernel: int = 3
    stem: StemKind = "patch"
    patch: int = 4
    stem_channels: int = 16
    pixel_channels: int = 8
    pixel_size: int = 2
    position: bool = True
    forget_bias: ForgetBias = "chrono"
    memory: int = 0
    peepholes: bool = False
    grid: int = 4
    pooling: PoolingKind = "attention"
    heads: int = 4
    dropout: float = 0.0
    accelerate: bool = True

    def __post_init__(self) -> None:
        positive(self, "features", "hidden", "layers", "stem_channels", "grid", "heads")
        odd(self, "kernel")
        fraction(self, "dropout")
        divides(self, "heads", "features")
        _check_patch(self.stem, self.patch, self.type)
        _check_pixels(self.pixel_channels, self.type)
        positive(self, "pixel_size")
        if self.memory < 0:
            raise ConfigError(
                "a number of frames is not negative", str(self.memory), where="convlstm.memory"
            )


@final
@dataclass(frozen=True)
class Conv3dConfig:
    """Convolutions over time and space together, residual; layer k has dilation 2^k in time."""

    type: Literal["conv3d"] = "conv3d"
    features: int = 32
    hidden: int = 16
    layers: int = 3
    kernel: int = 3
    stem: StemKind = "patch"
    patch: int = 4
    stem_channels: int = 16
    pixel_channels: int = 8
    pixel_size: int = 2
    position: bool = True
    grid: int = 4
    pooling: PoolingKind = "attention"
    heads: int = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "features", "hidden", "layers", "stem_channels", "grid", "heads")
        odd(self, "kernel")
        fraction(self, "dropout")
        divides(self, "heads", "features")
        _check_patch(self.stem, self.patch, self.type)
        _check_pixels(self.pixel_channels, self.type)
        positive(self, "pixel_size")


ImageConfig = ConvLSTMConfig | Conv3dConfig


def _check_pixels(pixels: int, kind: str) -> None:
    if pixels < 0:
        raise ConfigError(
            "a number of channels is not negative", str(pixels), where=f"{kind}.pixel_channels"
        )


def _check_patch(stem: StemKind, patch: int, kind: str) -> None:
    if patch < 1 or (stem == "strided" and (patch < 2 or patch & (patch - 1))):
        raise ConfigError(
            "a patch is at least 1 pixel, and a strided stem shrinks by a power of two",
            f"stem {stem!r} with patch {patch}",
            "Use 2, 4 or 8.",
            f"{kind}.patch",
        )


@final
class Stem(nn.Module):
    """Frames and their mask to maps `(B, T, F, h, w)`; `.channels` and `.size` say which.

    The mask is one number a channel and frame. Without a stem it enters as planes of its own;
    before a stem such a constant plane would only add a constant a channel, so that is what is
    added.
    """

    def __init__(self, config: ImageConfig, spec: ModalitySpec) -> None:
        super().__init__()
        n, shrink = len(spec.variables), 1 if config.stem == "none" else config.patch
        if spec.size % shrink:
            raise ConfigError(
                "the patch divides the image's side",
                f"patch {shrink}, side {spec.size}",
                where=f"{config.type}.patch",
            )
        self.size = spec.size // shrink
        self.channels = 2 * n if config.stem == "none" else config.stem_channels
        self.convolve: nn.Module | None = None
        self.position: nn.Parameter | None = None
        if config.stem != "none":
            self.convolve = _stem_convolutions(config, n)
            self.mask = nn.Linear(n, self.channels, bias=False)
        if config.stem != "none" and config.position:
            self.position = nn.Parameter(torch.randn(self.channels, self.size, self.size) * 0.1)

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """`(B, T, F, h, w)` from normalised `(B, C, T, H, W)` and `(B, C, T)`."""
        frames, mask = x.transpose(1, 2), observed.transpose(1, 2).to(x.dtype)
        if self.convolve is None:
            return torch.cat([frames, mask[..., None, None].expand_as(frames)], 2)
        flat = frames.flatten(0, 1)
        maps = self.convolve(flat).contiguous().unflatten(0, frames.shape[:2])
        maps = maps + self.mask(mask)[..., None, None]
        return maps if self.position is None else maps + self.position


def _stem_convolutions(config: ImageConfig, channels: int) -> nn.Module:
    width, patch = config.stem_channels, config.patch
    if config.stem == "patch":
        return _patches(channels, config, width, patch)
    steps = round(math.log2(patch))
    layers: list[nn.Module] = []
    for k in range(steps):
        layers += [nn.Conv2d(width if k else channels, width, 3, stride=2, padding=1), nn.GELU()]
    return nn.Sequential(*layers[:-1])


def _patches(channels: int, config: ImageConfig, width: int, patch: int) -> nn.Module:
    """A coronal hole is a threshold on brightness; the mean of a patch has lost it.

    So squares of `pixel_size` pixels (1 where the patch is odd) answer nonlinearly first, and the
    patch sums the answers.
    """
    pixels = config.pixel_channels
    if not pixels:
        return nn.Conv2d(channels, width, patch, stride=patch)
    fine = math.gcd(config.pixel_size, patch)
    answer = nn.Conv2d(channels, pixels, fine, stride=fine)
    nn.init.kaiming_normal_(answer.weight, nonlinearity="relu")
    nn.init.uniform_(answer.bias, -1.0, 1.0)  # thresholds over the range of normalised grey levels
    rest = patch // fine
    stem = nn.Sequential(answer, nn.ReLU(), nn.Conv2d(pixels, width, rest, stride=rest))
    return stem.to(memory_format=torch.channels_last)  # measured: half the time on a CPU


@final
class Conv3dStack(nn.Module):
    """Residual blocks of Conv3d, GroupNorm and GELU on `(B, T, C, H, W)`."""

    def __init__(self, channels: int, hidden: int, layers: int, kernel: int) -> None:
        super().__init__()
        self.widen = nn.Conv3d(channels, hidden, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(_conv3d(hidden, kernel, 2**k), nn.GroupNorm(1, hidden), nn.GELU())
            for k in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(B, T, F, H, W)`."""
        x = self.widen(x.transpose(1, 2))
        for block in self.blocks:
            x = x + block(x)
        return x.transpose(1, 2)


def _conv3d(width: int, kernel: int, dilation: int) -> nn.Conv3d:
    half = kernel // 2
    padding = (half * dilation, half, half)
    return nn.Conv3d(width, width, kernel, dilation=(dilation, 1, 1), padding=padding)


@final
class ImageEncoder(nn.Module):
    """Stem, backbone over frames, one token a frame, pooling over frames."""

    def __init__(self, config: ImageConfig, spec: ModalitySpec) -> None:
        super().__init__()
        self.stem = Stem(config, spec)
        self.backbone = _backbone(config, spec, self.stem)
        self.grid = math.gcd(config.grid, self.stem.size)
        self.dropout = nn.Dropout(config.dropout)
        self.readout = nn.Linear(config.hidden * self.grid**2, config.features)
        self.pooling = TemporalPooling(config.pooling, config.features, spec.steps, config.heads)

    def forward(self, values: Tensor, observed: Tensor) -> Encoded:
        """Tokens of normalised images `(B, C, T, H, W)` and their mask `(B, C, T)`."""
        maps = self.backbone(self.stem(values, observed))
        hidden = maps.hidden if not isinstance(maps, Tensor) else maps
        tokens = self.readout(self.dropout(self._cells(hidden)))
        summary, weights = self.pooling(tokens)
        return Encoded(tokens, summary, hidden.mean((-2, -1)), weights)

    def _cells(self, maps: Tensor) -> Tensor:
        """Means over the cells of a coarse grid, `(B, T, F * grid * grid)`."""
        side = maps.shape[-1] // self.grid
        cells = maps.unflatten(-1, (self.grid, side)).unflatten(-3, (self.grid, side))
        return cells.mean((-3, -1)).flatten(2)


def _backbone(config: ImageConfig, spec: ModalitySpec, stem: Stem) -> nn.Module:
    if isinstance(config, Conv3dConfig):
        return Conv3dStack(stem.channels, config.hidden, config.layers, config.kernel)
    return ConvLSTM(
        stem.channels,
        config.hidden,
        config.layers,
        config.kernel,
        config.forget_bias,
        config.memory or spec.steps,
        (stem.size, stem.size) if config.peepholes else None,
        config.accelerate,
    )

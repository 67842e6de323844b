"""A vision transformer on each frame, one over the frames, one on the wind, late fusion.

It carries a fault that is found in public code: the wind's position codes are written for
`(S, B, F)` and given `(B, S, F)`, so they are added along the batch.
"""

import math

import torch
from torch import nn


def layer(width: int) -> nn.TransformerEncoderLayer:
    """One small encoder layer."""
    return nn.TransformerEncoderLayer(width, 2, 32, dropout=0.0, batch_first=True)


class PositionalEncoding(nn.Module):
    """Sinusoids for `(S, B, F)`, as in many tutorials."""

    def __init__(self, width: int, longest: int = 1000) -> None:
        super().__init__()
        place = torch.arange(longest)[:, None]
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        codes = torch.zeros(longest, 1, width)
        codes[:, 0, 0::2], codes[:, 0, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
        self.register_buffer("codes", codes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` with its codes."""
        return x + self.codes[: x.size(0)]


class VisionLateFusion(nn.Module):
    """`forward(images (B, T, C, H, W), omni (B, S, V))` to a dictionary with `prediction`."""

    def __init__(self, mended: bool = False, width: int = 16, leads: int = 24) -> None:
        super().__init__()
        self.mended = mended
        self.patch = nn.Conv2d(3, width, 8, stride=8)
        self.place = nn.Parameter(0.1 * torch.randn(1, 4, width))
        self.day = nn.Parameter(0.1 * torch.randn(1, 28, width))
        self.space, self.time = layer(width), layer(width)
        self.embed, self.position = nn.Linear(6, width), PositionalEncoding(width)
        self.wind = layer(width)
        self.fusion = nn.Sequential(nn.Linear(2 * width, 32), nn.GELU())
        self.head = nn.Linear(32, leads)

    def forward(self, images: torch.Tensor, omni: torch.Tensor) -> dict[str, torch.Tensor]:
        """The forecast and what each branch made of it."""
        tokens = self.patch(images.flatten(0, 1)).flatten(2).transpose(1, 2) + self.place
        frames = self.space(tokens).mean(1).unflatten(0, images.shape[:2])
        seen = self.time(frames + self.day).mean(1)
        x = self.embed(omni)
        turned = x.transpose(0, 1)
        x = self.position(turned).transpose(0, 1) if self.mended else self.position(x)
        felt = self.wind(x).mean(1)
        return {"prediction": self.head(self.fusion(torch.cat([seen, felt], 1))), "seen": seen}


def build() -> nn.Module:
    """The model as it was found."""
    torch.manual_seed(0)
    return VisionLateFusion()


def mended() -> nn.Module:
    """The same weights, position on the time axis."""
    torch.manual_seed(0)
    return VisionLateFusion(mended=True)

"""A small recurrent network whose use of each pixel is known, to try an explainer on.

One cell is called once per frame: drive_t = relu(x_t[k] - threshold) of one planted channel k,
c_t = keep c_{t-1} + drive_t, and it returns (h_t, c_t) with h_t = 2 c_t. The forecast is
10 + sum_t w_t mean(h_t). Only a blob that moves west with the frames is brighter than the
threshold, so nothing but the blob has an effect, for gradients and for replacements alike; its
effect is positive and falls to exactly zero after the last frame with a weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.seeding import torch_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.subject import Subject, wrap

FRAMES, SIZE, STEPS, LEADS, WINDOWS = 6, 16, 4, 4, 4
CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")
KEEP, THRESHOLD = 0.5, 40.0
SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", CHANNELS, FRAMES, 6, size=SIZE),
        "solar_wind": ModalitySpec("series", "solar_wind", ("speed",), STEPS, 3),
    },
    leads=LEADS,
)


@final
class LampCell(nn.Module):
    """One step: frame `(B, C, H, W)` and state `(B, 1, H, W)` to (h, c)."""

    def __init__(self, channel: int) -> None:
        super().__init__()
        self.register_buffer("choice", torch.eye(len(CHANNELS))[channel])

    def forward(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden and carried state."""
        seen = torch.einsum("bchw,c->bhw", frame, self.choice.to(frame))[:, None]
        carried = KEEP * state + torch.relu(seen - THRESHOLD)
        return 2 * carried, carried


@final
class LampNetwork(nn.Module):
    """Images `(B, C, T, H, W)` to a forecast `(B, L)`, the same at every lead."""

    def __init__(self, channel: int, weights: Tensor) -> None:
        super().__init__()
        self.cell = LampCell(channel)
        self.register_buffer("weights", weights)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast `(B, L)`."""
        x = batch.inputs["images"]
        x = x if x.is_floating_point() else x.float()
        state, total = x.new_zeros(len(x), 1, *x.shape[-2:]), x.new_full((len(x),), 10.0)
        for t in range(x.shape[2]):
            hidden, state = self.cell(x[:, :, t], state)
            total = total + self.weights[t].to(x) * hidden.mean((1, 2, 3))
        return total[:, None].expand(-1, LEADS)


@final
@dataclass(frozen=True)
class Lamp:
    """The subject, its windows, and the truth about the first of them.

    The others are dark: an explainer that compares windows has something to compare with.

    Attributes
    ----------
    blob : `(T, H, W)` bool, where the blob is. channel : the planted one.
    profiles : `(T,)` true effect of the blob of each frame, and of each call's hidden state.
    """

    subject: Subject
    batch: Batch
    blob: np.ndarray
    channel: int
    profiles: tuple[np.ndarray, np.ndarray]


def lamp(seed: int) -> Lamp:
    """A lamp whose channel, frames and brightness are drawn from `seed`."""
    draw = torch_stream(seed, "diagnosis", "lamp")
    channel = int(torch.randint(len(CHANNELS), (1,), generator=draw))
    first = int(torch.randint(1, FRAMES - 2, (1,), generator=draw))
    weights = torch.zeros(FRAMES)
    weights[first : first + 2] = 0.5 + torch.rand(2, generator=draw)
    network = LampNetwork(channel, weights)
    parts = {"encoder.images": network.cell, "cell.images.0": network.cell}
    blob = torch.zeros(FRAMES, SIZE, SIZE, dtype=torch.bool)
    for t in range(FRAMES):
        blob[t, 4:7, 5 + t : 8 + t] = True
    images = 20 * torch.rand(WINDOWS, len(CHANNELS), FRAMES, SIZE, SIZE, generator=draw)
    level = THRESHOLD + 60 + 60 * torch.rand(FRAMES, generator=draw)
    images[0, channel] = torch.where(blob, level[:, None, None], images[0, channel])
    drive = torch.where(blob, (level - THRESHOLD)[:, None, None], 0.0)
    subject = wrap(network, SPEC, parts=parts, name="lamp")
    truth = _profiles(weights, drive)
    return Lamp(subject, _batch(images), blob.numpy(), channel, truth)


def _profiles(weights: Tensor, drive: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Of the input: d_s sum_{t >= s} w_t keep^(t - s); of the state: w_t h_t; both over pixels."""
    lag = torch.arange(FRAMES)[None, :] - torch.arange(FRAMES)[:, None]
    reach = torch.where(lag >= 0, KEEP ** lag.clamp(min=0).float(), 0.0)
    size = drive.sum((1, 2))
    return (size * (reach @ weights)).numpy(), (weights * (reach.T @ size)).numpy()


def _batch(images: Tensor) -> Batch:
    series = torch.zeros(WINDOWS, STEPS, 1)
    seen = torch.ones(images.shape[:3], dtype=torch.bool)
    unknown = torch.zeros(WINDOWS, LEADS)
    return Batch(
        {"images": images, "solar_wind": series},
        {"images": seen, "solar_wind": torch.ones_like(series, dtype=torch.bool)},
        torch.arange(WINDOWS, dtype=torch.int64) * 20 * 86400,
        unknown,
        unknown.bool(),
    )

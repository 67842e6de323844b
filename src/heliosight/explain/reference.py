"""A small recurrent network whose attributions are known exactly: the calibration lamp.

A cell called once per frame carries c_t = keep c_{t-1} + sum_c k_c x_t[c], gives h_t = 2 c_t,
and the forecast reads base + sum_t w_t <m, h_t> / (2 pixels) + <v, series>. It is linear, so the
effect of an input is its weight: k_c m_p / pixels sum_{t >= s} w_t keep^(t - s) for channel c,
frame s, pixel p.
Planted: one channel, a few frames, one half of the disc, one series variable at a few steps; a
bright blob moves west through the planted channel. Everything else has exactly zero effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.seeding import torch_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.subject import Subject, wrap

FRAMES, SIZE, STEPS, LEADS = 6, 16, 8, 24
CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")
VARIABLES = ("speed", "bz_gsm")
CELL = "cell.images.0"


@final
class ReferenceCell(nn.Module):
    """One step: frame `(B, C, H, W)` and state `(B, 1, H, W)` to (h, c)."""

    def __init__(self, channel_weight: Tensor, keep: float) -> None:
        super().__init__()
        self.keep = keep
        self.register_buffer("channel_weight", channel_weight)

    def forward(self, frame: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hidden and carried state, `(B, 1, H, W)` each."""
        drive = torch.einsum("bchw,c->bhw", frame, self.channel_weight.to(frame))[:, None]
        carried = drive if state is None else self.keep * state + drive
        return 2 * carried, carried


@final
class ReferenceNetwork(nn.Module):
    """Images `(B, C, T, H, W)` and series `(B, S, V)` to a forecast `(B, L)`."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        draw = torch_stream(seed, "explain", "reference")
        channel = int(torch.randint(len(CHANNELS), (1,), generator=draw))
        first = int(torch.randint(1, FRAMES - 2, (1,), generator=draw))
        self.cell = ReferenceCell(torch.eye(len(CHANNELS))[channel], keep=0.5)
        time_weight = torch.zeros(FRAMES)
        time_weight[first : first + 2] = 0.5 + torch.rand(2, generator=draw)
        series_weight = torch.zeros(STEPS, len(VARIABLES))
        series_weight[-3:, 0] = torch.rand(3, generator=draw) - 0.5
        mask = torch.zeros(SIZE, SIZE)
        mask[:, SIZE // 4 :] = 1.0
        for name, value in (("time", time_weight), ("series", series_weight), ("mask", mask)):
            self.register_buffer(f"{name}_weight", value)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast `(B, L)`, the same at every lead."""
        images, series = batch.inputs["images"], batch.inputs["solar_wind"]
        state, total = None, 0.0
        for t in range(images.shape[2]):
            hidden, state = self.cell(images[:, :, t], state)
            seen = (hidden[:, 0] * self.mask_weight.to(hidden)).mean((1, 2)) / 2
            total = total + self.time_weight[t].to(hidden) * seen
        wind = (series * self.series_weight.to(series)).sum((1, 2))
        return (10.0 + total + wind)[:, None].expand(-1, LEADS)

    def image_weight(self) -> Tensor:
        """Exact effect of a unit of each image input, `(C, T, H, W)`."""
        lag = torch.arange(FRAMES)[None, :] - torch.arange(FRAMES)[:, None]
        carried = torch.where(lag >= 0, self.cell.keep ** lag.clamp(min=0).float(), 0.0)
        frame = carried @ self.time_weight
        place = self.mask_weight / self.mask_weight.numel()
        return torch.einsum("c,t,hw->cthw", self.cell.channel_weight, frame, place)


@final
@dataclass(frozen=True)
class Lamp:
    """The reference as a subject, a window, other windows, and where the blob is in each frame."""

    subject: Subject
    network: ReferenceNetwork
    batch: Batch
    context: Batch
    blob: Tensor


def lamp(seed: int = 0, windows: int = 6) -> Lamp:
    """A lamp with its own planted answer per seed; `blob` is `(T, H, W)` bool."""
    network = ReferenceNetwork(seed)
    subject = wrap(network, _spec(), parts={CELL: network.cell}, name="reference network")
    draw = torch_stream(seed, "explain", "lamp")
    images = 20 * torch.rand(windows, len(CHANNELS), FRAMES, SIZE, SIZE, generator=draw)
    blob = _blob()
    channel = int(network.cell.channel_weight.argmax())
    images[:, channel] *= 0.05
    images[0, channel] = torch.where(blob, 200.0, images[0, channel])
    series = torch.randn(windows, STEPS, len(VARIABLES), generator=draw)
    batch = _batch(images, series)
    return Lamp(subject, network, batch.select([0]), batch.select(slice(1, None)), blob)


def _blob() -> Tensor:
    """A 3 x 3 patch north of the centre, moving one pixel west a frame."""
    blob = torch.zeros(FRAMES, SIZE, SIZE, dtype=torch.bool)
    for t in range(FRAMES):
        blob[t, 4:7, 5 + t : 8 + t] = True
    return blob


def _batch(images: Tensor, series: Tensor) -> Batch:
    seen = torch.ones(images.shape[:3], dtype=torch.bool)
    unknown = torch.zeros(len(images), LEADS)
    return Batch(
        {"images": images, "solar_wind": series},
        {"images": seen, "solar_wind": torch.ones_like(series, dtype=torch.bool)},
        torch.arange(len(images), dtype=torch.int64) * 27 * 86400,
        unknown,
        unknown.bool(),
    )


def _spec() -> ForecastSpec:
    images = ModalitySpec("images", "images", CHANNELS, FRAMES, 6, size=SIZE)
    wind = ModalitySpec("series", "solar_wind", VARIABLES, STEPS, 3)
    return ForecastSpec({"images": images, "solar_wind": wind}, leads=LEADS)

"""A foreign model with its own axis order, and batches for it."""

import torch
from torch import nn

from heliosight.core.batch import Batch
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.subject import adapter, wrap

SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", ("aia_193", "aia_211"), 5, 6, size=8),
        "solar_wind": ModalitySpec("series", "solar_wind", ("speed", "density"), 6, 3),
    },
    leads=4,
)
CALL = adapter({"sdo": ("images", "B T C H W"), "omni": ("solar_wind", "B S V")})


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2 + 3, 3, 3, padding=1)

    def forward(self, x, state):
        h = torch.tanh(self.conv(torch.cat([x, state[0]], 1)))
        return h, (h, state[1] + h)


class Eye(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = Cell()

    def forward(self, sdo):
        h = sdo.new_zeros(sdo.shape[0], 3, *sdo.shape[-2:])
        state = (h, h)
        for t in range(sdo.shape[1]):
            h, state = self.cell(sdo[:, t] / 255 - 0.5, state)
        return h.mean((2, 3))


class Wind(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 3, batch_first=True)

    def forward(self, omni):
        return self.gru(omni)[0][:, -1]


class Foreign(nn.Module):
    def __init__(self):
        super().__init__()
        self.eye, self.wind = Eye(), Wind()
        self.join, self.gate = nn.Linear(6, 6), nn.Sequential(nn.Linear(6, 6), nn.Sigmoid())
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, sdo, omni):
        z = torch.cat([self.eye(sdo), self.wind(omni)], 1)
        return self.head(self.norm(self.drop(self.join(z) * self.gate(z))))


def foreign(**kwargs):
    torch.manual_seed(1)
    return wrap(Foreign(), SPEC, call=CALL, **kwargs)


def batch_of(n, seed=0):
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 2, 5, 8, 8, generator=draw) * 255
    wind = torch.randn(n, 6, 2, generator=draw)
    times = torch.arange(n, dtype=torch.int64) * 10800
    return Batch(
        {"images": images, "solar_wind": wind},
        {"images": torch.ones(n, 2, 5, dtype=torch.bool), "solar_wind": wind == wind},
        times,
        torch.rand(n, 4, generator=draw),
        torch.ones(n, 4, dtype=torch.bool),
    )

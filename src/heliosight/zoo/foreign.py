"""A foreign model as it is found in public code, with the faults found there.

It knows nothing of this project: images `(B, T, C, H, W)`, wind `(B, S, V)`, a forecast of
log1p(ap) `(B, L)`. Its recurrent cell gives a tuple or a bare tensor. It is trained by a loop of
its own, as its users would; whether a healthy one became healthy is asked of its forecasts.
"""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn

from heliosight.zoo.worlds import CHANNELS, LEADS, STEPS, WIND

NaturalFault = Literal[
    "healthy_tuple", "healthy_tensor", "position_on_batch", "single_key", "state_dropped",
    "same_frame", "unlisted_layer",
]  # fmt: skip
# What a right diagnosis may name; nothing for the healthy twins. A position code added along the
# batch axis of a batch_first model, cross-attention with one key, a cell called without its state,
# a loop that feeds the same frame at every step, and weights that no parameter list holds are all
# found in public code.
NATURAL: dict[str, tuple[str, ...]] = {
    "healthy_tuple": (),
    "healthy_tensor": (),
    "position_on_batch": ("batch_leakage", "order_blind"),
    "single_key": ("single_token",),
    "state_dropped": ("state_not_carried", "steps_not_connected"),
    "same_frame": ("same_frame", "steps_not_connected"),
    "unlisted_layer": ("unregistered_weights",),
}
WIDTH = 12
RATE, EPOCHS, BATCH, RIDGE = 3e-3, 6, 64, 1e-3


@final
class TupleCell(nn.Module):
    """ConvLSTM cell that gives `h, (h, c)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels + WIDTH, 4 * WIDTH, 3, padding=1)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple]:
        """The hidden state, and the state to hand on."""
        h, c = state
        i, f, g, o = self.conv(torch.cat([x, h], 1)).chunk(4, 1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


@final
class TensorCell(nn.Module):
    """ConvGRU cell that gives a bare tensor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(channels + WIDTH, 2 * WIDTH, 3, padding=1)
        self.proposal = nn.Conv2d(channels + WIDTH, WIDTH, 3, padding=1)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """The next hidden state."""
        r, z = torch.sigmoid(self.gates(torch.cat([x, h], 1))).chunk(2, 1)
        new = torch.tanh(self.proposal(torch.cat([x, r * h], 1)))
        return z * h + (1 - z) * new


@final
class SolarBranch(nn.Module):
    """Frames through a cell; the last hidden state, four cells of the map."""

    def __init__(self, fault: NaturalFault) -> None:
        super().__init__()
        self.fault = fault
        self.shrink = nn.Conv2d(len(CHANNELS), 8, 4, stride=4)
        cell = TensorCell if fault == "healthy_tensor" else TupleCell
        self.cell = cell(8)

    def forward(self, sdo: Tensor) -> Tensor:
        """`(B, 4 WIDTH)` from `(B, T, C, H, W)` grey levels."""
        x = torch.relu(self.shrink((sdo.flatten(0, 1) - 130) / 30)).unflatten(0, sdo.shape[:2])
        h = x.new_zeros(len(x), WIDTH, *x.shape[-2:])
        state: tuple[Tensor, Tensor] = (h, h)
        for t in range(x.shape[1]):
            frame = x[:, -1 if self.fault == "same_frame" else t]
            if isinstance(self.cell, TensorCell):
                h = self.cell(frame, h)
                continue
            if self.fault == "state_dropped":
                state = (torch.zeros_like(h), torch.zeros_like(h))
            h, state = self.cell(frame, state)
        return nn.functional.adaptive_avg_pool2d(h, 2).flatten(1)


@final
class WindBranch(nn.Module):
    """One Transformer layer over wind steps and their mean."""

    def __init__(self, fault: NaturalFault) -> None:
        super().__init__()
        self.fault = fault
        self.embed = nn.Linear(len(WIND), WIDTH)
        self.register_buffer("pe", torch.randn(512, WIDTH))
        self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 24, 0.0, batch_first=True)

    def forward(self, omni: Tensor) -> Tensor:
        """`(B, WIDTH)` from `(B, S, V)`."""
        scale = omni.new_tensor([80.0, 2.0, 5.0])
        x = self.embed((omni - omni.new_tensor([390.0, 0.0, 6.0])) / scale)
        if self.fault == "position_on_batch":
            x = x + self.pe[: x.size(0)][:, None]
        else:
            x = x + self.pe[:STEPS]
        return self.layer(x).mean(1)


@final
class CrossModal(nn.Module):
    """One branch asks the other through a single key: the weights choose nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (
            nn.Linear(4 * WIDTH, WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.Linear(WIDTH, WIDTH),
        )

    def forward(self, sun: Tensor, wind: Tensor) -> Tensor:
        """`(B, WIDTH)`."""
        q, k, v = self.q_proj(sun), self.k_proj(wind), self.v_proj(wind)
        weights = torch.softmax((q * k).sum(-1, keepdim=True)[:, None], -1)
        return (weights * v[:, None]).sum(1)


@final
class ForeignNet(nn.Module):
    """Both branches, joined, and a linear readout."""

    def __init__(self, fault: NaturalFault) -> None:
        super().__init__()
        self.sun, self.wind = SolarBranch(fault), WindBranch(fault)
        self.cross = CrossModal() if fault == "single_key" else None
        width = 5 * WIDTH + (WIDTH if self.cross is not None else 0)
        self.fusion = nn.Linear(width, 48)
        # a plain list: torch does not know the layer, no optimiser or checkpoint will see it
        self.unlisted = [nn.Linear(48, 48)] if fault == "unlisted_layer" else []
        self.head = nn.Linear(48, LEADS)

    def joined(self, sdo: Tensor, omni: Tensor) -> Tensor:
        """What the readout reads, `(B, 48)`."""
        sun, wind = self.sun(sdo), self.wind(omni)
        parts = [sun, wind] if self.cross is None else [sun, wind, self.cross(sun, wind)]
        x = torch.tanh(self.fusion(torch.cat(parts, 1)))
        for layer in self.unlisted:
            x = torch.tanh(layer(x))
        return x

    def forward(self, sdo: Tensor, omni: Tensor) -> Tensor:
        """Forecast of log1p(ap), `(B, L)`."""
        return self.head(self.joined(sdo, omni))


def foreign(fault: NaturalFault, seed: int) -> ForeignNet:
    """A foreign model with fresh weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ForeignNet(fault)


def fit(model: ForeignNet, sdo: Tensor, omni: Tensor, y: Tensor, seed: int) -> None:
    """Adam on the squared error of log1p(ap) `(N, L)`, its rate falling to zero.

    The readout is fitted by least squares before and after: the amplitude starts and ends right.
    """
    fit_readout(model, sdo, omni, y, RIDGE)
    order = torch.Generator().manual_seed(seed)
    steps = EPOCHS * (len(y) // BATCH)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(y), generator=order).split(BATCH)[: len(y) // BATCH]:
            loss = (model(sdo[rows], omni[rows]) - y[rows]).pow(2).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    fit_readout(model, sdo, omni, y, RIDGE)


@torch.no_grad()
def fit_readout(model: ForeignNet, sdo: Tensor, omni: Tensor, y: Tensor, ridge: float) -> None:
    """The last layer by ridge regression of log1p(ap) `(N, L)`, 64 windows at a time."""
    pairs = zip(sdo.split(64), omni.split(64), strict=True)
    x = torch.cat([model.joined(a, b) for a, b in pairs]).double()
    mean, centre = x.mean(0), y.double().mean(0)
    a = x - mean
    gram = a.T @ a + ridge * len(a) * torch.eye(a.shape[1], dtype=a.dtype)
    weight = torch.linalg.solve(gram, a.T @ (y.double() - centre)).T
    model.head.weight.copy_(weight)
    model.head.bias.copy_(centre - weight @ mean)

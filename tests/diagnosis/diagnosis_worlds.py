"""Tiny models with and without a planted fault, and windows whose truth is known."""

import numpy as np
import torch
from torch import nn

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.subject import adapter, wrap

T, S, SIZE, LEADS = 6, 5, 8, 4
SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", ("aia_193", "aia_211"), T, 6, size=SIZE),
        "solar_wind": ModalitySpec("series", "solar_wind", ("speed", "density"), S, 3),
    },
    leads=LEADS,
)
CALL = adapter({"sdo": ("images", "B T C H W"), "omni": ("solar_wind", "B S V")})


def smooth(n, seed, width=2, count=1):
    """AR(1) series with unit variance."""
    rng = np.random.default_rng(seed)
    r = np.exp(-1 / width)
    out = np.zeros((n, count))
    out[0] = rng.standard_normal(count)
    for i in range(1, n):
        out[i] = r * out[i - 1] + np.sqrt(1 - r * r) * rng.standard_normal(count)
    return out


def windows(n=400, seed=0, image_effect=1.0, wind_effect=1.0, noise=0.5, days=1.0):
    """Daily windows; the target follows the newest image's brightness and the newest speed.

    Frame t of window i is a random field plus the driver of that frame.
    """
    rng = np.random.default_rng(seed)
    a, b = smooth(n, seed + 1, count=T), smooth(n, seed + 2, count=S * 2).reshape(n, S, 2)
    images = 120 + 20 * a[:, None, :, None, None] + 10 * rng.standard_normal((n, 2, T, SIZE, SIZE))
    signal = image_effect * a[:, -1] + wind_effect * b[:, -1, 0]
    log_ap = 2 + 0.3 * signal[:, None] + 0.3 * noise * rng.standard_normal((n, LEADS))
    target = np.expm1(np.maximum(log_ap, 0))
    times = (np.arange(n) * days * DAY).astype(np.int64)
    x, w = torch.tensor(images).float(), torch.tensor(b).float()
    return Batch(
        {"images": x, "solar_wind": w},
        {"images": torch.ones(n, 2, T, dtype=torch.bool), "solar_wind": w == w},
        torch.tensor(times),
        torch.tensor(target).float(),
        torch.ones(n, LEADS, dtype=torch.bool),
    )


class Cell(nn.Module):
    def __init__(self, channels=2, hidden=3):
        super().__init__()
        self.hidden = hidden
        self.conv = nn.Conv2d(channels + hidden, 4 * hidden, 3, padding=1)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.conv(torch.cat([x, h], 1)).chunk(4, 1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Eye(nn.Module):
    """ConvLSTM branch with switches for faults."""

    def __init__(self, fault=""):
        super().__init__()
        self.cell, self.fault = Cell(), fault

    def frame(self, x, t):
        return {
            "same_frame": 0,
            "reversed_frames": x.shape[1] - 1 - t,
            "future": min(t + 1, x.shape[1] - 1),
        }.get(self.fault, t)

    def forward(self, sdo):
        x = (sdo - 120) / 20
        zero = x.new_zeros(len(x), self.cell.hidden, *x.shape[-2:])
        state = (zero, zero)
        for t in range(x.shape[1]):
            if self.fault == "not_carried":
                state = (zero, zero)
            if self.fault == "state_detached":
                state = tuple(s.detach() for s in state)
            state = self.cell(x[:, self.frame(x, t)], state)
        return state[0].mean((2, 3))


class Wind(nn.Module):
    """Transformer branch with switches for faults."""

    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault
        self.embed = nn.Linear(2, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.pe = nn.Parameter(torch.randn(64, 4))

    def forward(self, omni):
        x = self.embed(omni)
        if self.fault == "batch_position":
            x = x + self.pe[: len(x)][:, None]
        elif self.fault != "no_position":
            x = x + self.pe[: x.shape[1]]
        if self.fault == "single_token":
            x = (x * torch.linspace(0, 1, x.shape[1])[:, None]).mean(1, keepdim=True)
        return self.attention(x, x, x, need_weights=False)[0].mean(1)


class Net(nn.Module):
    def __init__(self, eye="", wind="", join=""):
        super().__init__()
        self.eye, self.wind, self.fault = Eye(eye), Wind(wind), join
        self.join = nn.Linear(3 + 4, 6)
        self.head = nn.Linear(6, LEADS)

    def forward(self, sdo, omni):
        a, b = self.eye(sdo), self.wind(omni)
        if self.fault == "eye_detached":
            a = a.detach()
        if self.fault == "eye_dead":
            a = a * 0.0
        return torch.expm1(2 + self.head(torch.tanh(self.join(torch.cat([a, b], 1)))))


def net(seed=0, **faults):
    torch.manual_seed(seed)
    return wrap(Net(**faults), SPEC, call=CALL, name="net")


class Line(nn.Module):
    """y = exp(2 + weights on known statistics): a model whose use of each input is known."""

    def __init__(self, image=0.3, wind=0.3, noise=0.0, gain=1.0, frame=-1):
        super().__init__()
        self.eye, self.breeze = Mean(frame), Last()
        self.weights = nn.Parameter(torch.tensor([image, wind, noise]))
        self.gain = gain

    def forward(self, sdo, omni):
        z = torch.cat([self.eye(sdo), self.breeze(omni)], 1)
        y = 2 + self.gain * (z * self.weights).sum(1, keepdim=True)
        return torch.expm1(y.expand(-1, LEADS))


class Mean(nn.Module):
    def __init__(self, frame):
        super().__init__()
        self.scale, self.frame = nn.Parameter(torch.tensor(1.0)), frame

    def forward(self, sdo):
        return self.scale * (sdo[:, self.frame].mean((1, 2, 3), keepdim=False)[:, None] - 120) / 20


class Last(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, omni):
        return self.scale * omni[:, -1]


def line(**kwargs):
    module = Line(**kwargs)
    parts = {"encoder.images": module.eye, "encoder.solar_wind": module.breeze}
    return wrap(module, SPEC, call=CALL, name="line", parts=parts)


def outcome(diagnosis, check, subject=None):
    found = [f for f in diagnosis.findings if f.check == check and subject in (None, f.subject)]
    assert found, f"no finding {check} {subject}"
    return found[0]


class Source:
    """Windows of a batch by issue time, as a loader hands them out."""

    def __init__(self, batch):
        self.whole, self.spec = batch, SPEC
        self.times = batch.issue_time.numpy()

    def batch(self, issue_times, image_shift=None):
        del image_shift
        return self.whole.select(torch.as_tensor(np.searchsorted(self.times, issue_times)))


def with_past(n=260, past=400, change=None, **world):
    """A source whose last `n` windows are asked about, and their issue times.

    change : done to the images `(n, C, T, H, W)` of those windows alone.
    """
    batch = windows(n=n + past, **world)
    if change is not None:
        images = batch.inputs["images"].clone()
        images[past:] = change(images[past:])
        batch = batch.with_inputs({"images": images})
    source = Source(batch)
    return source, source.times[past:]

"""A small model and a small source for the tests of training."""

import numpy as np
import torch
from torch import nn

from heliosight.core.batch import Batch
from heliosight.core.forecast import Forecast
from heliosight.core.output import ModelOutput
from heliosight.core.spec import ForecastSpec, ModalitySpec

STEP = 10800
FRAME = 2 * STEP
FRAMES, STEPS, SIZE, LEADS = 6, 30, 4, 24
START = 1_300_000 * 1000 // FRAME * FRAME
SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", ("aia_193", "aia_211"), FRAMES, 6, size=SIZE),
        "solar_wind": ModalitySpec("series", "solar_wind", ("speed", "bz_gsm"), STEPS, 3),
    }
)
WIND_ONLY = ForecastSpec({"solar_wind": SPEC.modalities["solar_wind"]})


def issue_times(count: int, first: int = 0) -> np.ndarray:
    return START + STEP * np.arange(first, first + count, dtype=np.int64)


class ToySource:
    """A store of random values; `future_seed` changes everything from `future_from` on."""

    def __init__(self, spec=SPEC, seed=0, future_from=None, future_seed=1, rows=400):
        self.spec, self.calls, self.shifts = spec, [], []
        self.first = START - 60 * FRAME
        rng = np.random.default_rng(seed)
        self.frames = rng.integers(0, 256, (rows, 2, SIZE, SIZE)).astype(np.uint8)
        self.wind = np.stack([rng.normal(450, 80, 2 * rows), rng.normal(0, 4, 2 * rows)], 1).astype(
            np.float32
        )
        self.ap = (4 + 0.02 * self.wind[:, 0] + rng.gamma(1.0, 8.0, 2 * rows)).astype(np.float32)
        if future_from is not None:
            other = ToySource(spec, seed + future_seed + 100, rows=rows)
            i, j = self._frame(future_from) + 1, self._step(future_from)
            self.frames[i:], self.wind[j:], self.ap[j:] = other.frames[i:], other.wind[j:], 0

    def _frame(self, time):
        return int(time - self.first) // FRAME

    def _step(self, time):
        return int(time - self.first) // STEP

    def batch(self, times, image_shift=None):
        self.calls.append(np.array(times))
        self.shifts.append(image_shift)
        shift = np.zeros(len(times), int) if image_shift is None else image_shift
        last = np.array([self._frame(t) for t in times]) - shift
        now = np.array([self._step(t) for t in times])
        inputs, observed = {}, {}
        if "images" in self.spec.modalities:
            at = last[:, None] + np.arange(1 - FRAMES, 1)
            inputs["images"] = torch.tensor(self.frames[at].swapaxes(1, 2).copy())
            observed["images"] = torch.ones(len(times), 2, FRAMES, dtype=torch.bool)
        at = now[:, None] + np.arange(-STEPS, 0)
        inputs["solar_wind"] = torch.tensor(self.wind[at])
        observed["solar_wind"] = torch.ones(len(times), STEPS, 2, dtype=torch.bool)
        ahead = now[:, None] + np.arange(LEADS)
        target = torch.tensor(self.ap[ahead])
        mask = torch.tensor(ahead % 17 != 0)
        return Batch(
            inputs, observed, torch.tensor(np.array(times)), torch.where(mask, target, 0.0), mask
        )


class ToyModel(nn.Module):
    """A recurrent image branch, a series branch with BatchNorm, fusion, head, auxiliary head."""

    def __init__(self, spec=SPEC, seed=0, norm=True, dropout=0.2, auxiliary=True, speed=False):
        super().__init__()
        self.spec, self.scale, self.copula = spec, None, None
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.images = nn.RNNCell(2 * SIZE * SIZE, 8) if "images" in spec.modalities else None
            self.series = nn.Linear(2 * STEPS, 8)
            self.norm = nn.BatchNorm1d(8) if norm else nn.Identity()
            self.dropout = nn.Dropout(dropout)
            self.fusion = nn.Linear(16 if self.images else 8, 8)
            self.head = nn.Linear(8, LEADS * 4)
            self.extra = nn.Linear(8, LEADS) if auxiliary and self.images else None
            self.speed = nn.Linear(8, LEADS) if speed else None

    def modules_by_group(self):
        parts = {
            "convlstm": [self.images],
            "transformer": [self.series, self.norm],
            "fusion": [self.fusion],
            "head": [self.head],
            "auxiliary": [self.extra, self.speed],
        }
        found = {
            g: [
                (f"{g}.{i}.{n}", p)
                for i, m in enumerate(ms)
                if m is not None
                for n, p in m.named_parameters()
            ]
            for g, ms in parts.items()
        }
        return {g: members for g, members in found.items() if members}

    @property
    def parts(self):
        found = {"branch_norm.solar_wind": self.norm, "cell.images": self.images, "head": self.head}
        return {**found, "auxiliary.speed": self.speed} if self.speed is not None else found

    def set_copula(self, correlation, seed):
        self.copula = (correlation, seed)

    def event_probability(self, output):
        day = output.forecast.exceedance(35.5).unflatten(-1, (3, 8)).amax(-1)
        return torch.stack([day, day / 2, day / 4], -1)

    def forward(self, batch):
        wind = batch.inputs["solar_wind"]
        centre = torch.tensor([450.0, 0.0]).to(wind)
        features = {
            "solar_wind": self.norm(torch.tanh(self.series(((wind - centre) / 80).flatten(1))))
        }
        joint, auxiliary = features["solar_wind"], {}
        if self.images is not None:
            x = batch.inputs["images"].to(wind.dtype) / 255 - 0.5
            hidden, states = None, []
            for frame in x.unbind(2):
                hidden = self.images(frame.flatten(1), hidden)
                states.append(hidden)
            features |= {"images": hidden, "hidden_states.images": torch.stack(states, 1)}
            joint = torch.cat([joint, hidden], 1)
            if self.extra is not None:
                auxiliary["image"] = self.extra(hidden)
        if self.speed is not None:
            auxiliary["speed"] = 450 + 100 * self.speed(hidden)
        fused = self.dropout(torch.tanh(self.fusion(joint)))
        raw = self.head(fused).unflatten(-1, (LEADS, 4))
        gaps = nn.functional.softplus(raw[..., 2:]).cumsum(-1)
        middle = 2 + raw[..., 1:2]
        quantiles = torch.cat([middle - gaps[..., :1], middle, middle + gaps[..., 1:]], -1)
        levels = torch.tensor([0.1, 0.5, 0.9]).to(raw)
        return ModelOutput(Forecast(2 + raw[..., 0], quantiles, levels), auxiliary, features)


def weights_of(model):
    return {name: x.detach().clone() for name, x in model.state_dict().items()}


def same_weights(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)

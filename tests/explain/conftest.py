"""A textbook ConvLSTM forecaster and its windows, small enough to check by brute force."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.subject import Subject, wrap

T, SIZE, S, LEADS = 5, 12, 6, 24
CHANNELS, VARIABLES = ("aia_193", "aia_211"), ("speed", "bz_gsm")


class Cell(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, 3, padding=1)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        i, f, g, o = self.gates(torch.cat([x, h], 1)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Net(nn.Module):
    def __init__(self, hidden: int = 3, mixes_batch: bool = False) -> None:
        super().__init__()
        self.cell = Cell(len(CHANNELS), hidden)
        self.wind = nn.Linear(S * len(VARIABLES), 4)
        self.head = nn.Linear(hidden + 4, LEADS)
        self.mixes_batch = mixes_batch

    def forward(self, batch: Batch) -> Tensor:
        x, z = batch.inputs["images"], batch.inputs["solar_wind"]
        h = x.new_zeros(len(x), self.cell.hidden, *x.shape[-2:])
        state, pooled = (h, h), h.new_zeros(len(x), self.cell.hidden)
        for t in range(x.shape[2]):
            state = self.cell(x[:, :, t] / 50, state)
            pooled = pooled + state[0].mean((2, 3)) * (1 + t % 3)
        both = torch.cat([pooled, torch.tanh(self.wind(z.flatten(1)))], 1)
        if self.mixes_batch:
            both = both + torch.arange(len(x)).to(both)[:, None]
        return 20 + 10 * self.head(torch.tanh(both))


def spec() -> ForecastSpec:
    images = ModalitySpec("images", "images", CHANNELS, T, 6, size=SIZE)
    wind = ModalitySpec("series", "solar_wind", VARIABLES, S, 3)
    return ForecastSpec({"images": images, "solar_wind": wind}, leads=LEADS)


def windows(count: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    shape = (count, len(CHANNELS), T, SIZE, SIZE)
    images = 200 * torch.rand(shape, generator=draw, dtype=dtype)
    series = torch.randn(count, S, len(VARIABLES), generator=draw, dtype=dtype)
    return Batch(
        {"images": images, "solar_wind": series},
        {
            "images": torch.ones(shape[:3], dtype=torch.bool),
            "solar_wind": torch.ones_like(series, dtype=torch.bool),
        },
        torch.arange(count) * 86400,
        torch.zeros(count, LEADS),
        torch.zeros(count, LEADS, dtype=torch.bool),
    )


@pytest.fixture
def net_of() -> Callable[..., Net]:
    def make(dtype: torch.dtype = torch.float64, seed: int = 0, **kwargs: object) -> Net:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Net(**kwargs).to(dtype).eval()

    return make


@pytest.fixture
def subject_of(net_of: Callable[..., Net]) -> Callable[..., Subject]:
    def make(dtype: torch.dtype = torch.float64, seed: int = 0, **kwargs: object) -> Subject:
        net = net_of(dtype, seed, **kwargs)
        return wrap(net, spec(), parts={"cell.images.0": net.cell}, name="toy")

    return make


@pytest.fixture
def toy_spec() -> ForecastSpec:
    return spec()


@pytest.fixture
def windows_of() -> Callable[..., Batch]:
    return windows


@pytest.fixture(scope="session")
def toy() -> tuple[Callable[..., Batch], ForecastSpec]:
    """Window maker and specification, as a test that draws many windows needs them."""
    return windows, spec()

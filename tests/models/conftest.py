"""A tiny world of shapes for the models' tests."""

from collections.abc import Callable

import pytest
import torch

from heliosight.core.batch import Batch
from heliosight.core.config import build
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import Moments
from heliosight.models import Forecaster, ForecasterConfig, build_forecaster

MODALITIES = {
    "images": ModalitySpec(
        "images", "images", ("aia_193", "hmi_magnetogram"), steps=5, cadence_hours=6, size=16
    ),
    "solar_wind": ModalitySpec("series", "solar_wind", ("bz_gsm", "speed"), 8, 3),
    "ch_area": ModalitySpec("series", "coronal_holes", ("ch_area",), 3, 24),
}
MOMENTS = {
    "images": Moments((90.0, 127.0), (40.0, 30.0)),
    "solar_wind": Moments((0.0, 430.0), (3.0, 90.0)),
    "ch_area": Moments((0.1,), (0.05,)),
    "target": Moments((1.9,), (0.7,)),
}
SMALL = {
    "images": {"type": "convlstm", "hidden": 4, "features": 8, "stem_channels": 4},
    "series": {"type": "transformer", "features": 8, "feedforward": 8, "layers": 1},
    "fusion": {"type": "cross_attention", "width": 8},
    "head": {"type": "quantile", "hidden": 8},
    "auxiliary": {"hidden": 8},
    "draws": 50,
}


def spec_of(*names: str) -> ForecastSpec:
    return ForecastSpec({name: MODALITIES[name] for name in names or MODALITIES})


def make_batch(size: int, seed: int = 0, spec: ForecastSpec | None = None) -> Batch:
    """Random physical values with about one place in ten unobserved and then 0."""
    stream = torch.Generator().manual_seed(seed)
    inputs, observed = {}, {}
    for name, m in (spec or spec_of()).modalities.items():
        if m.kind == "images":
            shape = (size, len(m.variables), m.steps)
            values = torch.randint(1, 255, (*shape, m.size, m.size), generator=stream)
            values = values.to(torch.uint8)
        else:
            shape = (size, m.steps, len(m.variables))
            where = MOMENTS[name]
            values = torch.tensor(where.mean) + torch.tensor(where.std) * torch.randn(
                shape, generator=stream
            )
        seen = torch.rand(shape, generator=stream) > 0.1
        hidden = ~seen[..., None, None] if m.kind == "images" else ~seen
        inputs[name], observed[name] = values.masked_fill(hidden, 0), seen
    target = 20 * torch.rand(size, 24, generator=stream)
    return Batch(inputs, observed, torch.arange(size), target, torch.ones(size, 24) > 0)


@pytest.fixture
def small() -> Callable[..., Forecaster]:
    """A tiny forecaster with some config keys changed, on some modalities."""

    def made(*names: str, seed: int = 0, **changes: object) -> Forecaster:
        config = build(ForecasterConfig, {**SMALL, **changes})
        return build_forecaster(config, spec_of(*names), MOMENTS, seed)

    return made


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    return make_batch

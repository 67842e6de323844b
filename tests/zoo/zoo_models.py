"""Untrained zoo models and random windows for them."""

import torch

from heliosight.core.batch import Batch
from heliosight.core.tables import Moments
from heliosight.models import build_forecaster
from heliosight.zoo.architectures import architecture
from heliosight.zoo.worlds import FRAMES, LEADS, STEPS, Law, specification

SPEC = specification(Law())
MOMENTS = {
    "images": Moments((120.0,) * 3, (20.0,) * 3),
    "solar_wind": Moments((0.0,) * 3, (1.0,) * 3),
    "target": Moments((2.0,), (0.5,)),
}


def built(name, seed=3):
    return build_forecaster(architecture(name), SPEC, MOMENTS, seed=seed).eval()


def windows(count=6, seed=1):
    draw = torch.Generator().manual_seed(seed)
    images = 120 + 40 * torch.randn(count, 3, FRAMES, 16, 16, generator=draw)
    wind = torch.randn(count, STEPS, 3, generator=draw)
    return Batch(
        {"images": images, "solar_wind": wind},
        {"images": torch.ones(count, 3, FRAMES, dtype=torch.bool), "solar_wind": wind == wind},
        torch.arange(count) * 86400,
        torch.rand(count, LEADS, generator=draw) * 20,
        torch.ones(count, LEADS, dtype=torch.bool),
    )

"""Temporal augmentation that does not lie: nothing after the issue time, no wrap-around.

Everything random is drawn for the whole micro-batch first (`draw`), then applied to the windows a
process holds (`augment`), so the result does not depend on how a batch is divided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.variables import VARIABLES
from heliosight.training.checks import require


@dataclass(frozen=True)
class AugmentationConfig:
    """Every switch alone; 0 is off.

    Attributes
    ----------
    image_shift : images move by up to this many frames. Into the past the store's real frames
        come in; towards the issue time the newest frame is held.
    frame_dropout : share of frames marked unobserved (the length stays) ...
    frame_dropout_probability : ... in this share of windows.
    reversal : share of windows run backwards; off, because the Sun turns one way.
    rotation_degrees : the disc turns in longitude by up to this angle.
    disc_radius : of the Sun, as a share of half the image's width.
    series_jitter : noise, in standard deviations of each variable within the window.
    series_masking : share of the series' steps marked unobserved.
    modality_dropout : share of windows that lose one whole modality (never the only one).
    """

    image_shift: int = 0
    frame_dropout: float = 0.0
    frame_dropout_probability: float = 0.5
    reversal: float = 0.0
    rotation_degrees: float = 0.0
    disc_radius: float = 0.78
    series_jitter: float = 0.0
    series_masking: float = 0.0
    modality_dropout: float = 0.0

    def __post_init__(self) -> None:
        shares = ("frame_dropout", "frame_dropout_probability", "reversal", "series_masking")
        for name in (*shares, "modality_dropout"):
            value = getattr(self, name)
            require(0 <= value <= 1, "a share lies in [0, 1]", value, where=name)
        for name in ("image_shift", "series_jitter"):
            value = getattr(self, name)
            require(value >= 0, "an augmentation's size is not negative", value, where=name)
        turn = self.rotation_degrees
        require(0 <= turn <= 45, "a rotation is small: 0 to 45 degrees", turn)
        require(0 < self.disc_radius <= 1, "the disc fits the image", self.disc_radius)


FIELD_AUGMENTATION = AugmentationConfig(image_shift=2, frame_dropout=0.1)


@dataclass(frozen=True)
class Draws:
    """What chance decided for a micro-batch of B windows.

    Attributes
    ----------
    shift : `(B,)` frames; positive into the past. reverse : `(B,)` bool.
    degrees : `(B,)` longitude. lost : `(B,)` index of the dropped modality, -1 for none.
    seen : per modality, `(B, T)` or `(B, S)` bool, False where a step is masked.
    noise : per series, `(B, S, V)` standard normal.
    """

    shift: np.ndarray
    reverse: np.ndarray
    degrees: np.ndarray
    lost: np.ndarray
    seen: dict[str, np.ndarray]
    noise: dict[str, np.ndarray]

    def rows(self, index: np.ndarray | slice) -> Draws:
        """The draws of some windows."""
        return Draws(
            self.shift[index],
            self.reverse[index],
            self.degrees[index],
            self.lost[index],
            {name: x[index] for name, x in self.seen.items()},
            {name: x[index] for name, x in self.noise.items()},
        )


def draw(
    config: AugmentationConfig, spec: ForecastSpec, size: int, rng: np.random.Generator
) -> Draws:
    """Chance's part for `size` windows."""
    modalities = spec.modalities
    hit = rng.random(size) < config.modality_dropout
    lost = np.where(hit & (len(modalities) > 1), rng.integers(0, len(modalities), size), -1)
    chosen = rng.random(size) < config.frame_dropout_probability
    seen, noise = {}, {}
    for name, modality in modalities.items():
        u = rng.random((size, modality.steps))
        if modality.kind == "images":
            seen[name] = (u >= config.frame_dropout) | ~chosen[:, None]
        else:
            seen[name] = u >= config.series_masking
            noise[name] = rng.standard_normal((size, modality.steps, len(modality.variables)))
    return Draws(
        rng.integers(-config.image_shift, config.image_shift + 1, size),
        rng.random(size) < config.reversal,
        rng.uniform(-config.rotation_degrees, config.rotation_degrees, size),
        lost,
        seen,
        noise,
    )


def augment(batch: Batch, draws: Draws, config: AugmentationConfig, spec: ForecastSpec) -> Batch:
    """The batch as the draws have it; read it with `image_shift=draws.shift.clip(0)`."""
    inputs, observed = dict(batch.inputs), dict(batch.observed)
    for place, (name, modality) in enumerate(spec.modalities.items()):
        x, seen = inputs[name], observed[name]
        if modality.kind == "images":
            x, seen = _held(x, seen, -draws.shift.clip(max=0))
            x = _turned(x, draws.degrees, config.disc_radius)
        else:
            x = _jittered(x, seen, draws.noise[name] * config.series_jitter, modality)
        x, seen = _reversed(x, seen, draws.reverse, 2 if modality.kind == "images" else 1)
        keep = draws.seen[name] & (draws.lost != place)[:, None]
        inputs[name], observed[name] = _masked(x, seen, keep, modality)
    return batch.with_inputs(inputs, observed)


def _held(x: Tensor, seen: Tensor, ahead: np.ndarray) -> tuple[Tensor, Tensor]:
    """Images `(B, C, T, H, W)` moved `ahead` `(B,)` frames on; the newest frame is held."""
    if not ahead.any():
        return x, seen
    steps = x.shape[2]
    place = torch.as_tensor(
        np.minimum(np.arange(steps) + ahead[:, None], steps - 1), device=x.device
    )
    row = torch.arange(len(x), device=x.device)[:, None]
    swap = x.transpose(1, 2)[row, place].transpose(1, 2)
    return swap, seen.transpose(1, 2)[row, place].transpose(1, 2)


def _turned(x: Tensor, degrees: np.ndarray, radius: float) -> Tensor:
    """Images with the disc turned westwards by `degrees` `(B,)`; the sky stays."""
    if not degrees.any():
        return x
    b, c, t, h, w = x.shape
    angle = torch.as_tensor(np.deg2rad(degrees), dtype=torch.float32, device=x.device)
    flat = x.reshape(b, c * t, h, w).float()
    grid = turned_grid(angle, h, w, radius)
    out = F.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    out = out.reshape(x.shape)
    return out if x.is_floating_point() else out.round().clamp(0, 255).to(x.dtype)


def turned_grid(angle: Tensor, height: int, width: int, radius: float) -> Tensor:
    """Where each pixel of a turned disc was before, `(B, H, W, 2)` in [-1, 1].

    Orthographic disc seen from its equator: x = r cos(lat) sin(lon), y = r sin(lat)
    (Thompson 2006, A&A 449, 791, eq. 11 with B0 = 0). What was behind the limb is unknown and
    takes the limb's value.
    """
    y = (torch.arange(height, device=angle.device) + 0.5) / height * 2 - 1
    x = (torch.arange(width, device=angle.device) + 0.5) / width * 2 - 1
    y, x = torch.meshgrid(y, x, indexing="ij")
    chord = (radius**2 - y**2).clamp(min=0).sqrt()
    on_disc = (x**2 + y**2) < radius**2
    longitude = torch.asin((x / chord.clamp(min=1e-6)).clamp(-1, 1))
    before = (longitude - angle[:, None, None]).clamp(-torch.pi / 2, torch.pi / 2)
    source = torch.where(on_disc, chord * torch.sin(before), x)
    return torch.stack([source, y.expand_as(source)], dim=-1)


def _jittered(x: Tensor, seen: Tensor, noise: np.ndarray, modality: ModalitySpec) -> Tensor:
    """A series with noise in units of each variable's spread in its window, in its valid range."""
    if not noise.any():
        return x
    weight = seen.to(x.dtype)
    count = weight.sum(1, keepdim=True).clamp(min=1)
    mean = (x * weight).sum(1, keepdim=True) / count
    spread = (((x - mean) * weight) ** 2).sum(1, keepdim=True).div(count).sqrt()
    moved = x + spread * torch.as_tensor(noise, dtype=x.dtype, device=x.device)
    for i, name in enumerate(modality.variables):
        if name in VARIABLES:
            moved[..., i] = moved[..., i].clamp(VARIABLES[name].low, VARIABLES[name].high)
    return torch.where(seen, moved, x)


def _reversed(x: Tensor, seen: Tensor, which: np.ndarray, axis: int) -> tuple[Tensor, Tensor]:
    """Windows `which` `(B,)` with time running backwards."""
    if not which.any():
        return x, seen
    chosen = torch.as_tensor(which, device=x.device)
    backwards = [
        torch.where(chosen.reshape(-1, *[1] * (v.ndim - 1)), v.flip(axis), v) for v in (x, seen)
    ]
    return backwards[0], backwards[1]


def _masked(
    x: Tensor, seen: Tensor, keep: np.ndarray, modality: ModalitySpec
) -> tuple[Tensor, Tensor]:
    """Steps outside `keep` `(B, T or S)` unobserved, hence 0."""
    if keep.all():
        return x, seen
    kept = torch.as_tensor(keep, device=x.device)
    images = modality.kind == "images"
    seen = seen & (kept[:, None, :] if images else kept[:, :, None])
    return x * (seen[..., None, None] if images else seen), seen

"""Maps that know nothing of the model: spectrum-matched random maps and fixed priors."""

from __future__ import annotations

import numpy as np

from heliosight.explain.disc import disc_mask, radius_map

PRIORS = ("centre", "limb", "brightness")


def phase_random(maps: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A map of any shape with the same power spectrum over all axes and random phases.

    A smooth map concentrates by chance; judged against pixel-wise random maps it looks faithful.
    Phases come from the transform of white noise, so the result is real.
    """
    power = np.abs(np.fft.fftn(maps))
    noise = np.fft.fftn(draw.standard_normal(maps.shape))
    phase = noise / np.maximum(np.abs(noise), 1e-300)
    return np.fft.ifftn(power * phase).real


def prior(name: str, images: np.ndarray) -> np.ndarray:
    """A fixed map `(T, H, W)` for images `(C, T, H, W)`: centre, limb, or mean brightness."""
    frames, size = images.shape[1], images.shape[-1]
    radius = radius_map(size)
    if name == "brightness":
        scale = images.reshape(len(images), -1).std(1)[:, None, None, None]
        return (images / np.where(scale > 0, scale, 1.0)).mean(0) * disc_mask(size)
    width = 0.5 if name == "centre" else 0.1
    middle = 0.0 if name == "centre" else 1.0
    flat = np.exp(-(((radius - middle) / width) ** 2) / 2)
    return np.broadcast_to(flat, (frames, size, size)).copy()


def rank_p(value: float, null: np.ndarray) -> float:
    """(1 + number of null values at least as large) / (K + 1)."""
    return float((1 + np.sum(np.asarray(null) >= value)) / (len(null) + 1))

"""Coronal holes and active regions on an AIA 193 disc image.

A coronal hole is darker than the disc around it. The grey level is divided by the disc median and
by a power of the radial profile, which removes half of the limb brightening in the logarithm; what
stays beyond the edge threshold is smoothed by a closing and an opening, and a region is kept when
it is large enough and holds a core beyond the core threshold (hysteresis). Thresholds count robust
deviations (1.4826 x median absolute deviation on the disc) from the disc median, so that exposure
and contrast of the grey scale drop out. Active regions mirror this on the bright side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import ndimage

from heliosight.core.errors import ConfigError, DataError
from heliosight.explain.disc import RADIUS_SHARE, radius_map

EIGHT = np.ones((3, 3), dtype=bool)
RINGS = 20


@final
@dataclass(frozen=True)
class RegionConfig:
    """How regions are found.

    Attributes
    ----------
    core, edge : how far a region's core and edge lie from the disc median, in robust deviations;
        negative finds dark regions, positive bright ones.
    limb_power : power of the radial median profile that is divided out, 0 keeps the limb.
    least_area : smallest region as a share of the disc.
    core_pixels : pixels that must pass the core threshold at 256 pixels across.
    smoothing : Gaussian sigma as a share of the width.
    radius_share : disc radius over image width.
    """

    core: float = -3.0
    edge: float = -1.75
    limb_power: float = 0.5
    least_area: float = 0.003
    core_pixels: int = 3
    smoothing: float = 1.0 / 256
    radius_share: float = RADIUS_SHARE

    def __post_init__(self) -> None:
        if self.core * self.edge <= 0 or abs(self.core) < abs(self.edge):
            raise ConfigError(
                "core and edge lie on one side of the disc median, the core further out",
                f"core {self.core}, edge {self.edge}",
                "For coronal holes take core -3, edge -1.75.",
                "explain.method.holes or .active_regions",
            )
        if not 0 < self.radius_share <= 0.5:
            raise ConfigError(
                "the disc lies inside the image: 0 < radius_share <= 0.5",
                str(self.radius_share),
                where="explain.method.holes.radius_share or .active_regions",
            )


HOLES = RegionConfig()
ACTIVE_REGIONS = RegionConfig(core=3.0, edge=2.0)


def find_regions(image: np.ndarray, config: RegionConfig = HOLES) -> np.ndarray:
    """Labelled regions `(H, W)` int, 0 outside, 1.. by falling area; none on a black frame.

    Raises
    ------
    DataError : the image is not a square of finite values.
    """
    image = np.asarray(image, dtype=float)
    if image.ndim != 2 or image.shape[0] != image.shape[1] or not np.isfinite(image).all():
        raise DataError(
            "regions are found on one square image of finite grey levels",
            f"shape {image.shape}, {int((~np.isfinite(image)).sum())} values not finite",
            "Give one channel of one frame.",
        )
    radius = radius_map(len(image), config.radius_share)
    inside = radius <= 1.0
    departure = departures(image, config)
    if departure is None:
        return np.zeros(image.shape, dtype=int)
    side = np.sign(config.core)
    edge = (side * departure > abs(config.edge)) & inside
    core = (side * departure > abs(config.core)) & inside
    return _large_with_core(_tidied(edge, inside), core, inside, config)


def departures(image: np.ndarray, config: RegionConfig = HOLES) -> np.ndarray | None:
    """Robust deviations from the disc median after limb correction, `(H, W)`; None without any."""
    size = len(image)
    radius = radius_map(size, config.radius_share)
    inside = radius <= 1.0
    smooth = ndimage.gaussian_filter(image, config.smoothing * size)
    median = float(np.median(smooth[inside]))
    if median <= 0:
        return None
    profile = _radial_profile(smooth, radius, median)
    relative = smooth / (profile**config.limb_power * median ** (1 - config.limb_power))
    middle = np.median(relative[inside])
    spread = 1.4826 * np.median(np.abs(relative[inside] - middle))
    return (relative - middle) / spread if spread > 0 else None


def _radial_profile(image: np.ndarray, radius: np.ndarray, median: float) -> np.ndarray:
    """The median over rings, interpolated to each pixel, smoothed along the radius."""
    ring = (radius * RINGS).astype(int)
    medians = [
        float(np.median(image[ring == k])) if np.any(ring == k) else median for k in range(RINGS)
    ]
    rings = ndimage.gaussian_filter1d(np.array([*medians, median]), 1.5)
    profile = np.interp(np.clip(radius, 0, 1) * RINGS - 0.5, np.arange(RINGS + 1), rings)
    return np.maximum(profile, 0.05 * median)


def _tidied(mask: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Gaps of a pixel closed, threads of a pixel removed; the scale follows the image size."""
    steps = max(1, len(mask) // 256)
    if len(mask) < 128:
        return mask
    closed = ndimage.binary_closing(mask, iterations=steps) & inside
    return ndimage.binary_opening(closed, iterations=steps)


def _large_with_core(
    mask: np.ndarray, core: np.ndarray, inside: np.ndarray, config: RegionConfig
) -> np.ndarray:
    labels, count = ndimage.label(mask, EIGHT)
    index = np.arange(1, count + 1)
    area = ndimage.sum_labels(mask, labels, index)
    cores = ndimage.sum_labels(core, labels, index)
    needed = max(1.0, config.core_pixels * (len(mask) / 256) ** 2)
    kept = index[(area >= config.least_area * inside.sum()) & (cores >= needed)]
    order = kept[np.argsort(-area[kept - 1], kind="stable")]
    new = np.zeros(count + 1, dtype=int)
    new[order] = np.arange(1, len(order) + 1)
    return new[labels]


def intersection_over_union(found: np.ndarray, truth: np.ndarray) -> float:
    """Overlap of two masks, |A and B| / |A or B|; two empty masks agree with 1."""
    union = np.logical_or(found, truth).sum()
    return float(np.logical_and(found, truth).sum() / union) if union else 1.0

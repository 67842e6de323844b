"""T22: do the maps move with the rotating Sun?"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, final

import numpy as np
import torch

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding
from heliosight.diagnosis.blocks import Estimate, TooFew, jackknife
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.explaining import cleared, each, image_modality, maps_of
from heliosight.diagnosis.use import needed, uses

RADIUS_SHARE = 0.39  # disc radius over the frame's width
SLOPES = np.arange(-1.0, 2.0001, 0.125)
LATITUDES, LONGITUDES = np.arange(-45.0, 46.0, 5.0), np.arange(-35.0, 36.0, 2.5)
EDGE = 65.0  # degrees from the central meridian beyond which pixels are too oblique
LEAST_WINDOWS, LEAST_BLOCKS = 8, 4


@final
class FollowsSun(Check):
    """T22."""

    id: ClassVar[str] = "T22"
    question: ClassVar[str] = "Do the explainer's maps follow the rotating Sun?"
    needs: ClassVar[str] = "an explainer that passed T1, frames hours apart over many rotations"
    cost: ClassVar[str] = "the explainer on 24 windows"
    rule: ClassVar[str] = (
        "tracking slope: longitudinal shift between frames that correlates their maps best, over "
        "that of differential rotation (jackknife over blocks). 1 inside the interval and 0 "
        "outside: they follow; 0 inside and 1 outside: they sit still, which is a fault only when "
        "the skill does not need the images, for the truth itself may sit at a fixed longitude"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding an explainer."""
        return each(self, evidence, self._one)

    def _one(self, evidence: Evidence, name: str) -> Finding:
        refused = cleared(evidence, name)
        if refused:
            return self.finding(name, "inconclusive", _SLOPE, None, refused)
        estimate = slope_of(evidence, name)
        value = estimate.interval(1 - evidence.config.level_of_test)
        low, high = float(value.low or 0.0), float(value.high or 0.0)
        if low <= 1 <= high and not low <= 0 <= high:
            return self.finding(name, "healthy", _SLOPE, value, "the maps follow the Sun")
        if not (low <= 0 <= high) or low <= 1 <= high:
            return self.finding(name, "inconclusive", _SLOPE, value, "not resolved")
        m = image_modality(evidence)
        need = needed(evidence, uses(evidence))[m]
        reason = "the maps sit still while the Sun rotates"
        if need == "yes":
            reason += ", and the skill needs the images: a fixed place carries the signal"
            return self.finding(name, "healthy", _SLOPE, value, reason)
        if need == "unsure":
            reason += "; whether the skill needs the images is not resolved"
            return self.finding(name, "inconclusive", _SLOPE, value, reason)
        action = "Train with rotated images, or pool in a way that forgets the place."
        reason += ", and the skill does not need the images: a prior of place, limb or padding"
        p = 2 * estimate.p_below(1.0)
        return self.finding(name, "fault", _SLOPE, value, reason, "static_map", action, p)


_SLOPE = "tracking slope (1 follows the Sun, 0 sits still)"


def explained(evidence: Evidence, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Maps `(n, [C,] T, H, W)` of an explainer on evenly spread windows, and their indices."""
    key = f"maps {name}"
    if key not in evidence.memo:
        rows = evidence.spread(evidence.config.explained)
        if len(rows) < LEAST_WINDOWS:
            raise TooFew(f"this check needs {LEAST_WINDOWS} windows", f"{len(rows)}")
        m, size = image_modality(evidence), evidence.config.chunk
        parts = []
        for start in range(0, len(rows), size):
            batch = evidence.batch.select(torch.as_tensor(rows[start : start + size]))
            parts.append(maps_of(evidence.explainers[name], evidence.subject, batch, m))
        evidence.memo[key] = np.concatenate(parts), rows
    found: tuple[np.ndarray, np.ndarray] = evidence.memo[key]
    return found


def blocks_of(evidence: Evidence, rows: np.ndarray) -> np.ndarray:
    """`(n,)` block of each of some windows.

    Raises
    ------
    TooFew : they lie in too few blocks of time.
    """
    blocks = np.unique(evidence.rows[rows], return_inverse=True)[1]
    if blocks.max() + 1 < LEAST_BLOCKS:
        days = evidence.config.block_days
        raise TooFew(f"this check needs {LEAST_BLOCKS} blocks of {days:g} d", f"{blocks.max() + 1}")
    return np.asarray(blocks)


def slope_of(evidence: Evidence, name: str) -> Estimate:
    """Tracking slope of an explainer's maps, with the jackknife over blocks of time."""
    maps, rows = explained(evidence, name)
    flat = maps.sum(1) if maps.ndim == 5 else maps
    hours = evidence.subject.spec.modalities[image_modality(evidence)].cadence_hours
    terms = correlation_terms(flat, hours / 24)
    found = jackknife(terms, blocks_of(evidence, rows), best_slope, evidence.config.block_days)
    unsure = resolution(maps.shape[-3], hours / 24, maps.shape[-1])
    return replace(found, error=float(np.hypot(found.error, unsure)))


def resolution(frames: int, days: float, size: int) -> float:
    """Error of a slope from reading places between pixels: an eighth of a pixel."""
    turn = frame_gap(frames, days, size) * days * float(rotation_rate(np.zeros(1))[0])
    return float(np.degrees(1 / (RADIUS_SHARE * size)) / 8 / turn)


def correlation_terms(maps: np.ndarray, days: float) -> np.ndarray:
    """`(n, 3 K)` sums of products and of squares of maps `(n, T, H, W)`, at the K slopes.

    Each map's mean over longitude at a latitude is taken out first. Frames are compared as many
    steps apart as it takes the Sun to turn by two pixels.

    Raises
    ------
    NotApplicable : the frames are too close for the rotation to be seen, or a map never varies.
    """
    gap = frame_gap(maps.shape[1], days, maps.shape[-1])
    latitude, longitude = (x.ravel() for x in np.meshgrid(LATITUDES, LONGITUDES, indexing="ij"))
    centred = maps - maps.mean((2, 3), keepdims=True)
    before = _level(sampled(centred[:, :-gap], latitude, longitude))
    products, ours, theirs = [], [], []
    for slope in SLOPES:
        place = longitude + slope * gap * days * rotation_rate(latitude)
        inside = np.abs(place) <= EDGE
        after = _level(sampled(centred[:, gap:], latitude, np.clip(place, -EDGE, EDGE)))
        a, b = before * inside, after * inside
        products.append((a * b).sum((1, 2)))
        ours.append((a * a).sum((1, 2)))
        theirs.append((b * b).sum((1, 2)))
    if not np.sum(ours) or not np.sum(theirs):
        raise NotApplicable("a tracking slope needs maps that vary on the disc", "they do not")
    size = np.stack(ours, 1).mean(1, keepdims=True)
    size = np.where(size > 0, size, 1.0)
    return np.concatenate([np.stack(x, 1) / size for x in (products, ours, theirs)], 1)


def best_slope(sums: np.ndarray) -> np.ndarray:
    """Slope of the largest correlation from sums `(..., 3 K)`, refined by a parabola."""
    products, ours, theirs = np.split(sums, 3, -1)
    r = products / np.sqrt(np.maximum(ours * theirs, 1e-300))
    top = np.clip(r.argmax(-1), 1, len(SLOPES) - 2)[..., None]
    left, peak, right = (np.take_along_axis(r, top + k, -1)[..., 0] for k in (-1, 0, 1))
    bend = left - 2 * peak + right
    step = np.where(bend < 0, (left - right) / np.where(bend < 0, 2 * bend, 1.0), 0.0)
    return np.asarray(SLOPES[top[..., 0]] + np.clip(step, -1, 1) * (SLOPES[1] - SLOPES[0]))


def frame_gap(frames: int, days: float, size: int) -> int:
    """Frames apart at which the Sun's centre has turned by two pixels, at most all of them.

    Raises
    ------
    NotApplicable : even the first and the last frame are less than a pixel apart.
    """
    pixel = np.degrees(1 / (RADIUS_SHARE * size))
    turn = float(rotation_rate(np.zeros(1))[0]) * days
    if (frames - 1) * turn < pixel:
        raise NotApplicable(
            "a tracking slope needs frames over which the Sun turns by a pixel",
            f"{(frames - 1) * turn:.1f} degrees, a pixel is {pixel:.1f}",
        )
    return int(min(frames - 1, np.ceil(2 * pixel / turn)))


def rotation_rate(latitude: np.ndarray) -> np.ndarray:
    """Synodic rotation [degrees a day] at a latitude [degrees].

    omega = 14.713 - 2.396 sin^2(lat) - 1.787 sin^4(lat) sidereal (Snodgrass & Ulrich 1990, ApJ
    351, 309), less the Earth's mean motion of 0.9856 degrees a day.
    """
    squared = np.sin(np.radians(latitude)) ** 2
    return np.asarray(14.713 - 2.396 * squared - 1.787 * squared**2 - 0.9856)


def sampled(maps: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """`(..., P)` bilinear values of maps `(..., H, W)` at places on the disc [degrees].

    North is up, west right: row = c - R sin(lat), column = c + R cos(lat) sin(lon); the tilt of
    the rotation axis towards the observer is neglected.
    """
    size = maps.shape[-1]
    centre, radius = (size - 1) / 2, RADIUS_SHARE * size
    lat, lon = np.radians(latitude), np.radians(longitude)
    row, column = centre - radius * np.sin(lat), centre + radius * np.cos(lat) * np.sin(lon)
    r, c = np.floor(row).astype(int), np.floor(column).astype(int)
    r, c = r.clip(0, size - 2), c.clip(0, size - 2)
    down, right = row - r, column - c
    upper = maps[..., r, c] * (1 - right) + maps[..., r, c + 1] * right
    lower = maps[..., r + 1, c] * (1 - right) + maps[..., r + 1, c + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


def _level(values: np.ndarray) -> np.ndarray:
    """Values `(..., P)` with the mean over longitude at each latitude taken out."""
    grid = values.reshape(*values.shape[:-1], len(LATITUDES), len(LONGITUDES))
    return (grid - grid.mean(-1, keepdims=True)).reshape(values.shape)

"""Where a structure shows: the frames rendered with and without it, before noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.tables import MISSING
from heliosight.sun.render import (
    CHANNELS,
    SPREADS,
    Painter,
    clean_fields,
    contrast,
    frame_fate,
    painter,
)
from heliosight.sun.surface import block_amplitudes
from heliosight.sun.world import DRIVE_KEY, STATIC_KEY, World

VISIBLE = 0.1  # of a structure's strongest pixel in the window


@dataclass(frozen=True)
class Footprints:
    """Visibility of structures in a window.

    Attributes
    ----------
    times : `(T,)` UTC seconds.
    shape : `(C, T, H, W)`.
    on : `(H, W)` bool, the disc.
    visible : by structure `(C, T, P)` float32, absolute contrast over the channel's spread.
    """

    times: np.ndarray
    shape: tuple[int, int, int, int]
    on: np.ndarray
    visible: dict[str, np.ndarray]

    def share(self, key: str) -> np.ndarray | None:
        """`(C, T, H, W)` weights that sum to 1; None when no frame shows it."""
        found = self.visible[key]
        total = float(found.sum(dtype=np.float64))
        if total <= 0:
            return None
        frames = np.zeros(self.shape, dtype=np.float32)
        frames[:, :, self.on] = found / np.float32(total)
        return frames

    def mask(self, key: str) -> np.ndarray:
        """`(T, H, W)` bool, where it shows above a tenth of its strongest pixel."""
        found = self.visible[key].max(axis=0)
        frames = np.zeros(self.shape[1:], dtype=bool)
        frames[:, self.on] = found > VISIBLE * max(float(found.max()), 1e-12)
        return frames


def footprints(world: World, times: np.ndarray, keys: list[str]) -> Footprints:
    """Footprints of some structures in the frames of some moments; missing frames show nothing."""
    paint = painter(world)
    shape = (len(CHANNELS), len(times), world.config.size, world.config.size)
    pixels = len(paint.disc.mu)
    visible = {key: np.zeros((shape[0], shape[1], pixels), dtype=np.float32) for key in keys}
    amplitude, longitude = block_amplitudes(world.shown, times / HOUR)
    index = {s.key: i for i, s in enumerate(world.shown) if s.key in visible and not s.decoy}
    for frame, second in enumerate(times):
        if second < world.config.start_second or frame_fate(world, int(second)) & MISSING:
            continue
        moment = (amplitude[:, frame], longitude[:, frame], float(second))
        full = _contrasts(paint, *moment)
        for key in keys:
            changed = _without(paint, index, key, *moment)
            if changed is not None:
                visible[key][:, frame] = np.abs(full - changed) / SPREADS
    return Footprints(times, shape, paint.disc.on, visible)


def _contrasts(
    paint: Painter,
    amplitude: np.ndarray,
    longitude: np.ndarray,
    second: float,
    painted: bool = True,
) -> np.ndarray:
    field = clean_fields(paint, amplitude, longitude, second, painted)
    return np.stack([contrast(paint, field, channel) for channel in range(len(CHANNELS))])


def _without(
    paint: Painter,
    index: dict[str, int],
    key: str,
    amplitude: np.ndarray,
    longitude: np.ndarray,
    second: float,
) -> np.ndarray | None:
    """Contrasts `(C, P)` without one structure; None where that changes nothing."""
    if key in (DRIVE_KEY, STATIC_KEY):
        if paint.world.config.image_information == 0:
            return None
        return _contrasts(paint, amplitude, longitude, second, painted=False)
    if key not in index or amplitude[index[key]] == 0:
        return None
    less = amplitude.copy()
    less[index[key]] = 0.0
    return _contrasts(paint, less, longitude, second)

"""Bad frames: black, constant, badly exposed.

A frame is judged against the past alone: a flag never tells a window what happened after its
issue time.
"""

from __future__ import annotations

import warnings

import numpy as np

from heliosight.core.tables import BAD_FRAME

# Measured on 30 real frames in three channels: the bad exposure has 1.57 times the grain of the
# frames before it, every other frame 0.89 to 1.04; mean brightness stays within 0.88 to 1.05.
GRAIN = np.log(1.3)
BRIGHTNESS = np.log(1.5)
MEMORY_FRAMES = 12
_FEWEST = 3
# Pixels looked at in one go: statistics of large frames need no more memory than of small ones.
_PIXELS = 1 << 23


def departure(values: np.ndarray, memory: int) -> np.ndarray:
    """`(N,)` log ratio of each value to the median of the `memory` values before it.

    0 where fewer than three earlier values are known, or where either is not positive.
    """
    known = np.where(values > 0, values, np.nan)
    padded = np.concatenate([np.full(memory, np.nan), known])[:-1]
    past = np.lib.stride_tricks.sliding_window_view(padded, memory)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        reference = np.nanmedian(past, axis=1)
    enough = np.isfinite(past).sum(1) >= _FEWEST
    return np.where(enough & np.isfinite(known), np.log(known / reference), 0.0)


def frame_statistics(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, grain and range of frames `(N, C, H, W)`, each `(N, C)`.

    Grain is the mean departure of a pixel from its four neighbours over the mean brightness: a
    short exposure is grainier, whatever its scaling.
    """
    step = max(1, _PIXELS // int(np.prod(frames.shape[1:])))
    parts = [_statistics(frames[i : i + step]) for i in range(0, len(frames), step)]
    mean, grain, span = (np.concatenate(p) for p in zip(*parts, strict=True))
    return mean, grain, span


def _statistics(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    f = np.asarray(frames, dtype=np.float32)
    around = f[..., :-2, 1:-1] + f[..., 2:, 1:-1] + f[..., 1:-1, :-2] + f[..., 1:-1, 2:]
    rough = np.abs(f[..., 1:-1, 1:-1] - around / 4).mean((-2, -1))
    mean = f.mean((-2, -1))
    return mean, rough / np.maximum(mean, 1e-6), np.ptp(f, axis=(-2, -1))


def bad_frames(frames: np.ndarray) -> np.ndarray:
    """`(N, C)` uint8 flags of frames `(N, C, H, W)` uint8: BAD_FRAME where one cannot be used.

    A frame is bad when it is constant (black included), or when its grain or its brightness
    departs from the median of the 12 frames before it by more than a factor 1.3 or 1.5.
    """
    if not len(frames):
        return np.zeros(frames.shape[:2], dtype=np.uint8)
    mean, grain, span = frame_statistics(frames)
    bad = span == 0
    usable = ~bad
    for c in range(frames.shape[1]):
        good = usable[:, c]
        grainy = np.abs(departure(np.where(good, grain[:, c], np.nan), MEMORY_FRAMES)) > GRAIN
        light = np.abs(departure(np.where(good, mean[:, c], np.nan), MEMORY_FRAMES)) > BRIGHTNESS
        bad[:, c] |= grainy | light
    return (bad * BAD_FRAME).astype(np.uint8)

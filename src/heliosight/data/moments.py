"""Means and standard deviations over windows, in one pass over the continuous arrays.

Windows overlap, so a row is used by many. Its count of uses is its weight: the weighted sum over
rows equals the sum over windows and costs as much as the rows alone.
"""

from __future__ import annotations

import math

import numpy as np

from heliosight.core.tables import Moments
from heliosight.data.cuts import ImageCut, SeriesCut
from heliosight.data.windows import Windows

# Rows at a time: few enough for a chunk to stay in the processor's cache.
_CHUNK = 32
# Sums of 256 squares of grey levels stay under 2**24, where float32 counts exactly.
_BLOCK = 256


def moments(windows: Windows, issue_times: np.ndarray) -> dict[str, Moments]:
    """Mean and standard deviation per modality over all observed places of the windows.

    Parameters
    ----------
    issue_times : `(N,)` of the TRAINING span alone; statistics of other spans would leak.

    Returns
    -------
    By modality, `(V,)` or `(C,)` in physical units, population standard deviation. A variable
    that is constant gets 1, one that is never observed 0 and 1, so that normalising stays finite.
    """
    issue = np.asarray(issue_times, dtype=np.int64)
    return {
        name: _image_moments(cut, _uses(cut, issue))
        if isinstance(cut, ImageCut)
        else _series_moments(cut, _uses(cut, issue))
        for name, cut in windows.cuts.items()
    }


def _uses(cut: SeriesCut | ImageCut, issue: np.ndarray) -> np.ndarray:
    """`(N, V)` how often each row is an observed input of the windows."""
    count = np.bincount(cut.rows(issue).ravel(), minlength=cut.absent + 1)
    return count[:-1, None] * cut.observed[:-1]


def _series_moments(cut: SeriesCut, uses: np.ndarray) -> Moments:
    weight = uses.astype(np.float64)
    total = weight.sum(0)
    values = cut.values[:-1].astype(np.float64)
    mean = (weight * values).sum(0) / np.maximum(total, 1)
    variance = (weight * (values - mean) ** 2).sum(0) / np.maximum(total, 1)
    return _finish(mean, variance)


def _image_moments(cut: ImageCut, uses: np.ndarray) -> Moments:
    """Pixel sums and sums of squares of every used frame, exact in integers."""
    used = np.flatnonzero(uses.any(1))
    total = np.zeros(len(cut.columns))
    square = np.zeros(len(cut.columns))
    for start in range(0, len(used), _CHUNK):
        rows = used[start : start + _CHUNK]
        sums, squares = _pixel_sums(np.take(cut.pixels, cut.planes[rows], axis=0))
        total += (uses[rows] * sums).sum(0)
        square += (uses[rows] * squares).sum(0)
    count = np.maximum(uses.sum(0) * cut.pixels[0].size, 1)
    mean = total / count
    return _finish(mean, np.maximum(square / count - mean**2, 0.0))


def _pixel_sums(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and sum of squares of `(R, C, H, W)` uint8 frames, `(R, C)` each, exact."""
    block = math.gcd(frames[0, 0].size, _BLOCK)
    x = frames.reshape(-1, block).astype(np.float32)
    parts = x @ np.ones(block, dtype=np.float32), np.einsum("ij,ij->i", x, x)
    sums, squares = (p.reshape(*frames.shape[:2], -1).sum(-1, dtype=np.float64) for p in parts)
    return sums, squares


def _finish(mean: np.ndarray, variance: np.ndarray) -> Moments:
    std = np.where(variance > 0, np.sqrt(variance), 1.0)
    return Moments(tuple(float(m) for m in mean), tuple(float(s) for s in std))

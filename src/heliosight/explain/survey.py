"""Where attention goes over many windows: average profiles, maps of disc and Sun, and agreement.

Maps are kept signed and in the target's unit; sizes are means of |map|. On the Sun, each pixel of
each frame is put at its heliographic latitude and Carrington longitude, so a model that follows
structures and one that watches a place of the disc look different.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.errors import NotApplicable
from heliosight.explain.blocks import block_interval
from heliosight.explain.checks import pooled
from heliosight.explain.disc import RADIUS_SHARE, carrington_longitude, to_sphere

LATITUDES, LONGITUDES = 18, 36  # cells of 10 degrees


@final
@dataclass(frozen=True)
class Survey:
    """What one method says over N windows of T frames.

    Attributes
    ----------
    profile, low, high : `(T,)` mean signed attribution per frame, bounds over 27-day blocks (NaN:
        fewer than two).
    channels, channels_low, channels_high : `(C,)` the same per channel, empty without channels.
    disc, disc_size : `(H, W)` mean over windows and frames of the map, and of its size.
    sun, sun_size : `(18, 36)` the same per pixel in cells of latitude (north first) and Carrington
        longitude (from 0), NaN where no pixel was seen.
    icc_windows : agreement between windows' maps, 1 when every window has the same map.
    icc_frames : agreement between frames' maps of a window, mean over windows.
    """

    profile: np.ndarray
    low: np.ndarray
    high: np.ndarray
    channels: np.ndarray
    channels_low: np.ndarray
    channels_high: np.ndarray
    disc: np.ndarray
    disc_size: np.ndarray
    sun: np.ndarray
    sun_size: np.ndarray
    icc_windows: float
    icc_frames: float


def survey(
    maps_of: Callable[[int], np.ndarray], frame_times: np.ndarray, issue_times: np.ndarray
) -> Survey:
    """Sum up maps window by window, so that only pooled ones are kept.

    Parameters
    ----------
    maps_of : maps `(C, T, H, W)` or `(T, H, W)` of the n-th window.
    frame_times : `(N, T)` UTC seconds; issue_times : `(N,)`.

    Raises
    ------
    NotApplicable : fewer than two windows.
    """
    if len(issue_times) < 2:
        raise NotApplicable("a survey takes at least two windows", str(len(issue_times)))
    profiles, channels, small = [], [], []
    disc: list[np.ndarray] = []
    grid = _Grid()
    for n in range(len(issue_times)):
        maps = maps_of(n)
        flat = maps.sum(0) if maps.ndim == 4 else maps
        profiles.append(flat.sum((1, 2)))
        channels.append(maps.sum((1, 2, 3)) if maps.ndim == 4 else np.zeros(0))
        small.append(np.abs(pooled(flat)))
        disc.append(np.stack([flat.mean(0), np.abs(flat).mean(0)]))
        grid.add(flat, frame_times[n])
    means = np.stack(profiles), np.stack(channels)
    bounds = [block_interval(x, issue_times) for x in means]
    signed, size = np.mean(disc, axis=0)
    return Survey(
        means[0].mean(0), *bounds[0], means[1].mean(0), *bounds[1], signed, size, *grid.means(),
        icc(np.stack(small).reshape(len(small), -1)),
        float(np.mean([icc(m.reshape(len(m), -1)) for m in small])),
    )  # fmt: skip


def icc(raters: np.ndarray) -> float:
    """Agreement of maps `(k, n)`: ICC(2,1) of Shrout & Fleiss 1979 with maps as raters.

    Absolute agreement of single maps: 1 when all are the same, near 0 when they share nothing, and
    slightly negative by chance. Maps of zeros agree with 0.
    """
    k, n = raters.shape
    grand = raters.mean()
    rows = k * ((raters.mean(0) - grand) ** 2).sum() / (n - 1)
    columns = n * ((raters.mean(1) - grand) ** 2).sum() / (k - 1)
    rest = raters - raters.mean(0) - raters.mean(1)[:, None] + grand
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    below = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / below) if below > 0 else 0.0


class _Grid:
    """Sums over pixels of the disc in cells of the Sun."""

    def __init__(self) -> None:
        self.sums = np.zeros((2, LATITUDES * LONGITUDES))
        self.count = np.zeros(LATITUDES * LONGITUDES)

    def add(self, flat: np.ndarray, times: Sequence[float] | np.ndarray) -> None:
        """Maps `(T, H, W)` at UTC seconds `(T,)`."""
        rows, columns = np.mgrid[: flat.shape[-1], : flat.shape[-1]]
        latitude, west = to_sphere(rows, columns, flat.shape[-1], RADIUS_SHARE)
        seen = np.isfinite(latitude)
        north = ((90 - latitude[seen]) * LATITUDES / 180).astype(int).clip(0, LATITUDES - 1)
        for frame, second in zip(flat, times, strict=True):
            longitude = (carrington_longitude(float(second)) + west[seen]) % 360
            cell = north * LONGITUDES + (longitude * LONGITUDES / 360).astype(int) % LONGITUDES
            for row, values in enumerate((frame[seen], np.abs(frame[seen]))):
                self.sums[row] += np.bincount(cell, values, LATITUDES * LONGITUDES)
            self.count += np.bincount(cell, minlength=LATITUDES * LONGITUDES)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean map and mean size per pixel, `(18, 36)` each."""
        empty = np.full_like(self.sums, np.nan)
        found = np.divide(self.sums, self.count, out=empty, where=self.count > 0)
        return found[0].reshape(LATITUDES, LONGITUDES), found[1].reshape(LATITUDES, LONGITUDES)

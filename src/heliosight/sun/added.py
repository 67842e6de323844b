"""What each range of frames adds to the wind and to all newer frames.

A simulated Sun shows a hole for a week, so frames alone tell nearly the same; a model that reads
the newest need not read the others as well. What a range adds is what is lost without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.sun.information import BLOCK_DAYS, WINDOW_HOURS, held_out, noise_free
from heliosight.sun.wind import Wind
from heliosight.sun.world import World


@final
@dataclass(frozen=True)
class Added:
    """Shares of the target's variance.

    Attributes
    ----------
    gains : what each frame adds to the wind and all newer frames, with its standard error.
    explained : by the wind and all these frames together.
    """

    gains: tuple[tuple[float, float], ...]
    explained: float


def added_by_frames(world: World, noise: Wind, frames: Sequence[int]) -> Added:
    """Gain in the share of variance explained, by frame as given.

    Ridge on noise-free features, held out, mean over days 1 to 3; the wind is known first, then
    frames from the newest to the oldest. A floor, as in `sun.information`.

    Parameters
    ----------
    frames : which of 28, oldest first, each standing for its range.
    """
    begin, end = world.config.start_second // HOUR, world.config.stop_second // HOUR
    hours = np.arange(begin + 7 * 24, end - WINDOW_HOURS, 12)
    inputs, target = noise_free(world, noise, hours, frames)
    spread = float(target.var(0).mean())
    known = inputs["wind"]
    before = _loss(known, target, hours)
    found = {}
    for frame in sorted(frames, reverse=True):
        known = np.concatenate([known, inputs[f"frame {frame}"]], axis=1)
        after = _loss(known, target, hours)
        found[frame] = _gain((before - after) / spread, hours)
        before = after
    explained = 1.0 - float(before.mean()) / spread
    return Added(tuple(found[frame] for frame in frames), explained)


def _loss(features: np.ndarray, target: np.ndarray, hours: np.ndarray) -> np.ndarray:
    return np.asarray(((target - held_out(features, target, hours)) ** 2).mean(1))


def _gain(gain: np.ndarray, hours: np.ndarray) -> tuple[float, float]:
    """Mean, and its standard error by leaving out blocks."""
    blocks = hours // (24 * BLOCK_DAYS)
    left = np.array([gain[blocks != b].mean() for b in np.unique(blocks)])
    return float(gain.mean()), float(np.sqrt((len(left) - 1) * np.var(left)))

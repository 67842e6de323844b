"""When the holes sent what arrives: the wind of one frame's time taken out, and run again.

A structure's effect does not say which frame a forecast needs. Here the holes go dark towards the
Earth for the hours around one frame, in turn, and what that does to the leads is that frame's
effect. Spans are taken out in two orders, from the oldest on and from the newest on, and averaged:
the Shapley value over these two orders, so frames sum exactly to the effect of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from heliosight.sun.footprint import footprints
from heliosight.sun.world import STATIC_KEY, World

MeanAp = Callable[[World], float]


@dataclass(frozen=True)
class Sent:
    """What the holes sent during each frame's hours does to the target.

    Attributes
    ----------
    values : `(C, T, H, W)` float32 [ap, 2 nT]; a frame's effect is shared among holes by the area
        they turned towards the Earth then, and among the pixels of each by contrast.
    per_frame : `(T,)` [ap], also of what no pixel shows; sums to `total`.
    total : mean ap over the leads less that with every frame's wind taken out.
    """

    values: np.ndarray
    per_frame: np.ndarray
    total: float


def sent_by_frame(world: World, times: np.ndarray, mean_ap: MeanAp) -> Sent:
    """Effects of what left the Sun within half a cadence of each frame `(T,)` [UTC s].

    Wind of other hours and CMEs stay as they are. `mean_ap` runs a world and averages its leads.
    """
    hours = times // 3600
    half = world.config.image_cadence_hours // 2
    per_frame, total = _two_orders(world, hours, half, mean_ap)
    areas = _areas(world, hours, half)
    seen = footprints(world, times, list(areas))
    values = np.zeros(seen.shape, dtype=np.float32)
    whole = sum(areas.values(), start=np.zeros(len(hours)))
    for key, area in areas.items():
        part = np.divide(area, whole, out=np.zeros_like(area), where=whole > 0)
        values += _placed(seen.visible[key], per_frame * part, seen.shape, seen.on)
    return Sent(values, per_frame, total)


def _two_orders(
    world: World, hours: np.ndarray, half: int, mean_ap: MeanAp
) -> tuple[np.ndarray, float]:
    count = len(hours)
    spans = [(int(h) - half, int(h) + half) for h in hours]
    oldest = [mean_ap(_dark(world, spans[:k])) for k in range(count + 1)]
    newest = [oldest[0], *(mean_ap(_dark(world, spans[count - k :])) for k in range(1, count))]
    newest.append(oldest[-1])
    per_frame = (-np.diff(oldest) - np.diff(newest)[::-1]) / 2
    return per_frame, oldest[0] - oldest[-1]


def _dark(world: World, spans: list[tuple[int, int]]) -> World:
    """The world whose holes send nothing during some spans of hours."""
    found = {}
    for key, (start, values, sign) in world.sources.items():
        kept = values.copy()
        for begin, end in spans:
            kept[max(begin - start, 0) : max(end - start, 0)] = 0.0
        found[key] = (start, kept, sign)
    return replace(world, sources=found)


def _areas(world: World, hours: np.ndarray, half: int) -> Mapping[str, np.ndarray]:
    """Area each shown source turns towards the Earth around each frame, `(T,)`."""
    if world.config.static:
        return {STATIC_KEY: np.ones(len(hours))}
    found = {}
    for key in world.sources:
        area = np.array([world.area(h - half, h + half, only=key)[0].sum() for h in hours])
        if area.any():
            found[key] = area
    return found


def _placed(
    visible: np.ndarray, effect: np.ndarray, shape: tuple[int, int, int, int], on: np.ndarray
) -> np.ndarray:
    """Each frame's effect `(T,)` over the pixels that show its source `(C, T, P)`."""
    weight = visible.sum((0, 2), dtype=np.float64)
    share = np.divide(effect, weight, out=np.zeros_like(weight), where=weight > 0)
    out = np.zeros(shape, dtype=np.float32)
    out[:, :, on] = visible * share[None, :, None].astype(np.float32)
    return out

"""When the holes sent what arrives: the wind of one frame's time taken out, and run again.

A structure's effect does not say which frame a forecast needs. Here the holes go dark towards the
Earth for the hours around one frame after another, and what the next one does to the leads is that
frame's effect. It depends on what is dark already, since fast wind overtakes slow wind: so spans
are taken out in several orders and averaged, the Shapley value (Shapley 1953) with each order
drawn beside its reverse (Castro et al. 2009 sample orders alike; the pairs cancel what grows along
an order). In every order frames sum exactly to the effect of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from heliosight.core.seeding import numpy_stream
from heliosight.sun.footprint import footprints
from heliosight.sun.world import STATIC_KEY, World

MeanAp = Callable[[World], float]
Span = tuple[int, int]
ORDERS = 8  # with their reverses; against 64 frames correlate at 0.99


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
    spans = [(int(h) - half, int(h) + half) for h in hours]
    per_frame, total = _shapley(world, spans, mean_ap)
    areas = _areas(world, hours, half)
    seen = footprints(world, times, list(areas))
    values = np.zeros(seen.shape, dtype=np.float32)
    whole = sum(areas.values(), start=np.zeros(len(hours)))
    for key, area in areas.items():
        part = np.divide(area, whole, out=np.zeros_like(area), where=whole > 0)
        values += _placed(seen.visible[key], per_frame * part, seen.shape, seen.on)
    return Sent(values, per_frame, total)


def _shapley(world: World, spans: list[Span], mean_ap: MeanAp) -> tuple[np.ndarray, float]:
    """Mean effect `(T,)` of going dark next, over `ORDERS`, and the effect of all.

    A span in which no hole faces the Earth changes nothing in any order.
    """
    lit = np.array([k for k, span in enumerate(spans) if _acting(world, [span])], dtype=int)
    known: dict[frozenset[int], float] = {}

    def left(dark: frozenset[int]) -> float:
        if dark not in known:
            known[dark] = mean_ap(_dark(world, [spans[k] for k in dark]))
        return known[dark]

    per_frame = np.zeros(len(spans))
    for order in _orders(world, lit, spans):
        for place, frame in enumerate(order):
            before = frozenset(order[:place])
            per_frame[frame] += (left(before) - left(before | {frame})) / ORDERS
    return per_frame, left(frozenset()) - left(frozenset(lit.tolist()))


def _orders(world: World, lit: np.ndarray, spans: list[Span]) -> list[list[int]]:
    """From the oldest on first, then drawn ones, each followed by its reverse."""
    stream = numpy_stream(world.config.seed, "sent", spans[-1][1])
    drawn = [lit, *(stream.permutation(lit) for _ in range(ORDERS // 2 - 1))]
    return [order.tolist() for one in drawn for order in (one, one[::-1])]


def _acting(world: World, spans: list[Span]) -> list[str]:
    """Holes that face the Earth at some hour of the spans."""
    found = []
    for key, (start, values, _) in world.sources.items():
        parts = (values[max(a - start, 0) : max(b - start, 0)] for a, b in spans)
        if any(part.any() for part in parts):
            found.append(key)
    return found


def _dark(world: World, spans: list[Span]) -> World:
    """The world whose holes send nothing during some spans of hours."""
    found = dict(world.sources)
    for key in _acting(world, spans):
        start, values, sign = found[key]
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

"""Attributions summed over coronal holes and active regions that are followed as the Sun turns.

Regions of each frame are found alone; a region continues the one whose mask, rotated by the time
between frames, overlaps it most. What is summed is what the method says of those pixels, so one can
read which structure, seen when, raised the forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np

from heliosight.core.errors import SpecError
from heliosight.explain.disc import rotated, to_sphere
from heliosight.explain.holes import ACTIVE_REGIONS, HOLES, RegionConfig, find_regions

LEAST_OVERLAP = 0.2


@final
@dataclass(frozen=True)
class Structure:
    """One region through time.

    Attributes
    ----------
    kind : `coronal hole` or `active region`.
    mask : `(T, H, W)` bool.
    frames : indices of frames it was found in.
    latitude, longitude : of its centroid in each of those frames [degrees, west positive].
    """

    kind: str
    mask: np.ndarray
    frames: tuple[int, ...]
    latitude: tuple[float, ...]
    longitude: tuple[float, ...]


def structures(
    images: np.ndarray,
    cadence_hours: float,
    holes: RegionConfig = HOLES,
    active_regions: RegionConfig = ACTIVE_REGIONS,
) -> list[Structure]:
    """Coronal holes, then active regions, of AIA 193 frames `(T, H, W)`, oldest first."""
    found = []
    for kind, config in (("coronal hole", holes), ("active region", active_regions)):
        labels = np.stack([find_regions(frame, config) for frame in images])
        tracks = _tracks(labels, cadence_hours / 24, config)
        found += [_structure(kind, track, labels, config) for track in tracks]
    return sorted(found, key=lambda s: (s.kind != "coronal hole", -int(s.mask.sum())))


def _tracks(labels: np.ndarray, days: float, config: RegionConfig) -> list[dict[int, int]]:
    """Per structure: label by frame. A frame without the region ends it only after two in a row."""
    tracks: list[dict[int, int]] = []
    for t, frame in enumerate(labels):
        taken: set[int] = set()
        for track in sorted(tracks, key=lambda k: -max(k)):
            last = max(track)
            if t - last > 2:
                continue
            before = rotated(
                labels[last] == track[last], days * (t - last), 0.0, config.radius_share
            )
            label = _best(before > 0.5, frame, taken)
            if label:
                track[t] = label
                taken.add(label)
        new = [int(k) for k in np.unique(frame) if k and int(k) not in taken]
        tracks += [{t: label} for label in new]
    return tracks


def _best(before: np.ndarray, frame: np.ndarray, taken: set[int]) -> int:
    """The label that overlaps a mask most, 0 when none reaches `LEAST_OVERLAP` of the smaller."""
    best, most = 0, LEAST_OVERLAP
    for label in np.unique(frame[before]):
        if label and int(label) not in taken:
            now = frame == label
            share = (now & before).sum() / max(1, min(now.sum(), before.sum()))
            if share > most:
                best, most = int(label), share
    return best


def _structure(
    kind: str, track: dict[int, int], labels: np.ndarray, config: RegionConfig
) -> Structure:
    mask = np.zeros(labels.shape, dtype=bool)
    places = []
    for t, label in track.items():
        mask[t] = labels[t] == label
        row, column = (float(np.mean(axis)) for axis in np.nonzero(mask[t]))
        place = to_sphere(np.array(row), np.array(column), labels.shape[-1], config.radius_share)
        places.append((float(place[0]), float(place[1])))
    latitude, longitude = zip(*places, strict=True)
    return Structure(kind, mask, tuple(track), latitude, longitude)


def flat_maps(maps: np.ndarray) -> np.ndarray:
    """Maps `(T, H, W)`, summed over channels where they have them."""
    return maps.sum(0) if maps.ndim == 4 else maps


def summed(maps: np.ndarray, found: list[Structure]) -> np.ndarray:
    """Signed sum of maps `(C, T, H, W)` or `(T, H, W)` over each structure and frame, `(n, T)`.

    Raises
    ------
    SpecError : frames or pixels of maps and structures differ.
    """
    flat = flat_maps(maps)
    wrong = [s.mask.shape for s in found if s.mask.shape != flat.shape]
    if wrong:
        raise SpecError(
            "maps and structures share frames and pixels", f"{flat.shape} and {wrong[0]}"
        )
    if not found:
        return np.zeros((0, len(flat)))
    return np.stack([(flat * s.mask).sum((1, 2)) for s in found])


def sentences(
    sums: np.ndarray, found: list[Structure], target: str, units: str, days: float
) -> list[str]:
    """One line per structure of the largest effects, at most six, strongest first.

    target : what was explained, in words. days : between frames.
    """
    order = np.argsort(-np.abs(sums.sum(1)), kind="stable")[:6]
    lines = []
    for k in (k for k in order if sums[k].sum() != 0):  # one without effect is no finding
        s, frame, total = found[k], int(np.abs(sums[k]).argmax()), float(sums[k].sum())
        at = s.frames.index(frame) if frame in s.frames else 0
        age = (sums.shape[1] - 1 - frame) * days
        when = f"{age:.2g} days before the newest frame" if age else "in the newest frame"
        lines.append(
            f"this {s.kind}, seen at {place_words(s.latitude[at], s.longitude[at])} {when} when it "
            f"counted most, {'raised' if total >= 0 else 'lowered'} the forecast ({target}) by "
            f"{abs(total):.3g} {units}"
        )
    return lines


def place_words(latitude: float, longitude: float) -> str:
    """`N12 W30`, as places on the Sun are written; rounded degrees, west positive."""
    side, face = "N" if latitude >= 0 else "S", "W" if longitude >= 0 else "E"
    return f"{side}{abs(latitude):02.0f} {face}{abs(longitude):02.0f}"


RATES = np.linspace(-1.0, 3.0, 17)  # of the Sun's rotation, that maps are rotated at


def rotation_slope(maps: np.ndarray, days: float) -> float:
    """Observed over expected longitudinal motion of |maps| `(T, H, W)`: 1 rotates, 0 stays.

    Each map is rotated at -1 to 3 times the Sun's rate and correlated with the next; the rate of
    the highest mean correlation is given, to 0.25. NaN when the maps vanish. It has no interval:
    compare with the slope of a random map before calling a map static.
    """
    total = np.zeros(len(RATES))
    weight = np.abs(maps)
    for before, after in pairwise(weight):
        if before.max() == 0 or after.max() == 0:
            continue
        total += [_match(rotated(before, rate * days, 0.0), after) for rate in RATES]
    return float(RATES[int(total.argmax())]) if total.max() > total.min() else float("nan")


def _match(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first - first.mean(), second - second.mean()
    size = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / size) if size > 0 else 0.0

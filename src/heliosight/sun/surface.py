"""Fields on the visible disc: darkness of holes, brightness of regions, magnetic flux, network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from heliosight.core.clock import DAY
from heliosight.core.seeding import numpy_stream
from heliosight.sun.rotation import magnetic_rate, tilted, unit_vectors
from heliosight.sun.source import EDGE
from heliosight.sun.structures import Structure

BEHIND = -0.15  # lobes with a smaller cosine to the observer are out of sight
HOLE_FLUX = 0.12  # flux of a hole over that of a region's pole of the same amplitude
POLES = 2  # of a region's lobes
ROWS, COLUMNS = 90, 180  # network map, 2 degrees a cell
# name: (days between drawn maps, smoothing [cells])
NETWORKS = {"fine": (1.3, 1.0), "coarse": (4.0, 3.2)}


@dataclass(frozen=True)
class Lobes:
    """All lobes of many structures as flat arrays `(K,)`, ready for frames.

    `owner` is the index of the structure, `hole` and `flux` weights in darkness and field.
    """

    owner: np.ndarray
    latitude: np.ndarray
    offset: np.ndarray
    inverse: np.ndarray
    hole: np.ndarray
    bright: np.ndarray
    flux: np.ndarray


@dataclass(frozen=True)
class Fields:
    """Fields on the P disc pixels `(P,)` float32: `dark` and `bright` 0.., `flux` signed."""

    dark: np.ndarray
    bright: np.ndarray
    flux: np.ndarray


def lobes_of(structures: tuple[Structure, ...]) -> Lobes:
    """Flatten the lobes of structures, in order."""
    rows = []
    for number, s in enumerate(structures):
        for place, (latitude, offset, width, weight) in enumerate(s.lobes):
            hole = s.kind == "hole"
            flux = s.polarity * weight * (HOLE_FLUX if hole else place < POLES)
            dark, bright = (weight, 0.0) if hole else (0.0, abs(weight))
            rows.append((number, latitude, offset, 1.0 / width**2, dark, bright, flux))
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    owner, latitude, offset, inverse, dark, bright, flux = table.T
    return Lobes(owner.astype(int), latitude, offset, inverse, dark, bright, flux)


def block_amplitudes(
    structures: tuple[Structure, ...], hours: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude and longitude of every structure at every hour, `(structures, hours)`."""
    shape = (len(structures), len(hours))
    amplitude, longitude = np.zeros(shape), np.zeros(shape)
    for row, s in enumerate(structures):
        if s.birth < hours[-1] and s.death > hours[0]:
            amplitude[row] = s.amplitude(hours)
            longitude[row] = s.longitude_at(hours)
    return amplitude, longitude


def fields(
    vectors: np.ndarray, lobes: Lobes, amplitude: np.ndarray, longitude: np.ndarray, b0: float
) -> Fields:
    """Fields of all structures at unit vectors `(P, 3)` seen from heliographic latitude b0 [deg].

    Each lobe adds a w exp((cos d - 1) / s^2), d the angular distance: a Gaussian on the sphere.
    `amplitude` and `longitude` are `(structures,)` at that moment.
    """
    live = np.flatnonzero(amplitude[lobes.owner] > 0)
    centre = tilted(
        unit_vectors(lobes.latitude[live], longitude[lobes.owner[live]] + lobes.offset[live]),
        b0,
    )
    seen = centre[:, 2] > BEHIND
    live, centre = live[seen], centre[seen].astype(np.float32)
    inverse = lobes.inverse[live].astype(np.float32)[:, None]
    shape = centre @ vectors.T
    shape -= np.float32(1.0)
    shape *= inverse
    np.exp(shape, out=shape)
    height = amplitude[lobes.owner[live]]
    weights = np.stack([lobes.hole[live], lobes.bright[live], lobes.flux[live]]) * height
    dark, bright, flux = weights.astype(np.float32) @ shape
    return Fields(dark, bright, flux)


def darkening(dark: np.ndarray) -> np.ndarray:
    """Depth 0..1 of a hole from its darkness field: a steep edge at 1/2, `d^4 / (d^4 + 1/16)`."""
    square = dark * dark
    power = square * square
    return power / (power + np.float32(EDGE**4))


def network_map(seed: int, name: str, number: int) -> np.ndarray:
    """`(ROWS, COLUMNS)` float32 texture of unit variance, the `number`-th since 1970."""
    _, smooth = NETWORKS[name]
    white = numpy_stream(seed, "network", name, number).standard_normal((ROWS, COLUMNS))
    texture = gaussian_filter(white, smooth, mode=("reflect", "wrap"))
    # white noise smoothed by a Gaussian of s cells keeps 1 / (4 pi s^2) of its variance
    return (texture * np.sqrt(4 * np.pi) * smooth).astype(np.float32)


def network_places(
    latitude: np.ndarray, longitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per pixel `(P,)`: first cell of its map row, its longitude and its rotation, in cells."""
    row = ((latitude + 90.0) * (ROWS / 180.0)).astype(np.int32).clip(0, ROWS - 1) * COLUMNS
    cells = COLUMNS / 360.0
    rate = magnetic_rate(latitude) * cells
    return row, (longitude * cells).astype(np.float32), rate.astype(np.float32)


def network_value(
    texture: np.ndarray, places: tuple[np.ndarray, np.ndarray, np.ndarray], days: float
) -> np.ndarray:
    """Texture under each pixel `(P,)`, turned differentially since `days` after its drawing."""
    row, column, rate = places
    turned = (column - rate * np.float32(days) + np.float32(8 * COLUMNS)).astype(np.int32)
    return texture.take(row + turned % COLUMNS)


def blend(seconds: float, name: str) -> list[tuple[int, float, np.float32]]:
    """The two maps that bracket a moment: number, days since drawn, weight (variance stays 1)."""
    spacing, _ = NETWORKS[name]
    place = seconds / (spacing * DAY)
    number = int(np.floor(place))
    angle = (place - number) * np.pi / 2
    since = (place - number) * spacing
    return [
        (number, since, np.float32(np.cos(angle))),
        (number + 1, since - spacing, np.float32(np.sin(angle))),
    ]

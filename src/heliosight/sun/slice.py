"""The one number a day that coronal-hole catalogues give: area near the central meridian."""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.sun.rotation import tilt, unit_vectors
from heliosight.sun.source import EDGE
from heliosight.sun.structures import Structure
from heliosight.sun.surface import block_amplitudes, fields, lobes_of

_LATITUDE, _LONGITUDE = np.meshgrid(
    np.arange(-58.5, 60.0, 3.0), np.linspace(-6.0, 6.0, 5), indexing="ij"
)
BLOCK_DAYS = 64


def slice_areas(structures: tuple[Structure, ...], hours: np.ndarray) -> np.ndarray:
    """Share of the central slice inside a hole at some hours since 1970, `(N,)`.

    Slice: 7.5 deg either side of the central meridian, 60 deg either side of the equator; each
    place of a 3 deg grid counts by its projected area cos(lat) cos(lat - B0).
    """
    holes = tuple(s for s in structures if s.kind == "hole")
    areas = [_block(holes, hours[i : i + BLOCK_DAYS]) for i in range(0, len(hours), BLOCK_DAYS)]
    return np.concatenate(areas) if areas else np.zeros(0)


def _block(holes: tuple[Structure, ...], hours: np.ndarray) -> np.ndarray:
    begin, end = hours[0], hours[-1]
    alive = tuple(s for s in holes if s.birth < end + 1 and s.death > begin)
    lobes = lobes_of(alive)
    amplitude, longitude = block_amplitudes(alive, hours)
    vectors = unit_vectors(_LATITUDE.ravel(), _LONGITUDE.ravel()).astype(np.float32)
    b0 = tilt(hours * HOUR)
    areas = np.empty(len(hours))
    for day in range(len(hours)):
        dark = fields(vectors, lobes, amplitude[:, day], longitude[:, day], 0.0).dark
        facing = np.cos(np.radians(_LATITUDE)) * np.cos(np.radians(_LATITUDE - b0[day]))
        weight = facing.ravel()
        areas[day] = ((dark > EDGE) * weight).sum() / weight.sum()
    return areas

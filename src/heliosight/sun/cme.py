"""Coronal mass ejections of active regions, their transit, and what passes the Earth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.seeding import numpy_stream
from heliosight.sun.heliosphere import EARTH_KM
from heliosight.sun.rotation import tilt, tilted, unit_vectors
from heliosight.sun.structures import Structure

EJECTIONS_A_STRENGTH = 2.0
START_KM = 20 * 6.957e5
DRAG = 0.2e-7  # [1/km], mean of Vrsnak et al. 2013
AMBIENT = 400.0  # km/s
TRANSIT_SPREAD = 7.0  # h
LONGEST_PASSAGE = 72  # h
LONGEST_TRANSIT = 140  # h


@dataclass(frozen=True)
class Ejection:
    """One CME that meets the Earth.

    Attributes
    ----------
    key : of its region.
    launch, arrival : hours since 1970.
    speed : at arrival [km/s].
    sheath, rope : durations [h].
    field : peak field of the flux rope [nT].
    phase, turn : position angle of the rope's field at its front and its turn through the rope
        [rad] in the plane across the Sun-Earth line.
    jitter : `(72, 3)` normal draws for the sheath's turbulence.
    """

    key: str
    launch: float
    arrival: float
    speed: float
    sheath: float
    rope: float
    field: float
    phase: float
    turn: float
    jitter: np.ndarray


def transit(speed: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Transit time from 20 solar radii to 1 au [h] and speed there [km/s] by aerodynamic drag.

    v(t) = (v0 - w) / (1 + g |v0 - w| t) + w and
    r(t) = r0 + w t + (+-1 / g) ln(1 + g |v0 - w| t), sign of v0 - w (Vrsnak et al. 2013, Solar
    Physics 285, 295, eqs. 1-2), solved for r = 1 au by bisection to under a second.
    """
    excess = np.asarray(speed, dtype=np.float64) - AMBIENT
    sign = np.where(excess < 0, -1.0, 1.0)
    low, high = np.zeros(excess.shape), np.full(excess.shape, 1.0e6)
    for _ in range(40):
        t = (low + high) / 2
        slowed = 1.0 + DRAG * np.abs(excess) * t
        short = START_KM + AMBIENT * t + sign / DRAG * np.log(slowed) < EARTH_KM
        low, high = np.where(short, t, low), np.where(short, high, t)
    return high / HOUR, excess / (1.0 + DRAG * np.abs(excess) * high) + AMBIENT


def ejections(region: Structure, seed: int, rate: float, suns: str = "cme") -> list[Ejection]:
    """CMEs of one region that meet the Earth, in order of launch.

    Launches are a Poisson process with intensity proportional to the region's amplitude (drawn
    at its largest possible rate and thinned). A CME meets the Earth when the angle between its
    direction and the Sun-Earth line is under its half width.
    """
    stream = numpy_stream(seed, suns, *region.key.split("/"))
    life = region.death - region.birth
    count = stream.poisson(EJECTIONS_A_STRENGTH * rate * region.efficiency * life / (28 * 24) * 3)
    found = []
    for number in range(count):
        event = _ejection(region, numpy_stream(seed, suns, *region.key.split("/"), number), life)
        if event is not None:
            found.append(event)
    return sorted(found, key=lambda e: e.launch)


def _ejection(region: Structure, draw: np.random.Generator, life: float) -> Ejection | None:
    launch = region.birth + draw.uniform() * life
    amplitude = float(region.amplitude(np.array(launch)))
    kept = draw.uniform() * 3.0 < amplitude
    place = (
        region.latitude + draw.normal(0, 10),
        float(region.longitude_at(np.array(launch))) + draw.normal(0, 10),
    )
    b0 = float(tilt(np.array(launch * HOUR)))
    toward = tilted(unit_vectors(np.array(place[0]), np.array(place[1])), b0)[2]
    half_width = np.clip(draw.normal(36, 9), 15, 70)
    if not kept or np.degrees(np.arccos(np.clip(toward, -1, 1))) > half_width:
        return None
    speed = np.clip(draw.lognormal(np.log(520 + 60 * amplitude), 0.38), 250, 2600)
    hours, arriving = transit(speed)
    travel = np.clip(float(hours) + draw.normal(0, TRANSIT_SPREAD), 15, LONGEST_TRANSIT)
    return Ejection(
        key=region.key,
        launch=float(launch),
        arrival=float(launch + travel),
        speed=float(arriving),
        sheath=float(np.clip(draw.normal(10, 3), 4, 20)),
        rope=float(np.clip(draw.lognormal(np.log(21), 0.3), 8, 48)),
        field=float((7.0 + 0.028 * max(float(arriving) - 350, 0)) * draw.lognormal(0, 0.3)),
        phase=float(draw.uniform(0, 2 * np.pi)),
        turn=float(draw.choice([-1.0, 1.0]) * draw.uniform(0.7, 1.1) * np.pi),
        jitter=draw.standard_normal((LONGEST_PASSAGE, 3)),
    )

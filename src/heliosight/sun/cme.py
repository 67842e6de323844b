"""Coronal mass ejections of active regions, their transit, and what passes the Earth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.seeding import numpy_stream
from heliosight.sun.heliosphere import EARTH_KM
from heliosight.sun.rotation import tilt, tilted, unit_vectors
from heliosight.sun.structures import Structure

EJECTIONS_A_STRENGTH = 2.0  # in 28 days
LIFE_HOURS = 28 * 24
MOST_AMPLITUDE = 3.0  # thinning bound; a region that exceeds it erupts at this rate
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
    life = region.death - region.birth
    stream = numpy_stream(seed, suns, *region.key.split("/"))
    most = EJECTIONS_A_STRENGTH * MOST_AMPLITUDE * rate * region.efficiency * life / LIFE_HOURS
    count = stream.poisson(most)
    launch = region.birth + stream.uniform(size=count) * life
    kept = stream.uniform(size=count) * MOST_AMPLITUDE
    draws = stream.standard_normal((count, 4))
    amplitude = region.amplitude(launch)
    hit = (kept < amplitude) & (_miss_angle(region, launch, draws) < _half_width(draws[:, 2]))
    chosen = np.flatnonzero(hit)
    found = [
        _ejection(region.key, float(launch[i]), float(amplitude[i]), float(draws[i, 3]), spawned)
        for i, spawned in zip(chosen, stream.spawn(len(chosen)), strict=True)
    ]
    return sorted(found, key=lambda e: e.launch)


def _miss_angle(region: Structure, launch: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Angle [deg] between each CME and the Earth; CMEs leave their region's radial by 10 deg."""
    latitude = region.latitude + 10.0 * draws[:, 0]
    longitude = region.longitude_at(launch) + 10.0 * draws[:, 1]
    toward = tilted(unit_vectors(latitude, longitude), tilt(launch * HOUR))[..., 2]
    return np.degrees(np.arccos(np.clip(toward, -1, 1)))


def _half_width(draw: np.ndarray) -> np.ndarray:
    return np.clip(36.0 + 9.0 * draw, 15, 70)


def _ejection(
    key: str, launch: float, amplitude: float, swift: float, draw: np.random.Generator
) -> Ejection:
    speed = np.clip((520 + 60 * amplitude) * np.exp(0.38 * swift), 250, 2600)
    hours, arriving = transit(speed)
    travel = np.clip(float(hours) + draw.normal(0, TRANSIT_SPREAD), 15, LONGEST_TRANSIT)
    return Ejection(
        key=key,
        launch=launch,
        arrival=float(launch + travel),
        speed=float(arriving),
        sheath=float(np.clip(draw.normal(10, 3), 4, 20)),
        rope=float(np.clip(draw.lognormal(np.log(21), 0.3), 8, 48)),
        field=float((4.5 + 0.012 * max(float(arriving) - 350, 0)) * draw.lognormal(0, 0.3)),
        phase=float(draw.uniform(0, 2 * np.pi)),
        turn=float(draw.choice([-1.0, 1.0]) * draw.uniform(0.7, 1.1) * np.pi),
        jitter=draw.standard_normal((LONGEST_PASSAGE, 3)),
    )

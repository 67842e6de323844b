"""From the source surface to the Earth: upwind transport of speed and of what it carries."""

from __future__ import annotations

import numpy as np

STEP_SECONDS = 3600.0
STEP_KM = 250.0 * STEP_SECONDS
INNER_KM = 0.1 * 1.495978707e8
EARTH_KM = 1.495978707e8
STEPS = round((EARTH_KM - INNER_KM) / STEP_KM)
REACH_HOURS = STEPS  # nothing at the source earlier than this reaches the Earth now
SLOWEST = 255.0  # km/s; keeps the scheme's Courant number below 1


def transport(speed: np.ndarray, carried: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Speed [km/s] and a passive field at the Earth from both at 0.1 au, `(..., hours)` each.

    Kinematic momentum equation of Riley and Lionello (2011, Solar Physics 270, 575, eq. 4) in
    time at a fixed place: dv/dr = -(1/v) dv/dt, upwind in time,
    v(r + dr, t) = v - (dr / v) (v(r, t) - v(r, t - 1 h)) / 1 h, with dr = 250 km/s x 1 h. Fast
    wind overtakes slow wind and steepens as it goes. The carried field obeys the same advection.
    The first hour is held, so the first `REACH_HOURS` hours are spin-up.
    """
    v = np.maximum(speed, SLOWEST)
    field = carried
    for _ in range(STEPS):
        courant = STEP_KM / (v[..., 1:] * STEP_SECONDS)
        field = np.concatenate(
            [field[..., :1], field[..., 1:] - courant * np.diff(field, axis=-1)], axis=-1
        )
        v = np.concatenate([v[..., :1], v[..., 1:] - courant * np.diff(v, axis=-1)], axis=-1)
    return v, field


def steepening(speed: np.ndarray) -> np.ndarray:
    """Rise of the speed across a stream interface [km/s], `(..., hours)`, 0 where it falls.

    v(t + 10 h) - v(t - 2 h) of the transported wind: the faster wind is already right behind, at
    less than 10 h upstream, and the plasma ahead of it is compressed.
    """
    last = speed.shape[-1] - 1
    hours = np.arange(speed.shape[-1])
    ahead = speed[..., np.minimum(hours + 10, last)]
    behind = speed[..., np.maximum(hours - 2, 0)]
    return np.maximum(ahead - behind, 0.0)

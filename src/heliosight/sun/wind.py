"""Solar wind at the Earth, hour by hour, in OMNI's variables and units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.sun.cme import Ejection
from heliosight.sun.frames_of_reference import gsm_angle, to_gsm
from heliosight.sun.heliosphere import EARTH_KM, steepening, transport

SLOW, GAIN, HALF_AREA = 352.0, 335.0, 0.047  # km/s, km/s, slice area fraction
SPIN = 2.0 * np.pi / (25.38 * 24 * HOUR)  # sidereal rotation of the Sun [rad/s]
WIND_VARIABLES = (
    "speed", "density", "temperature", "pressure", "b_total", "b_scalar",
    "bx_gse", "by_gse", "bz_gse", "by_gsm", "bz_gsm",
)  # fmt: skip
Wind = dict[str, np.ndarray]


def source_speed(area: np.ndarray) -> np.ndarray:
    """Wind speed [km/s] of an open-field slice area fraction, any shape, without variability.

    v = 352 + 335 (1 - exp(-A / 0.047)): the linear relation of Nolte et al. (1976, Solar Physics
    46, 303) for small A, saturating where the fastest streams are observed.
    """
    return SLOW + GAIN * (1.0 - np.exp(-area / HALF_AREA))


def polarity(signed_area: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Sector polarity -1..1 of the source: the holes' where there are any, else a background."""
    return np.tanh(3.0 * (signed_area / 0.04 + 0.7 * background))


def ambient(
    area: np.ndarray,
    signed_area: np.ndarray,
    noise: Wind,
    scale: float,
) -> Wind:
    """Wind without CMEs, `(..., hours)` each, from the source's area and the noise of `coloured`.

    Speed and polarity are transported (`heliosphere.transport`). Density falls with speed,
    n = 4.0 (420 / v)^1.6 cm-3, times 1 + steepening / 62 km/s; temperature is that of Lopez
    (1987, JGR 92, 11189): sqrt(T / kK) = 0.031 v - 5.1 below 500 km/s, T = (0.51 v - 142) kK
    above; field 3.75 nT in slow wind to 5.25 nT in fast, times
    1 + steepening / 85 km/s. The field lies on Parker's spiral,
    tan(psi) = Omega r / v (Parker 1958), with Alfvenic fluctuations.
    """
    begun = source_speed(area) + scale * noise["source"]
    speed, sector = transport(begun, polarity(signed_area, noise["sector"]))
    rise = steepening(speed)
    speed = speed + scale * noise["speed"]
    density = 4.0 * (420.0 / speed) ** 1.6 * (1.0 + rise / 62.0)
    below = (0.031 * np.minimum(speed, 500.0) - 5.1).clip(1.0) ** 2
    heat = np.where(speed < 500.0, below, 0.51 * speed - 142.0)
    base = 3.75 * (1.0 + 0.40 * ((speed - 300.0) / 200.0).clip(0.0, 1.0))
    size = base * (1.0 + rise / 85.0) * np.exp(scale * noise["field"])
    spiral = np.arctan(SPIN * EARTH_KM / speed)
    waves = 0.85 * scale * (1.0 - 0.2 * ((speed - 300.0) / 300.0).clip(0.0, 1.0))
    x = -sector * np.cos(spiral) + waves * (noise["bx_fast"] + noise["bx_slow"])
    y = sector * np.sin(spiral) + waves * (noise["by_fast"] + noise["by_slow"])
    z = waves * (noise["bz_fast"] + noise["bz_slow"])
    length = np.sqrt(x**2 + y**2 + z**2 + 0.05)
    return {
        "speed": speed,
        "density": density * np.exp(scale * noise["density"]),
        "temperature": 1e3 * heat * (1.0 + rise / 150.0) * np.exp(scale * noise["temperature"]),
        "b_scalar": size,
        "bx_gse": size * x / length,
        "by_gse": size * y / length,
        "bz_gse": size * z / length,
    }


def overlay(wind: Wind, hours: np.ndarray, events: Sequence[Ejection]) -> None:
    """Write CMEs over the ambient wind `(hours,)` each, in place, in order of arrival.

    Sheath: speed jumps to the arrival speed, density and field rise with the jump (at most three
    times; the strong-shock limit is four), field direction is turbulent. Rope: speed falls
    linearly to ambient, field peaks as cos in the middle, turns by about pi (Bothmer and Schwenn
    1998, Annales Geophysicae 16, 1), cool and thin.
    """
    for event in sorted(events, key=lambda e: (e.arrival, e.key)):
        begin = int(np.ceil(event.arrival)) - int(hours[0])
        stop = begin + int(event.sheath + event.rope)
        inside = np.arange(max(begin, 0), min(stop, len(hours)))
        if len(inside):
            _pass(wind, inside, inside - begin, event)


def _pass(wind: Wind, at: np.ndarray, since: np.ndarray, event: Ejection) -> None:
    jump = np.maximum(event.speed - wind["speed"][at], 0.0)
    squeeze = 1.0 + 1.8 * (1.0 - np.exp(-jump / 180.0))
    sheath = since < event.sheath
    share = ((since - event.sheath) / event.rope).clip(0.0, 1.0)
    wind["speed"][at] += jump * np.where(sheath, 1.0, 1.0 - 0.9 * share)
    wind["density"][at] *= np.where(sheath, squeeze, 0.7)
    wind["temperature"][at] *= np.where(sheath, squeeze, 0.35)
    rope = event.field * np.cos(0.8 * np.pi * (share - 0.5))
    size = np.where(sheath, wind["b_scalar"][at] * squeeze, np.maximum(rope, 2.0))
    angle = event.phase + event.turn * share
    jitter = event.jitter[since]
    names = ("bx_gse", "by_gse", "bz_gse")
    flux = np.stack([0.25 * np.ones(len(at)), np.cos(angle), np.sin(angle)], axis=1)
    before = np.stack([wind[name][at] for name in names], axis=1)
    tossed = before / wind["b_scalar"][at][:, None] + 0.6 * jitter
    direction = np.where(sheath[:, None], tossed, flux + 0.1 * jitter)
    direction = direction / np.sqrt((direction**2).sum(1, keepdims=True) + 0.05)
    for column, name in enumerate(names):
        wind[name][at] = size * direction[:, column]
    wind["b_scalar"][at] = size


def finish(wind: Wind, hours: np.ndarray) -> Wind:
    """The variables of `WIND_VARIABLES` `(..., hours)`: derived ones added.

    Flow pressure is OMNI's, P = 1.67e-6 n v^2 (1 + 4 x 0.05) nPa (alpha share 5 %).
    """
    by, bz = to_gsm(wind["by_gse"], wind["bz_gse"], gsm_angle(hours * HOUR))
    total = np.sqrt(wind["bx_gse"] ** 2 + by**2 + bz**2)
    pressure = 1.67e-6 * 1.2 * wind["density"] * wind["speed"] ** 2
    derived = {"by_gsm": by, "bz_gsm": bz, "b_total": total, "pressure": pressure}
    return {name: {**wind, **derived}[name] for name in WIND_VARIABLES}

"""Planted causes: coronal holes and active regions, each drawn from a stream of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from heliosight.core.seeding import numpy_stream
from heliosight.sun.config import SunConfig
from heliosight.sun.cycle import activity, hole_activity, phase, spot_latitude
from heliosight.sun.rotation import hole_rate, magnetic_rate

BLOCK_HOURS = 27 * 24
DECOY = "decoy"  # name of the independent Sun's streams
HOLES_A_BLOCK = 2.3
REGIONS_A_BLOCK = 13.0
LONGEST_HOURS = 400 * 24
Maker = Callable[[str, int, float, np.random.Generator], "Structure"]
EFFICIENCY_SPREAD = (-1.1, 1.4)  # mean and spread of log efficiency of holes
_WOBBLE_DAYS, _WOBBLE_SIZE = 10.0, 0.30


@dataclass(frozen=True)
class Structure:
    """A coronal hole or an active region with its whole life.

    Attributes
    ----------
    key : unique name, for example `hole/741/2`.
    kind : `hole` or `region`.
    latitude : of its centre [deg].
    longitude : from the central meridian at `birth` [deg, west positive].
    rate : synodic rotation [deg/h]; 0 for a static source.
    birth, death : hours since 1970; its amplitude is 0 outside.
    strength : peak amplitude.
    polarity : +1 outward, -1 inward; of the leading pole for a region.
    efficiency : factor on its effect that no frame shows.
    lobes : `(n, 4)` latitude [deg], longitude offset [deg], width [rad], weight; of a region the
        leading pole, the following pole and a bright halo without flux.
    wobble : `(days,)` log amplitude at each day of life.
    hidden_rank : uniform 0..1 draw; frames show it when it lies under `image_information`.
    decoy : of an independent Sun; causes nothing.
    """

    key: str
    kind: Literal["hole", "region"]
    latitude: float
    longitude: float
    rate: float
    birth: float
    death: float
    strength: float
    polarity: float
    efficiency: float
    lobes: np.ndarray = field(repr=False)
    wobble: np.ndarray = field(repr=False)
    hidden_rank: float = 0.0
    decoy: bool = False

    def amplitude(self, hours: np.ndarray) -> np.ndarray:
        """Amplitude at hours since 1970, any shape; exactly 0 outside its life."""
        u = (np.asarray(hours, dtype=np.float64) - self.birth) / (self.death - self.birth)
        alive = (u > 0) & (u < 1)
        inside = np.clip(u, 0.0, 1.0)
        if self.kind == "hole":
            shape = np.sqrt(np.sin(np.pi * inside).clip(0.0))
        else:
            shape = np.minimum(inside / 0.12, 1.0) * (1.0 - inside)
        days = inside * (self.death - self.birth) / 24
        ripple = np.exp(np.interp(days, np.arange(len(self.wobble)), self.wobble))
        return np.where(alive, self.strength * shape * ripple, 0.0)

    def longitude_at(self, hours: np.ndarray) -> np.ndarray:
        """Longitude of its centre from the central meridian [deg, -180..180], any shape."""
        turned = self.longitude + self.rate * (np.asarray(hours) - self.birth)
        return (turned + 180.0) % 360.0 - 180.0


def plant(config: SunConfig, first: int, last: int, suns: str = "sun") -> list[Structure]:
    """Every structure alive at some hour of [first, last), in order of birth.

    Blocks of births are counted from 1970, so neither the start nor the end of a run changes
    what is born in a block. `suns` names the streams; another name is an independent Sun.
    """
    begin = (first - LONGEST_HOURS) // BLOCK_HOURS
    stop = (last - 1) // BLOCK_HOURS + 1
    found = []
    for block in range(begin, stop):
        for make, mean in ((_hole, HOLES_A_BLOCK), (_region, REGIONS_A_BLOCK)):
            found += _born(config, suns, block, make, mean)
    alive = [s for s in found if s.death > first and s.birth < last]
    return sorted(alive, key=lambda s: (s.birth, s.key))


def _born(config: SunConfig, suns: str, block: int, make: Maker, mean: float) -> list[Structure]:
    name = make.__name__.strip("_")
    at = float(phase(config, (block + 0.5) * BLOCK_HOURS))
    rate = mean * float(hole_activity(at) if name == "hole" else 0.06 + activity(at))
    count = numpy_stream(config.seed, suns, name, block).poisson(rate)
    keys = [f"{name}/{block}/{i}" for i in range(count)]
    streams = [numpy_stream(config.seed, suns, *key.split("/")) for key in keys]
    return [
        replace(
            make(key, block * BLOCK_HOURS, at, stream),
            hidden_rank=float(stream.uniform()),
            decoy=suns == DECOY,
        )
        for key, stream in zip(keys, streams, strict=True)
    ]


def _wobble(stream: np.random.Generator, hours: float) -> np.ndarray:
    """Ornstein-Uhlenbeck log amplitude at the days of a life: growth nobody can foresee."""
    days = int(np.ceil(hours / 24)) + 2
    keep = np.exp(-1.0 / _WOBBLE_DAYS)
    kicks = stream.standard_normal(days) * _WOBBLE_SIZE * np.sqrt(1 - keep**2)
    level = np.empty(days)
    level[0] = stream.standard_normal() * _WOBBLE_SIZE
    for day in range(1, days):
        level[day] = keep * level[day - 1] + kicks[day]
    return level


def _hole(key: str, hour: int, at: float, stream: np.random.Generator) -> Structure:
    """A coronal hole: a chain of lobes across a tilted line, recurrent for several rotations."""
    birth = hour + stream.uniform(0, BLOCK_HOURS)
    life = np.clip(stream.lognormal(np.log(125 * 24), 0.65), 15 * 24, LONGEST_HOURS)
    latitude = np.clip(stream.normal(0, 24), -55, 55)
    count = stream.integers(2, 6)
    widths = stream.uniform(2.6, 4.3, count)  # degrees
    along = np.linspace(-0.5, 0.5, count) * (count - 1) * stream.uniform(4.5, 8.0)
    slant = stream.uniform(-0.9, 0.9)
    lobes = np.stack(
        [
            np.clip(latitude + along, -65, 65),
            along * slant + stream.normal(0, 1.5, count),
            np.radians(widths),
            stream.uniform(0.7, 1.2, count),
        ],
        axis=1,
    )
    side = 1.0 if (latitude > 0) == (at < 0.45) else -1.0
    return Structure(
        key=key,
        kind="hole",
        latitude=float(latitude),
        longitude=float(stream.uniform(-180, 180)),
        rate=float(hole_rate(np.array(latitude))) / 24,
        birth=float(birth),
        death=float(birth + life),
        strength=float(stream.uniform(0.65, 1.45)),
        polarity=side if stream.uniform() < 0.8 else -side,
        efficiency=float(stream.lognormal(*EFFICIENCY_SPREAD)),
        lobes=lobes,
        wobble=_wobble(stream, life),
    )


def _region(key: str, hour: int, at: float, stream: np.random.Generator) -> Structure:
    """An active region: two poles tilted by Joy's law in a halo; it emerges fast, decays slowly."""
    birth = hour + stream.uniform(0, BLOCK_HOURS)
    life = np.clip(stream.lognormal(np.log(28 * 24), 0.6), 4 * 24, 120 * 24)
    side = 1.0 if stream.uniform() < 0.5 else -1.0
    latitude = side * np.clip(stream.normal(float(spot_latitude(at)), 5.0), 2, 40)
    strength = np.clip(stream.lognormal(-0.25, 0.55), 0.15, 3.0)
    apart = 3.0 + 3.0 * np.sqrt(strength)
    joy = 0.5 * abs(latitude) * side  # tilt [deg], half the latitude (Joy's law)
    width = np.radians(2.0 + 1.8 * np.sqrt(strength))
    rise = apart * np.sin(np.radians(joy)) / 2
    lobes = np.array(
        [
            [latitude - rise, apart / 2, width, 1.0],
            [latitude + rise, -apart / 2, width * 1.2, -0.85],
            [latitude, 0.0, width * 2.4, 0.45],
        ]
    )
    return Structure(
        key=key,
        kind="region",
        latitude=float(latitude),
        longitude=float(stream.uniform(-180, 180)),
        rate=float(magnetic_rate(np.array(latitude))) / 24,
        birth=float(birth),
        death=float(birth + life),
        strength=float(strength),
        polarity=side,
        efficiency=float(stream.lognormal(0.0, 0.5)),
        lobes=lobes,
        wobble=_wobble(stream, life),
    )

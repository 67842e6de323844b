"""The hidden state of one simulated Sun: every structure, every draw, and the run of its wind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.geomagnetic import AP_LEVELS
from heliosight.core.tables import SeriesTable
from heliosight.sun import wind_noise
from heliosight.sun.cme import LONGEST_PASSAGE, Ejection, ejections
from heliosight.sun.config import SunConfig
from heliosight.sun.drive import held, require_drive
from heliosight.sun.heliosphere import REACH_HOURS
from heliosight.sun.index import ap_continuous, kp_continuous, kp_step, reach_hours
from heliosight.sun.source import sources
from heliosight.sun.structures import DECOY, Structure, plant
from heliosight.sun.wind import Wind, ambient, finish, overlay

AHEAD_HOURS = 84  # run past the end: 72 h for the redundancy dial, 12 h for what is right behind
# Run before the start: longer than any cause acts with the longest memory (1665 h), and the same
# for every dial, so that a dial never shifts a draw.
SPIN_UP_HOURS = 2100
DRIVE_KEY: Final = "drive"
STATIC_KEY: Final = "static"


@dataclass(frozen=True)
class World:
    """Everything that happens, known only to the oracle.

    Attributes
    ----------
    first, last : hours since 1970 of the run with its spin-up and its run past the end.
    structures : those that cause something, in order of birth.
    shown : those the frames show (decoys included).
    sources, decoys : hole contributions of this Sun and of the one that decoys come from.
    draws : `(hours, processes)` white noise.
    events : CMEs that meet the Earth.
    drive : daily coronal-hole area that replaces the holes, or None.
    """

    config: SunConfig
    first: int
    last: int
    structures: tuple[Structure, ...]
    shown: tuple[Structure, ...]
    sources: dict[str, tuple[int, np.ndarray, float]]
    decoys: dict[str, tuple[int, np.ndarray, float]]
    draws: np.ndarray
    events: tuple[Ejection, ...]
    drive: SeriesTable | None

    def area(
        self,
        begin: int,
        end: int,
        without: Collection[str] = (),
        decoy: bool = False,
        only: str = "",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Open-field slice area fraction of [begin, end) hours, and the same signed by polarity."""
        total, signed = np.zeros(end - begin), np.zeros(end - begin)
        if self.drive is not None and not decoy:
            if DRIVE_KEY not in without:
                total += self.config.hole_share * held(self.drive, np.arange(begin, end) * HOUR)
            return total, signed
        known = self.decoys if decoy else self.sources
        for key, (start, values, sign) in ({only: known[only]} if only else known).items():
            low, high = max(begin, start), min(end, start + len(values))
            if key in without or STATIC_KEY in without or high <= low:
                continue
            part = self.config.hole_share * values[low - start : high - start]
            total[low - begin : high - begin] += part
            signed[low - begin : high - begin] += sign * part
        return total, signed

    def seen_area(self, hour: int) -> float:
        """Area fraction that a static source shows: real and decoy, mixed by the dial."""
        share = self.config.image_information
        real = float(self.area(hour, hour + 1)[0][0])
        if share == 1.0:
            return real
        return share * real + (1.0 - share) * float(self.area(hour, hour + 1, decoy=True)[0][0])


def build_world(config: SunConfig, drive: SeriesTable | None = None) -> World:
    """Draw the whole hidden state of a run."""
    require_drive(config, drive)
    first = config.start_second // HOUR - SPIN_UP_HOURS
    last = config.stop_second // HOUR + AHEAD_HOURS
    planted = plant(config, first, last)
    if drive is not None:
        planted = [s for s in planted if s.kind == "region"]
    events = [
        event
        for region in planted
        if region.kind == "region"
        for event in ejections(region, config.seed, config.cme_share)
    ]
    return World(
        config=config,
        first=first,
        last=last,
        structures=tuple(planted),
        shown=_shown(config, planted, first, last, drive),
        sources=sources(planted, first, last),
        decoys=_decoys(config, first, last),
        draws=wind_noise.white(config.seed, first, last),
        events=tuple(e for e in events if first <= e.arrival < last),
        drive=drive,
    )


def _decoys(config: SunConfig, first: int, last: int) -> dict[str, tuple[int, np.ndarray, float]]:
    if config.static and config.image_information < 1.0:
        return sources(plant(config, first, last, DECOY), first, last)
    return {}


def reach_back(config: SunConfig) -> int:
    """Hours, a multiple of 3, after which sources and passing CMEs are forgotten exactly."""
    reach = REACH_HOURS + reach_hours(config.memory_hours) + LONGEST_PASSAGE
    return 3 * int(np.ceil((reach + 3) / 3))


def _shown(
    config: SunConfig, planted: list[Structure], first: int, last: int, drive: SeriesTable | None
) -> tuple[Structure, ...]:
    """Structures as the frames show them: the share `image_information` of the real ones.

    A structure's own stream decides whether it is shown, so raising the dial only ever adds. In
    place of the hidden ones stand structures of an independent Sun, chosen the same way.
    """
    share = config.image_information
    decoys = plant(config, first, last, DECOY) if share < 1.0 else []
    if drive is not None or config.static:
        decoys = [s for s in decoys if s.kind == "region"]
        planted = [s for s in planted if s.kind == "region"]
    real = [s for s in planted if s.hidden_rank < share]
    return tuple(real + [s for s in decoys if s.hidden_rank >= share])


def run_wind(
    world: World, begin: int, end: int, without: Collection[str] = (), noise: Wind | None = None
) -> Wind:
    """Hourly wind of [begin, end) without some structures; every draw elsewhere is the same."""
    hours = np.arange(begin, end)
    area, signed = world.area(begin, end, without)
    drawn = noise if noise is not None else coloured_noise(world)
    cut = {k: v[..., begin - world.first : end - world.first] for k, v in drawn.items()}
    wind = ambient(area, signed, cut, world.config.noise)
    overlay(wind, hours, [e for e in world.events if e.key not in without])
    return finish(wind, hours)


def coloured_noise(world: World) -> Wind:
    """The world's autoregressive noise, `(hours,)` per process from `world.first`."""
    return wind_noise.coloured(world.draws)


def run_index(world: World, begin: int, wind: Wind, noise: Wind) -> dict[str, np.ndarray]:
    """3-hourly `kp_raw`, `kp`, `ap` and `ap_raw` of an hourly wind that starts at hour `begin`."""
    hours = wind["speed"].shape[-1]
    offset = begin - world.first
    unexplained = world.config.noise * noise["kp"][..., offset : offset + hours]
    raw = kp_continuous(wind, world.config.memory_hours, unexplained)
    from_step = kp_step(raw)
    return {
        "kp_raw": raw,
        "kp": from_step / 3.0,
        "ap": AP_LEVELS[from_step],
        "ap_raw": ap_continuous(raw),
    }

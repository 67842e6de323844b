"""Frames as SDO would see them: three channels in grey levels of 0..255."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heliosight.core.clock import DAY, HOUR
from heliosight.core.seeding import numpy_stream
from heliosight.core.tables import BAD_FRAME, MISSING
from heliosight.sun.drive import half_latitude, held, meridian_time
from heliosight.sun.rotation import (
    DISC_SHARE,
    Disc,
    disc,
    hole_rate,
    pixel_coordinates,
    tilt,
    unit_vectors,
)
from heliosight.sun.source import EDGE, SLICE_AREA
from heliosight.sun.surface import (
    NETWORKS,
    Fields,
    Lobes,
    blend,
    block_amplitudes,
    darkening,
    fields,
    lobes_of,
    network_map,
    network_places,
    network_value,
)
from heliosight.sun.world import World

BLOCK_FRAMES = 32
CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")
# Grey levels measured on 30 real 64-px frames: the disc at centre and limb, then the corona.
_RADII = np.array([0.0, 0.4, 0.7, 0.9, 0.97, 1.04, 1.12, 1.2, 1.3, 1.44, 1.52, 1.6, 1.85])
_PROFILE_193 = np.array([158, 160, 160, 165, 178, 184, 150, 123, 98, 78, 30, 11, 0.0])
_PROFILE_211 = np.array([142, 145, 145, 148, 160, 168, 137, 110, 84, 62, 25, 9, 0.0])
# Throughput relative to launch, SDO calibration as of 2024. Each real frame is scaled to its own
# extremes, so lost light does not darken a frame; it makes it noisier.
_YEARS = np.array([2010.3, 2012.0, 2013.6, 2015.3, 2016.9, 2018.5, 2020.5])
_LEFT_193 = np.array([0.998, 0.943, 0.908, 0.860, 0.756, 0.641, 0.529])
_LEFT_211 = np.array([0.980, 0.920, 0.840, 0.790, 0.740, 0.590, 0.448])
# Standard deviation of each channel's disc on those frames; the unit of a structure's visibility.
SPREADS = np.array([[21.0], [26.0], [26.0]], dtype=np.float32)
STATIC_PLACE = (12.0, -18.0)  # latitude, longitude [deg] of the source that does not rotate
STATIC_WIDTH = 0.20  # [rad]


@dataclass(frozen=True)
class Style:
    """How structures and noise look in one EUV channel [grey levels]."""

    profile: np.ndarray
    hole: float
    region: float
    fine: float
    coarse: float
    pixel: float
    throughput: np.ndarray  # share of the light at launch that is left, at `_YEARS`


STYLES = (
    Style(_PROFILE_193, 52.0, 60.0, 15.0, 11.0, 3.8, _LEFT_193),
    Style(_PROFILE_211, 64.0, 78.0, 17.0, 15.0, 3.8, _LEFT_211),
)


@dataclass(frozen=True)
class Painter:
    """What every frame of a world needs: its disc, lobes and profiles."""

    world: World
    disc: Disc
    lobes: Lobes
    profiles: tuple[np.ndarray, ...]
    border: np.ndarray


def painter(world: World) -> Painter:
    """Prepare the frames of a world."""
    seen = disc(world.config.size)
    profiles = tuple(
        np.interp(seen.radius, _RADII, style.profile).astype(np.float32) for style in STYLES
    )
    border = np.ones((world.config.size, world.config.size), dtype=bool)
    border[1:-1, 1:-1] = False
    return Painter(world, seen, lobes_of(world.shown), profiles, border)


def frame_times(world: World) -> np.ndarray:
    """`(N,)` observation times, UTC seconds."""
    c = world.config
    return np.arange(c.start_second, c.stop_second, c.image_cadence_hours * HOUR, dtype=np.int64)


def render_block(paint: Painter, times: np.ndarray, out: np.ndarray, flags: np.ndarray) -> None:
    """Fill `(n, C, H, W)` uint8 frames and `(n, C)` flags of some moments, in place."""
    hours = times / HOUR
    amplitude, longitude = block_amplitudes(paint.world.shown, hours)
    maps: dict[tuple[str, int], np.ndarray] = {}
    for i, second in enumerate(times):
        stream = numpy_stream(paint.world.config.seed, "frame", int(second))
        fate = _fate(paint.world, stream)
        flags[i] = fate
        if fate & MISSING:
            out[i] = 0
            continue
        field = clean_fields(paint, amplitude[:, i], longitude[:, i], float(second))
        grey = observe(paint, field, float(second), stream, maps, fate == BAD_FRAME)
        np.clip(np.rint(grey, out=grey), 0, 255, out=grey)
        out[i] = grey


def frame_fate(world: World, second: int) -> int:
    """Flag of the frame of one moment: 0, missing or badly exposed."""
    return _fate(world, numpy_stream(world.config.seed, "frame", second))


def _fate(world: World, stream: np.random.Generator) -> int:
    absent, spoiled = stream.uniform(size=2)
    if absent < world.config.missing:
        return MISSING
    return BAD_FRAME if spoiled < world.config.bad_frames else 0


def clean_fields(
    paint: Painter,
    amplitude: np.ndarray,
    longitude: np.ndarray,
    second: float,
    painted: bool = True,
) -> Fields:
    """Fields of the structures the frame of one moment shows, without noise.

    `painted=False` leaves out the one hole that a drive or a static source paints.
    """
    b0 = float(tilt(np.array(second)))
    field = fields(paint.disc.vectors, paint.lobes, amplitude, longitude, b0)
    config, drive = paint.world.config, paint.world.drive
    if not painted or (drive is None and not config.static):
        return field
    latitude, west = pixel_coordinates(paint.disc.vectors, b0)
    added = _driven(paint, latitude, west, second) if drive else _static(paint, second)
    return Fields(field.dark + added.astype(np.float32), field.bright, field.flux)


def _driven(paint: Painter, latitude: np.ndarray, west: np.ndarray, second: float) -> np.ndarray:
    """Darkness of an equatorial band whose height at each longitude is the drive's then.

    It turns rigidly at the equator's rate, so that a band stays a band. A pixel is dark by the
    share of it that the band covers (`surface.darkening` inverted), so that days with less than a
    pixel of hole still differ.
    """
    assert paint.world.drive is not None
    shown = meridian_time(second, west, hole_rate(np.zeros(1)))
    height = half_latitude(held(paint.world.drive, shown))
    pixel = np.degrees(2.0 / (paint.disc.size * DISC_SHARE))
    covered = ((height - np.abs(latitude)) / pixel + 0.5).clip(0.0, 1.0)
    covered = np.minimum(covered, 2.0 * height / pixel).clip(0.0, 0.999)
    return EDGE * (covered / (1.0 - covered)) ** 0.25


def _static(paint: Painter, second: float) -> np.ndarray:
    """Darkness of one hole at a fixed place; its area is what the rotating Sun would send."""
    hour = int(second // HOUR)
    area = paint.world.seen_area(hour)
    amplitude = 0.5 * np.exp(area * SLICE_AREA / (2 * np.pi * STATIC_WIDTH**2)) if area else 0.0
    centre = unit_vectors(np.array(STATIC_PLACE[0]), np.array(STATIC_PLACE[1]))
    return amplitude * np.exp((paint.disc.vectors @ centre - 1.0) / STATIC_WIDTH**2)


def painted_area(world: World, hours: np.ndarray) -> np.ndarray | None:
    """`(N, 1)` area that a painted source shows at some hours; None where none is painted."""
    if world.drive is not None:
        return held(world.drive, hours * HOUR)[:, None]
    if world.config.static:
        return np.array([[world.seen_area(int(hour))] for hour in hours])
    return None


def contrast(paint: Painter, field: Fields, channel: int) -> np.ndarray:
    """Grey levels `(P,)` that structures add to the quiet disc in one channel, without noise."""
    if channel == 2:
        return 125.0 * np.tanh(1.6 * field.flux)
    style = STYLES[channel]
    lift = style.region * np.log1p(1.3 * field.bright)
    facing = np.minimum(paint.disc.mu / 0.35, 1.0)
    return lift - style.hole * facing * darkening(field.dark) / (1.0 + field.bright)


def observe(
    paint: Painter,
    field: Fields,
    second: float,
    stream: np.random.Generator,
    maps: dict[tuple[str, int], np.ndarray],
    bad: bool,
) -> np.ndarray:
    """One frame `(C, H, W)` float32 grey levels, not yet clipped."""
    size = paint.disc.size
    network = _network(paint, second, maps)
    grey = np.empty((3, size, size), dtype=np.float32)
    noise = stream.standard_normal((3, size, size), dtype=np.float32)
    exposure = stream.normal(0, 3.0) - (26.0 if bad else 0.0)
    for channel in (0, 1):
        moment = (second, exposure, bad)
        grey[channel] = _euv(paint, field, channel, network, noise[channel], moment)
    grey[2] = _magnetogram(paint, field, noise[2], stream)
    return grey


def _network(
    paint: Painter, second: float, maps: dict[tuple[str, int], np.ndarray]
) -> dict[str, np.ndarray]:
    b0 = float(tilt(np.array(second)))
    latitude, west = pixel_coordinates(paint.disc.vectors, b0)
    places = network_places(latitude, west)
    found = {}
    for name in NETWORKS:
        parts = [
            weight * network_value(_map(paint, maps, name, number), places, days)
            for number, days, weight in blend(second, name)
        ]
        found[name] = parts[0] + parts[1]
    return found


def _map(
    paint: Painter, maps: dict[tuple[str, int], np.ndarray], name: str, number: int
) -> np.ndarray:
    if (name, number) not in maps:
        maps[name, number] = network_map(paint.world.config.seed, name, number)
    return maps[name, number]


def _euv(
    paint: Painter,
    field: Fields,
    channel: int,
    network: dict[str, np.ndarray],
    noise: np.ndarray,
    moment: tuple[float, float, bool],
) -> np.ndarray:
    second, exposure, bad = moment
    style, seen = STYLES[channel], paint.disc
    added = contrast(paint, field, channel)
    texture = np.float32(paint.world.config.texture)
    added = added + texture * style.coarse * network["coarse"]
    calm = texture * (1.0 - 0.7 * darkening(field.dark))
    added += style.fine * calm * (np.exp(0.5 * network["fine"]) - np.float32(1.133))
    grey = paint.profiles[channel].copy()
    # the optically thin corona above the limb shows what is at its foot, fading outwards
    grey += (
        added[seen.limb_pixel]
        * np.where(seen.on, 1.0, np.exp(-3.0 * (seen.radius - 1.0))).astype(np.float32)
        * (grey > 12)
    )
    if bad:
        grey = 0.72 * grey + 40.0 * seen.on
    grey += np.float32(exposure) * (grey > 12)
    strength = _pixel_noise(style, second) * paint.world.config.image_noise * (2.2 if bad else 1)
    grey += np.float32(strength) * noise
    grey[paint.border] = 0.0
    return grey


def _pixel_noise(style: Style, second: float) -> float:
    """Standard deviation of photon noise [grey]: as 1 / sqrt(throughput), 2011 being 1."""
    year = 1970.0 + second / (365.2425 * DAY)
    left = np.interp([2011.0, year], _YEARS, style.throughput)
    return float(style.pixel * np.sqrt(left[0] / left[1]))


def _magnetogram(
    paint: Painter, field: Fields, noise: np.ndarray, stream: np.random.Generator
) -> np.ndarray:
    """Line-of-sight field: sampled pixels are speckles whose size follows the flux.

    Network flux is a Gaussian core with heavy tails (1.2 % of pixels saturate in real frames);
    where a region stands, the tails are wider and shifted to its sign.
    """
    seen = paint.disc
    size = paint.world.config.image_noise
    kick = noise[seen.on]
    square = kick**2
    heavy = np.float32(14.0) * kick * np.exp(np.minimum(square * (0.04 + 0.032 * square), 3.0))
    spread = 1.0 + 2.0 * np.abs(np.tanh(field.flux))
    mean = contrast(paint, field, 2) * stream.uniform(0.0, 1.0, len(kick)).astype(np.float32)
    grey = np.zeros((seen.size, seen.size), dtype=np.float32)
    grey[seen.on] = 126.5 + mean + np.float32(size) * heavy * spread
    return grey

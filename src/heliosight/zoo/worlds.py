"""Worlds whose truth is known: a simulated Sun, and an index that follows a planted law.

Frames and wind are the simulated Sun's. The index at a valid time v is

    log1p(ap) = 2 + 0.5 (sqrt(a) A + sqrt(b) B + sqrt(c) AB + sqrt(1 - a - b - c) n)

with A the standardised brightness of one place on the disc, averaged over the frames between
`near` and `far` hours before v, B the standardised sum of speed and southward field between 24 and
48 hours before v, and n autoregressive noise. So a window holds all that is knowable, the share of
each input is planted, and what a model should use is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter

from heliosight.core.clock import HOUR
from heliosight.core.errors import ConfigError
from heliosight.core.seeding import numpy_stream
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import ImageTable, SeriesTable, Table
from heliosight.sun import SunConfig

CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")
WIND = ("speed", "bz_gsm", "density")
FRAMES, CADENCE, STEPS, LEADS = 8, 12, 16, 8
WIND_NEAR, WIND_FAR = 24, 48
STEP = 3 * HOUR
PROXY = "kp"  # the variable that carries a copy of the image driver where a law has one


@dataclass(frozen=True)
class Law:
    """How the index follows from frames and wind.

    Attributes
    ----------
    images, wind, interaction : planted shares of the variance of log1p(ap); noise is the rest.
    near, far : the frames that count lie so many hours before the valid time.
    noise_hours : e-folding time of the noise [h].
    copy : share of variance of a further wind variable that is a copy of the image driver, the
        rest of it noise; None for no such variable.
    corner : the place on the disc is off its centre, towards solar north-west.
    """

    images: float = 0.35
    wind: float = 0.3
    interaction: float = 0.05
    near: float = 24.0
    far: float = 84.0
    noise_hours: float = 6.0
    copy: float | None = None
    corner: bool = False

    def __post_init__(self) -> None:
        shares = (self.images, self.wind, self.interaction)
        if min(shares) < 0 or sum(shares) > 1:
            raise ConfigError("planted shares are 0 or more and sum to at most 1", str(shares))
        if not 24 <= self.near < self.far <= 84:
            raise ConfigError(
                "what counts lies in every window: between 24 and 84 hours before the valid time",
                f"{self.near:g} to {self.far:g} h",
            )
        if self.copy is not None and not 0 <= self.copy <= 1:
            raise ConfigError("a copy's share lies between 0 and 1", f"{self.copy:g}")


@dataclass(frozen=True)
class Spectrum:
    """One kind of Sun and noise: how the drivers vary in time.

    Attributes
    ----------
    law : of the plain world; the hard ones change single dials of it.
    """

    name: str
    sun: SunConfig
    law: Law = field(default_factory=Law)


_SHARED = {"size": 16, "image_cadence_hours": CADENCE, "missing": 0.0, "bad_frames": 0.0}
SPECTRA = {
    "A": Spectrum(
        "A",
        SunConfig(
            start="2005-01-01", end="2021-07-01", seed=17, cycle_phase=0.35, noise=0.5,
            image_noise=2.0, **_SHARED,  # type: ignore[arg-type]
        ),
        Law(noise_hours=15.0),
    ),
    "B": Spectrum(
        "B",
        SunConfig(
            start="1995-01-01", end="2011-07-01", seed=53, cycle_phase=0.25, noise=0.5,
            image_noise=2.0, **_SHARED,  # type: ignore[arg-type]
        ),
        Law(images=0.3, wind=0.35, interaction=0.1, near=30.0, far=84.0, noise_hours=18.0),
    ),
}  # fmt: skip


def specification(law: Law) -> ForecastSpec:
    """What a window of a world holds."""
    wind = WIND if law.copy is None else (*WIND, PROXY)
    return ForecastSpec(
        {
            "images": ModalitySpec("images", "images", CHANNELS, FRAMES, CADENCE, size=16),
            "solar_wind": ModalitySpec("series", "solar_wind", wind, STEPS, 3),
        },
        leads=LEADS,
    )


def planted_tables(observed: dict[str, Table], law: Law, seed: int) -> dict[str, Table]:
    """The Sun's frames and wind with the index of a law, and the copy where it has one.

    observed : `images` and `solar_wind` as `simulate` gives them.
    """
    images, wind = observed["images"], observed["solar_wind"]
    if not isinstance(images, ImageTable) or not isinstance(wind, SeriesTable):
        raise ConfigError("a world is planted on frames and wind", ", ".join(observed))
    a, b = image_driver(images, wind.times, law), wind_driver(wind)
    both = _standard(a * b)
    rest = 1.0 - law.images - law.wind - law.interaction
    noise = red_noise(len(a), law.noise_hours, seed, "noise")
    parts = ((law.images, a), (law.wind, b), (law.interaction, both), (rest, noise))
    y = 2.0 + 0.5 * sum(np.sqrt(share) * x for share, x in parts)
    ap = np.expm1(np.clip(y, 0.0, np.log1p(400.0)))
    columns = {v: wind.values[:, wind.variables.index(v)] for v in WIND}
    if law.copy is not None:
        mixed = np.sqrt(law.copy) * _early(a) + np.sqrt(1 - law.copy) * red_noise(
            len(a), 48.0, seed, "copy"
        )
        columns[PROXY] = 3.0 + mixed
    return {
        "images": images,
        "solar_wind": _series("solar_wind", wind.times, columns),
        "geomagnetic": _series("geomagnetic", wind.times, {"ap": ap}),
    }


def drivers_of(tables: dict[str, Table], law: Law, valid: np.ndarray) -> dict[str, np.ndarray]:
    """`(N, L)` what of each modality was planted, A and B, at valid times `(N, L)`."""
    images, wind = tables["images"], tables["solar_wind"]
    if not isinstance(images, ImageTable) or not isinstance(wind, SeriesTable):
        raise ConfigError("a world is planted on frames and wind", ", ".join(tables))
    rows = np.searchsorted(wind.times, valid)
    found = {"images": image_driver(images, wind.times, law), "solar_wind": wind_driver(wind)}
    return {m: x[rows] for m, x in found.items()}


def image_driver(images: ImageTable, times: np.ndarray, law: Law) -> np.ndarray:
    """`(N,)` A at valid times: minus the mean brightness of the place, standardised."""
    rows, columns = (slice(4, 7), slice(8, 11)) if law.corner else (slice(6, 10), slice(6, 10))
    u = -images.frames[:, 0, rows, columns].astype(np.float64).mean((1, 2))
    total, count = np.concatenate([[0.0], u.cumsum()]), np.arange(len(u) + 1.0)
    high = np.searchsorted(images.times, times - int(law.near * HOUR), side="right")
    low = np.searchsorted(images.times, times - int(law.far * HOUR), side="left")
    known = count[high] - count[low]
    mean = np.where(known > 0, (total[high] - total[low]) / np.maximum(known, 1.0), u.mean())
    return _standard(mean)


def wind_driver(wind: SeriesTable) -> np.ndarray:
    """`(N,)` B at valid times."""
    speed, south = wind.column("speed"), -wind.column("bz_gsm")
    steps = np.arange(WIND_NEAR // 3, WIND_FAR // 3 + 1)
    return _standard(_standard(_lagged(speed, steps)) + _standard(_lagged(south, steps)))


def red_noise(count: int, hours: float, seed: int, name: str) -> np.ndarray:
    """`(count,)` first-order autoregressive, unit variance, every 3 hours."""
    r = float(np.exp(-3.0 / hours))
    white = numpy_stream(seed, "zoo", name).standard_normal(count)
    white[0] /= np.sqrt(1 - r * r)
    return np.asarray(lfilter([np.sqrt(1 - r * r)], [1.0, -r], white))


def _lagged(x: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Mean of the values so many steps before."""
    rows = np.arange(len(x))
    return np.asarray(np.mean([x[np.maximum(rows - k, 0)] for k in steps], axis=0))


def _early(a: np.ndarray) -> np.ndarray:
    """What the index will feel in a day, known now: the driver's own look-back is that long."""
    return np.roll(a, -8)


def _standard(x: np.ndarray) -> np.ndarray:
    return np.asarray((x - x.mean()) / max(float(x.std()), 1e-12))


def _series(name: str, times: np.ndarray, columns: dict[str, np.ndarray]) -> SeriesTable:
    values = np.stack(list(columns.values()), axis=1).astype(np.float32)
    return SeriesTable(name, times, STEP, tuple(columns), values, np.zeros(values.shape, np.uint8))

"""A physical image to a frame: every correction once, north up, the disc at one radius.

Corrections are named in the image's `done`; asking for one twice is refused, so an archive that
divided by exposure or degradation already cannot be divided again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from heliosight.core.errors import DataError
from heliosight.data.degradation import Throughput
from heliosight.data.frames import Frame, cut, resize, to_uint8

EXPOSURE, DEGRADATION, NORTH, RADIUS = "exposure", "degradation", "north up", "disc radius"
# Radius of every disc as a share of the frame's width: 976 arcsec at 2.4 arcsec a pixel and 1024
# pixels, the convention of SDOML and close to that of AIA's synoptic files in January.
DISC = 976.0 / (2.4 * 1024)
# "Quick look" (bit 30) says how an image was made, not that it is bad.
QUICK_LOOK = 1 << 30


@final
@dataclass(frozen=True)
class Scaling:
    """Physical values to grey levels: `low` becomes 0 and `high` 255, by `log10` or linearly."""

    low: float
    high: float
    log: bool = False

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Grey levels 0..255, float, any shape; values beyond the ends saturate as in a camera."""
        if self.log:
            floor = np.maximum(values, self.low)
            share = np.log10(floor / self.low) / np.log10(self.high / self.low)
        else:
            share = (values - self.low) / (self.high - self.low)
        return 255.0 * np.clip(share, 0.0, 1.0)


# AIA in DN/s, HMI line-of-sight field in G.
SCALINGS = {
    "aia_193": Scaling(10.0, 10000.0, log=True),
    "aia_211": Scaling(5.0, 5000.0, log=True),
    "hmi_magnetogram": Scaling(-250.0, 250.0),
}


@final
@dataclass(frozen=True)
class Disc:
    """Centre and radius of the Sun in pixels; pixel i covers [i, i + 1)."""

    row: float
    column: float
    radius: float


@final
@dataclass(frozen=True)
class Image:
    """A physical image with what was done to it.

    Attributes
    ----------
    time : UTC seconds.
    values : `(H, W)` DN, DN/s or G; row 0 is solar north, column 0 solar east; NaN without number.
    done : corrections already made, in order.
    disc : None when the header does not say where it is.
    broken : the archive calls it bad.
    """

    channel: str
    time: int
    values: np.ndarray
    done: tuple[str, ...] = ()
    disc: Disc | None = None
    broken: bool = False


def divided(image: Image, by: float, step: str) -> Image:
    """The image divided by an exposure time [s] or a throughput, once.

    Raises
    ------
    DataError : that correction was made already; the divisor is not positive.
    """
    if step in image.done:
        raise DataError(
            f"the {step} of an image is corrected once", f"done: {', '.join(image.done)}",
            "Do not correct it again.", image.channel,
        )  # fmt: skip
    if not by > 0:
        raise DataError(f"the {step} of an image is positive", f"{by:g}", "Leave the image out.")
    return replace(image, values=image.values / np.float32(by), done=(*image.done, step))


def undimmed(image: Image, throughput: Throughput | None) -> Image:
    """An AIA image as at launch; HMI, and what was corrected before, stay as they are."""
    if throughput is None or DEGRADATION in image.done or not image.channel.startswith("aia"):
        return image
    return divided(image, throughput(image.channel, image.time), DEGRADATION)


def is_bad(quality: int, ignore: int = 0) -> bool:
    """True when a quality word has a bit set beyond quick look and those to ignore."""
    return bool(quality & ~(QUICK_LOOK | ignore))


def to_frame(image: Image, size: int, scalings: Mapping[str, Scaling] | None = None) -> Frame:
    """Grey levels `(size, size)` with the disc in the middle and at one radius, if it is known.

    NaN outside the disc is normal and becomes the level of 0; NaN on the inner disc marks the frame
    as broken.
    """
    scaling = {**SCALINGS, **(scalings or {})}[image.channel]
    edge = len(image.values) // 4
    inner = image.values[edge:-edge, edge:-edge]
    done = image.done
    if image.disc is None:
        pixels = resize(scaling(_numbers(image.values)), size)
    else:
        pixels = _centred(image.values, image.disc, size, scaling)
        done = done if RADIUS in done else (*done, RADIUS)
    broken = image.broken or bool(np.isnan(inner).any())
    return Frame(image.channel, image.time, to_uint8(pixels), broken, done)


def _centred(values: np.ndarray, disc: Disc, size: int, scaling: Scaling) -> np.ndarray:
    """The disc in the middle; beyond the image lies the sky, the level of 0."""
    width = disc.radius / DISC
    sky = np.float32(scaling(np.zeros(())))
    place = disc.row - width / 2, disc.column - width / 2, width
    return cut(values, *place, size, lambda part: scaling(_numbers(part)) - sky) + sky


def _numbers(values: np.ndarray) -> np.ndarray:
    """0 in place of NaN."""
    return np.where(np.isnan(values), np.float32(0), values)

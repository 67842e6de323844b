"""FITS frames of AIA and HMI, scaled to grey levels (needs the extra `solar`).

Source of the conventions: FITS standard 4.0 (row 0 is the bottom row, so rows are flipped) and the
SDO keyword documents (HMI stamps are TAI, AIA stamps UTC; HMI is stored upside down, CROTA2 180).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from heliosight.core.errors import DataError
from heliosight.data.assemble import require_file
from heliosight.data.frames import Frame, require_square, resize, to_uint8


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


def read_fits(
    path: Path | str, scalings: Mapping[str, Scaling] | None = None, size: int = 64
) -> Frame:
    """One AIA or HMI image with its header's channel and time (needs the extra `solar`).

    AIA counts are divided by EXPTIME; HMI is turned by CROTA2. NaN outside the disc is normal and
    becomes the scaling's value at 0; NaN on the inner disc marks the frame as broken.

    Raises
    ------
    DataError : astropy is absent, not a FITS file, cut off, no 2-D image, not square, an unknown
        instrument, no time, a rotation that is neither 0 nor 180 degrees.
    """
    path = require_file(Path(path))
    header, data = _open_fits(path)
    channel = _channel(header, path)
    exposure = float(header.get("EXPTIME", 1.0)) if channel != "hmi_magnetogram" else 1.0
    if not exposure > 0:
        raise DataError(
            "EXPTIME is positive", f"{exposure}", "The exposure failed: leave it out.", str(path)
        )
    upright = _upright(data / exposure, header, path)
    require_square(upright, path)
    edge = len(upright) // 4
    inner = upright[edge:-edge, edge:-edge]
    scaling = {**SCALINGS, **(scalings or {})}[channel]
    pixels = to_uint8(resize(scaling(np.nan_to_num(upright)), size))
    return Frame(channel, _fits_time(header, path), pixels, bool(np.isnan(inner).any()))


def _open_fits(path: Path) -> tuple[Mapping[str, Any], np.ndarray]:
    try:
        from astropy.io import fits
    except ImportError as error:
        raise DataError(
            "FITS files need astropy", str(error), 'Install "heliosight[solar]".', str(path)
        ) from error
    try:
        with fits.open(path, memmap=False) as units:
            for unit in units:
                if unit.data is not None and unit.data.ndim == 2:
                    return dict(unit.header), np.asarray(unit.data, dtype=np.float64)
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise DataError(
            "a FITS frame is a whole FITS file",
            str(error),
            "Check that the file is what its name says, or fetch it again.",
            str(path),
        ) from error
    raise DataError("a FITS frame holds a 2-D image", "none", "Give an image file.", str(path))


def _channel(header: Mapping[str, Any], path: Path) -> str:
    instrument = str(header.get("INSTRUME", header.get("TELESCOP", ""))).upper()
    wave = header.get("WAVELNTH")
    name = f"aia_{int(wave)}" if "AIA" in instrument and wave else ""
    if "HMI" in instrument:
        name = "hmi_magnetogram"
    if name not in SCALINGS:
        raise DataError(
            "a FITS frame is AIA 193, AIA 211 or an HMI magnetogram",
            f"INSTRUME {instrument!r}, WAVELNTH {wave!r}",
            "Check that the file is what its name says.",
            str(path),
        )
    return name


def _upright(data: np.ndarray, header: Mapping[str, Any], path: Path) -> np.ndarray:
    """Row 0 is solar north, column 0 solar east."""
    turn = float(header.get("CROTA2", 0.0)) % 360.0
    if abs(turn - 180.0) < 1.0:
        return data[:, ::-1]
    if min(turn, 360.0 - turn) < 1.0:
        return data[::-1]
    raise DataError(
        "CROTA2 is 0 or 180 degrees within one degree", f"{turn:g}", "Rotate to level 1.5.",
        str(path),
    )  # fmt: skip


def _fits_time(header: Mapping[str, Any], path: Path) -> int:
    text = str(header.get("T_OBS") or header.get("DATE-OBS") or "")
    scale = "tai" if text.endswith("_TAI") else "utc"
    plain = re.sub(r"^(\d{4})\.(\d\d)\.(\d\d)_", r"\1-\2-\3T", text.removesuffix("_TAI"))
    try:
        from astropy.time import Time

        return round(Time(plain.removesuffix("Z"), scale=scale, format="isot").utc.unix)
    except ValueError as error:
        raise DataError(
            "T_OBS or DATE-OBS holds the time of the frame", repr(text), "Check the header.",
            str(path),
        ) from error  # fmt: skip

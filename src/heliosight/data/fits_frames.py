"""FITS images of AIA and HMI (needs the extra `solar`).

Source of the conventions: FITS standard 4.0 (row 0 is the bottom row, so rows are flipped) and the
SDO keyword documents (HMI stamps are TAI, AIA stamps UTC; HMI is stored upside down, CROTA2 180).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from heliosight.core.arrays import BROKEN
from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.data.aiapy_door import aiapy_version, has_aiapy, registered
from heliosight.data.assemble import require_file
from heliosight.data.degradation import Throughput
from heliosight.data.frames import STRIP, Frame, require_square
from heliosight.data.prepare import (
    DEGRADATION,
    EXPOSURE,
    NORTH,
    SCALINGS,
    Disc,
    Image,
    Scaling,
    divided,
    is_bad,
    to_frame,
    undimmed,
)
from heliosight.data.tai import seconds_of_tai_text

MOST_PIXELS = 4096 * 4096


def read_fits(
    path: Path | str,
    scalings: Mapping[str, Scaling] | None = None,
    size: int = 64,
    throughput: Throughput | None = None,
    ignore_quality: int = 0,
) -> Frame:
    """One AIA or HMI file as a frame: exposure and degradation corrected, each once.

    Parameters
    ----------
    throughput : share of AIA's first sensitivity by channel and time; None leaves it uncorrected.
    ignore_quality : bits of QUALITY that do not make an image bad.

    Raises
    ------
    DataError : as `read_fits_image`; an exposure that is not positive.
    """
    path = require_file(Path(path))
    image, header = read_fits_image(path.read_bytes(), path, ignore_quality)
    if image.channel.startswith("aia") and EXPOSURE not in image.done:
        image = divided(image, float(header.get("EXPTIME", 1.0)), EXPOSURE)
    return to_frame(undimmed(image, throughput), size, scalings)


def read_fits_image(
    data: bytes, path: Path, ignore_quality: int = 0
) -> tuple[Image, Mapping[str, Any]]:
    """The image of a document with its header; level 1 is registered where aiapy is installed.

    Raises
    ------
    DataError : astropy is absent, not a FITS file, cut off, no 2-D image, more than 4096 x 4096
        pixels, not square, an unknown instrument, no time, a rotation that is neither 0 nor 180.
    """
    header, values = _open_fits(data, path)
    channel = _channel(header, path)
    turned = (NORTH,)
    if channel.startswith("aia") and _level(header) < 1.5 and has_aiapy():
        header, values = registered(header, values)
        turned = (f"{NORTH} by aiapy {aiapy_version()}",)
    upright, disc = _upright(values, header, path)
    require_square(upright, path)
    missing = 0.0 <= _number(header, "PERCENTD", 100.0) < 99.9
    broken = missing or is_bad(_quality(header, path), ignore_quality)
    time = _fits_time(header, path)
    return Image(channel, time, upright, (*_done(header), *turned), disc, broken), header


def _open_fits(data: bytes, path: Path) -> tuple[Mapping[str, Any], np.ndarray]:
    try:
        from astropy.io import fits
    except ImportError as error:
        raise DataError(
            "FITS files need astropy", str(error), 'Install "heliosight[solar]".', str(path)
        ) from error
    try:
        _require_plain(data)
        with fits.open(io.BytesIO(data), memmap=False, do_not_scale_image_data=True) as units:
            for unit in units:
                shape = unit.shape if unit.is_image else ()
                if len(shape) == 2:
                    _require_size(shape, path)
                    return _physical(dict(unit.header), unit.data)
    except (*BROKEN, AttributeError, IndexError, AssertionError, fits.VerifyError) as error:
        raise DataError(
            "a FITS frame is a whole FITS file",
            str(error),
            "Check that the file is what its name says, or fetch it again.",
            str(path),
        ) from error
    raise DataError("a FITS frame holds a 2-D image", "none", "Give an image file.", str(path))


def _physical(
    header: Mapping[str, Any], stored: np.ndarray
) -> tuple[Mapping[str, Any], np.ndarray]:
    """BSCALE x stored + BZERO, NaN where BLANK, as float32 (FITS 4.0, section 5.3); without them.

    In strips that stay in the processor's cache: astropy's way makes three passes through memory
    and takes half as long as unpacking does.
    """
    scale, zero = (_number(header, key, one) for key, one in (("BSCALE", 1.0), ("BZERO", 0.0)))
    blank = header.get("BLANK") if stored.dtype.kind in "iu" else None
    values = np.empty(stored.shape, np.float32)
    for start in range(0, len(stored), STRIP):
        rows = slice(start, start + STRIP)
        values[rows] = stored[rows]
        if (scale, zero) != (1.0, 0.0):
            values[rows] *= np.float32(scale)
            values[rows] += np.float32(zero)
        if blank is not None:
            values[rows][stored[rows] == blank] = np.nan
    left = {k: v for k, v in header.items() if k not in ("BSCALE", "BZERO", "BLANK")}
    return left, values


def _require_plain(data: bytes) -> None:
    """Raise `ValueError` unless the file begins as FITS: packed files unpack without a bound."""
    if not data.startswith(b"SIMPLE  ="):
        raise ValueError(f"it begins with {data[:9]!r}; unpack .fits.gz first")


def _require_size(shape: tuple[int, ...], path: Path) -> None:
    """Before anything is decompressed."""
    if shape[0] * shape[1] > MOST_PIXELS:
        raise DataError(
            "a solar image has at most 4096 x 4096 pixels", f"{shape[0]} x {shape[1]}",
            "Not an SDO image.", str(path),
        )  # fmt: skip


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


def _number(header: Mapping[str, Any], key: str, default: float) -> float:
    value = header.get(key, default)
    good = isinstance(value, (int, float)) and np.isfinite(value)
    return float(value) if good else default


def _level(header: Mapping[str, Any]) -> float:
    return _number(header, "LVL_NUM", 1.5)


def _done(header: Mapping[str, Any]) -> tuple[str, ...]:
    """What the archive did: counts a second are exposed, DEG_COR is the factor divided out."""
    unit = str(header.get("PIXLUNIT") or header.get("BUNIT") or "")
    steps = (EXPOSURE,) if re.search(r"/ ?s(ec)?$", unit.strip()) else ()
    return (*steps, DEGRADATION) if _number(header, "DEG_COR", 0.0) > 0 else steps


def _quality(header: Mapping[str, Any], path: Path) -> int:
    value = header.get("QUALITY", 0)
    try:
        return int(value, 16) if isinstance(value, str) else int(value)
    except (TypeError, ValueError) as error:
        raise DataError("QUALITY is a whole number", repr(value), where=str(path)) from error


def _upright(
    data: np.ndarray, header: Mapping[str, Any], path: Path
) -> tuple[np.ndarray, Disc | None]:
    """Row 0 is solar north, column 0 solar east; with the disc's place in it."""
    turn = _number(header, "CROTA2", 0.0) % 360.0
    around = abs(turn - 180.0) < 1.0
    if not around and min(turn, 360.0 - turn) >= 1.0:
        raise DataError(
            "CROTA2 is 0 or 180 degrees within one degree", f"{turn:g}", "Rotate to level 1.5.",
            str(path),
        )  # fmt: skip
    disc = _disc(header, data.shape, around)
    return (data[:, ::-1] if around else data[::-1]), disc


def _disc(header: Mapping[str, Any], shape: tuple[int, ...], around: bool) -> Disc | None:
    """CRPIX counts pixel centres from 1; CRVAL is what lies there, in arcsec from disc centre."""
    keys = ("CRPIX1", "CRPIX2", "CDELT1", "RSUN_OBS")
    column, row, scale, radius = (_number(header, key, np.nan) for key in keys)
    if not (np.isfinite(column + row) and scale > 0 and radius > 0):
        return None
    sign = -1.0 if around else 1.0
    column += 0.5 - 1 - sign * _number(header, "CRVAL1", 0.0) / scale
    row += 0.5 - 1 - sign * _number(header, "CRVAL2", 0.0) / scale
    if around:
        return Disc(row, shape[1] - column, radius / scale)
    return Disc(shape[0] - row, column, radius / scale)


def _fits_time(header: Mapping[str, Any], path: Path) -> int:
    text = str(header.get("T_OBS") or header.get("DATE-OBS") or "")
    try:
        if text.endswith("_TAI"):
            return round(seconds_of_tai_text(text))
        found = re.fullmatch(r"(.+T\d\d:\d\d):(\d\d(?:\.\d*)?)Z?", text)
        if not found or float(found[2]) >= 61:
            raise ValueError(text)
        return round(to_seconds(f"{found[1]}:00") + float(found[2]))
    except (ValueError, DataError) as error:
        raise DataError(
            "T_OBS or DATE-OBS holds the time of the frame", repr(text), "Check the header.",
            str(path),
        ) from error  # fmt: skip

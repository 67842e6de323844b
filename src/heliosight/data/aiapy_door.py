"""The door to sunpy and aiapy (extra `solar`): registration and calibration tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from heliosight.core.clock import to_text
from heliosight.core.errors import DataError


def has_aiapy() -> bool:
    """True when aiapy can be imported; nothing is imported."""
    return find_spec("aiapy") is not None


def aiapy_version() -> str:
    """The version that prepares, for the table's history."""
    from importlib.metadata import version

    return version("aiapy")


def registered(header: Mapping[str, Any], data: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Level 1 to level 1.5: north exactly up, Sun in the middle, 0.6 arcsec a pixel or a multiple.

    Row 0 stays the bottom row, as in FITS.
    """
    import sunpy.map
    from aiapy.calibrate import register

    made = register(sunpy.map.Map(data, dict(header)), order=1, missing=0.0)
    return {str(k).upper(): v for k, v in made.meta.items()} | {"CROTA2": 0.0}, np.asarray(
        made.data
    )


def aiapy_throughput(path: Path, waves: Mapping[str, int]) -> Any:
    """Throughput by channel and time from an AIA response table file; the network is not asked.

    Raises
    ------
    DataError : aiapy is absent, or cannot read the file.
    """
    try:
        import astropy.units as u
        from aiapy.calibrate import degradation
        from astropy.time import Time
    except ImportError as error:
        raise DataError(
            "an AIA response table needs aiapy", str(error),
            'Install "heliosight[solar]", or give a folder of degradation curves.', str(path),
        ) from error  # fmt: skip
    table = _table(path)

    @cache
    def of_day(channel: str, day: int) -> float:
        moment = Time(to_text(day * 86400).removesuffix("Z"), scale="utc")
        return float(degradation(waves[channel] * u.angstrom, moment, correction_table=table)[0])

    return lambda channel, time: of_day(channel, time // 86400)


def _table(path: Path) -> Any:
    from aiapy.calibrate import util

    try:
        return util.get_correction_table(path)
    except (ValueError, KeyError, OSError) as error:
        raise DataError(
            "a response table is one that aiapy reads", str(error)[:120],
            "Give aia_V*_response_table.txt.", str(path),
        ) from error  # fmt: skip

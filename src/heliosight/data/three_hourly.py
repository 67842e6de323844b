"""Hourly values to 3-hour values, the step of every solar-wind window."""

from __future__ import annotations

import warnings

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.errors import DataError
from heliosight.core.tables import (
    INTERPOLATED,
    OUT_OF_RANGE,
    PRELIMINARY,
    UNOBSERVED,
    SeriesTable,
)
from heliosight.core.variables import STEP
from heliosight.data.assemble import flags_of

# Codes, and indices that are already constant over three hours, are taken, not averaged.
TAKEN = frozenset(
    {"kp", "ap", "bartels_rotation", "imf_spacecraft", "plasma_spacecraft", "proton_flux_flag"}
)
CIRCULAR = frozenset({"b_lon_gse"})


def three_hourly(table: SeriesTable, name: str = "solar_wind") -> SeriesTable:
    """Means over the intervals [t, t + 3 h), t a multiple of 3 h UTC.

    An interval with 1 or 2 observed hours is their mean with the remark INTERPOLATED, whether the
    other hours are missing or out of range; the dataset card counts these. With none it is NaN:
    OUT_OF_RANGE when any of its hours was, else MISSING. Kp, ap and codes are the
    interval's first observed value; the field's longitude is averaged as a direction. A mean with a
    PRELIMINARY hour is PRELIMINARY. The latency after the interval's end stays that of the hours.

    Raises
    ------
    DataError : the table is not hourly on whole hours.
    """
    if table.cadence != HOUR or np.any(table.times % HOUR):
        raise DataError(
            "3-hour means are made of whole hours",
            f"cadence {table.cadence} s",
            "Give the hourly table of an OMNI2 reader.",
            table.name,
        )
    stamps = np.unique(table.times // STEP * STEP)
    row = np.searchsorted(stamps, table.times // STEP * STEP)
    slot = (table.times % STEP) // HOUR
    good = (table.flags & UNOBSERVED) == 0
    cube = np.full((len(stamps), 3, len(table.variables)), np.nan)
    cube[row, slot] = np.where(good, table.values, np.nan)
    values = _reduce(cube, table.variables)
    counts = np.isfinite(cube).sum(1)
    outside = np.zeros(cube.shape, dtype=bool)
    outside[row, slot] = (table.flags & OUT_OF_RANGE) > 0
    flags = flags_of(values, table.variables)
    flags[(counts == 0) & outside.any(1)] = OUT_OF_RANGE
    flags[(counts == 1) | (counts == 2)] |= INTERPOLATED
    early = np.zeros(cube.shape, dtype=bool)
    early[row, slot] = good & ((table.flags & PRELIMINARY) > 0)
    flags[early.any(1)] |= PRELIMINARY
    return SeriesTable(
        name, stamps, STEP, table.variables, values.astype(np.float32), flags, table.latency
    )


def _reduce(cube: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """`(N, V)` of `(N, 3, V)`: mean, first or direction, NaN where all three are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        values = np.nanmean(cube, axis=1)
        for i, variable in enumerate(names):
            if variable in TAKEN:
                first = np.isfinite(cube[:, :, i]).argmax(1)
                values[:, i] = cube[np.arange(len(cube)), first, i]
            elif variable in CIRCULAR:
                turn = np.nanmean(np.exp(1j * np.deg2rad(cube[:, :, i])), axis=1)
                values[:, i] = np.rad2deg(np.angle(turn)) % 360.0
    return values

"""NOAA SWPC's real-time JSON: solar wind at L1, minute by minute, and the estimated Kp.

Source: NWS Service Change Notice 26-21 (arrays of objects since 2026-03-31). Several spacecraft are
mixed; `active` marks the one in use. Times have no zone and are UT. SWPC's Kp is an estimate that
is never revised: 0.24 to 0.29 from GFZ's on average, up to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.errors import DataError
from heliosight.core.geomagnetic import ap_of_kp
from heliosight.core.tables import MISSING, PRELIMINARY, SeriesTable
from heliosight.core.variables import STEP
from heliosight.data.archives.documents import json_of, moments, numbers, rows_of
from heliosight.data.assemble import series
from heliosight.data.overlay import require_units

MINUTE = 60
WIND = {
    "proton_speed": "speed",
    "proton_density": "density",
    "proton_temperature": "temperature",
}
# GSM and GSE share their x axis.
MAGNETIC = {"bx_gsm": "bx_gse", "by_gsm": "by_gsm", "bz_gsm": "bz_gsm", "bt": "b_scalar"}


def read_rtsw_wind(data: bytes) -> SeriesTable:
    """Plasma of the active spacecraft, table "l1_minutes" `(N, 3)`, 1 min.

    Raises
    ------
    DataError : a web page, the layout before 2026-03-31, a missing field, no active spacecraft,
        text where a number is due, changed units.
    """
    return _minutes(data, WIND, "SWPC's rtsw_wind_1m")


def read_rtsw_mag(data: bytes) -> SeriesTable:
    """Magnetic field of the active spacecraft, table "l1_minutes" `(N, 4)`; as `read_rtsw_wind`."""
    return _minutes(data, MAGNETIC, "SWPC's rtsw_mag_1m")


def _minutes(data: bytes, names: Mapping[str, str], what: str) -> SeriesTable:
    rows = rows_of(json_of(data, what), what, ("time_tag", "active", *names))
    active = [row for row in rows if row.get("active") is True]
    if not active:
        raise DataError(
            f"{what} has rows of the active spacecraft", f"none of {len(rows)}",
            "The service has changed, or no spacecraft is in use now.",
        )  # fmt: skip
    times = moments([row.get("time_tag") for row in active], what) // MINUTE * MINUTE
    _, first = np.unique(times, return_index=True)
    columns = {
        ours: numbers([row.get(theirs) for row in active], f"{theirs} of {what}")[first]
        for theirs, ours in names.items()
    }
    for ours, values in columns.items():  # -99999.9 stood for missing in the older products
        columns[ours] = np.where(values <= -9000.0, np.nan, values)
    return require_units(series("l1_minutes", times[first], MINUTE, columns), what)


def read_swpc_kp(data: bytes) -> SeriesTable:
    """Estimated Kp and its ap, table "geomagnetic" `(N, 2)`, 3 h, every value PRELIMINARY.

    Raises
    ------
    DataError : a web page, the layout before 2026-03-31, a missing field, stamps off the 3-hour
        grid or repeated, changed units.
    """
    what = "SWPC's planetary K index"
    rows: Sequence[Mapping[str, Any]] = rows_of(json_of(data, what), what, ("time_tag", "Kp"))
    times = moments([row.get("time_tag") for row in rows], what)
    order = np.argsort(times, kind="stable")
    if np.any(times % STEP) or np.any(np.diff(times[order]) <= 0):
        raise DataError(f"{what} stamps 3-hour steps once each", f"{STEP // HOUR} h grid left")
    kp = numbers([rows[i].get("Kp") for i in order], f"Kp of {what}")
    if np.any(kp[np.isfinite(kp)] > 9.01):
        raise DataError("Kp is at most 9", f"{np.nanmax(kp):g}", "Other units?", what)
    kp = np.where(kp < 0, np.nan, np.rint(kp * 3) / 3)
    made = series("geomagnetic", times[order], STEP, {"kp": kp, "ap": ap_of_kp(kp)})
    flags = made.flags | np.where(made.flags & MISSING, 0, PRELIMINARY).astype(np.uint8)
    return SeriesTable(made.name, made.times, STEP, made.variables, made.values, flags)

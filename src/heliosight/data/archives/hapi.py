"""CDAWeb's HAPI 2.0 server: hourly OMNI2 as CSV, with the description that goes with it.

Source: HAPI specification 2.0 (hapi-server.org) and the server's own `info`. Parameters come in the
order of `info`, whatever order was asked; fills are texts in `info`; errors can come with HTTP 200.
OMNI2_H0_MRG1HR stamps the middle of its hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, final
from urllib.parse import urlencode

import numpy as np

from heliosight.core.clock import HOUR, to_text
from heliosight.core.errors import DataError
from heliosight.core.tables import SeriesTable
from heliosight.data.archives.documents import json_of, moments, refuse_page
from heliosight.data.assemble import check_rising, series, text_of
from heliosight.data.omni2 import NAME, kp_from_tenths
from heliosight.data.overlay import require_units

DATASET = "OMNI2_H0_MRG1HR"
_NT = ("nt", "nanotesla", "nanoteslas")
_CC = ("n/cc", "per cc", "#/cc", "cm-3", "cm^-3", "1/cm^3", "n/cm^3", "n/cm3", "per cubic cm")
_NONE = ("", "none", "dimensionless", "unitless", "1")
# CDAWeb name: ours, and the units it may be written in (lower case).
PARAMETERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "F1800": ("b_total", _NT),
    "ABS_B1800": ("b_scalar", _NT),
    "BX_GSE1800": ("bx_gse", _NT),
    "BY_GSE1800": ("by_gse", _NT),
    "BZ_GSE1800": ("bz_gse", _NT),
    "BY_GSM1800": ("by_gsm", _NT),
    "BZ_GSM1800": ("bz_gsm", _NT),
    "T1800": ("temperature", ("k", "deg k", "deg. k", "degrees k", "degk", "kelvin", "deg_k")),
    "N1800": ("density", _CC),
    "V1800": ("speed", ("km/s", "km s-1", "km/sec")),
    "Pressure1800": ("pressure", ("npa", "nanopascals", "nano pascals")),
    "R1800": ("sunspot_number", _NONE),
    "F10_INDEX1800": ("f107", ("10^-22 w/m^2/hz", "10**-22 w/m^2/hz", "sfu", *_NONE)),
    "KP1800": ("kp", ("kp*10", "kp * 10", *_NONE)),
    "DST1800": ("dst", _NT),
    "AE1800": ("ae", _NT),
    "AP_INDEX1800": ("ap", (*_NT, *_NONE, "2nt", "2 nt")),
}


@final
@dataclass(frozen=True)
class Parameter:
    """One column of the data: its CDAWeb name, our name, and its fill."""

    theirs: str
    ours: str
    fill: float


def read_hapi_info(data: bytes, wanted: Sequence[str] = tuple(PARAMETERS)) -> list[Parameter]:
    """The wanted parameters that the dataset has, in the order in which it will send them.

    Raises
    ------
    DataError : an error status (also inside HTTP 200), no parameters, an unknown unit, a fill
        that is no number.
    """
    info = _accepted(json_of(data, "a HAPI info"))
    listed = info.get("parameters")
    if not isinstance(listed, list) or not all(isinstance(p, Mapping) for p in listed):
        raise DataError(
            "a HAPI info lists parameters", type(listed).__name__, "The service has changed."
        )
    if not listed or str(listed[0].get("type")) != "isotime":
        raise DataError("the first HAPI parameter is the time", repr(listed[:1])[:120])
    chosen = [p for p in listed if p.get("name") in wanted and p.get("name") in PARAMETERS]
    if not chosen:
        names = ", ".join(str(p.get("name")) for p in listed)
        raise DataError("a HAPI dataset has a parameter asked for", names[:200], where=DATASET)
    return [_parameter(p) for p in chosen]


def read_hapi_span(data: bytes) -> tuple[int, int]:
    """First and last moment for which the dataset has values [UTC seconds]; others are refused.

    Raises
    ------
    DataError : as `read_hapi_info`; no start or stop date.
    """
    info = _accepted(json_of(data, "a HAPI info"))
    start, stop = moments([info.get("startDate"), info.get("stopDate")], "a HAPI info")
    return int(start), int(stop)


def _accepted(answer: Any) -> Mapping[str, Any]:
    """The answer itself when its status is 1200, else the server's own words."""
    status = answer.get("status") if isinstance(answer, Mapping) else None
    if not isinstance(status, Mapping) or not isinstance(answer, Mapping):
        raise DataError("a HAPI answer has a status", repr(answer)[:80], "The service has changed.")
    if status.get("code") != 1200:
        raise DataError(
            "a HAPI request is accepted (status 1200)",
            f"status {status.get('code')} {str(status.get('message'))[:120]}",
            "1411 is parameters out of order, 1400 a name of HAPI 3; report it.",
        )
    return answer


def _parameter(plain: Mapping[str, Any]) -> Parameter:
    name = str(plain["name"])
    ours, units = PARAMETERS[name]
    unit = str(plain.get("units") or "").strip().lower()
    if unit not in units:
        raise DataError(
            f"{name} comes in {units[0] or 'no unit'}",
            repr(plain.get("units")),
            "The archive has changed its units.",
        )
    try:
        return Parameter(name, ours, float(plain.get("fill") or "nan"))
    except (TypeError, ValueError) as error:
        raise DataError("a HAPI fill is a number", repr(plain.get("fill")), where=name) from error


def hapi_query(parameters: Sequence[Parameter], start: int, end: int) -> str:
    """The query of a data request over [start, end), in the order of `parameters`."""
    names = ",".join(p.theirs for p in parameters)
    span = {"time.min": to_text(start), "time.max": to_text(end)}
    return urlencode({"id": DATASET, "parameters": names, **span}, safe=",:")


def read_hapi_csv(data: bytes, parameters: Sequence[Parameter]) -> SeriesTable:
    """Hourly rows, table "solar_wind_hourly" `(N, V)`, stamped with the start of the hour.

    Raises
    ------
    DataError : a web page, an error status instead of rows, another number of columns, a cut-off
        line, stamps that are not half past, times that do not rise, units that have changed.
    """
    text = text_of(data, "a HAPI answer", PurePosixPath(DATASET))  # type: ignore[arg-type]
    refuse_page(text, "a HAPI answer")
    if text.lstrip().startswith("{"):
        _accepted(json_of(data, "a HAPI answer"))
        raise DataError("a HAPI answer is CSV", "JSON", "The service has changed.")
    cells = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    wrong = [i for i, row in enumerate(cells, 1) if len(row) != len(parameters) + 1]
    if wrong or not text.endswith("\n"):
        raise DataError(
            f"every line of a HAPI answer has {len(parameters) + 1} values",
            f"line {wrong[0] if wrong else len(cells)} is cut off or of another layout",
            "Fetch it again.",
        )
    times = moments([row[0] for row in cells], "a HAPI answer")
    if np.any(times % HOUR != HOUR // 2):
        odd = int(np.argmax(times % HOUR != HOUR // 2))
        raise DataError(f"{DATASET} stamps half hours", cells[odd][0], "The service has changed.")
    check_rising(times, lambda i: f"line {i + 1}", DATASET)
    columns = {p.ours: _column([row[i] for row in cells], p) for i, p in enumerate(parameters, 1)}
    return require_units(series(NAME, times - HOUR // 2, HOUR, columns), DATASET)


def _column(texts: Sequence[str], parameter: Parameter) -> np.ndarray:
    try:
        values = np.array(texts, dtype=np.float64)
    except ValueError as error:
        raise DataError(
            f"{parameter.theirs} is numbers", str(error)[:80], "The service has changed."
        ) from error
    values[np.isclose(values, parameter.fill, rtol=1e-6, atol=0.0)] = np.nan
    return kp_from_tenths(values) if parameter.ours == "kp" else values

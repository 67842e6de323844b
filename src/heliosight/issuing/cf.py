"""Issued forecasts as a CF netCDF file with `init_time`, `lead_time` and `valid_time`."""

from __future__ import annotations

from typing import Any

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.issued import STATUSES, IssuedArrays, IssuedForecast
from heliosight.core.netcdf import CfVariable, netcdf_bytes, times
from heliosight.core.records import Assumed

INIT, LEAD, LEVEL, DAY, CLASS = "init_time", "lead_time", "quantile", "day", "storm_class"
REFERENCE, INPUT = "reference", "input"
AP = "ap, unitless: twice it is a disturbance in nT at 50 degrees of latitude"


def forecast_netcdf(record: IssuedForecast, arrays: IssuedArrays) -> bytes:
    """One or many forecasts as a file; a withheld forecast is missing, its references are not."""
    return netcdf_bytes({**_axes(record, arrays), **_numbers(arrays)}, _about(record))


def _axes(record: IssuedForecast, arrays: IssuedArrays) -> dict[str, CfVariable]:
    leads = arrays.valid_time.shape[1]
    hours = record.lead_hours * np.arange(leads, dtype=np.float64)
    start, end = arrays.valid_time, arrays.valid_time + record.lead_hours * HOUR
    both = "time_bounds"
    return {
        INIT: times(
            (INIT,), arrays.init_time, "issue time", standard_name="forecast_reference_time"
        ),
        LEAD: CfVariable(
            (LEAD,), hours, "hours", "issue time to the start of the interval",
            {"standard_name": "forecast_period"},
        ),
        "valid_time": times(
            (INIT, LEAD), start, "start of the interval", standard_name="time", bounds=both
        ),
        both: times((INIT, LEAD, "bound"), np.stack([start, end], -1), "interval"),
        LEVEL: CfVariable((LEVEL,), np.array(record.levels), "1", "probability level"),
        DAY: CfVariable((DAY,), np.arange(1, arrays.storm.shape[1] + 1), "1", "forecast day"),
        CLASS: CfVariable((CLASS,), np.array(record.storms), "", "NOAA storm class"),
        REFERENCE: CfVariable((REFERENCE,), np.array(record.references), "", "reference system"),
        INPUT: CfVariable((INPUT,), np.array(record.input_names), "", "input variable"),
    }  # fmt: skip


def _numbers(arrays: IssuedArrays) -> dict[str, CfVariable]:
    valid = {"coordinates": "valid_time", "ancillary_variables": "status"}
    chance = {"ancillary_variables": "status"}
    reach = "probability that the largest ap of the day reaches the class"
    flags = {
        "flag_values": np.arange(len(STATUSES), dtype=np.int16),
        "flag_meanings": " ".join(STATUSES),
    }
    return {
        "ap_quantile": CfVariable((INIT, LEAD, LEVEL), arrays.quantiles, "1", AP, valid),
        "ap_mean": CfVariable((INIT, LEAD), arrays.mean, "1", f"mean {AP}", valid),
        "storm_probability": CfVariable((INIT, DAY, CLASS), arrays.storm, "1", reach, chance),
        "reference_ap_quantile": CfVariable(
            (INIT, REFERENCE, LEAD, LEVEL), arrays.reference_quantiles, "1", AP,
            {"coordinates": "valid_time"},
        ),
        "reference_ap_mean": CfVariable(
            (INIT, REFERENCE, LEAD), arrays.reference_mean, "1", f"mean {AP}",
            {"coordinates": "valid_time"},
        ),
        "reference_storm_probability": CfVariable(
            (INIT, REFERENCE, DAY, CLASS), arrays.reference_storm, "1", reach
        ),
        "input_age": CfVariable(
            (INIT, INPUT), arrays.age_hours, "hours", "age of the newest value at issue time"
        ),
        "input_withheld": CfVariable(
            (INIT, INPUT), arrays.withheld, "1",
            "newest steps withheld in the calibration of this forecast",
        ),
        "status": CfVariable((INIT,), arrays.status.astype(np.int16), "", "status", flags),
    }  # fmt: skip


def _known(assumed: Assumed) -> str:
    """`table: source known 0.25 h after its interval (in place of gfz_now; definitive)`."""
    marks = [f"in place of {assumed.stands_for}"] if assumed.stands_for else []
    marks += ["definitive"] if assumed.definitive else []
    told = f" ({'; '.join(marks)})" if marks else ""
    return f"{assumed.table}: {assumed.source} known {assumed.latency_hours:.3g} h after{told}"


def _about(record: IssuedForecast) -> dict[str, Any]:
    made = record.provenance
    told = "SIMULATED Sun. " if made.simulated else ""
    return {
        "title": f"{told}3-hourly ap to +72 h",
        "institution": "not stated",
        "source": f"heliosight {made.versions.get('heliosight', '')}, system {record.system}",
        "history": f"{record.created} {made.command}",
        "references": "https://doi.org/10.1029/2020SW002641",
        "license": "; ".join(f"{k}: {v}" for k, v in record.licences.items()) or "not stated",
        "comment": record.rule,
        "code_version": made.versions.get("heliosight", ""),
        "config_sha256": record.config,
        "data_sha256": record.data,
        "weights_sha256": record.weights,
        "hindcast": int(record.hindcast),
        "assumed_latency": "; ".join(map(_known, record.assumed)) or "none",
        "cutoff_minutes": record.cutoff_minutes,
    }

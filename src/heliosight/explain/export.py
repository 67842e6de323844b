"""An explanation as a CF netCDF file: every array with its coordinates, units and checks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from heliosight.core.clock import HOUR, to_seconds
from heliosight.core.netcdf import CfVariable, netcdf_bytes, times
from heliosight.core.records import Explanation
from heliosight.core.spec import ForecastSpec
from heliosight.explain.disc import RADIUS_SHARE

Arrays = Mapping[str, np.ndarray]
RADII = "solar_radius"
FRAMES = ("frame", "row", "column")
# arrays whose first axis is the frame: name, axes, whether it is in the target's unit, in words
KNOWN: tuple[tuple[str, tuple[str, ...], bool, str], ...] = (
    ("cell_path", FRAMES, True, "attribution through the carried cell state"),
    ("channel_maps", ("channel", *FRAMES), True, "attribution by channel, by intervention"),
    ("profile", ("frame",), True, "attribution per frame"),
    ("profile_low", ("frame",), True, "lower bound of the attribution per frame, 95 %"),
    ("profile_high", ("frame",), True, "upper bound of the attribution per frame, 95 %"),
    ("structures", FRAMES, False, "number of the tracked structure, 0 is none"),
    ("structure_sums", ("structure", "frame"), True, "attribution of a structure per frame"),
)


def netcdf_of(record: Explanation, arrays: Arrays, spec: ForecastSpec) -> bytes:
    """The file of one explanation; times are UTC, places solar radii from the disc's centre.

    An explanation that is withheld says so in `answer` and keeps its numbers: they are there to
    find out why, not to be shown.
    """
    found = _coordinates(record, arrays) | _images(record, arrays) | _series(record, arrays, spec)
    for name, dims, target_unit, words in KNOWN:
        if name in arrays and _has_frames(record, dims, arrays[name]):
            units = record.units if target_unit else "1"
            found[name] = CfVariable(dims, arrays[name], _udunits(units), words)
    return netcdf_bytes(found, _attributes(record))


def _udunits(units: str) -> str:
    """UDUNITS knows no index of 2 nT; `ap` counts, so it has none."""
    return "1" if units.startswith(("ap", "probability")) else units


def _has_frames(record: Explanation, dims: tuple[str, ...], values: np.ndarray) -> bool:
    """False also for no structure at all: an axis of length 0 would be an unlimited one."""
    if values.ndim != len(dims) or not values.size:
        return False
    return values.shape[dims.index("frame")] == len(record.frame_times)


def _coordinates(record: Explanation, arrays: Arrays) -> dict[str, CfVariable]:
    issue = np.array(float(to_seconds(record.issue_time)))
    found = {"issue_time": times((), issue, "issue time", standard_name="forecast_reference_time")}
    if record.frame_times:
        stamps = np.array([to_seconds(t) for t in record.frame_times], dtype=np.float64)
        found["frame"] = times(("frame",), stamps, "time of the frame", standard_name="time")
    if "frames" in arrays or "images" in arrays:
        size = arrays["images" if "images" in arrays else "frames"].shape[-1]
        place = (np.arange(size) - (size - 1) / 2) / (RADIUS_SHARE * size)
        found["column"] = CfVariable(("column",), place, RADII, "west of the disc's centre")
        found["row"] = CfVariable(("row",), -place, RADII, "north of the disc's centre")
    if record.channels:
        found["channel"] = CfVariable(("channel",), np.array(record.channels))
    return found


def _images(record: Explanation, arrays: Arrays) -> dict[str, CfVariable]:
    found = {}
    for name, words, units in (
        ("images", f"attribution, {record.method}", _udunits(record.units)),
        ("frames", "explained frames, grey level", "1"),
    ):
        if name in arrays:
            dims = FRAMES if arrays[name].ndim == 3 else ("channel", *FRAMES)
            values = np.asarray(arrays[name], dtype=np.float32)
            found["attribution" if name == "images" else name] = CfVariable(
                dims, values, units, words
            )
    return found


def _series(record: Explanation, arrays: Arrays, spec: ForecastSpec) -> dict[str, CfVariable]:
    """Each series modality over its own steps, stamped at their start."""
    found: dict[str, CfVariable] = {}
    issue = to_seconds(record.issue_time)
    for name, modality in spec.modalities.items():
        if modality.kind != "series" or name not in arrays:
            continue
        step, variable = f"{name}_time", f"{name}_variable"
        hours = np.arange(-modality.steps, 0) * modality.cadence_hours - modality.lag_hours
        found[step] = times((step,), issue + hours * float(HOUR), "start of the step")
        found[variable] = CfVariable((variable,), np.array(modality.variables))
        values = np.asarray(arrays[name], dtype=np.float32)
        words = f"attribution to {name}, {record.method}"
        found[name] = CfVariable((step, variable), values, _udunits(record.units), words)
    return found


def _attributes(record: Explanation) -> dict[str, str]:
    failed = [f"{c.name}: {c.rule}. {c.reason}" for c in record.checks if not c.passed]
    return {
        "title": f"{record.method} of {record.target}",
        "answer": f"no explanation: {', '.join(record.withheld)} failed"
        if record.withheld
        else "explained",
        "target": record.target,
        "target_units": record.units,
        "baseline": record.baseline,
        "failed_checks": "; ".join(failed) or "none",
        "notes": "; ".join(record.notes),
        "source": "SIMULATED" if record.provenance.simulated else "heliosight",
        "history": f"{record.provenance.created} {record.provenance.command}",
    }

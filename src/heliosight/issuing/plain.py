"""One issued forecast as plain mappings for JSON: every number with its name, NaN as null."""

from __future__ import annotations

from typing import Any

import numpy as np

from heliosight.core.clock import HOUR, to_text
from heliosight.core.config import dump
from heliosight.core.geomagnetic import KP_NAMES, kp_step_of_ap
from heliosight.core.issued import IssuedArrays, IssuedForecast

SCHEMA, VERSION = "heliosight.forecast", 1


def forecast_json(record: IssuedForecast, arrays: IssuedArrays, row: int = 0) -> dict[str, Any]:
    """The forecast of one issue time."""
    systems = {
        name: system(record, arrays.valid_time[row], quantiles, mean, storm)
        for name, quantiles, mean, storm in zip(
            record.references,
            arrays.reference_quantiles[row],
            arrays.reference_mean[row],
            arrays.reference_storm[row],
            strict=True,
        )
    }
    network = system(
        record, arrays.valid_time[row], arrays.quantiles[row], arrays.mean[row], arrays.storm[row]
    )
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "simulated": record.provenance.simulated,
        "issue_time": record.issue_times[row],
        "created": record.created,
        "hindcast": record.hindcast,
        "status": record.statuses[row],
        "reason": record.reasons[row],
        "answer": record.answers[row],
        "calls": [dump(call) for call in record.calls],
        "rule": record.rule,
        "forecast": network,
        "references": systems,
        "inputs": [dump(state) for state in record.inputs],
        "known": {
            "cutoff_minutes": record.cutoff_minutes,
            "retrieved_by": record.as_known,
            "assumed": [dump(a) for a in record.assumed],
            "trained_as": list(record.trained_as),
        },
        "frames": list(record.frames),
        "widenings": [dump(w) for w in record.widenings],
        "grade": dump(record.grade),
        "past": [dump(p) for p in record.past],
        "model": {
            "system": record.system,
            "fold": record.fold,
            "unseen_from": record.fold_start,
            "weights_sha256": record.weights,
            "config_sha256": record.config,
            "data_sha256": record.data,
        },
        "licences": dict(record.licences),
    }


def system(
    record: IssuedForecast,
    valid: np.ndarray,
    quantiles: np.ndarray,
    mean: np.ndarray,
    storm: np.ndarray,
) -> dict[str, Any]:
    """Leads and days of one system."""
    middle = int(np.argmin(np.abs(np.array(record.levels) - 0.5)))
    leads = [
        {
            "valid_from": to_text(t),
            "valid_to": to_text(t + record.lead_hours * HOUR),
            "kp": _kp(q[middle]),
            "ap_mean": _number(m),
            "ap_quantiles": {
                f"{p:g}": _number(v) for p, v in zip(record.levels, q, strict=True)
            },
        }
        for t, q, m in zip(valid.tolist(), quantiles, mean, strict=True)
    ]  # fmt: skip
    a_day = len(valid) // len(storm)
    days = [
        {
            "day": d + 1,
            "from": leads[d * a_day]["valid_from"],
            "to": leads[(d + 1) * a_day - 1]["valid_to"],
            "storm_probability": {g: _number(p) for g, p in zip(record.storms, row, strict=True)},
        }
        for d, row in enumerate(storm)
    ]
    return {"leads": leads, "days": days}


def _kp(ap: float) -> str | None:
    return KP_NAMES[int(kp_step_of_ap(np.array(ap)))] if np.isfinite(ap) else None


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None

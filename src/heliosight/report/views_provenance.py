"""How it was made: versions, seeds, commands, hashes and times of every record shown."""

from __future__ import annotations

import json
from typing import Any

from heliosight.core.config import dump
from heliosight.core.records import Record
from heliosight.report.inputs import ReportInputs


def records(inputs: ReportInputs) -> list[tuple[str, Record]]:
    """The records a report shows, each with the stage that left it, once each."""
    named: list[tuple[str, Record | None]] = [
        ("data", inputs.dataset),
        ("train", inputs.trained),
        ("evaluate", inputs.scorecard),
        ("diagnose", inputs.diagnosis),
    ]
    named += [("explain", explanation) for explanation, _ in inputs.explanations]
    kept: dict[str, tuple[str, Record]] = {}
    for stage, record in named:
        if record is not None:
            kept.setdefault(f"{stage} {record.provenance}", (stage, record))
    return list(kept.values())


def versions(inputs: ReportInputs) -> dict[str, str]:
    """Versions of the software of all records; several of one name are all given."""
    found: dict[str, list[str]] = {}
    for _, record in records(inputs):
        for name, version in record.provenance.versions.items():
            if version not in found.setdefault(name, []):
                found[name].append(version)
    return {name: ", ".join(values) for name, values in sorted(found.items())}


def config_text(config: dict[str, Any]) -> str:
    """A resolved config as indented JSON."""
    return json.dumps(dump(config), indent=2, sort_keys=True, ensure_ascii=False, default=str)


def oracle_rows(oracle: dict[str, Any], path: str = "") -> list[tuple[str, str]]:
    """What the simulated world knows, flattened to `name, value`."""
    rows = []
    for key, value in oracle.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict):
            rows += oracle_rows(value, name)
        else:
            rows.append((name, f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows

"""The explanation stage: one window of the test block, by every method asked for."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from heliosight.core import records
from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.errors import ConfigError
from heliosight.core.files import folder_in_making, is_sealed, verify, write_json
from heliosight.core.folds import Fold
from heliosight.core.records import Explanation
from heliosight.data.windows import Windows
from heliosight.explain import ExplanationSet, explain
from heliosight.subject import wrap
from heliosight.workflows.evaluate import first_storm
from heliosight.workflows.frames import NOTE, with_frames
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.study import Study, study_of
from heliosight.workflows.train import forecaster, main_system, predictions, system_hash

IMPORTANCE = "importance.json"


def run(run: Run, verb: str = "") -> StageResult:
    """Explain one window of the first system; explanations of the same key are used again."""
    del verb
    study, config = study_of(run), run.config.explain
    system, number = main_system(run), study.fold_number(config.fold, "explain.fold")
    model = forecaster(study, system, number)
    issue = issue_time(study)
    parent = system_hash(study, system)
    key = run.key("explain", study.key, parent, config, issue)
    folder = run.folder / ("explain_frames" if config.frames else "explain")
    if run.force or not _finished(folder, key):
        windows = source = study.windows(system)
        if config.frames:
            source, _ = with_frames(study, system, config.frames, issue)
        subject = wrap(model, run.config.spec(system), name=f"{run.config.name}/{system}")
        found = explain(
            subject,
            source.batch(np.array([issue])),
            config.method,
            windows.batch(context_times(study, issue)),
        )
        made = run.provenance(key, {"data": study.store.hash, "train": parent})
        with folder_in_making(folder) as making:
            for order, (record, arrays) in enumerate(found.explanations):
                notes = (*record.notes, *((NOTE,) if config.frames else ()))
                times = frame_times(source, issue) if record.frame_times else ()
                records.save(
                    making / _name(order, record),
                    replace(record, provenance=made, notes=notes, frame_times=times),
                    arrays,
                )
            write_json(making / IMPORTANCE, _importance(found))
    explanations = [record for record, _ in saved(folder)]
    told = json.loads((folder / IMPORTANCE).read_text())
    lines = (*_lines(explanations), *_importance_lines(told["profiles"]), *told["notes"])
    return StageResult(tuple(explanations), lines)


def issue_time(study: Study) -> int:
    """The window to explain: the config's, else the strongest storm forecast of the test block."""
    config = study.run.config.explain
    number = study.fold_number(config.fold, "explain.fold")
    if config.issue_time:
        return _inside(to_seconds(config.issue_time), study.folds[number])
    forecast = predictions(study, main_system(study.run))
    if forecast is None:
        raise ConfigError(
            "choosing a window needs forecasts on every fold",
            "some folds are not trained",
            "Run heliosight train, or set explain.issue_time.",
            "explain.issue_time",
        )
    return first_storm(forecast, number)


def _inside(issue: int, fold: Fold) -> int:
    """An issue time of the test block; elsewhere the model would explain what it has learned."""
    if not fold.test[0] <= issue < fold.test[1]:
        raise ConfigError(
            "an explained window lies in the fold's test block",
            to_text(issue),
            f"Test block: {to_text(fold.test[0])} to {to_text(fold.test[1])}.",
            "explain.issue_time",
        )
    return issue


def context_times(study: Study, issue: int) -> np.ndarray:
    """Other windows of the test block, evenly spaced, at least ten days from the explained one."""
    config = study.run.config.explain
    system = main_system(study.run)
    number = study.fold_number(config.fold, "explain.fold")
    times = study.times(system, study.folds[number].test)
    far = times[np.abs(times - issue) >= 10 * DAY]
    take = np.linspace(0, len(far) - 1, min(config.context, len(far))).astype(int)
    return far[np.unique(take)]


def saved(folder: Path) -> list[tuple[Explanation, dict[str, np.ndarray]]]:
    """Explanations with their arrays, in the order they were made; empty when there are none."""
    if not is_sealed(folder):
        return []
    verify(folder)
    return [
        (records.load(sub, Explanation), records.load_arrays(sub))
        for sub in sorted(p for p in folder.iterdir() if p.is_dir())
    ]


def _importance(found: ExplanationSet) -> dict[str, Any]:
    """Profiles over the context's windows as plain numbers; NaN (no interval) becomes null."""

    def numbers(values: np.ndarray) -> list[float | None]:
        return [float(v) if np.isfinite(v) else None for v in values]

    profiles = [
        {
            "name": p.name,
            "labels": list(p.labels),
            "value": numbers(p.value),
            "low": numbers(p.low),
            "high": numbers(p.high),
            "units": p.units,
            "how": p.how,
        }
        for p in found.importance
    ]
    return {"profiles": profiles, "notes": list(found.notes)}


def _importance_lines(profiles: list[dict[str, Any]]) -> list[str]:
    """Modalities and variables with their intervals; steps are for the figures."""
    lines = []
    for p in (p for p in profiles if not p["name"].endswith("steps")):
        parts = [
            f"{label} {v:.3g}" + ("" if low is None else f" [{low:.3g}, {high:.3g}]")
            for label, v, low, high in zip(
                p["labels"], p["value"], p["low"], p["high"], strict=True
            )
        ]
        lines.append(f"importance of {p['name']} [{p['units']}]: {', '.join(parts)}")
    return lines


def frame_times(windows: Windows, issue: int) -> tuple[str, ...]:
    """When the frames of a window were due: not at every issue time is there a new one."""
    stamps = windows.times(np.array([issue])).stamps
    images = [n for n, m in windows.spec.modalities.items() if m.kind == "images"]
    return tuple(to_text(int(t)) for t in stamps[images[0]][0])


def _finished(folder: Path, key: str) -> bool:
    found = saved(folder)
    return bool(found) and all(record.provenance.key == key for record, _ in found)


def _name(order: int, record: Explanation) -> str:
    return f"{order:02d}_{re.sub(r'[^a-z0-9]+', '_', record.method.lower()).strip('_')}"


def _lines(explanations: list[Explanation]) -> tuple[str, ...]:
    lines = []
    for e in explanations:
        failed = [c.name for c in e.checks if not c.passed]
        passed = f"{len(e.checks) - len(failed)} of {len(e.checks)} self-checks passed"
        told = f", failed: {', '.join(failed)}" if failed else ""
        lines.append(
            f"{e.method}: {e.target} = {e.forecast:.3g} {e.units}, issued {e.issue_time}, "
            f"against {e.baseline}; {passed}{told}"
        )
        lines += [f"  {note}" for note in e.notes]
    return tuple(lines)

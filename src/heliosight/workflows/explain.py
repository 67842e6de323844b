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
from heliosight.core.records import Explanation
from heliosight.explain import ExplanationSet, explain
from heliosight.explain.credit import of_one_window
from heliosight.explain.export import netcdf_of
from heliosight.workflows import explain_score, explain_survey
from heliosight.workflows.evaluate import first_storm
from heliosight.workflows.examined import Examined, examined, frame_times
from heliosight.workflows.frames import NOTE, with_frames
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.trained import main_system, predictions

IMPORTANCE, NETCDF = "importance.json", "explanation.nc"
LOOKED_AT, CHUNK = 256, 16


def run(run: Run, verb: str = "") -> StageResult:
    """Explain one window of the examined model; explanations of the same key are used again.

    With `--score`, methods are held to known truths instead, see `explain_score`; with `--survey`,
    one method is summed up over many windows, see `explain_survey`.
    """
    del verb
    if "--survey" in run.flags:
        return explain_survey.run(run)
    if "--score" in run.flags:
        return explain_score.run(run)
    config = run.config.explain
    found = examined(run, config.fold, "explain.fold")
    issue = issue_time(run, found)
    key = run.key("explain", dict(found.parents), config, issue)
    folder = explanations_in(run, found.folder)
    if run.force or not _finished(folder, key):
        _save(run, found, issue, folder, key)
    explanations = [record for record, _ in saved(folder)]
    told = json.loads((folder / IMPORTANCE).read_text())
    lines = (*_lines(explanations), *_importance_lines(told["profiles"]), *told["notes"])
    return StageResult(tuple(explanations), lines)


def explanations_in(run: Run, folder: Path) -> Path:
    """Where explanations lie: those of frames from a file apart from those of the run's own."""
    return folder / ("explain_frames" if run.config.explain.frames else "explain")


def _save(run: Run, found: Examined, issue: int, folder: Path, key: str) -> None:
    config, source = run.config.explain, found.windows
    if config.frames:
        source, _ = with_frames(found.store.tables, source.spec, config.frames, issue)
    made = run.provenance(key, found.parents)
    context = found.windows.batch(context_times(run, found, issue))
    explained = explain(found.subject, source.batch(np.array([issue])), config.method, context)
    with folder_in_making(folder) as making:
        for order, (record, arrays) in enumerate(explained.explanations):
            notes = (*record.notes, *((NOTE,) if config.frames else ()))
            times = frame_times(source, issue) if record.frame_times else ()
            told = replace(record, provenance=made, notes=notes, frame_times=times)
            files = {NETCDF: netcdf_of(told, arrays, source.spec)}
            records.save(making / _name(order, record), told, arrays, files)
        write_json(making / IMPORTANCE, _importance(explained))


def issue_time(run: Run, found: Examined) -> int:
    """The window to explain: the config's, else the strongest forecast storm of its windows."""
    config = run.config.explain
    if config.issue_time:
        return _inside(to_seconds(config.issue_time), found)
    if found.study is None:
        return _strongest(found)
    number = found.study.fold_number(config.fold, "explain.fold")
    forecast = predictions(found.study, main_system(run))
    if forecast is None:
        raise ConfigError(
            "choosing a window needs forecasts on every fold",
            "some folds are not trained",
            "Run heliosight train, or set explain.issue_time.",
            "explain.issue_time",
        )
    return first_storm(forecast, number)


def _strongest(found: Examined) -> int:
    """The issue time of the largest mean forecast among windows evenly spread over all."""
    place = np.unique(np.linspace(0, len(found.times) - 1, LOOKED_AT).astype(int))
    times, mean = found.times[place], []
    for start in range(0, len(times), CHUNK):
        batch = found.windows.batch(times[start : start + CHUNK])
        mean.append(found.subject.forecast(batch).mean(1).cpu().numpy())
    return int(times[int(np.concatenate(mean).argmax())])


def _inside(issue: int, found: Examined) -> int:
    """An issue time of the examined windows; elsewhere a model would explain what it learned."""
    first, last = int(found.times[0]), int(found.times[-1])
    if not first <= issue <= last:
        raise ConfigError(
            "an explained window lies in the fold's test block",
            to_text(issue),
            f"Test block: {to_text(first)} to {to_text(last)}.",
            "explain.issue_time",
        )
    return issue


def context_times(run: Run, found: Examined, issue: int) -> np.ndarray:
    """Other windows, evenly spaced, at least ten days from the explained one."""
    far = found.times[np.abs(found.times - issue) >= 10 * DAY]
    take = np.linspace(0, len(far) - 1, min(run.config.explain.context, len(far))).astype(int)
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
        head = p["name"] if of_one_window(p["name"]) else f"importance of {p['name']}"
        lines.append(f"{head} [{p['units']}]: {', '.join(parts)}")
    return lines


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

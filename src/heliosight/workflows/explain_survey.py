"""`explain --survey`: one method over many windows of the test block, summed up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from heliosight.core import records
from heliosight.core.batch import Batch
from heliosight.core.clock import HOUR, to_seconds, to_text
from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.core.progress import bar
from heliosight.core.records_explain import AttributionSurvey
from heliosight.explain.blocks import HOW
from heliosight.explain.explainer import attributions_made
from heliosight.explain.question import ExplainConfig
from heliosight.explain.survey import Survey, survey
from heliosight.explain.targets import target_named
from heliosight.subject import Subject, examine
from heliosight.workflows.examined import Examined, examined, frame_times
from heliosight.workflows.run import Run, StageResult

FOLDER = "explain_survey"


def run(run: Run, verb: str = "") -> StageResult:
    """Survey the examined model; a survey of the same key is used again."""
    del verb
    config = run.config.explain
    found = examined(run, config.fold, "explain.fold")
    key = run.key("explain_survey", dict(found.parents), config)
    folder = found.folder / FOLDER
    record = run.made(folder, AttributionSurvey, key)
    if record is None:
        record, arrays = made(run, found, key)
        records.save(folder, record, arrays)
    return StageResult(record, lines(record))


def made(run: Run, found: Examined, key: str) -> tuple[AttributionSurvey, dict[str, np.ndarray]]:
    """The record and its arrays.

    Raises
    ------
    ConfigError : the model sees no images.
    """
    config, spec = run.config.explain, found.subject.spec
    images = [m for m in spec.modalities.values() if m.kind == "images"]
    if not images:
        raise ConfigError("a survey maps attributions to images", "a model without images")
    issues = chosen(found, config.survey_windows)
    stamps = np.array(
        [[to_seconds(t) for t in frame_times(found.windows, int(i))] for i in issues], np.float64
    )
    method = replace(config.method, methods=(config.survey_method,))
    with bar(f"survey by {config.survey_method}", len(issues)) as running:

        def maps_of(n: int) -> np.ndarray:
            running.advance()
            return _maps(found.subject, found.windows.batch(issues[n : n + 1]), method)

        told = survey(maps_of, stamps, issues)
    target = target_named(method.target, spec)
    record = AttributionSurvey(
        provenance=run.provenance(key, found.parents),
        method=config.survey_method,
        target=target.name,
        units=target.units,
        channels=images[0].variables if len(told.channels) else (),
        windows=len(issues),
        first_issue=to_text(int(issues[0])),
        last_issue=to_text(int(issues[-1])),
        icc_windows=told.icc_windows,
        icc_frames=told.icc_frames,
        how=HOW,
    )
    hours = (stamps[-1] - issues[-1]) / HOUR
    return record, {**_arrays(told), "hours": hours}


def chosen(found: Examined, count: int) -> np.ndarray:
    """Issue times `(N,)` evenly spaced over what the model has not learned from."""
    times = np.asarray(found.times)
    return times[np.unique(np.linspace(0, len(times) - 1, min(count, len(times))).astype(int))]


def _maps(subject: Subject, window: Batch, method: ExplainConfig) -> np.ndarray:
    with examine(subject):
        answers = attributions_made(subject, window, method)
    for answer in answers:
        if answer.question.modality in answer.found.parts:
            return answer.found.parts[answer.question.modality].detach().cpu().double().numpy()
    raise NotApplicable(
        "a survey's method speaks about images", method.methods[0], "Choose another method.",
        "explain.survey_method",
    )  # fmt: skip


def _arrays(told: Survey) -> dict[str, np.ndarray]:
    return {k: v for k, v in vars(told).items() if isinstance(v, np.ndarray)}


def lines(record: AttributionSurvey) -> tuple[str, ...]:
    """What the survey found, in words."""
    return (
        f"{record.method} of {record.target} over {record.windows} windows, {record.first_issue} "
        f"to {record.last_issue}",
        f"agreement of maps between windows (ICC, 1: every window has the same map): "
        f"{record.icc_windows:.2f}",
        f"agreement of maps between the frames of a window: {record.icc_frames:.2f}",
    )

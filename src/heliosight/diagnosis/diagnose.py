"""Runs the checks of a level on a subject; one failing check never stops the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from heliosight.core.batch import Batch
from heliosight.core.errors import ConfigError, SubjectError
from heliosight.core.ports import WindowSource
from heliosight.core.records import Diagnosis, Finding, Provenance
from heliosight.diagnosis.arrival import ArrivesAsLearned
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.config import DiagnosisConfig
from heliosight.diagnosis.elements import Channels, Frames
from heliosight.diagnosis.evidence import Evidence, evenly
from heliosight.diagnosis.explainers import Explainer
from heliosight.diagnosis.explaining import ExplainerWorks
from heliosight.diagnosis.faithful import Faithful, NeedsWeights
from heliosight.diagnosis.family import controlled
from heliosight.diagnosis.fusion import Balance, LooksAtInput
from heliosight.diagnosis.gradient import AttentionChooses, GradientReaches
from heliosight.diagnosis.learning import GradientAboveNoise
from heliosight.diagnosis.memory import StateRemembers
from heliosight.diagnosis.output import Collapse, PersistenceCopy
from heliosight.diagnosis.recurrence import CallsGetFrames
from heliosight.diagnosis.relations import GoTogether
from heliosight.diagnosis.rotation import FollowsSun
from heliosight.diagnosis.running import run_all
from heliosight.diagnosis.structure import BatchIndependence, Causality, OrderSeen
from heliosight.diagnosis.training import ClipsFairly, LearnsAtPace, OverfitOnset
from heliosight.diagnosis.usage import DataHold, LossNeeds, OutputMoves, UseVerdict
from heliosight.diagnosis.verdict import verdict
from heliosight.subject import Subject, check_subject, examine

LEVELS = ("quick", "standard", "full")
CHECKS: tuple[Check, ...] = (
    ExplainerWorks(),
    BatchIndependence(),
    OrderSeen(),
    CallsGetFrames(),
    GradientReaches(),
    AttentionChooses(),
    Causality(),
    OutputMoves(),
    LossNeeds(),
    DataHold(),
    UseVerdict(),
    Channels(),
    Frames(),
    StateRemembers(),
    Balance(),
    LooksAtInput(),
    GradientAboveNoise(),
    LearnsAtPace(),
    ClipsFairly(),
    OverfitOnset(),
    Collapse(),
    PersistenceCopy(),
    FollowsSun(),
    NeedsWeights(),
    Faithful(),
    ArrivesAsLearned(),
    GoTogether(),
)


def diagnose(
    subject: Subject,
    windows: WindowSource | Batch,
    config: DiagnosisConfig | None = None,
    *,
    issue_times: np.ndarray | None = None,
    provenance: Provenance | None = None,
    explainers: Mapping[str, Explainer] | None = None,
    records: Sequence[Mapping[str, Any]] = (),
    data_times: np.ndarray | None = None,
    shared: dict[Any, Any] | None = None,
    workers: int = 1,
) -> Diagnosis:
    """All findings on one subject, which is left bit-identical.

    Parameters
    ----------
    windows : a batch of several hundred windows ordered in issue time, or a source of them. They
        should lie at least a few hours apart and span many solar rotations: with less than eight
        blocks of 27 days every statistical check abstains.
    issue_times : `(N,)` UTC seconds, needed with a source.
    explainers : by name, what T1 and T22-T24 ask; none makes them not applicable.
    records : rows of a training log in the order written, what T17-T19 read: `step` rows with
        `gradient_norms` and `clipped` by group, `epoch` rows with `loss`, `validation_loss`,
        `stage` and `features` by branch; none makes them not applicable.
    shared : filled with what depends on the windows and the config alone (the probes). Hand the
        same one along when another subject is diagnosed on the same windows, never on others.

    data_times : `(M,)` issue times of all windows of the source, those the subject has learned from
        as well: what the data hold (T10) is asked of as many windows as there are.

    workers : checks that run at once, each on a copy of the subject.

    Raises
    ------
    SubjectError : the windows are not ordered, or the subject gives no forecast at all.
    ConfigError : an unknown check is asked for, or a source comes without issue times.
    """
    config = config or DiagnosisConfig()
    selected = chosen(config)
    batch = _windows(windows, issue_times, config)
    with examine(subject):
        problems = check_subject(subject, batch.select(slice(0, 4)))
        more = _more(windows, data_times, config)
        evidence = Evidence(subject, batch, config, explainers, records, more, shared)
        found, seconds = run_all(selected, evidence, workers)
        chance = [check.id for check in selected if check.by_chance]
        found = controlled(found, chance, config.level_of_test)
        findings = [*map(_problem, problems), *found]
        parts = subject.paths
    inputs = {name: f"{m} ({order})" for name, (m, order) in subject.inputs.items()}
    return Diagnosis(
        provenance or Provenance(), subject.name, len(batch), config.level, tuple(findings),
        verdict(findings), inputs, parts, seconds,
    )  # fmt: skip


def chosen(config: DiagnosisConfig) -> list[Check]:
    """The checks of the level, or those named.

    Raises
    ------
    ConfigError : a name that no check has.
    """
    known = {check.id: check for check in CHECKS}
    unknown = [name for name in config.checks if name not in known]
    if unknown:
        raise ConfigError(
            "checks are named by their identifiers",
            ", ".join(unknown),
            f"Known: {', '.join(known)}.",
            "checks",
        )
    if config.checks:
        return [known[name] for name in config.checks]
    allowed = LEVELS[: LEVELS.index(config.level) + 1]
    return [check for check in CHECKS if check.level in allowed]


def _windows(
    windows: WindowSource | Batch, issue_times: np.ndarray | None, config: DiagnosisConfig
) -> Batch:
    if isinstance(windows, Batch):
        if len(windows) < 4:
            raise SubjectError("a diagnosis needs at least four windows", str(len(windows)))
        return windows.select(evenly(len(windows), config.windows).tolist())
    if issue_times is None:
        raise ConfigError("a source of windows comes with issue times", "none", where="issue_times")
    times = np.asarray(issue_times, dtype=np.int64)
    times = times[evenly(len(times), config.windows)]
    size = config.chunk
    pieces = [windows.batch(times[i : i + size]) for i in range(0, len(times), size)]
    return Batch.join(pieces)


def _more(
    windows: WindowSource | Batch, data_times: np.ndarray | None, config: DiagnosisConfig
) -> tuple[WindowSource, np.ndarray] | None:
    if isinstance(windows, Batch) or data_times is None:
        return None
    times = np.unique(np.asarray(data_times, dtype=np.int64))
    return windows, times[evenly(len(times), config.probed)]


def _problem(text: str) -> Finding:
    return Finding(
        "SUBJECT", "Is the subject wrapped as it should be?", "subject", "fault", "", None,
        "no problem may be found by check_subject", text, "wrapping",
        "Mend the wrapping or the model, then diagnose again.",
    )  # fmt: skip

"""What a diagnosis says of an arm on the trial block; no arm is asked twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from heliosight.core import records
from heliosight.core.predictions import Predictions
from heliosight.core.records import Finding
from heliosight.core.records_remedy import TrialRun
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.diagnose import chosen
from heliosight.evaluation.scorecard import on_common_rows
from heliosight.models import Forecaster
from heliosight.remedy import Arm, faults_of, unanswered
from heliosight.subject import wrap
from heliosight.workflows.arms import (
    AS_GIVEN,
    Bench,
    Way,
    arm_folder,
    arm_forecast,
    arm_model,
    arm_run,
    ill_run,
)
from heliosight.workflows.errors_compared import paired_change
from heliosight.workflows.study import Study

LATER = ("T11",)  # channel by channel: the dearest check, and no remedy answers it


def made_arm(bench: Bench, way: Way, seed: int) -> TrialRun:
    """One seed of an arm, or of the model as it was given."""
    return ill_run(bench, seed) if way == AS_GIVEN else arm_run(bench, way, seed)


def usual_checks(bench: Bench) -> DiagnosisConfig:
    """The checks of the config that are asked on the trial block."""
    checks = bench.config.diagnose.checks
    return replace(checks, checks=tuple(c.id for c in chosen(checks) if c.id not in LATER))


def arm_findings(bench: Bench, way: Way, seed: int) -> tuple[Finding, ...]:
    """What the checks say of an arm; asked when there is no answer yet.

    Every arm is asked the same questions, controls too: false alarms are bounded over all of them
    together, so fewer questions would be a laxer judge.
    """
    run, asked = made_arm(bench, way, seed), usual_checks(bench)
    folder = bench.folder / "findings" / arm_folder(bench, way, seed).relative_to(bench.folder)
    key = bench.study.run.key("findings", run.provenance.key, asked)
    known = bench.study.run.found(folder, TrialRun, key)
    if known is not None:
        return known.findings
    study, model, rows = arm_model(bench, way, seed)
    found = diagnosed(
        bench, study, model, bench.blocks[2], rows, bench.later, checks=asked, shared=bench.shared
    )
    made = study.run.provenance(key, {"arm": run.provenance.key})
    records.save(folder, replace(run, provenance=made, findings=found))
    return found


def seen(bench: Bench, way: Way, seed: int) -> TrialRun:
    """One seed of an arm with what the checks say of it, and REF."""
    run, found = made_arm(bench, way, seed), arm_findings(bench, way, seed)
    return replace(run, findings=found + beside_yardstick(bench, arm_forecast(bench, way, seed)))


def diagnosed(
    bench: Bench, study: Study, model: Forecaster, times: np.ndarray, rows: list[dict[str, Any]],
    all_times: np.ndarray, explainers: Mapping[str, Any] | None = None,
    checks: DiagnosisConfig | None = None, shared: dict[Any, Any] | None = None,
) -> tuple[Finding, ...]:  # fmt: skip
    """Findings on a model over some windows, with what its training log tells.

    all_times : windows of the same block that are asked what the data hold.
    checks : the study's own where none are given.
    shared : what earlier diagnoses on these very windows found out about them.
    """
    config = study.run.config
    subject = wrap(model, config.spec(bench.system), name=f"{config.name}/{bench.system}")
    found = diagnose(
        subject,
        study.windows(bench.system),
        checks or config.diagnose.checks,
        issue_times=times,
        records=rows,
        explainers=explainers,
        data_times=all_times,
        shared=shared,
    )
    return found.findings


def beside_yardstick(bench: Bench, forecast: Predictions) -> tuple[Finding, ...]:
    """REF: is the error on the trial block above that of a ridge on the same series?"""
    if bench.yardstick is None:
        return ()
    rise = paired_change(
        [on_common(forecast, bench.yardstick)], bench.config.improve.replicates, bench.config.seed
    )
    below = rise.low is not None and rise.low > 0
    return (
        Finding(
            "REF", "Is it better than a regression on the same inputs?", "forecast",
            "fault" if below else "healthy", "error minus the ridge's, share of variance", rise,
            "a fault when the interval of the error's rise over the ridge's lies above 0",
            f"error {rise.value:+.3f} of the variance against a ridge that sees no image",
            "below_reference" if below else "",
            "Train in stages, or longer; then look at what is not used." if below else "",
        ),
    )  # fmt: skip


def on_common(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """Both on the issue times they share."""
    one, other = on_common_rows([a, b])
    return one, other


def as_arm(name: str, made: Sequence[TrialRun], before: Sequence[Finding] = ()) -> Arm:
    """The faults of an arm's seeds, as the verdict reads them.

    before : findings on the model that is to be repaired; a fault of it counts as still there where
        its check gives no answer.
    """
    return Arm(name, tuple(faults_of(s.findings) | unanswered(before, s.findings) for s in made))


def usual_findings(made: Sequence[TrialRun]) -> list[Finding]:
    """Findings of the first seed, and those of another that most seeds share."""
    usual = as_arm("", made).usual()
    kept = [f for f in made[0].findings if f.outcome != "fault" or (faults_of([f]) & usual)]
    known = faults_of(kept)
    for one in made[1:]:
        more = [f for f in one.findings if faults_of([f]) & usual - known]
        kept += more
        known |= faults_of(more)
    return kept

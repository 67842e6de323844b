"""One repaired or ill model on the test block: findings, grades, and what the page draws of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.predictions import Predictions
from heliosight.core.records import Finding, Interval
from heliosight.core.records_remedy import Grade
from heliosight.evaluation.real import RIDGES
from heliosight.explain.evaluator import Evaluator, floating
from heliosight.explain.gradcam import grad_cam
from heliosight.explain.importance import Element, elements, importance
from heliosight.explain.targets import target_named
from heliosight.models import Forecaster
from heliosight.remedy import (
    ForecastEvidence,
    SaliencyEvidence,
    TemporalEvidence,
    grade_forecast,
    grade_saliency,
    grade_temporal,
)
from heliosight.subject import Subject, examine, wrap
from heliosight.training import predict
from heliosight.workflows.arms import Bench, Way, arm_model
from heliosight.workflows.errors_compared import daily, daily_errors, mean_interval
from heliosight.workflows.knowable import Information, ranges
from heliosight.workflows.seen import diagnosed, usual_checks

TARGET, CAM = "mean_ap_day2", "grad-cam"
NEGLIGIBLE = 0.01  # of the forecast's variance: a range that moves less shows nothing
DONORS = 4


@final
@dataclass(frozen=True)
class Examined:
    """What is known of one model.

    Attributes
    ----------
    forecasts : of every seed on the test block.
    arrays : what the page draws, by name.
    """

    findings: tuple[Finding, ...]
    grades: tuple[Grade, ...]
    forecasts: tuple[Predictions, ...]
    arrays: Mapping[str, np.ndarray]


@final
@dataclass(frozen=True)
class Looked:
    """What is seen of the first seed's model, before it is compared with anything."""

    findings: tuple[Finding, ...]
    arrays: Mapping[str, np.ndarray]
    likeness: float


def looked_at(bench: Bench, way: Way, issue: int) -> Looked:
    """The first seed's model of an arm on the test block.

    Parameters
    ----------
    issue : the window whose maps and forecast are shown.
    """
    study, model, rows = arm_model(bench, way, bench.seeds[0])
    times = test_times(bench)
    checks = usual_checks(bench)
    found = diagnosed(bench, study, model, times, rows, times, {CAM: cam_maps}, checks)
    subject = wrap(model, study.run.config.spec(bench.system), name=way.name)
    take = np.linspace(0, len(times) - 1, bench.config.improve.explained).astype(int)
    context = study.windows(bench.system).batch(times[np.unique(take)])
    window = study.windows(bench.system).batch(np.array([issue]))
    with examine(subject):
        profile = time_profile(subject, context)
        try:
            drawn = {"maps": cam_maps(subject, window)[0].numpy()}
            likeness = frame_likeness(subject, context)
        except NotApplicable:  # no recurrent cell, hence no map a call
            drawn, likeness = {}, float("nan")
        arrays = {
            **profile,
            **drawn,
            "frames": window.inputs[_images(subject)][0].numpy().astype(np.uint8),
            **features_of(model, context),
            **gradients_of(rows),
        }
    return Looked(found, arrays, likeness)


def graded(
    bench: Bench, seen: Looked, forecasts: Sequence[Predictions],
    references: Sequence[Predictions], information: Information,
) -> Examined:  # fmt: skip
    """The three grades of a model that has been looked at."""
    grades = (
        grade_temporal(_temporal(seen.arrays, information)),
        grade_saliency(_saliency(seen.findings, seen.likeness)),
        grade_forecast(_worth(bench, forecasts, references)),
    )
    return Examined(seen.findings, grades, tuple(forecasts), seen.arrays)


def test_times(bench: Bench) -> np.ndarray:
    """Issue times of the test block."""
    return bench.study.times(bench.system, bench.fold.test)


def test_forecast(bench: Bench, way: Way, seed: int) -> Predictions:
    """Forecasts of one seed of an arm on the test block."""
    study, model, _ = arm_model(bench, way, seed)
    return predict(model, study.windows(bench.system), test_times(bench), name=f"{way.name} {seed}")


def _images(subject: Subject) -> str:
    """The first image modality; a bench has one."""
    modalities = subject.spec.modalities
    return next(name for name, modality in modalities.items() if modality.kind == "images")


def cam_maps(subject: Subject, batch: Batch) -> Tensor:
    """Signed elementwise Grad-CAM of the last recurrent layer, `(B, T, H, W)`, one map a call.

    Raises
    ------
    NotApplicable : the subject has no recurrent cell.
    """
    name = _images(subject)
    cells = [role for role in subject.parts if role.startswith(f"cell.{name}.")]
    if not cells:
        raise NotApplicable("maps over time need a recurrent cell", "none among the parts")
    target = target_named(TARGET if subject.spec.leads >= 16 else "mean_ap", subject.spec)
    every = floating(batch)
    maps = [
        grad_cam(subject, cells[-1], target, every.select([row]), name, ("hires_cam",))[0].parts[
            name
        ]
        for row in range(len(batch))
    ]
    return torch.stack(maps)


def time_profile(subject: Subject, context: Batch) -> dict[str, np.ndarray]:
    """Change of day 2's mean ap when frames, and ranges of frames, come from other windows.

    `frame`, `frame_low`, `frame_high` `(T,)` [ap, 2 nT]; `range`, `range_low` `(R,)` as shares of
    the forecast's variance, (change)^2 / 2 Var f.
    """
    name = _images(subject)
    evaluator = Evaluator(subject, target_named(TARGET, subject.spec), 16)
    windows = floating(context)
    single = elements(windows, name, "steps")
    grouped = [
        Element(str(k), name, (slice(None), slice(a, b)))
        for k, (a, b) in enumerate(ranges(len(single)))
    ]
    found = importance(evaluator, windows, [*single, *grouped], f"{name} over time", DONORS)
    spread = max(float(evaluator.values(windows).double().var()), 1e-12)
    n = len(single)
    share, low = (np.asarray(x[n:]) ** 2 / 2 / spread for x in (found.value, found.low))
    return {
        "frame": found.value[:n], "frame_low": found.low[:n], "frame_high": found.high[:n],
        "range": share, "range_low": low,
    }  # fmt: skip


def frame_likeness(subject: Subject, context: Batch) -> float:
    """Mean correlation over windows of the maps of the first, the middle and the last frame."""
    found = []
    for row in range(min(len(context), 8)):
        maps = cam_maps(subject, context.select([row]))[0].numpy()
        picked = maps[[0, len(maps) // 2, -1]].reshape(3, -1)
        if (picked.std(1) > 0).all():
            found += np.corrcoef(picked)[np.triu_indices(3, 1)].tolist()
    return float(np.mean(found)) if found else float("nan")


@torch.no_grad()
def features_of(model: Forecaster, context: Batch) -> dict[str, np.ndarray]:
    """Quantiles of each branch's features before their norm; the hidden state's norm by frame."""
    features = model(context).features
    found: dict[str, np.ndarray] = {}
    for name, modality in model.spec.modalities.items():
        own = features[f"raw.{name}"].flatten().double().numpy()
        found[f"feature/{name}"] = np.quantile(own, np.linspace(0.01, 0.99, 99))
        if modality.kind == "images":
            found["hidden_norm"] = features[f"hidden_states.{name}"].norm(dim=-1).mean(0).numpy()
    return found


def gradients_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Quantiles of each group's gradient norm over the steps of the arm."""
    steps = [row["gradient_norms"] for row in rows if row.get("kind") == "step"]
    names = [name for name in (steps[-1] if steps else {}) if name != "total"]
    levels = np.linspace(0.01, 0.99, 99)
    return {
        f"gradient/{name}": np.quantile([s[name] for s in steps if name in s], levels)
        for name in names
    }


def _temporal(profile: Mapping[str, np.ndarray], information: Information) -> TemporalEvidence:
    low = profile["range_low"]
    return TemporalEvidence(
        tuple(profile["range"].tolist()),
        tuple(low.tolist()) if np.isfinite(low).all() else None,
        NEGLIGIBLE,
        information.value,
        information.low,
        information.explained,
        information.source,
    )


def _saliency(findings: Sequence[Finding], likeness: float) -> SaliencyEvidence:
    slope = next((f for f in findings if f.check == "T22"), None)
    known = slope.value if slope is not None else None
    works = next((f for f in findings if f.check == "T1"), None)
    passed = works is not None and works.outcome == "healthy"
    return SaliencyEvidence(likeness, known, passed, slope.reason if slope is not None else "")


def _worth(
    bench: Bench, forecasts: Sequence[Predictions], references: Sequence[Predictions]
) -> ForecastEvidence:
    gains = {r.name: gain_over(bench, r, forecasts) for r in references}
    first = forecasts[0]
    f, y = daily(first.mean_log), daily(np.log1p(first.observed))
    known = np.isfinite(y).all(1)
    moved = ((f - f[known].mean(0)) ** 2).mean(1)
    config = bench.config
    spread = mean_interval(
        moved[known], y[known], first.issue_time[known], config.improve.replicates, config.seed
    )
    told_more = tuple(n for n in gains if "area" in RIDGES.get(n, ()))
    return ForecastEvidence(spread, gains, told_more=told_more)


def gain_over(bench: Bench, other: Predictions, ours: Sequence[Predictions]) -> Interval:
    """Squared error of another system minus ours, mean over seeds; above 0 is better."""
    common = np.intersect1d(ours[0].issue_time, other.issue_time)
    row = [np.isin(f.issue_time, common) for f in (*ours, other)]
    mine = np.mean([daily_errors(f)[keep] for f, keep in zip(ours, row, strict=False)], 0)
    first, keep = ours[0], row[0]
    y = daily(np.log1p(first.observed))[keep]
    gain = daily_errors(other)[row[-1]] - mine
    known = np.isfinite(gain) & np.isfinite(y).all(1)
    config = bench.config
    return mean_interval(
        gain[known], y[known], common[known], config.improve.replicates, config.seed
    )

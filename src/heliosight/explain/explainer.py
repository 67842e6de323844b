"""One window explained by every method asked for, each with its checks, ready to be saved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np
import torch

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.progress import Bar, bar
from heliosight.core.records import Explanation, SelfCheck
from heliosight.explain import checks
from heliosight.explain.attribution import Attribution
from heliosight.explain.channels import channel_maps
from heliosight.explain.credit import attended, credit
from heliosight.explain.evaluator import evaluator_for, floating
from heliosight.explain.gradcam import FORMS, Form, grad_cam
from heliosight.explain.gradients import (
    expected_gradients,
    gradient_x_input,
    integrated_gradients,
    smooth_grad,
)
from heliosight.explain.importance import Profile, elements, importance, modalities
from heliosight.explain.occlusion import occlusion
from heliosight.explain.question import ExplainConfig, Method, Question
from heliosight.explain.selftest import self_test
from heliosight.explain.targets import target_named
from heliosight.explain.telling import Arrays, Made, profile_records, record_of
from heliosight.subject import Subject, examine


@final
@dataclass(frozen=True)
class ExplanationSet:
    """What was found about one window.

    Attributes
    ----------
    explanations : a record and its arrays per method and layer; arrays as `Explanation` says.
    importance : profiles over the context's windows, by what was replaced.
    notes : methods that could not be applied, with the reason.
    """

    explanations: tuple[tuple[Explanation, Arrays], ...]
    importance: tuple[Profile, ...] = ()
    notes: tuple[str, ...] = ()


def explain(
    subject: Subject, batch: Batch, config: ExplainConfig, context: Batch | None = None
) -> ExplanationSet:
    """Explain one window's target, leaving the subject as found.

    Parameters
    ----------
    batch : one window. context : other real windows for baselines, nulls and importance.

    Raises
    ------
    NotApplicable : the batch is not one window.
    ConfigError : the target is unknown.
    """
    with examine(subject):
        asked = asked_of(subject, batch, config, context)
        with bar(f"explaining {config.target}", 2 * len(asked)) as running:
            made, notes = _attributions(asked, running)
            found = [_told(m, made, batch, running) for m in made]
        question = asked[0][1]
        profiles = _importance(question, batch, context)
        found += profile_records(profiles, batch, question)
    return ExplanationSet(tuple(found), profiles, notes)


def attributions_made(
    subject: Subject, batch: Batch, config: ExplainConfig, context: Batch | None = None
) -> list[Made]:
    """What each applicable method says of one window, without any check.

    For what is judged from outside, against a known truth or over a data set.
    """
    made, _ = _attributions(asked_of(subject, batch, config, context))
    return made


def asked_of(
    subject: Subject, batch: Batch, config: ExplainConfig, context: Batch | None
) -> list[tuple[str, Question]]:
    """One question per method, and per layer for the CAM forms.

    Raises
    ------
    NotApplicable : the batch is not one window.
    ConfigError : the target is unknown.
    """
    if len(batch) != 1:
        raise NotApplicable("an explanation is of one window", f"{len(batch)} windows")
    target = target_named(config.target, subject.spec)
    dtype = _dtype(subject)
    window = floating(batch, dtype)
    others = None if context is None or len(context) == 0 else floating(context, dtype)
    evaluator = evaluator_for(subject, target, window, others, config.chunk)
    return _questions(Question(evaluator, window, others, config))


def method_named(name: str) -> Method:
    """The method of a config's name."""
    known: dict[str, Method] = {
        "integrated_gradients": integrated_gradients,
        "expected_gradients": expected_gradients,
        "gradient_x_input": gradient_x_input,
        "smooth_grad": smooth_grad,
        "occlusion": occlusion,
    }
    cams: dict[str, Method] = {form: partial(_cam, form=form) for form in FORMS}
    return (known | cams)[name]


def _cam(question: Question, form: Form) -> Attribution:
    if not question.part:
        raise NotApplicable(
            "Grad-CAM needs a recurrent cell or a convolution by frame",
            "no part of the subject is known as one",
            "Name it: explain.method.layers=[path].",
        )
    evaluator = question.evaluator
    scale = cam_scale(question)
    return grad_cam(
        evaluator.subject, question.part, evaluator.target, question.batch, question.modality,
        (form,), scale,
    )[0]  # fmt: skip


def cam_scale(question: Question) -> float:
    """Spread of the target over the other windows; its own size without them."""
    if question.context is None or len(question.context) < 2:
        return abs(float(question.evaluator.values(question.batch))) or 1.0
    some = _spread(question.context, 16)
    return float(question.evaluator.values(some).std()) or 1.0


def _spread(context: Batch, count: int) -> Batch:
    """At most `count` windows, evenly over the context."""
    take = np.unique(np.linspace(0, len(context) - 1, min(count, len(context))).astype(int))
    return context.select(take.tolist())


def _questions(base: Question) -> list[tuple[str, Question]]:
    """One question per method, and per layer for the CAM forms."""
    images = [name for name, x in base.batch.inputs.items() if x.ndim == 5]
    layers = _layers(base, images)
    found: list[tuple[str, Question]] = []
    for name in base.config.methods:
        if name in FORMS and layers:
            found += [(name, replace(base, part=part, modality=m)) for part, m in layers]
        else:
            found.append((name, replace(base, modality=images[0] if images else "")))
    return found


def _layers(base: Question, images: list[str]) -> list[tuple[str, str]]:
    """Parts with their image modality: those named, else the last cell of each modality."""
    if base.config.layers:
        first = images[0] if images else ""
        named = base.config.layers
        return [(part, next((m for m in images if f".{m}" in part), first)) for part in named]
    last: dict[str, str] = {}
    for role in sorted(base.evaluator.subject.parts):
        for modality in images:
            if role.startswith(f"cell.{modality}."):
                last[modality] = role
    return [(part, modality) for modality, part in last.items()]


def _attributions(
    asked: list[tuple[str, Question]], running: Bar | None = None
) -> tuple[list[Made], tuple[str, ...]]:
    made, notes = [], []
    for name, question in asked:
        try:
            made.append(Made(name, question, method_named(name)(question)))
        except NotApplicable as error:
            notes.append(f"{name} not applicable: {error}")
        if running is not None:
            running.advance(1, name)
    return made, tuple(notes)


def _told(one: Made, made: list[Made], batch: Batch, running: Bar) -> tuple[Explanation, Arrays]:
    results = _checks(one, [m.found for m in made])
    by_channel = None
    if one.name in FORMS and one.question.modality in one.found.parts:
        by_channel = channel_maps(one.question, one.name, cam_scale(one.question))
    running.advance(1, f"checks of {one.name}")
    return record_of(one, results, batch, by_channel)


def _checks(one: Made, all_found: list[Attribution]) -> list[SelfCheck]:
    """All checks; images are checked where the method speaks of them, else its first series."""
    method, found = method_named(one.name), one.found
    modality = one.question.modality or next(iter(found.parts))
    question = replace(one.question, modality=modality)
    same = [other for other in all_found if modality in other.parts]
    results: list[SelfCheck | None] = [
        self_test(method, one.name, question.config),
        checks.size(found, modality),
        checks.completeness(found),
        checks.faithfulness(found, question),
        checks.agreement(found, same, modality),
    ]
    if not question.config.quick:
        results.append(checks.randomisation(method, found, question))
        results.append(checks.stability(method, found, question))
    return [check for check in results if check is not None]


def _importance(question: Question, batch: Batch, context: Batch | None) -> tuple[Profile, ...]:
    """Profiles over the window and its context: modalities, then steps and variables of each.

    From windows as they came: real frames are bytes, which move four times faster than floats.
    """
    count = question.config.importance_windows
    if context is None or len(context) == 0 or count == 0:
        return ()
    some = _spread(context, count - 1)
    windows = Batch.join([batch, some]) if len(some) else batch
    if len(windows) < 2:
        return ()
    spec = question.evaluator.subject.spec
    run = partial(
        importance, question.evaluator, windows, donors=question.config.donors,
        seed=question.config.seed,
    )  # fmt: skip
    found = [run(modalities(windows), "modalities")]
    for name in windows.inputs:
        names = spec.modalities[name].variables if name in spec.modalities else ()
        found.append(run(elements(windows, name, "steps"), f"{name} steps"))
        found.append(run(elements(windows, name, "variables", names), f"{name} variables"))
    if not question.config.quick:
        found += [credit(question, batch, context), *attended(question, question.batch)]
    return tuple(found)


def _dtype(subject: Subject) -> torch.dtype:
    first = next((p for p in subject.module.parameters() if p.is_floating_point()), None)
    return torch.float32 if first is None else first.dtype

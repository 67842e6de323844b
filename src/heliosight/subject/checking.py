"""What is wrong with a wrapping, in words, before any check is run on it."""

from __future__ import annotations

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.clock import to_text
from heliosight.core.spec import ForecastSpec
from heliosight.subject.examine import examine
from heliosight.subject.wrap import Subject


def check_subject(subject: Subject, batch: Batch) -> list[str]:
    """Problems of a wrapping on a batch, one line each; empty when there are none.

    Raises
    ------
    SubjectError : no forecast of the declared shape can be had at all.
    """
    problems = _names(subject.spec, batch) + _roles(subject)
    before = {name: x.clone() for name, x in batch.inputs.items()}
    with examine(subject):
        weights = [t.clone() for t in subject.module.state_dict().values()]
        first = subject.forecast(batch)
        second = subject.forecast(batch)
        given = batch.with_inputs({name: x.clone() for name, x in batch.inputs.items()})
        with torch.no_grad():
            subject.raw(given, copies=False)
        changed = [not _equal(a, b) for a, b in zip(weights, _state(subject), strict=True)]
        reaches = _reaches(subject, batch)
    problems += [
        f"the subject changes its input {name!r} in place: clone it before writing to it"
        for name, x in before.items()
        if not _equal(x, given.inputs[name])
    ]
    if any(changed):
        problems.append("a forward in evaluation mode changes the subject's weights or buffers")
    problems += _not_finite(first, batch)
    if not _equal(first, second):
        problems.append(
            "two forecasts of the same batch differ in evaluation mode: something is random "
            "(dropout called with training=True) or a state is kept between calls"
        )
    return problems + reaches


def _roles(subject: Subject) -> list[str]:
    """Parts that name a modality there is not: no check would ever ask them."""
    known = {*subject.spec.modalities, "fusion"}
    return [
        f"the part {role!r} names no modality; there are: {', '.join(subject.spec.modalities)}"
        for role in subject.parts
        if role.split(".")[0] in ("encoder", "cell", "rnn", "attention")
        and role.split(".")[1] not in known
    ]


def _state(subject: Subject) -> list[Tensor]:
    return list(subject.module.state_dict().values())


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def _names(spec: ForecastSpec, batch: Batch) -> list[str]:
    declared, given = set(spec.modalities), set(batch.inputs)
    problems = [
        f"the specification declares {name!r}, the batch has none"
        for name in sorted(declared - given)
    ]
    problems += [
        f"the batch has {name!r}, the specification does not" for name in sorted(given - declared)
    ]
    for name in sorted(declared & given):
        modality, shape = spec.modalities[name], tuple(batch.inputs[name].shape)
        count, steps = len(modality.variables), modality.steps
        wanted = (steps, count) if modality.kind == "series" else (count, steps)
        if shape[1:3] != wanted:
            problems.append(
                f"{name} is {shape}, the specification wants (B, {wanted[0]}, {wanted[1]}, ...)"
            )
    return problems


def _not_finite(forecast: Tensor, batch: Batch) -> list[str]:
    bad = ~torch.isfinite(forecast).all(1)
    if not bad.any():
        return []
    when = to_text(int(batch.issue_time[int(bad.nonzero()[0])]))
    return [
        f"the forecast is not finite for {int(bad.sum())} of {len(batch)} windows, first {when}"
    ]


def _reaches(subject: Subject, batch: Batch) -> list[str]:
    few = batch.select(slice(0, 2))
    leaves = {
        name: x.detach().clone().to(few.target.dtype).requires_grad_()
        for name, x in few.inputs.items()
    }
    score = subject.score(few.with_inputs({name: x.clone() for name, x in leaves.items()}))
    if score.requires_grad:
        return []
    return ["the forecast has no graph: gradient checks and maps will not be applicable"]

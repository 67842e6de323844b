"""Grad-CAM by channel: what each channel of the frames puts into a map of states.

A cell mixes its channels, so a map of states has no channel axis. The window is run again with one
channel at a time as a featureless Sun (flat at its disc median), and the map is taken of the
difference of the states, weighted as in the window itself. What a channel does not change gets
exactly zero. Channels add up to the map, less the map of a Sun flat in all of them, when the states
are linear in the channels; what they do together is in no single one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.explain.baselines import disc_median
from heliosight.explain.evaluator import expand
from heliosight.explain.gradcam import Form, enlarged, states_of, weights
from heliosight.explain.question import Question
from heliosight.subject import capture_calls

WORDS = "what a map loses when that channel shows a Sun flat at its disc median"


def channel_maps(question: Question, form: Form, scale: float) -> Tensor:
    """Signed maps `(C, T, H, W)` of a CAM form in the target's unit.

    Raises
    ------
    NotApplicable : as Grad-CAM itself, or the part gives another number of maps without a channel.
    """
    evaluator, batch = question.evaluator, question.batch
    states = states_of(evaluator.subject, question.part, evaluator.target, batch)
    weight = weights(states.hidden, states.hidden_gradient, form, scale)
    size = batch.inputs[question.modality].shape[-1]
    maps = []
    for less in states_without(question):
        if less.shape != states.hidden.shape:
            raise NotApplicable(
                "a part is called alike with and without a channel",
                f"{tuple(less.shape)} instead of {tuple(states.hidden.shape)}",
            )
        maps.append(enlarged((weight * (states.hidden - less)).sum(1), size))
    return torch.stack(maps)


def states_without(question: Question) -> list[Tensor]:
    """Hidden states `(T, F, H', W')` with each channel flat in turn."""
    flat = flat_channels(question.batch, question.modality)
    found: list[Tensor] = []
    for start in range(0, len(flat), question.evaluator.wide):
        part = flat.select(slice(start, start + question.evaluator.wide))
        with torch.no_grad(), capture_calls(question.evaluator.subject, question.part) as calls:
            question.evaluator.subject.forecast(part)
        found += torch.stack([state.detach() for state in calls.tensors()], 1).unbind(0)
    return found


def flat_channels(batch: Batch, modality: str) -> Batch:
    """One window per channel, with that channel of the images at its frames' disc medians."""
    x, flat = batch.inputs[modality], disc_median(batch).inputs[modality]
    many = expand(batch, x.shape[1])
    images = many.inputs[modality].clone()
    for channel in range(x.shape[1]):
        images[channel, channel] = flat[0, channel]
    return many.with_inputs({modality: images})

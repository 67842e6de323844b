"""Space-time occlusion: what the forecast loses when a patch shows something else, physically.

A patch of some pixels over some frames of one channel is replaced, in a window that otherwise
stays; f(window) - f(replaced) is spread evenly over the changed pixels of the patch, so that maps
sum to the sum of effects. Patches off the disc that the replacement leaves alone cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY, to_text
from heliosight.core.errors import NotApplicable
from heliosight.core.seeding import torch_stream
from heliosight.explain.attribution import Attribution
from heliosight.explain.baselines import disc_median
from heliosight.explain.evaluator import expand
from heliosight.explain.question import Question
from heliosight.explain.replay import remembered_calls

ROTATION_DAYS = 27.2753  # synodic Carrington rotation
WORDS = {
    "disc_median": "a patch flat at its frame's disc median, a wind at its median",
    "rotation_earlier": "the same place one solar rotation earlier",
    "rotation_later": "the same place one solar rotation later",
    "phase_scrambled": "the patch with its phases scrambled: same mean and spectrum, no structure",
}


@final
@dataclass(frozen=True)
class _Patch:
    """A block of one modality; a slice per axis after the batch axis."""

    modality: str
    place: tuple[slice, ...]


def occlusion(question: Question) -> Attribution:
    """Occlusion maps of every modality; see the module.

    Raises
    ------
    NotApplicable : the fill needs a window one rotation away and there is none.
    """
    other = replacement(question)
    parts = {name: torch.zeros_like(x[0]) for name, x in question.batch.inputs.items()}
    value = question.evaluator.values(question.batch)
    changed = [patch for patch in patches(question) if _differs(patch, question.batch, other)]
    with remembered_calls(question.evaluator.subject, question.batch):
        for start in range(0, len(changed), question.evaluator.wide):
            group = changed[start : start + question.evaluator.wide]
            effects = value - question.evaluator.values(replaced(question.batch, other, group))
            for patch, effect in zip(group, effects, strict=True):
                _spread(parts[patch.modality], patch, effect, question.batch, other)
    notes = (
        *question.evaluator.notes,
        f"patches of {question.config.patch} pixels and {question.config.patch_frames} frames, "
        f"{question.config.series_steps} wind steps; effects of patches do not add up when the "
        "model combines them",
    )
    words = WORDS[question.config.fill]
    return Attribution("occlusion", words, parts, float(value), notes=notes)


def patches(question: Question) -> Iterator[_Patch]:
    """All blocks, modality by modality, oldest first."""
    config = question.config
    for name, x in question.batch.inputs.items():
        sizes = [config.series_steps, 1]
        if x.ndim == 5:
            sizes = [1, config.patch_frames, config.patch, config.patch]
        spans = [
            [slice(i, min(i + step, length)) for i in range(0, length, step)]
            for length, step in zip(x.shape[1:], sizes, strict=True)
        ]
        for place in _product(spans):
            yield _Patch(name, place)


def _product(spans: list[list[slice]]) -> Iterator[tuple[slice, ...]]:
    if not spans:
        yield ()
        return
    for head in spans[0]:
        for rest in _product(spans[1:]):
            yield (head, *rest)


def replaced(batch: Batch, other: Batch, group: list[_Patch]) -> Batch:
    """One window per patch with that patch taken from `other`."""
    many = expand(batch, len(group))
    inputs = {name: many.inputs[name] for name in {patch.modality for patch in group}}
    for row, patch in enumerate(group):
        inputs[patch.modality][row][patch.place] = other.inputs[patch.modality][0][patch.place]
    return many.with_inputs(inputs)


def _differs(patch: _Patch, batch: Batch, other: Batch) -> bool:
    name, place = patch.modality, patch.place
    return not torch.equal(batch.inputs[name][0][place], other.inputs[name][0][place])


def _spread(part: Tensor, patch: _Patch, effect: Tensor, batch: Batch, other: Batch) -> None:
    name, place = patch.modality, patch.place
    moved = batch.inputs[name][0][place] != other.inputs[name][0][place]
    part[place] += effect.to(part) * moved / moved.sum()


def replacement(question: Question) -> Batch:
    """The window patches are taken from, `fill` says which; unobserved places stay."""
    fill, batch = question.config.fill, question.batch
    if fill == "disc_median":
        return disc_median(batch)
    if fill == "phase_scrambled":
        return _scrambled(question)
    sign = -1 if fill == "rotation_earlier" else 1
    return _rotation_away(batch, question.context, sign)


def _rotation_away(batch: Batch, context: Batch | None, sign: int) -> Batch:
    """The other window nearest to one rotation away, at most a day off."""
    wanted = int(batch.issue_time[0]) + sign * int(ROTATION_DAYS * DAY)
    away = None if context is None else (context.issue_time - wanted).abs()
    if context is None or away is None or len(away) == 0 or int(away.min()) > DAY:
        raise NotApplicable(
            "a patch of one rotation away needs another window within a day of it",
            f"none near {to_text(wanted)}",
            "Add that window to the context, or use the fill disc_median.",
        )
    other = context.select([int(away.argmin())])
    inputs = {}
    for name, x in batch.inputs.items():
        seen = batch.observed[name] & other.observed[name]
        wide = seen[..., None, None] if x.ndim == 5 else seen
        inputs[name] = torch.where(wide, other.inputs[name].to(x), x)
    return batch.with_inputs(inputs)


def _scrambled(question: Question) -> Batch:
    """Every patch with random Fourier phases and its own mean."""
    batch = question.batch
    draw = torch_stream(question.config.seed, "explain", "phase_scrambled")
    inputs = {name: x.clone() for name, x in batch.inputs.items()}
    for patch in patches(question):
        x = inputs[patch.modality][0]
        x[patch.place] = _random_phases(x[patch.place], draw)
    for name, x in batch.inputs.items():
        seen = batch.observed[name]
        wide = seen[..., None, None] if x.ndim == 5 else seen
        inputs[name] = torch.where(wide, inputs[name], x)
    return batch.with_inputs(inputs)


def _random_phases(x: Tensor, draw: torch.Generator) -> Tensor:
    spectrum = torch.fft.fftn(x.to(torch.float64).cpu())
    noise = torch.fft.fftn(torch.randn(x.shape, generator=draw, dtype=torch.float64))
    phase = noise / noise.abs().clamp(min=1e-300)
    phase[(0,) * x.ndim] = 1.0
    return torch.fft.ifftn(spectrum.abs() * phase).real.to(x) if x.numel() > 1 else x

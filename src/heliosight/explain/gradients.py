"""Gradient methods: integrated and expected gradients, gradient x input, SmoothGrad.

All give contributions in the target's unit: a gradient times the difference to a named baseline.
Inputs only: no gradient of a weight is computed. Memory is bounded by the evaluator's chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.seeding import torch_stream
from heliosight.explain.attribution import Attribution, relative_gap
from heliosight.explain.baselines import WORDS, baseline_named
from heliosight.explain.evaluator import Evaluator, expand
from heliosight.explain.question import Question


@final
@dataclass(frozen=True)
class _Path:
    """The straight way from the baseline to the window."""

    evaluator: Evaluator
    batch: Batch
    baseline: Batch

    def difference(self) -> dict[str, Tensor]:
        return {name: x - self.baseline.inputs[name] for name, x in self.batch.inputs.items()}

    def mean_gradient(self, places: Tensor, weights: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum over places a of weight times the gradient at baseline + a (window - baseline).

        Before it the target's value at each place, `(N,)`.
        """
        values = []
        total = {name: torch.zeros_like(x[0]) for name, x in self.batch.inputs.items()}
        step = self.evaluator.chunk
        for start in range(0, len(places), step):
            part = slice(start, start + step)
            values.append(self._add(total, places[part], weights[part]))
        return torch.cat(values), total

    def _add(self, total: dict[str, Tensor], places: Tensor, weights: Tensor) -> Tensor:
        change = self.difference()
        points = {
            name: base + _along(places, base) * change[name]
            for name, base in self.baseline.inputs.items()
        }
        batch = expand(self.batch, len(places)).with_inputs(points)
        values, gradient = self.evaluator.gradients(batch)
        for name, grad in gradient.items():
            total[name] += (grad * _along(weights, grad)).sum(0)
        return values


def _along(values: Tensor, like: Tensor) -> Tensor:
    """Values `(N,)` shaped to multiply a tensor with N first."""
    return values.to(like).reshape(-1, *[1] * (like.ndim - 1))


def integrated_gradients(question: Question) -> Attribution:
    """Integrated gradients (Sundararajan et al. 2017, eq. 1) by the trapezoid rule.

    A rule with 2n steps holds the points of the rule with n, so the completeness gap at both costs
    one gradient per point of the finer rule; it must fall from n to 2n. Parts: see `Attribution`.
    """
    path = _path(question)
    steps = question.config.steps
    even, odd = _trapezoid(steps)
    values, coarse = path.mean_gradient(*even)
    _, middle = path.mean_gradient(*odd)
    fine = {name: (coarse[name] + middle[name]) / 2 for name in coarse}
    change = {name: x[0] for name, x in path.difference().items()}
    reference, value = float(values[0]), float(values[-1])
    gaps = {
        n: relative_gap(float(sum((g[k] * change[k]).sum() for k in g)), value - reference)
        for n, g in ((steps, coarse), (2 * steps, fine))
    }
    parts = {name: fine[name] * change[name] for name in fine}
    words = WORDS[question.config.baseline]
    return Attribution(
        "integrated_gradients", words, parts, value, reference, True,
        notes=question.evaluator.notes, gaps=gaps,
    )  # fmt: skip


def _trapezoid(steps: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Places and weights of the rule with `steps` intervals, and of the midpoints between."""
    even = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    weights = torch.full((steps + 1,), 1 / steps, dtype=torch.float64)
    weights[[0, -1]] /= 2
    odd = (even[1:] + even[:-1]) / 2
    return (even, weights), (odd, torch.full((steps,), 1 / steps, dtype=torch.float64))


def expected_gradients(question: Question) -> Attribution:
    """Expected gradients (Erion et al. 2021): the path average over real windows as baselines.

    Draws one baseline and one place per sample, places stratified over (0, 1).

    Raises
    ------
    NotApplicable : there is no other window.
    """
    batch, context = question.batch, question.context
    if context is None or len(context) == 0:
        raise NotApplicable(
            "expected gradients need other real windows as baselines", "none", "Give a context."
        )
    count = question.config.samples
    draw = torch_stream(question.config.seed, "explain", "expected_gradients")
    order = torch.randperm(max(count, len(context)), generator=draw)[:count] % len(context)
    places = (torch.arange(count) + torch.rand(count, generator=draw)) / count
    total = {name: torch.zeros_like(x[0]) for name, x in batch.inputs.items()}
    step = question.evaluator.chunk
    for start in range(0, count, step):
        part = slice(start, start + step)
        base = context.select(order[part])
        _add_expected(total, question, base.inputs, places[part])
    parts = {name: x / count for name, x in total.items()}
    value = float(question.evaluator.values(batch))
    reference = float(question.evaluator.values(context.select(order)).mean())
    words = f"{count} draws from {len(context)} other real windows"
    return Attribution(
        "expected_gradients", words, parts, value, reference, True, notes=question.evaluator.notes
    )


def _add_expected(
    total: dict[str, Tensor], question: Question, base: Mapping[str, Tensor], places: Tensor
) -> None:
    x = question.batch.inputs
    base = {name: _seen(question.batch, name, b.to(x[name])) for name, b in base.items()}
    points = {name: b + _along(places, x[name]) * (x[name] - b) for name, b in base.items()}
    batch = expand(question.batch, len(places)).with_inputs(points)
    _, gradient = question.evaluator.gradients(batch)
    for name, grad in gradient.items():
        total[name] += (grad * (x[name] - base[name])).sum(0)


def _seen(batch: Batch, name: str, other: Tensor) -> Tensor:
    """`other` where the window was observed; an unobserved place contributes nothing."""
    x, seen = batch.inputs[name], batch.observed[name]
    return torch.where(seen[..., None, None] if x.ndim == 5 else seen, other, x)


def gradient_x_input(question: Question) -> Attribution:
    """The gradient at the window times its difference to the baseline: first order only."""
    path = _path(question)
    value, gradient = question.evaluator.gradients(question.batch)
    parts = {name: gradient[name][0] * x[0] for name, x in path.difference().items()}
    words = WORDS[question.config.baseline]
    notes = (*question.evaluator.notes, "first order: parts do not sum to the difference")
    return Attribution("gradient_x_input", words, parts, float(value), notes=notes)


def smooth_grad(question: Question) -> Attribution:
    """SmoothGrad (Smilkov et al. 2017) times the difference to the baseline.

    Gaussian noise with a named share of each channel's or variable's spread, over the window.
    """
    path, config = _path(question), question.config
    batch, count = question.batch, question.config.samples
    draws = {name: torch_stream(config.seed, "smooth_grad", name) for name in batch.inputs}
    total = {name: torch.zeros_like(x[0]) for name, x in batch.inputs.items()}
    step = question.evaluator.chunk
    for start in range(0, count, step):
        number = min(step, count - start)
        noisy = {
            name: noisy_input(batch, name, config.noise, number, draws[name]) for name in draws
        }
        _, gradient = question.evaluator.gradients(expand(batch, number).with_inputs(noisy))
        for name, grad in gradient.items():
            total[name] += grad.sum(0)
    parts = {name: total[name] / count * x[0] for name, x in path.difference().items()}
    notes = (*question.evaluator.notes, f"{count} draws, noise {config.noise:g} of the spread")
    value = float(question.evaluator.values(batch))
    return Attribution("smooth_grad", WORDS[config.baseline], parts, value, notes=notes)


def noisy_input(batch: Batch, name: str, share: float, count: int, draw: torch.Generator) -> Tensor:
    """`count` noisy copies of one window's input, unobserved places untouched."""
    x = batch.inputs[name]
    axes = (2, 3, 4) if x.ndim == 5 else (1,)
    spread = x.std(axes, keepdim=True, correction=0)
    shape = x.shape[1:]
    noise = torch.stack(
        [torch.randn(shape, generator=draw, dtype=x.dtype) for _ in range(count)]
    ).to(x.device)
    return _seen(batch, name, x + share * spread * noise)


def _path(question: Question) -> _Path:
    baseline = baseline_named(question.config.baseline)(question.batch, question.context)
    return _Path(question.evaluator, question.batch, baseline)

"""T13: is a recurrent state carried, trainable, and how long does it remember?"""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Interval
from heliosight.core.seeding import torch_stream
from heliosight.diagnosis.blocks import Estimate, jackknife
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.elements import (
    chance_older,
    older_steps_hold,
    profile,
    smallest_effect,
)
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.exact import floating
from heliosight.diagnosis.recurrence import dependence
from heliosight.subject import capture_calls, change_inputs, doubled, flat_tensors


@final
class StateRemembers(Check):
    """T13."""

    id: ClassVar[str] = "T13"
    question: ClassVar[str] = "Is the state carried and trainable, and how long does it remember?"
    needs: ClassVar[str] = "a recurrent cell called once a frame with its state as an argument"
    cost: ClassVar[str] = "4 F per window of the subset, 2 G per exact window"
    rule: ClassVar[str] = (
        "no answer depends on earlier frames: not carried; it does but the gradient from one call "
        "to the state of the call before is exactly zero in float64: detached; resetting the "
        "state halfway moves less than the smallest use, and less than 3 % of what the modality "
        "moves (equivalence test), though a probe gains "
        "from the frames before: vanishing, or learned short memory when the state's gradient "
        "does not fade; else fine"
    )
    level: ClassVar[str] = "standard"
    alone: ClassVar[bool] = True
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a cell."""
        cells = evidence.roles("cell.")
        if not cells:
            raise NotApplicable("this check needs a recurrent cell", "none among the parts")
        return [self._cell(evidence, role) for role in cells]

    def _cell(self, evidence: Evidence, role: str) -> Finding:
        statistic = "frames until the state's gradient falls by e"
        given, answered = dependence(evidence, role)
        if len(given) > 1 and (given == given[:1]).all():
            reason = "every call is given the same frames (see T4)"
            return self.finding(role, "not_applicable", statistic, None, reason)
        if not (answered & ~given).any():
            action = "Pass the state that a call returns to the next call."
            reason = "no answer depends on an earlier frame"
            return self.finding(role, "fault", statistic, None, reason, "state_not_carried", action)
        kernel, chained = gradient_kernel(evidence, role)
        if not chained:
            reason = "the state is carried, but no gradient goes from a call to the one before"
            action = "Remove the detach of the state between frames."
            return self.finding(role, "fault", statistic, None, reason, "state_detached", action)
        tau = horizon(kernel)
        value = Interval(tau, how="slope of log gradient energy over calls, exact windows")
        return self._reach(evidence, role, value, tau)

    def _reach(self, evidence: Evidence, role: str, value: Interval, tau: float) -> Finding:
        m, config = role.split(".")[1], evidence.config
        count = evidence.batch.inputs[m].shape[2 if evidence.batch.inputs[m].ndim == 5 else 1]
        half = count // 2
        effect = reset_effect(evidence, role, half)
        statistic = "frames until the state's gradient falls by e"
        i = effect.interval()
        text = (
            f"resetting the state before frame {half} of {count} moves {i.value:.3g} "
            f"[{i.low:.3g}, {i.high:.3g}] of the forecast's variance"
        )
        least = smallest_effect(evidence, m)
        if effect.p_above(least) < config.level_of_test:
            return self.finding(role, "healthy", statistic, value, text)
        if profile(evidence, m).reach > half:
            text += "; older frames reach the forecast without the state"
            return self.finding(role, "healthy", statistic, value, text)
        older = older_steps_hold(evidence, m, half)
        if older == "no":
            text += "; older frames hold nothing more, so a short memory fits"
            return self.finding(role, "healthy", statistic, value, text)
        short = effect.p_below(least)
        if older == "yes" and short < config.level_of_test:
            fades = tau < count / 4
            cause = "vanishing_state" if fades else "learned_short_memory"
            action = (
                "Chrono initialisation of the forget bias, LayerNorm in the cell, pooling over "
                "all frames." if fades else "Lengthen the window step by step in training."
            )  # fmt: skip
            text += "; a probe gains from the frames before"
            p = max(short, chance_older(evidence, m, half))
            return self.finding(role, "fault", statistic, value, text, cause, action, p)
        return self.finding(role, "inconclusive", statistic, value, text)


def reset_effect(evidence: Evidence, role: str, call: int) -> Estimate:
    """Share of forecast variance that moves when the state before `call` is the initial one.

    Raises
    ------
    NotApplicable : the cell is given no state, or the forecast is constant.
    """
    rows = evidence.spread(2 * evidence.config.subset_count)
    spread = evidence.variance
    first: list[tuple[Any, ...]] = []

    def reset(
        index: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if index == 0:
            first[:] = [args[1:]]
        return ((args[0], *first[0]) if index == call else args), kwargs

    parts, size = [], evidence.config.chunk
    with change_inputs(evidence.subject, role, reset):
        for start in range(0, len(rows), size):
            batch = evidence.batch.select(torch.as_tensor(rows[start : start + size]))
            parts.append(evidence.scaled(batch))
    moved = ((np.concatenate(parts) - evidence.forecast[rows]) ** 2 / 2).mean(1) / spread
    blocks = np.unique(evidence.rows[rows], return_inverse=True)[1]
    terms = np.stack([moved, np.ones_like(moved)], 1)
    days = evidence.config.block_days
    return jackknife(terms, blocks, lambda s: s[..., 0] / s[..., 1], days)


def gradient_kernel(evidence: Evidence, role: str) -> tuple[np.ndarray, bool]:
    """Gradient energy of the last answer at the state given to each call, `(calls,)`.

    Energy: sum over units of (d(v . h_T) / d s_t)^2 times the variance of s_t over windows and
    places, v random; in float64. Also whether any call's answer has a gradient at the state of the
    call before it. Rescaling the state scales all energies alike.

    Raises
    ------
    NotApplicable : the cell is given no state as an argument.
    """
    states: list[list[Tensor]] = []

    def watch(
        _index: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        held: list[Tensor] = []
        moved = _shifted(args[1:], held)
        states.append(held)
        return (args[0], *moved), kwargs

    batch: Batch = floating(evidence.few, torch.float64)
    with (
        doubled(evidence.subject),
        change_inputs(evidence.subject, role, watch),
        capture_calls(evidence.subject, role) as calls,
    ):
        evidence.subject.score(batch)
        if not states or not all(states):
            raise NotApplicable("a cell is given its state as an argument", role)
        last = [flat_tensors(output) for output in calls.outputs]
        chained = _chained(evidence, states, last)
        energy = _energies(evidence, states, last[-1], calls.inputs)
    return energy, chained


def _shifted(value: Any, held: list[Tensor]) -> Any:
    """The same nested state with a zero leaf added to each tensor."""
    if isinstance(value, Tensor):
        leaf = torch.zeros_like(value).requires_grad_()
        held.append(leaf)
        return value + leaf
    if isinstance(value, (tuple, list)):
        return type(value)(_shifted(item, held) for item in value)
    return value


def _project(tensors: list[Tensor], evidence: Evidence, name: str) -> Tensor:
    draw = torch_stream(evidence.config.seed, "diagnosis", "project", name)
    pieces = [(t * torch.randn(t.shape, generator=draw).to(t)).sum() for t in tensors]
    return torch.stack(pieces).sum()


def _chained(evidence: Evidence, states: list[list[Tensor]], answers: list[list[Tensor]]) -> bool:
    for t in range(1, len(answers)):
        y = _project(answers[t], evidence, "chain")
        grads = torch.autograd.grad(y, states[t - 1], retain_graph=True, allow_unused=True)
        if any(g is not None and bool(g.any()) for g in grads):
            return True
    return False


def _energies(
    evidence: Evidence, states: list[list[Tensor]], last: list[Tensor], inputs: list[Any]
) -> np.ndarray:
    flat = [leaf for held in states for leaf in held]
    grads = torch.autograd.grad(
        _project(last, evidence, "last"), flat, retain_graph=True, allow_unused=True
    )
    given, found, at = [flat_tensors(args)[1:] for args in inputs], [], 0
    for held, tensors in zip(states, given, strict=True):
        total = 0.0
        for value in tensors:
            g = grads[at]
            at += 1
            spread = value.detach().var(dim=(0, *range(2, value.ndim)), keepdim=True)
            total += 0.0 if g is None else float((g**2 * spread).sum())
        del held
        found.append(total)
    return np.array(found)


def horizon(kernel: np.ndarray) -> float:
    """Calls over which the gradient's amplitude falls by e: -2 / slope of log energy over calls.

    Calls whose state does not vary yet (the first) are left out; no fall gives infinity, capped at
    ten times the number of calls.
    """
    place = np.flatnonzero(kernel > 0)
    cap = 10.0 * len(kernel)
    if len(place) < 2:
        return 0.0
    slope = float(np.polyfit(place, np.log(kernel[place]), 1)[0])
    return min(2.0 / slope, cap) if slope > 0 else cap

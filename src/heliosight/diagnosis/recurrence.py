"""T4: does every call of a recurrent cell get its frame, and is its state carried?"""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Interval
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.structure import TIME_AXIS
from heliosight.subject import capture_calls, flat_tensors


@final
class CallsGetFrames(Check):
    """T4."""

    id: ClassVar[str] = "T4"
    question: ClassVar[str] = "Does each recurrent call get its own frame, and the state before it?"
    needs: ClassVar[str] = "a recurrent cell called once a frame"
    cost: ClassVar[str] = "T + 1 F of one window per modality with cells"
    rule: ClassVar[str] = (
        "one frame at a time is replaced and every call compared bitwise: call s must be given "
        "frame s and nothing later, what it returns must depend on frames before s and not be "
        "bitwise what the call before returned in every window"
    )
    alone: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """Three findings a cell: its frames, its state, its answers."""
        cells = evidence.roles("cell.")
        if not cells:
            raise NotApplicable("this check needs a recurrent cell", "none among the parts")
        findings = []
        for role in cells:
            given, answered = dependence(evidence, role)
            findings += [self._frames(role, given), self._state(role, given, answered)]
            findings.append(self._answers(evidence, role))
        return findings

    def _frames(self, role: str, given: np.ndarray) -> Finding:
        calls, frames = given.shape
        first = role.rsplit(".", 1)[-1] == "0"
        statistic = "share of calls that are given their own frame"
        if calls != frames:
            reason = f"{calls} calls for {frames} frames: calls cannot be matched with frames"
            return self.finding(role, "inconclusive", statistic, None, reason)
        value = Interval(float(given.diagonal().mean()), how="exact")
        cause, reason = _frame_fault(given, first)
        if not cause:
            return self.finding(role, "healthy", statistic, value, "call s is given frame s")
        action = "Correct the loop over frames: x[:, t] at step t, oldest first, nothing later."
        return self.finding(role, "fault", statistic, value, reason, cause, action)

    def _state(self, role: str, given: np.ndarray, answered: np.ndarray) -> Finding:
        statistic = "share of (call, frame of an earlier call) pairs where the answer depends on it"
        if answered.shape[0] < 2 or answered.shape[0] != answered.shape[1]:
            reason = "fewer than two calls, or not one a frame"
            return self.finding(role, "not_applicable", statistic, None, reason)
        through_state = answered & ~given
        before = np.cumsum(given, 0) - given > 0
        earlier = before & ~given
        if not earlier.any():
            reason = "every call is given all that the calls before it were given"
            return self.finding(role, "not_applicable", statistic, None, reason)
        share = float(through_state[earlier].mean())
        value = Interval(share, how="exact")
        fresh = given[:-1] & ~given[1:]
        step = through_state[1:][fresh]
        if step.size and step.mean() > 0.5:
            return self.finding(role, "healthy", statistic, value, "the state is carried")
        action = "Pass the state that a call returns to the next call."
        reason = "what a call returns depends on its own frame alone"
        return self.finding(role, "fault", statistic, value, reason, "state_not_carried", action)

    def _answers(self, evidence: Evidence, role: str) -> Finding:
        statistic = "smallest change of the answer from call to call, in its own variance"
        change = changes(evidence, role)
        if not len(change):
            return self.finding(role, "not_applicable", statistic, None, "fewer than two calls")
        value = Interval(float(change.min()), how="exact windows")
        still = np.flatnonzero(change == 0)
        if not len(still):
            reason = "every call's answer differs from the one before"
            return self.finding(role, "healthy", statistic, value, reason)
        reason = f"the answers of {len(still)} of {len(change) + 1} calls repeat the one before"
        action = "Give each call its own frame and the state before it."
        return self.finding(role, "fault", statistic, value, reason, "same_answer", action)


def _frame_fault(given: np.ndarray, first: bool) -> tuple[str, str]:
    """Cause and reason, empty when call s is given frame s and nothing later."""
    calls = len(given)
    if not given.any():
        return "no_frame", "no call is given anything of any frame"
    if calls > 1 and (given == given[:1]).all() and not given.all():
        frames = np.flatnonzero(given[0])
        return "same_frame", f"every call is given the same frame ({frames[0]})"
    if first and calls > 1 and (given == np.eye(calls, dtype=bool)[::-1]).all():
        return "reversed_frames", "frames are given newest first"
    later = np.triu(given, 1)
    if later.any():
        s, t = (int(i[0]) for i in np.nonzero(later))
        return "future_leak", f"call {s} is given frame {t}, which comes later"
    if not given.diagonal().all():
        missing = np.flatnonzero(~given.diagonal())
        return "wrong_frame", f"calls {missing.tolist()[:5]} are not given their own frame"
    return "", ""


def changes(evidence: Evidence, role: str) -> np.ndarray:
    """`(calls - 1,)` mean over units of (h_s - h_(s-1))^2 / (2 Var h), some windows.

    The variance of each unit is over windows, calls and places; a rescaled state changes nothing.
    """
    with capture_calls(evidence.subject, role) as calls, torch.no_grad():
        evidence.subject.forecast(evidence.few)
    if len(calls) < 2:
        return np.zeros(0)
    h = torch.stack([t.detach().double() for t in calls.tensors()])
    over = (0, 1, *range(3, h.ndim))
    spread = h.var(over, keepdim=True)
    step = (h[1:] - h[:-1]) ** 2 / (2 * spread.clamp(min=1e-300))
    return np.asarray(step.flatten(1).mean(1))


def dependence(evidence: Evidence, role: str) -> tuple[np.ndarray, np.ndarray]:
    """`(calls, T)` whether call s's first argument, and its answer, change with frame t."""
    m = role.split(".")[1]
    if m not in evidence.modalities:
        raise NotApplicable("a cell belongs to a modality", role)
    axis = TIME_AXIS[evidence.subject.spec.modalities[m].kind]
    one = evidence.few.select([0])
    other = evidence.few.inputs[m][-1:]
    base_in, base_out = _calls(evidence, role, one)
    steps = one.inputs[m].shape[axis]
    given = np.zeros((len(base_in), steps), bool)
    answered = np.zeros_like(given)
    for t in range(steps):
        seen_in, seen_out = _calls(evidence, role, _with_frame(one, other, m, axis, t))
        given[:, t] = [_differ(a, b) for a, b in zip(base_in, seen_in, strict=True)]
        answered[:, t] = [_differ(a, b) for a, b in zip(base_out, seen_out, strict=True)]
    return given, answered


def _with_frame(batch: Batch, other: Tensor, m: str, axis: int, t: int) -> Batch:
    x = batch.inputs[m].clone()
    frame = other.select(axis, t)
    if torch.equal(frame, x.select(axis, t)):
        frame = frame.flip(-1) + 1
    x.select(axis, t).copy_(frame)
    mask = batch.observed[m].clone()
    mask.select(axis, t).fill_(True)
    return batch.with_inputs({m: x}, {m: mask})


def _calls(evidence: Evidence, role: str, batch: Batch) -> tuple[list[Any], list[Any]]:
    with capture_calls(evidence.subject, role) as calls, torch.no_grad():
        evidence.subject.forecast(batch)
    return [flat_tensors(args)[:1] for args in calls.inputs], [
        flat_tensors(output) for output in calls.outputs
    ]


def _differ(a: list[Tensor], b: list[Tensor]) -> bool:
    return any(not torch.equal(x, y) for x, y in zip(a, b, strict=True))

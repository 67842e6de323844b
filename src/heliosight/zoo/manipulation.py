"""Did a planted fault really take? Measured on the two models directly, not by the diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.models import Forecaster
from heliosight.models.tokens import Attention
from heliosight.zoo.faults import FaultConfig, cells_of, frame_order

SEEN = 1e-3  # a change of the forecast in its own standard deviations that is more than rounding


@dataclass(frozen=True)
class Twins:
    """A fault, two models that should differ by it alone, and windows to see it on."""

    fault: FaultConfig
    ill: Forecaster
    healthy: Forecaster
    batch: Batch


@torch.no_grad()
def took(fault: FaultConfig, ill: Forecaster, healthy: Forecaster, batch: Batch) -> bool:
    """True when the fault is in `ill` and not in `healthy`, its twin of the same weights."""
    return _CHECKS[fault.kind](Twins(fault, ill, healthy, batch))


def mean_of(model: Forecaster, batch: Batch) -> Tensor:
    """`(B, L)` mean of log1p(ap) in evaluation mode."""
    modes = [(part, part.training) for part in model.modules() if part.training]
    model.eval()
    found: Tensor = model(batch).forecast.mean
    for part, mode in modes:
        part.training = mode
    return found


def distance(a: Tensor, b: Tensor) -> float:
    """Root mean square of the difference in standard deviations of `a`."""
    a, b = a.detach(), b.detach()
    return float((a - b).pow(2).mean().sqrt() / a.std(0).mean().clamp(min=1e-12))


def batch_dependent(twins: Twins) -> bool:
    """The same window alone and among others gives two forecasts."""

    def change(model: Forecaster) -> float:
        alone = torch.cat(
            [mean_of(model, twins.batch.select([i])) for i in range(len(twins.batch))]
        )
        return distance(mean_of(model, twins.batch), alone)

    return change(twins.ill) > SEEN > change(twins.healthy)


def random_answers(twins: Twins) -> bool:
    """Two forecasts of the same batch differ."""

    def change(model: Forecaster) -> float:
        return distance(mean_of(model, twins.batch), mean_of(model, twins.batch))

    return change(twins.ill) > SEEN > change(twins.healthy)


def one_key(twins: Twins) -> bool:
    """Some attention has a single key to choose from."""
    return 1 in _key_counts(twins.ill, twins.batch) and 1 not in _key_counts(
        twins.healthy, twins.batch
    )


def _key_counts(model: Forecaster, batch: Batch) -> set[int]:
    counts: set[int] = set()
    handles = [
        part.register_forward_hook(lambda _m, _a, out: counts.add(int(out[1].shape[-1])))
        for part in model.modules()
        if isinstance(part, Attention)
    ]
    mean_of(model, batch)
    for handle in handles:
        handle.remove()
    return counts


def reordered(twins: Twins) -> bool:
    """The ill model on the right frames answers as the healthy one does on the wrong ones."""
    m, axis = twins.fault.branch, 2 if twins.batch.inputs[twins.fault.branch].ndim == 5 else 1
    order = frame_order(twins.fault.kind, twins.batch.inputs[m].shape[axis])
    wrong = twins.batch.with_inputs(
        {m: twins.batch.inputs[m].index_select(axis, order)},
        {m: twins.batch.observed[m].index_select(axis, order)},
    )
    plain = mean_of(twins.ill, twins.batch)
    same = distance(plain, mean_of(twins.healthy, wrong))
    return same < SEEN < distance(plain, mean_of(twins.healthy, twins.batch))


def stateless(twins: Twins) -> bool:
    """What a cell answers does not depend on the state that it is given."""
    return not _state_matters(twins.ill, twins.fault.branch) and _state_matters(
        twins.healthy, twins.fault.branch
    )


def _state_matters(model: Forecaster, name: str) -> bool:
    found = []
    for cell in cells_of(model, name):
        x = torch.rand(2, cell.channels, 4, 4)
        state = tuple(s + torch.rand_like(s) for s in cell.start(x))
        found.append(not torch.equal(cell(x, state)[0], cell(x, cell.start(x))[0]))
    return any(found)


def no_graph_of_state(twins: Twins) -> bool:
    """The state matters, and no gradient goes back to it."""
    cut = not _state_has_gradient(twins.ill, twins.fault.branch) and _state_matters(
        twins.ill, twins.fault.branch
    )
    return cut and _state_has_gradient(twins.healthy, twins.fault.branch)


@torch.enable_grad()
def _state_has_gradient(model: Forecaster, name: str) -> bool:
    for cell in cells_of(model, name):
        x = torch.rand(2, cell.channels, 4, 4)
        state = tuple(torch.rand_like(s).requires_grad_() for s in cell.start(x))
        answer = cell(x, state)[0].sum()
        found = torch.autograd.grad(answer, state, allow_unused=True)
        if any(g is not None and bool(g.any()) for g in found):
            return True
    return False


def forgets(twins: Twins) -> bool:
    """The first half of the steps moves the branch's features less than half as much."""

    def early(model: Forecaster) -> float:
        m, x = twins.fault.branch, twins.batch.inputs[twins.fault.branch]
        changed = x.clone()
        changed[:, :, : x.shape[2] // 2] = x.roll(1, 0)[:, :, : x.shape[2] // 2]
        model.eval()
        a = model(twins.batch).features[m]
        b = model(twins.batch.with_inputs({m: changed})).features[m]
        return distance(a, b)

    return early(twins.ill) < 0.5 * early(twins.healthy)


@torch.enable_grad()
def no_graph(twins: Twins) -> bool:
    """The forecast moves with the branch, and no gradient goes back to it."""

    def slope(model: Forecaster) -> float:
        x = twins.batch.inputs[twins.fault.branch].float().requires_grad_()
        answer = mean_of(model, twins.batch.with_inputs({twins.fault.branch: x})).sum()
        found = torch.autograd.grad(answer, x, allow_unused=True)[0]
        return 0.0 if found is None else float(found.abs().max())

    moves = share_of(twins.ill, twins.fault.branch, twins.batch) > SEEN**2
    return slope(twins.ill) == 0.0 < slope(twins.healthy) and moves


def share_of(model: Forecaster, name: str, batch: Batch) -> float:
    """Share of the forecast's variance that goes with a modality: each window is given another's.

    Jansen's total index from one circular shift by half the batch.
    """
    half = len(batch) // 2
    other = batch.with_inputs(
        {name: batch.inputs[name].roll(half, 0)}, {name: batch.observed[name].roll(half, 0)}
    )
    with torch.no_grad():
        a, b = mean_of(model, batch), mean_of(model, other)
    return float((a - b).pow(2).mean() / 2 / a.var(0).mean().clamp(min=1e-12))


def faded(twins: Twins) -> bool:
    """The modality moves the forecast less than half as much as in the healthy twin."""
    return share_of(twins.ill, twins.fault.branch, twins.batch) < 0.5 * share_of(
        twins.healthy, twins.fault.branch, twins.batch
    )


def flat(twins: Twins) -> bool:
    """The forecast varies `size` times as much as the healthy one."""
    ratio = float(
        mean_of(twins.ill, twins.batch).std(0).mean()
        / mean_of(twins.healthy, twins.batch).std(0).mean()
    )
    return abs(ratio - twins.fault.size) < 0.05 and ratio < 0.95


def reads_target(twins: Twins) -> bool:
    """Another target handed along changes the forecast."""
    other = Batch(
        twins.batch.inputs,
        twins.batch.observed,
        twins.batch.issue_time,
        twins.batch.target * 2 + 1,
        twins.batch.target_mask,
    )

    def change(model: Forecaster) -> float:
        return distance(mean_of(model, twins.batch), mean_of(model, other))

    return change(twins.ill) > SEEN > change(twins.healthy)


Check = Callable[[Twins], bool]
_CHECKS: dict[str, Check] = {
    "position_on_batch": batch_dependent,
    "batch_statistics": batch_dependent,
    "dropout_on": random_answers,
    "single_token": one_key,
    "same_frame": reordered,
    "reversed_frames": reordered,
    "shuffled_frames": reordered,
    "next_frame": reordered,
    "state_not_carried": stateless,
    "state_detached": no_graph_of_state,
    "forget_bias": forgets,
    "detached": no_graph,
    "weak_features": faded,
    "gate_bias": faded,
    "collapse": flat,
    "future_leak": reads_target,
}

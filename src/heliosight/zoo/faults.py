"""Faults planted in a healthy forecaster, in place, without a parameter more or less.

Each one changes what a part computes, by giving that part another `forward`, or changes weights
that are already there. So the weights of an ill model load into a healed one and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heliosight.core.batch import Batch
from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.core.output import ModelOutput
from heliosight.models import Forecaster
from heliosight.models.convlstm import ConvLSTM, ConvLSTMCell, State
from heliosight.models.fusion import Branch, Fused, GatedFusion
from heliosight.models.tokens import Encoded, sinusoids

FaultKind = Literal[
    "position_on_batch", "single_token", "same_frame", "state_not_carried", "state_detached",
    "forget_bias", "detached", "weak_features", "gate_bias", "reversed_frames", "shuffled_frames",
    "next_frame", "collapse", "batch_statistics", "dropout_on", "future_leak",
]  # fmt: skip


@dataclass(frozen=True)
class FaultConfig:
    """One fault.

    Attributes
    ----------
    kind : see the function of that name.
    branch : the modality it is planted in, where it is planted in one.
    size : how strong it is, where it has a strength; each kind says in which unit.
    """

    kind: FaultKind
    branch: str = "images"
    size: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            known = f"Known: {', '.join(get_args(FaultKind))}."
            raise ConfigError("a fault is of a known kind", repr(self.kind), known, "faults.kind")


def plant(model: Forecaster, faults: Sequence[FaultConfig]) -> None:
    """Plant faults in a forecaster, one after the other.

    Raises
    ------
    NotApplicable : the architecture has no such part (no gate, no recurrent cell).
    ConfigError : the branch is no modality of the model.
    """
    for fault in faults:
        if fault.branch not in model.spec.modalities:
            raise ConfigError(
                "a fault's branch is a modality of the model",
                repr(fault.branch),
                f"Modalities: {', '.join(model.spec.modalities)}.",
                "faults.branch",
            )
        _PLANTERS[fault.kind](model, fault)


def change_forward(part: nn.Module, change: Callable[[Callable[..., Any]], Any]) -> None:
    """Give a part another forward, made from its own."""
    part.forward = change(part.forward)


def change_encoded(model: Forecaster, name: str, change: Callable[[Encoded], Encoded]) -> None:
    """Change what an encoder gives."""

    def made(own: Callable[..., Encoded]) -> Callable[..., Encoded]:
        return lambda values, observed: change(own(values, observed))

    change_forward(model.encoders[name], made)


def cells_of(model: Forecaster, name: str) -> list[ConvLSTMCell]:
    """Recurrent cells of a branch.

    Raises
    ------
    NotApplicable : it has none.
    """
    backbone = getattr(model.encoders[name], "backbone", None)
    if not isinstance(backbone, ConvLSTM):
        raise NotApplicable("this fault needs a ConvLSTM", f"none in {name!r}")
    return list(backbone.cells)


def position_on_batch(model: Forecaster, fault: FaultConfig) -> None:
    """Position codes are added along the batch axis; size: their amplitude."""

    def coded(encoded: Encoded) -> Encoded:
        codes = sinusoids(*encoded.summary.shape).to(encoded.summary) * fault.size
        return replace(
            encoded, tokens=encoded.tokens + codes[:, None], summary=encoded.summary + codes
        )

    change_encoded(model, fault.branch, coded)


def single_token(model: Forecaster, fault: FaultConfig) -> None:
    """Attention is given one token, the mean over time: its softmax is the constant 1.

    In a cross-attention fusion every branch is one token; elsewhere the attention that pools the
    branch over time is.

    Raises
    ------
    NotApplicable : the model attends nowhere there.
    """
    if len(getattr(model.fusion, "attention", ())):

        def alone(own: Callable[..., Fused]) -> Callable[..., Fused]:
            return lambda branches: own(
                {m: Branch(b.summary[:, None], b.summary) for m, b in branches.items()}
            )

        change_forward(model.fusion, alone)
        return
    pooling = getattr(model.encoders[fault.branch], "pooling", None)
    if pooling is None or not hasattr(pooling, "attention"):
        raise NotApplicable("this fault needs attention", f"none in {fault.branch!r}")
    change_forward(pooling, lambda own: lambda tokens: own(tokens.mean(1, keepdim=True)))


def frame_order(kind: str, steps: int) -> Tensor:
    """`(steps,)` which frame each step is given.

    `same_frame`: always the newest; `reversed_frames`: newest first; `shuffled_frames`: one fixed
    random order; `next_frame`: step s is given frame s + 1, so what comes later is seen early.
    """
    place = torch.arange(steps)
    if kind == "shuffled_frames":
        return torch.randperm(steps, generator=torch.Generator().manual_seed(steps))
    if kind == "next_frame":
        return (place + 1).clamp(max=steps - 1)
    return place.flip(0) if kind == "reversed_frames" else torch.full_like(place, steps - 1)


def frames_reordered(model: Forecaster, fault: FaultConfig) -> None:
    """The loop over frames hands out the wrong ones, see `frame_order`."""
    encoder, kind = model.encoders[fault.branch], fault.kind
    backbone = getattr(encoder, "backbone", None)
    if backbone is not None:

        def looped(own: Callable[..., Any]) -> Callable[..., Any]:
            return lambda x, *rest: own(x[:, frame_order(kind, x.shape[1])], *rest)

        change_forward(backbone, looped)
        return

    def made(own: Callable[..., Encoded]) -> Callable[..., Encoded]:
        def forward(values: Tensor, observed: Tensor) -> Encoded:
            place = frame_order(kind, values.shape[1])
            return own(values[:, place], observed[:, place])

        return forward

    change_forward(encoder, made)


def state_not_carried(model: Forecaster, fault: FaultConfig) -> None:
    """Every call of a cell begins from the empty state."""

    def made(own: Callable[..., State]) -> Callable[..., State]:
        return lambda x, state: own(x, tuple(torch.zeros_like(s) for s in state))

    for cell in cells_of(model, fault.branch):
        change_forward(cell, made)


def state_detached(model: Forecaster, fault: FaultConfig) -> None:
    """The state is carried without its graph."""

    def made(own: Callable[..., State]) -> Callable[..., State]:
        return lambda x, state: own(x, tuple(s.detach() for s in state))

    for cell in cells_of(model, fault.branch):
        change_forward(cell, made)


@torch.no_grad()
def forget_bias(model: Forecaster, fault: FaultConfig) -> None:
    """Forget biases lowered by `size` (logit)."""
    for cell in cells_of(model, fault.branch):
        cell.gates.bias[cell.hidden : 2 * cell.hidden] -= fault.size


def detached(model: Forecaster, fault: FaultConfig) -> None:
    """The branch arrives at the fusion without its graph."""
    change_encoded(
        model,
        fault.branch,
        lambda e: replace(e, tokens=e.tokens.detach(), summary=e.summary.detach()),
    )


def weak_features(model: Forecaster, fault: FaultConfig) -> None:
    """The branch's features arrive `size` times as large; nothing makes up for it."""
    change_encoded(
        model,
        fault.branch,
        lambda e: replace(e, tokens=e.tokens * fault.size, summary=e.summary * fault.size),
    )


@torch.no_grad()
def gate_bias(model: Forecaster, fault: FaultConfig) -> None:
    """The bias of the branch's fusion gate lowered by `size` (logit)."""
    if not isinstance(model.fusion, GatedFusion):
        raise NotApplicable("this fault needs a gated fusion", type(model.fusion).__name__)
    model.fusion.gates[fault.branch].bias -= fault.size


@torch.no_grad()
def collapse(model: Forecaster, fault: FaultConfig) -> None:
    """The last layer's weights times `size`: the forecast moves that much less."""
    model.head.trunk.out.weight *= fault.size


def batch_statistics(model: Forecaster, fault: FaultConfig) -> None:
    """The branch's features are normalised by the batch they are in, in evaluation too."""

    def normal(x: Tensor, by: Tensor) -> Tensor:
        return (x - by.mean(0)) / (by.std(0, unbiased=False) + 1e-3)

    def changed(e: Encoded) -> Encoded:
        return replace(e, tokens=normal(e.tokens, e.summary), summary=normal(e.summary, e.summary))

    change_encoded(model, fault.branch, changed)


def dropout_on(model: Forecaster, fault: FaultConfig) -> None:
    """Dropout of the share `size` on the branch's features, in evaluation too."""

    def dropped(e: Encoded) -> Encoded:
        return replace(e, summary=F.dropout(e.summary, fault.size, training=True))

    change_encoded(model, fault.branch, dropped)


def future_leak(model: Forecaster, fault: FaultConfig) -> None:
    """The mean of log1p(ap) moves by the share `size` towards the window's own target."""

    def made(own: Callable[[Batch], ModelOutput]) -> Callable[[Batch], ModelOutput]:
        def forward(batch: Batch) -> ModelOutput:
            output = own(batch)
            move = fault.size * (torch.log1p(batch.target) - output.forecast.mean)
            shifted = replace(
                output.forecast,
                mean=output.forecast.mean + move,
                quantiles=output.forecast.quantiles + move[..., None],
            )
            return replace(output, forecast=shifted)

        return forward

    change_forward(model, made)


_PLANTERS: dict[str, Callable[[Forecaster, FaultConfig], None]] = {
    "position_on_batch": position_on_batch,
    "single_token": single_token,
    **dict.fromkeys(
        ("same_frame", "reversed_frames", "shuffled_frames", "next_frame"), frames_reordered
    ),
    "state_not_carried": state_not_carried,
    "state_detached": state_detached,
    "forget_bias": forget_bias,
    "detached": detached,
    "weak_features": weak_features,
    "gate_bias": gate_bias,
    "collapse": collapse,
    "batch_statistics": batch_statistics,
    "dropout_on": dropout_on,
    "future_leak": future_leak,
}

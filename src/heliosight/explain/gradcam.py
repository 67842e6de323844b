"""Grad-CAM of a recurrent stack: one map per call of the cell, all from one backward pass.

A recurrent cell is one module called T times. Every call's output is kept with its graph, so one
`torch.autograd.grad` of the target with respect to all of them gives every frame's gradient; the
published loop hooks the module, keeps one call and repeats the same map T times.

For call t with state a_t `(F, H, W)` and gradient g_t = dy/da_t:

- Grad-CAM (Selvaraju et al. 2017, eq. 1-2, without the ReLU): sum_f mean_p(g_t[f]) a_t[f];
- elementwise, HiResCAM (Draelos & Carin 2020): sum_f g_t[f] a_t[f], the first-order effect;
- Grad-CAM++ (Chattopadhay et al. 2018, eq. 19) in a form for regression, see `_plusplus`.

Maps are signed, in the target's unit per pixel, and share one scale over frames. Hidden and cell
path are kept apart: the gradient at c_t does not contain what c_t does through h_t of its own call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.nn import functional as F

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.explain.attribution import Attribution
from heliosight.explain.targets import Target
from heliosight.subject import Subject, change_outputs

Form = Literal["grad_cam", "grad_cam_plus_plus", "hires_cam"]
FORMS: tuple[Form, ...] = ("grad_cam", "grad_cam_plus_plus", "hires_cam")


@final
@dataclass(frozen=True)
class States:
    """States and gradients of every call for one window.

    Attributes
    ----------
    hidden, hidden_gradient : `(T, F, H', W')`, the output read by other parts and the next call.
    cell, cell_gradient : the same for the carried cell state, None where there is none.
    value : the target.
    """

    hidden: Tensor
    hidden_gradient: Tensor
    cell: Tensor | None
    cell_gradient: Tensor | None
    value: float


def states_of(subject: Subject, part: str, target: Target, batch: Batch) -> States:
    """One forward and one backward: states of every call of `part` with their gradients.

    Raises
    ------
    NotApplicable : the batch is not one window, the part was never called, gives no `(1, F, H, W)`
        per call, or the target has no graph.
    """
    if len(batch) != 1:
        raise NotApplicable("Grad-CAM explains one window", f"{len(batch)} windows")
    calls: list[list[Tensor]] = []
    recording = change_outputs(subject, part, _recorder(calls))
    with torch.enable_grad(), _frozen(subject), recording:
        value = target.value(subject, batch)
    _require_maps(calls, part)
    flat = [tensor for call in calls for tensor in call]
    if not value.requires_grad:
        raise NotApplicable("Grad-CAM needs a target attached to the graph", target.name)
    grads = torch.autograd.grad(value.sum(), flat, allow_unused=True)
    full = [torch.zeros_like(t) if g is None else g for t, g in zip(flat, grads, strict=True)]
    width = len(calls[0])
    gradients = [full[i : i + width] for i in range(0, len(full), width)]
    return _paths(calls, gradients, float(value.detach()))


@contextmanager
def _frozen(subject: Subject) -> Iterator[None]:
    """No graph for weights inside the block: what lies before the first state is not recorded."""
    weights = [p for p in subject.module.parameters() if p.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def _recorder(calls: list[list[Tensor]]) -> Callable[[int, Any], Any]:
    """Gives each output tensor an alias of its own; gradients at aliases keep the paths apart."""

    def record(_: int, output: Any) -> Any:
        found: dict[int, Tensor] = {}
        changed = _aliased(output, found)
        calls.append(list(found.values()))
        return changed

    return record


def _aliased(value: Any, found: dict[int, Tensor]) -> Any:
    """The same structure with aliases; a tensor given twice, as in (h, (h, c)), gets one."""
    if isinstance(value, Tensor) and value.is_floating_point():
        if id(value) not in found:
            alias = value.view_as(value)
            found[id(value)] = alias if alias.requires_grad else alias.requires_grad_()
        return found[id(value)]
    if isinstance(value, (tuple, list)):
        items = [_aliased(item, found) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _require_maps(calls: list[list[Tensor]], part: str) -> None:
    shapes = [[tuple(t.shape) for t in call] for call in calls]
    fits = bool(calls) and all(call and call[0].ndim == 4 and len(call[0]) == 1 for call in calls)
    if not fits or any(s != shapes[0] for s in shapes):
        raise NotApplicable(
            "Grad-CAM needs a part that gives (1, F, H, W) at each of its calls",
            f"{len(calls)} calls of {part}" + (f", the first giving {shapes[0]}" if calls else ""),
            "Name a recurrent cell or a convolution applied frame by frame; `parts` lists roles.",
        )


def _paths(calls: list[list[Tensor]], gradients: list[list[Tensor]], value: float) -> States:
    """The first tensor is the hidden state; the next of its shape is the cell state."""
    shape = calls[0][0].shape
    other = [k for k in range(1, len(calls[0])) if calls[0][k].shape == shape]

    def joined(rows: list[list[Tensor]], which: int) -> Tensor:
        return torch.cat([row[which].detach() for row in rows])

    hidden, hidden_gradient = joined(calls, 0), joined(gradients, 0)
    if not other:
        return States(hidden, hidden_gradient, None, None, value)
    cell, cell_gradient = joined(calls, other[0]), joined(gradients, other[0])
    return States(hidden, hidden_gradient, cell, cell_gradient, value)


def cam(state: Tensor, gradient: Tensor, form: Form = "grad_cam", scale: float = 1.0) -> Tensor:
    """Signed maps `(T, H', W')` from states and gradients `(T, F, H', W')`.

    scale : the change of the target that counts as large, used by Grad-CAM++ only.
    """
    return (weights(state, gradient, form, scale) * state).sum(1)


def weights(state: Tensor, gradient: Tensor, form: Form, scale: float = 1.0) -> Tensor:
    """What a form multiplies a state with: `(T, F, 1, 1)`, elementwise `(T, F, H', W')`."""
    if form == "hires_cam":
        return gradient
    if form == "grad_cam":
        return gradient.mean((2, 3), keepdim=True)
    return _plusplus(state, gradient / scale) * scale


def _plusplus(state: Tensor, gradient: Tensor) -> Tensor:
    """Weights `(T, F, 1, 1)` of Grad-CAM++ for a signed regression target.

    The published weights hold for a score Y = exp(y): alpha = g^2 / (2 g^2 + sum_p(a) g^3). A
    regression has no such link and wants evidence against as well, so evidence for y and for -y is
    weighted alike, each under its own exponential link in units of the target's scale, and the
    second is subtracted. alpha is kept within [0, 1], where the published weighting is defined.
    The factor 2 / (H' W') makes a large scale give Grad-CAM exactly, hence the target's unit.
    """
    mass = state.sum((2, 3), keepdim=True)
    pixels = state.shape[-1] * state.shape[-2]

    def evidence(slope: Tensor) -> Tensor:
        below = 2 + mass * slope
        alpha = torch.where(below > 1, 1 / below.clamp(min=1.0), torch.ones_like(below))
        return (alpha * slope.clamp(min=0)).sum((2, 3), keepdim=True)

    return (evidence(gradient) - evidence(-gradient)) * 2 / pixels


def enlarged(maps: Tensor, size: int) -> Tensor:
    """Maps `(T, H', W')` at `(T, size, size)`, bilinear, each frame's sum kept."""
    if maps.shape[-1] == size:
        return maps
    shape = (size, size)
    grown = F.interpolate(maps[:, None], size=shape, mode="bilinear", align_corners=False)[:, 0]
    return grown * (maps.shape[-1] * maps.shape[-2] / size**2)


def grad_cam(
    subject: Subject,
    part: str,
    target: Target,
    batch: Batch,
    modality: str,
    forms: tuple[Form, ...] = FORMS,
    scale: float = 1.0,
) -> list[Attribution]:
    """One attribution per form for one window: `(T, H, W)` of the hidden path.

    `extra` holds the cell path's maps (`cell`) where the part carries a cell state.

    Raises
    ------
    NotApplicable : see `states_of`.
    """
    states = states_of(subject, part, target, batch)
    size = batch.inputs[modality].shape[-1]
    frames = batch.inputs[modality].shape[2]
    found, notes = [], [f"layer {part}; first-order, so parts do not sum to the forecast"]
    if len(states.hidden) != frames:
        notes.append(f"{len(states.hidden)} calls for {frames} frames: a map belongs to a call")
    for form in forms:
        maps = enlarged(cam(states.hidden, states.hidden_gradient, form, scale), size)
        extra = {}
        if states.cell is not None and states.cell_gradient is not None:
            path = cam(states.cell, states.cell_gradient, form, scale)
            extra["cell"] = enlarged(path, size)
        found.append(
            Attribution(
                form, "a state of zero", {modality: maps}, states.value, extra=extra,
                notes=tuple(notes),
            )
        )  # fmt: skip
    return found

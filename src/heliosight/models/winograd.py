"""A ConvLSTM step on the CPU by Winograd's F(2x2, 3x3): `winograd.cpp` behind autograd.

Source: Lavin & Gray 2016 (CVPR), section 4.1. Optional: where `usable` says no, `convlstm` computes
the same in plain torch.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heliosight.core.progress import note
from heliosight.models.gates import State, next_state
from heliosight.models.native import CannotBuild, load_native

SWITCH = "HELIOSIGHT_ACCELERATE"  # `off` in the environment turns it off everywhere
LAST = torch.channels_last
PRODUCTS_A_THREAD = 4_000_000  # a thread is worth starting for so many multiplications

Sizes = tuple[int, int, int, int, int]  # B, C, F, H, W


@final
class Packed:
    """Gate weights `(4 F, C + F, 3, 3)` in the transformed domain, each made when first needed.

    Valid while the weights do not change: for one sequence and its backward.
    """

    def __init__(self) -> None:
        self._made: dict[int | None, Tensor] = {}

    def straight(self, weight: Tensor) -> Tensor:
        """For the forward convolution."""
        return self._get(weight, weight.shape[0], weight.shape[1], None)

    def turned(self, weight: Tensor, start: int) -> Tensor:
        """For the gradient of the input channels from `start` on."""
        return self._get(weight, weight.shape[1] - start, weight.shape[0], start)

    def _get(self, weight: Tensor, outs: int, ins: int, start: int | None) -> Tensor:
        if start not in self._made:
            code, w = _library_or_raise(), weight.detach().contiguous()
            packed = torch.empty(code.packed_size(outs, ins))
            if start is None:
                code.pack(w.data_ptr(), *w.shape[:2], packed.data_ptr())
            else:
                code.pack_turned(w.data_ptr(), *w.shape[:2], start, packed.data_ptr())
            self._made[start] = packed
        return self._made[start]


def usable(x: Tensor, state: State, gates: nn.Module, peepholes: Tensor | None) -> bool:
    """True for plain float32 tensors on the CPU, 3x3 gates that nobody watches, and a library.

    Compiles the library when it is the first time on this machine. Shapes that do not fit are left
    to torch, whose error says so.
    """
    if torch.compiler.is_compiling() or not _plain_gates(gates):
        return False
    tensors = [x, *state, gates.weight, gates.bias, *([] if peepholes is None else [peepholes])]
    fits = all(map(_plain, tensors)) and _fits(x, state, gates, peepholes)
    return fits and not torch.is_autocast_enabled("cpu") and library() is not None


def _plain_gates(gates: nn.Module) -> bool:
    """3x3, same size, and no hook that waits for this convolution to run."""
    if type(gates) is not nn.Conv2d or gates.bias is None or gates.padding_mode != "zeros":
        return False
    hooks = {**gates._forward_hooks, **gates._forward_pre_hooks}
    hooks |= {**gates._backward_hooks, **gates._backward_pre_hooks}
    ones = {*gates.stride, *gates.dilation, gates.groups, *gates.padding}
    return gates.kernel_size == (3, 3) and ones == {1} and not hooks


def _plain(x: Tensor) -> bool:
    return (
        type(x) in (Tensor, nn.Parameter)
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.layout == torch.strided
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
    )


def _fits(x: Tensor, state: State, gates: nn.Module, peepholes: Tensor | None) -> bool:
    h, c = state
    if x.dim() != 4 or h.dim() != 4 or not x.numel():
        return False
    b, n, f, rows, columns = _sizes(x, h)
    return (
        h.shape == c.shape == (b, f, rows, columns)
        and gates.weight.shape == (4 * f, n + f, 3, 3)
        and (peepholes is None or peepholes.shape == (3, f, rows, columns))
    )


def step(
    x: Tensor, state: State, gates: nn.Conv2d, peepholes: Tensor | None, packed: Packed | None
) -> State:
    """The next `(h, c)`, channels last in memory; the same numbers as eq. 3 to rounding.

    Parameters
    ----------
    x : `(B, C, H, W)`. state : `(h, c)`, each `(B, F, H, W)`.
    packed : the gates' weights if they were transformed before; the caller answers for their being
        those of now.
    """
    packed = packed or Packed()
    inputs = (x, *state, gates.weight, gates.bias, peepholes)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs):
        ready: list[Tensor] = []
        c, sums = _Cell.apply(*inputs, packed, ready)
        return _Output.apply(sums, c, peepholes, ready), c
    made = _forward(*inputs, packed=packed, keep=False)
    return made.h, made.c


@dataclass(frozen=True)
class _Made:
    """The new h and c `(B, F, H, W)`; if kept, gates i, f, g `(B, 3 F, H, W)`, sums of gate o."""

    h: Tensor
    c: Tensor
    kept: Tensor | None
    sums: Tensor | None


def _forward(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight: Tensor,
    bias: Tensor,
    peepholes: Tensor | None,
    packed: Packed,
    keep: bool,
) -> _Made:
    sizes = _sizes(x, h)
    b, n, f, rows, columns = sizes
    x, h, c, bias = _last(x), _last(h), _last(c), bias.detach().contiguous()
    peep = None if peepholes is None else _last(peepholes)
    kept = _empty(b, 3 * f, rows, columns) if keep else None
    made = _Made(
        torch.empty_like(h), torch.empty_like(c), kept, torch.empty_like(c) if keep else None
    )
    _library_or_raise().step(
        x.data_ptr(), n, h.data_ptr(), c.data_ptr(), f, packed.straight(weight).data_ptr(),
        bias.data_ptr(), _pointer(peep), b, rows, columns, _pointer(made.kept), _pointer(made.sums),
        made.h.data_ptr(), made.c.data_ptr(), _threads(sizes),
    )  # fmt: skip
    return made


class _Cell(torch.autograd.Function):
    """The new c and the sums of the output gate; h is computed on the way and left in `ready`.

    Two nodes, so that a gradient asked for at c includes what c does to h of the same step.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        x, h, c, weight, bias, peepholes, packed, ready = inputs
        made = _forward(x, h, c, weight, bias, peepholes, packed, keep=True)
        ready.append(made.h)
        ctx.packed = packed
        ctx.save_for_backward(x, h, c, weight, bias, peepholes, made.kept)
        return made.c, made.sums

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        dc, dsums = grads
        *inputs, kept = ctx.saved_tensors
        wants = ctx.needs_input_grad
        if torch.is_grad_enabled():
            return (*_derive(_plain_cell, inputs, wants[:6], grads), None, None)
        x, h, c, weight, _, peepholes = inputs
        dz, dc_before = _gates_backward(kept, peepholes, c, dsums, dc)
        dx, dh = None, None
        if wants[0] or wants[1]:
            turned = ctx.packed.turned(weight, 0 if wants[0] else x.shape[1])
            dx, dh = _input_backward(dz, turned, _sizes(x, h), of_x=wants[0])
        of_weight = _weight_backward(x, h, dz) if wants[3] or wants[4] else (None, None)
        di, df = dz[:, : c.shape[1]], dz[:, c.shape[1] : 2 * c.shape[1]]
        of_peep = _peephole_gradient(di * c, df * c, None) if wants[5] else None
        return dx, dh, dc_before, *of_weight, of_peep, None, None


class _Output(torch.autograd.Function):
    """h from the sums of the output gate and c; its value was made together with c."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        sums, c, peepholes, ready = inputs
        ctx.save_for_backward(sums, c, peepholes)
        return ready.pop()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        inputs, wants = list(ctx.saved_tensors), ctx.needs_input_grad
        if torch.is_grad_enabled():
            return (*_derive(_plain_output, inputs, wants[:3], grads), None)
        sums, c, peepholes = inputs
        dsums, dc = _output_backward(sums, c, peepholes, grads[0])
        of_peep = _peephole_gradient(None, None, dsums * c) if wants[2] else None
        return dsums, dc, of_peep, None


def _plain_cell(
    x: Tensor, h: Tensor, c: Tensor, weight: Tensor, bias: Tensor, peepholes: Tensor | None
) -> State:
    z = F.conv2d(torch.cat([x, h], 1), weight, bias, padding=1)
    return next_state(z, c, peepholes)[1], z.chunk(4, 1)[3]


def _plain_output(sums: Tensor, c: Tensor, peepholes: Tensor | None) -> tuple[Tensor]:
    o = sums if peepholes is None else sums + peepholes[2] * c
    return (torch.sigmoid(o) * torch.tanh(c),)


def _derive(
    run: Callable[..., tuple[Tensor, ...]],
    inputs: list[Tensor | None],
    wanted: tuple[bool, ...],
    grads: tuple[Tensor, ...],
) -> list[Tensor | None]:
    """The gradient with a graph of its own, in plain torch, for a second derivative."""
    own = [None if t is None else t.view_as(t) for t in inputs]  # so that it ends at this step
    asked = [t for t, want in zip(own, wanted, strict=True) if want]
    found = iter(torch.autograd.grad(run(*own), asked, grads, create_graph=True, allow_unused=True))
    return [next(found) if want else None for want in wanted]


def _output_backward(sums: Tensor, c: Tensor, peepholes: Tensor | None, dh: Tensor) -> State:
    """Gradient of the output gate's sums and of c, `(B, F, H, W)` each."""
    b, f, rows, columns = c.shape
    dh, peep = _last(dh), None if peepholes is None else _last(peepholes)
    dsums, dc = torch.empty_like(sums), torch.empty_like(c)
    _library_or_raise().output_backward(
        sums.data_ptr(), _pointer(peep), c.data_ptr(), dh.data_ptr(), f, b, rows, columns,
        dsums.data_ptr(), dc.data_ptr(), _threads((b, 1, f, rows, columns)),
    )  # fmt: skip
    return dsums, dc


def _gates_backward(
    kept: Tensor, peepholes: Tensor | None, c: Tensor, dsums: Tensor, dc: Tensor
) -> State:
    """Gradient of all gate sums `(B, 4 F, H, W)` and of the old cell state."""
    b, f, rows, columns = c.shape
    c, dsums, dc = _last(c), _last(dsums), _last(dc)
    peep = None if peepholes is None else _last(peepholes)
    dz, before = _empty(b, 4 * f, rows, columns), torch.empty_like(c)
    _library_or_raise().gates_backward(
        kept.data_ptr(), _pointer(peep), c.data_ptr(), dsums.data_ptr(), dc.data_ptr(), f, b, rows,
        columns, dz.data_ptr(), before.data_ptr(), _threads((b, 1, f, rows, columns)),
    )  # fmt: skip
    return dz, before


def _input_backward(
    dz: Tensor, turned: Tensor, sizes: Sizes, of_x: bool
) -> tuple[Tensor | None, Tensor]:
    b, n, f, rows, columns = sizes
    dx, dh = _empty(b, n, rows, columns) if of_x else None, _empty(b, f, rows, columns)
    _library_or_raise().input_backward(
        dz.data_ptr(), 4 * f, turned.data_ptr(), b, rows, columns, _pointer(dx), n, dh.data_ptr(),
        f, _threads(sizes),
    )  # fmt: skip
    return dx, dh


def _weight_backward(x: Tensor, h: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    sizes = _sizes(x, h)
    b, n, f, rows, columns = sizes
    x, h = _last(x), _last(h)
    dw, dbias = torch.empty(4 * f, n + f, 3, 3), torch.empty(4 * f)
    _library_or_raise().weight_backward(
        x.data_ptr(), n, h.data_ptr(), f, dz.data_ptr(), 4 * f, b, rows, columns, dw.data_ptr(),
        dbias.data_ptr(), _threads(sizes),
    )  # fmt: skip
    return dw, dbias


def _peephole_gradient(*parts: Tensor | None) -> Tensor:
    """`(3, F, H, W)` from what each gate adds a sample; None is a gate that adds nothing here."""
    some = next(p for p in parts if p is not None)
    return torch.stack([some.new_zeros(some.shape[1:]) if p is None else p.sum(0) for p in parts])


def _sizes(x: Tensor, h: Tensor) -> Sizes:
    return x.shape[0], x.shape[1], h.shape[1], x.shape[2], x.shape[3]


def _threads(sizes: Sizes) -> int:
    b, n, f, rows, columns = sizes
    products = 36 * b * rows * columns * f * (n + f)
    return max(1, min(torch.get_num_threads(), products // PRODUCTS_A_THREAD))


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, memory_format=LAST)


def _last(x: Tensor) -> Tensor:
    return x.detach().contiguous(memory_format=LAST)


def _pointer(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


# ---- the library -----------------------------------------------------------------------------

_P, _N = ctypes.c_void_p, ctypes.c_int64
SIGNATURES: dict[str, list[Any]] = {
    "packed_size": [_N, _N],
    "pack": [_P, _N, _N, _P],
    "pack_turned": [_P, _N, _N, _N, _P],
    "step": [_P, _N, _P, _P, _N, _P, _P, _P, _N, _N, _N, _P, _P, _P, _P, _N],
    "output_backward": [_P, _P, _P, _P, _N, _N, _N, _N, _P, _P, _N],
    "gates_backward": [_P, _P, _P, _P, _P, _N, _N, _N, _N, _P, _P, _N],
    "input_backward": [_P, _N, _P, _N, _N, _N, _P, _N, _P, _N, _N],
    "weight_backward": [_P, _N, _P, _N, _P, _N, _N, _N, _N, _P, _P, _N],
}


def library() -> ctypes.CDLL | None:
    """The compiled code, or None when it is switched off or cannot be had (said once)."""
    return None if os.environ.get(SWITCH, "").lower() in ("off", "0") else _load()


def _library_or_raise() -> ctypes.CDLL:
    found = _load()
    if found is None:
        raise CannotBuild("the ConvLSTM accelerator is not available")
    return found


@cache
def _load() -> ctypes.CDLL | None:
    try:
        with as_file(files("heliosight.models") / "winograd.cpp") as source:
            found = load_native(source)
        for name, kinds in SIGNATURES.items():
            function = getattr(found, name)
            function.argtypes, function.restype = kinds, _N if name == "packed_size" else None
    except (CannotBuild, OSError, AttributeError) as error:
        note(f"the ConvLSTM runs in plain torch, about half as fast: {error}")
        return None
    return found

"""Looks at a model and leaves it bit-identical, even after an exception."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from heliosight.subject.wrap import Subject

_OWN = ("_parameters", "_buffers", "_modules")


@contextmanager
def examine(subject: Subject) -> Iterator[Subject]:
    """Evaluation mode, gradients on and cleared, full float32, plain kernels; all undone after.

    Restored at the end: weights, buffers, plain attributes (a state kept between calls), hooks,
    gradients, `requires_grad`, training flags, global torch flags, and the random states of
    Python, NumPy and torch.
    """
    with preserved(subject.module), plain_kernels(subject.module), torch.enable_grad():
        subject.module.eval()
        for parameter in subject.module.parameters():
            parameter.grad = None
        yield subject


@contextmanager
def preserved(module: nn.Module) -> Iterator[None]:
    """Put a module and all random states back as they were when the block ends."""
    undo = [_keep_module(part) for part in module.modules()]
    undo += [_keep_tensor(tensor) for tensor in _tensors(module)]
    undo.append(_keep_random())
    try:
        yield
    finally:
        for step in undo:
            step()


def hidden_modules(module: nn.Module) -> list[nn.Module]:
    """Modules in plain lists, tuples and dicts, which torch does not know as part of the module."""
    known = {id(part) for part in module.modules()}
    found = []
    for part in module.modules():
        for key, value in vars(part).items():
            if key.startswith("_") or not isinstance(value, (list, tuple, dict)):
                continue
            inside = value.values() if isinstance(value, dict) else value
            found += [m for m in inside if isinstance(m, nn.Module) and id(m) not in known]
    return found


def _tensors(module: nn.Module) -> list[Tensor]:
    plain = [v for m in module.modules() for v in vars(m).values() if isinstance(v, Tensor)]
    return [*module.parameters(), *module.buffers(), *plain]


def _keep_tensor(tensor: Tensor) -> Callable[[], None]:
    data, values = tensor.data, tensor.detach().clone()
    grad, needs = tensor.grad if tensor.is_leaf else None, tensor.requires_grad
    grad_values = None if grad is None else grad.detach().clone()

    def restore() -> None:
        if not _same(data, values):
            data.copy_(values)
        if tensor.dtype != data.dtype or tensor.data_ptr() != data.data_ptr():
            tensor.data = data
        if grad is not None and not _same(grad, grad_values):
            grad.detach().copy_(grad_values)
        if tensor.is_leaf:
            tensor.grad = grad
            tensor.requires_grad_(needs)

    return restore


def _same(a: Tensor, b: Tensor | None) -> bool:
    return b is not None and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def _keep_module(module: nn.Module) -> Callable[[], None]:
    attributes = dict(vars(module))
    own = {key: dict(attributes[key]) for key in _OWN}
    inside = {
        key: value.copy()
        for key, value in attributes.items()
        if isinstance(value, (dict, list, set)) and key not in _OWN
    }

    def restore() -> None:
        for key in set(vars(module)) - set(attributes):
            object.__delattr__(module, key)
        vars(module).update(attributes)
        for key in _OWN:
            _refill(attributes[key], own[key])
        for key, value in inside.items():
            _refill(attributes[key], value)

    return restore


def _refill(container: Any, content: Any) -> None:
    container.clear()
    (container.extend if isinstance(container, list) else container.update)(content)


def _keep_random() -> Callable[[], None]:
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - the caller's own stream is kept, none is drawn from
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - as above
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)

    return restore


@contextmanager
def plain_kernels(module: nn.Module) -> Iterator[None]:
    """No TF32, no fused attention path that skips hooks, deterministic convolutions.

    cuDNN cannot differentiate a recurrent layer in evaluation mode, so it is off for those.
    """
    matmul, cudnn, mha = torch.backends.cuda.matmul, torch.backends.cudnn, torch.backends.mha
    tf32, fast = matmul.allow_tf32, mha.get_fastpath_enabled()
    recurrent = any(isinstance(m, nn.RNNBase) for m in module.modules())
    with cudnn.flags(
        enabled=cudnn.enabled and not recurrent,
        benchmark=False,
        deterministic=True,
        allow_tf32=False,
    ):
        matmul.allow_tf32 = False
        mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            matmul.allow_tf32 = tf32
            mha.set_fastpath_enabled(fast)


@contextmanager
def doubled(subject: Subject) -> Iterator[Subject]:
    """The same subject computing in float64; weights are swapped in place and swapped back.

    Casts to float32 inside the subject's own code become casts to float64, otherwise rounding
    would not shrink and precision scaling could not tell zero from small.
    """
    default = torch.get_default_dtype()
    with ExitStack() as stack:
        for root in (subject.module, *hidden_modules(subject.module)):
            stack.enter_context(preserved(root))
            for module in root.modules():
                _double(module)
        stack.callback(torch.set_default_dtype, default)
        torch.set_default_dtype(torch.float64)
        stack.enter_context(_DoubleMode())
        yield subject


def _double(module: nn.Module) -> None:
    for parameter in module._parameters.values():
        if parameter is not None and parameter.dtype == torch.float32:
            parameter.grad = None
            parameter.data = parameter.data.double()
    for holder in (module._buffers, vars(module)):
        for key, value in list(holder.items()):
            if isinstance(value, Tensor) and value.dtype == torch.float32:
                holder[key] = value.double()


class _DoubleMode(TorchFunctionMode):
    """Reads float32 as float64 in every torch call."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float:
            func = Tensor.double
        wide = {key: _wide(value) for key, value in (kwargs or {}).items()}
        return func(*(_wide(value) for value in args), **wide)


def _wide(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value

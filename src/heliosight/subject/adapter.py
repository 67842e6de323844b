"""Calls a module that takes named inputs in its own axis order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.errors import SubjectError
from heliosight.subject.config import ScalingConfig

AXES = {5: "BCTHW", 3: "BSV"}


def adapter(
    inputs: Mapping[str, tuple[str, str]],
    scaling: Mapping[str, ScalingConfig] | None = None,
) -> Callable[[nn.Module, Batch], Any]:
    """A `call` for `wrap` that renames modalities, scales them and permutes their axes.

    Parameters
    ----------
    inputs : argument name of the module -> (modality of the batch, axis order it wants), for
        example `{"sdo": ("images", "B T C H W"), "omni": ("solar_wind", "B S V")}`. A letter of
        the legend that is left out must be an axis of length 1.
    scaling : by modality; the others are passed in physical units.

    Returns
    -------
    callable
        `call(module, batch)`: inputs are floating, passed by keyword.

    Raises
    ------
    SubjectError : an axis string with unknown or repeated letters, a modality the batch lacks, or
        a scaling of another number of channels.
    """
    scales = scaling or {}
    orders = {name: order.replace(" ", "") for name, (_, order) in inputs.items()}
    for name, order in orders.items():
        _check_order(name, order)

    def call(module: nn.Module, batch: Batch) -> Any:
        return module(
            **{
                name: _arranged(_given(batch, modality, name, scales), orders[name], name)
                for name, (modality, _) in inputs.items()
            }
        )

    return call


def _check_order(name: str, order: str) -> None:
    known = any(set(order) <= set(axes) for axes in AXES.values())
    if not known or len(set(order)) != len(order) or "B" not in order:
        raise SubjectError(
            "an axis order uses each letter of B C T H W (images) or B S V (series) at most once",
            repr(order),
            'Write for example "B T C H W".',
            name,
        )


def _modality(batch: Batch, modality: str, name: str) -> Tensor:
    if modality not in batch.inputs:
        raise SubjectError(
            "an adapter names modalities of the batch",
            repr(modality),
            f"The batch has: {', '.join(batch.inputs)}.",
            name,
        )
    x = batch.inputs[modality]
    return x if x.is_floating_point() else x.to(batch.target.dtype)


def _given(batch: Batch, modality: str, name: str, scales: Mapping[str, ScalingConfig]) -> Tensor:
    x = _modality(batch, modality, name)
    return scaled(x, batch.observed[modality], scales[modality], name) if modality in scales else x


def scaled(x: Tensor, observed: Tensor, scaling: ScalingConfig, where: str = "") -> Tensor:
    """(x - mean) / std by channel or variable, 0 where unobserved; shape kept.

    Raises
    ------
    SubjectError : neither one value nor one a channel.
    """
    shape = (1, -1, 1, 1, 1) if x.ndim == 5 else (1, 1, -1)
    count = x.shape[1 if x.ndim == 5 else 2]
    if any(len(values) not in (1, count) for values in (scaling.mean, scaling.std)):
        raise SubjectError(
            "a scaling has one value, or one a channel",
            f"{len(scaling.mean)} means, {len(scaling.std)} deviations for {count} channels",
            where=where,
        )
    mean, std = (
        torch.tensor(values, dtype=x.dtype, device=x.device).reshape(shape)
        for values in (scaling.mean, scaling.std)
    )
    seen = observed[..., None, None] if x.ndim == 5 else observed
    return torch.where(seen, (x - mean) / std, torch.zeros((), dtype=x.dtype, device=x.device))


def _arranged(x: Tensor, order: str, name: str) -> Tensor:
    axes = AXES[x.ndim]
    dropped = [i for i, letter in enumerate(axes) if letter not in order]
    if not set(order) <= set(axes) or any(x.shape[i] != 1 for i in dropped):
        raise SubjectError(
            "an axis order fits its modality, and an axis left out has length 1",
            f"{order!r} for {axes} {tuple(x.shape)}",
            f"Use the letters {' '.join(axes)}.",
            name,
        )
    kept = [letter for letter in axes if letter in order]
    x = x.squeeze(tuple(dropped)) if dropped else x
    return x.permute([kept.index(letter) for letter in order])

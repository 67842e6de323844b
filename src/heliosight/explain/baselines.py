"""What an input is compared with, always something the Sun or an instrument could show."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.explain.disc import disc_mask

Baseline = Callable[[Batch, Batch | None], Batch]  # of a window and the other windows

WORDS = {
    "disc_median": "images: every frame and channel flat at its own disc median, corona kept; "
    "series: each variable at its median over the window",
    "typical": "the mean over the other windows",
    "black": "images: grey level 0; series: 0 in physical units",
}


def baseline_named(name: str) -> Baseline:
    """The baseline of that name; `WORDS` says what each is.

    Raises
    ------
    ConfigError : no such baseline.
    """
    known: dict[str, Baseline] = {
        "disc_median": lambda batch, _: disc_median(batch),
        "typical": typical,
        "black": lambda batch, _: black(batch),
    }
    if name not in known:
        raise ConfigError(
            "a baseline has a physical name", repr(name), f"Known: {', '.join(known)}.",
            "explain.method.baseline",
        )  # fmt: skip
    return known[name]


def disc_median(batch: Batch) -> Batch:
    """A featureless Sun and a constant wind, from the window itself."""
    flat = {}
    for name, x in batch.inputs.items():
        flat[name] = _flat_disc(x) if x.ndim == 5 else _flat_series(x, batch.observed[name])
    return _where_observed(batch, flat)


def typical(batch: Batch, context: Batch | None) -> Batch:
    """The mean of the context's observed values, place by place.

    Raises
    ------
    NotApplicable : there is no other window.
    """
    if context is None or len(context) == 0:
        raise NotApplicable(
            "the baseline 'typical' needs other windows", "none", "Give a context of real windows."
        )
    mean = {name: _mean_observed(x, context.observed[name]) for name, x in context.inputs.items()}
    return _where_observed(batch, {n: m.expand_as(batch.inputs[n]) for n, m in mean.items()})


def black(batch: Batch) -> Batch:
    """Zeros: a shuttered camera and no wind, which no model has met."""
    return _where_observed(batch, {name: torch.zeros_like(x) for name, x in batch.inputs.items()})


def _flat_disc(x: Tensor) -> Tensor:
    """Disc pixels of `(B, C, T, H, W)` at their frame's disc median, the others kept."""
    disc = torch.from_numpy(disc_mask(x.shape[-1]).copy()).to(x.device)
    median = x[..., disc].to(torch.float64).median(-1).values.to(x.dtype)
    return torch.where(disc, median[..., None, None], x)


def _flat_series(x: Tensor, observed: Tensor) -> Tensor:
    """Each variable of `(B, S, V)` at the median of its observed steps."""
    seen = torch.where(observed, x, torch.nan)
    return seen.nanmedian(1, keepdim=True).values.nan_to_num(0.0).expand_as(x)


def _mean_observed(x: Tensor, observed: Tensor) -> Tensor:
    """Mean over windows of the observed values, `(1, ...)`; 0 where nothing was observed."""
    seen = observed[..., None, None] if x.ndim == 5 else observed
    weight = seen.to(x.dtype if x.is_floating_point() else torch.float32)
    return (x * weight).sum(0, keepdim=True) / weight.sum(0, keepdim=True).clamp(min=1)


def _where_observed(batch: Batch, new: dict[str, Tensor]) -> Batch:
    """`new` where the input was observed; an unobserved place stays as it is."""
    changed = {}
    for name, x in batch.inputs.items():
        seen = batch.observed[name]
        changed[name] = torch.where(seen[..., None, None] if x.ndim == 5 else seen, new[name], x)
    return batch.with_inputs(changed)

"""Faults of a loader: what reaches a healthy model is not what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from heliosight.core.batch import Batch

LoaderKind = Literal["dead_channel", "duplicate_channel", "scaled_channel", "misaligned"]


@dataclass(frozen=True)
class LoaderFault:
    """One fault of a loader.

    Attributes
    ----------
    kind : `dead_channel` holds its mean everywhere; `duplicate_channel` holds the channel before
        it; `scaled_channel` holds `size` times its value; `misaligned` gives the images of `size`
        days before.
    branch, channel : which.
    """

    kind: LoaderKind
    branch: str = "images"
    channel: int = 1
    size: float = 1.0

    @property
    def days(self) -> float:
        """How much too old the images are [d]; 0 for other kinds."""
        return self.size if self.kind == "misaligned" else 0.0


def through_loader(batch: Batch, fault: LoaderFault) -> Batch:
    """The windows as the faulty loader hands them out; misalignment is left to who cuts windows."""
    if fault.kind == "misaligned":
        return batch
    x = batch.inputs[fault.branch].float().clone()
    place = (slice(None), fault.channel) if x.ndim == 5 else (..., fault.channel)
    if fault.kind == "dead_channel":
        x[place] = float(x[place].mean())
    elif fault.kind == "scaled_channel":
        x[place] = x[place] * fault.size
    else:
        before = (slice(None), fault.channel - 1) if x.ndim == 5 else (..., fault.channel - 1)
        x[place] = x[before]
    return batch.with_inputs({fault.branch: x})


def loader_took(fault: LoaderFault, healthy: Batch, ill: Batch) -> bool:
    """True when the fault is in `ill` and not in `healthy`, the same windows."""
    a, b = healthy.inputs[fault.branch].float(), ill.inputs[fault.branch].float()
    if fault.kind == "misaligned":
        return not torch.equal(a, b) and torch.equal(healthy.target, ill.target)
    axis = 1 if a.ndim == 5 else 2
    was, now = a.select(axis, fault.channel), b.select(axis, fault.channel)
    if fault.kind == "dead_channel":
        return float(was.std()) > 0 == float((now - now.flatten()[0]).abs().max())
    if fault.kind == "scaled_channel":
        return torch.allclose(now, was * fault.size) and not torch.allclose(now, was)
    other = b.select(axis, fault.channel - 1)
    return torch.equal(now, other) and not torch.equal(was, a.select(axis, fault.channel - 1))

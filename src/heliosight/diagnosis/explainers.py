"""What an explainer is to a diagnosis: a function from windows to maps of the images."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.subject import Subject


class Explainer(Protocol):
    """Maps of the first image modality of `subject.spec`, one per window and frame.

    Returns `(B, C, T, H, W)` when it speaks of pixels of channels, or `(B, T, H, W)` when it
    speaks of places and frames alone; positive where the input raises the forecast.
    """

    def __call__(self, subject: Subject, batch: Batch) -> Tensor:
        """Explain every window of a batch."""
        ...

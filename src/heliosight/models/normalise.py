"""Physical units in, numbers of order 1 to the encoders; the moments are the model's own."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from heliosight.core.errors import SpecError
from heliosight.core.spec import ModalitySpec
from heliosight.core.tables import Moments


@final
class Normalise(nn.Module):
    """(x - mean) / std per variable, for images the mean frame; an unobserved place becomes 0.

    Parameters
    ----------
    squash : apply asinh afterwards, so that a storm's values stay within a few units.

    Raises
    ------
    SpecError : the moments are not one pair a variable, or a deviation is not positive.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, name: str, spec: ModalitySpec, moments: Moments, squash: bool) -> None:
        super().__init__()
        n = len(spec.variables)
        if len(moments.mean) != n or len(moments.std) != n:
            raise SpecError(
                "moments are one mean and one deviation a variable",
                f"{len(moments.mean)} and {len(moments.std)} for {n}",
                where=f"moments.{name}",
            )
        if not all(s > 0 for s in moments.std):
            raise SpecError(
                "a standard deviation is positive",
                str(moments.std),
                "Leave out a variable that never changes.",
                f"moments.{name}",
            )
        self.squash, self.images = squash, spec.kind == "images"
        dtype = torch.get_default_dtype()
        shape = (n, 1, 1) if self.images else (n,)
        mean = torch.tensor(moments.mean, dtype=dtype).view(shape)
        if self.images:
            mean = mean.expand(n, spec.size, spec.size).clone()
        if self.images and moments.frame is not None:
            mean = self._frame(name, spec, moments.frame).to(dtype)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", torch.tensor(moments.std, dtype=dtype).view(shape))

    @staticmethod
    def _frame(name: str, spec: ModalitySpec, frame: np.ndarray) -> Tensor:
        """The mean frame, refused when it is not one of this modality."""
        shape = (len(spec.variables), spec.size, spec.size)
        if frame.shape != shape:
            raise SpecError(
                "a mean frame has the modality's channels and size",
                f"{frame.shape} instead of {shape}",
                "Compute the moments from the same store.",
                f"moments.{name}",
            )
        return torch.as_tensor(frame)

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """Images `(B, C, T, H, W)` uint8 or float with `(B, C, T)`; series `(B, S, V)` twice."""
        if not self.images:
            z = (x.to(self.mean.dtype) - self.mean) / self.scale
            return (torch.asinh(z) if self.squash else z) * observed
        # Frames first: encoders take them one at a time, so this is the order to lie in memory.
        frames, seen = x.transpose(1, 2).contiguous(), observed.transpose(1, 2)[..., None, None]
        factor = seen / self.scale
        if x.is_floating_point():
            return ((frames - self.mean) * factor).transpose(1, 2)
        # Pixels that came as bytes carry no gradient: in place, 4 times faster than with copies.
        return frames.to(self.mean.dtype).sub_(self.mean).mul_(factor).transpose(1, 2)

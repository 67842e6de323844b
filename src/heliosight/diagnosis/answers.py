"""What a probe is told of each frame and step: a few numbers, learned from the inputs alone.

A coronal hole is a threshold: the mean brightness of a part of the disc has lost it. So every
frame answers twice in each of 3 x 3 cells: its mean brightness, and the share of its pixels that
are dark against the frame itself. Which pixels are dark is learned from the frames: brightness is
counted from the mean frame in deviations, and the darkest tenth, less the frame's own level, marks
the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from heliosight.core.batch import Batch

GRID, SPANS, DARKEST, SAMPLE = 3, 3, 0.1, 64


@final
@dataclass(frozen=True)
class Answers:
    """Numbers of every window, channel and step of one modality.

    Attributes
    ----------
    values : `(N, C, T, K)`; a series answers with its value, K = 1.
    seen : `(N, C, T)` bool.
    images : True for frames.
    """

    values: np.ndarray
    seen: np.ndarray
    images: bool

    def channel(self, i: int) -> Answers:
        """One channel or variable alone."""
        return Answers(self.values[:, i : i + 1], self.seen[:, i : i + 1], self.images)

    def steps(self, place: slice) -> Answers:
        """Some steps alone."""
        return Answers(self.values[:, :, place], self.seen[:, :, place], self.images)

    def features(self) -> np.ndarray:
        """`(N, P)` means over the newest step and each third of the frames.

        Of a series over its newest 1, 2, 4, ... steps. Unobserved steps do not count.
        """
        return np.concatenate([self._mean(span) for span in self._spans()], 1)

    def _spans(self) -> Iterable[np.ndarray]:
        steps = np.arange(self.values.shape[2])
        if self.images:
            return [steps[-1:], *np.array_split(steps, min(SPANS, len(steps)))]
        return [steps[-(2**k) :] for k in range(int(np.log2(len(steps))) + 1)]

    def _mean(self, span: np.ndarray) -> np.ndarray:
        weight = self.seen[:, :, span, None].astype(np.float64)
        total = (self.values[:, :, span] * weight).sum(2)
        return np.asarray(total / np.maximum(weight.sum(2), 1)).reshape(len(total), -1)


@final
@dataclass(frozen=True)
class Retina:
    """Mean frame `(C, 1, H, W)`, spread and dark threshold `(C, 1, 1, 1)` of an image modality."""

    mean: Tensor
    spread: Tensor
    dark: Tensor

    @staticmethod
    def learned(images: Tensor) -> Retina:
        """From frames `(N, C, T, H, W)`, a sample of them."""
        every = max(1, len(images) // SAMPLE)
        x = images[::every].float()
        mean = x.mean((0, 2), keepdim=True)
        spread = (x - mean).pow(2).mean((0, 2, 3, 4), keepdim=True).sqrt().clamp(min=1e-6)
        z = _level_free((x - mean) / spread).transpose(0, 1).flatten(1)
        place = int(DARKEST * z.shape[1])
        dark = torch.stack([row[:: max(1, z.shape[1] // 10**6)] for row in z])
        place = int(DARKEST * dark.shape[1])
        threshold = dark.sort(1).values[:, place]
        return Retina(mean[0], spread[0], threshold.reshape(-1, 1, 1, 1))

    def values(self, images: Tensor) -> Tensor:
        """`(N, C, T, 2 GRID^2)` answers of frames `(N, C, T, H, W)`."""
        z = (images.float() - self.mean) / self.spread
        dark = (_level_free(z) < self.dark).float()
        return torch.cat([_cells(z), _cells(dark)], -1)


def _level_free(z: Tensor) -> Tensor:
    return z - z.mean((-2, -1), keepdim=True)


def _cells(x: Tensor) -> Tensor:
    grid = min(GRID, x.shape[-1])
    pooled = F.adaptive_avg_pool2d(x.flatten(0, 2)[:, None], grid)
    return pooled.reshape(*x.shape[:3], -1)


def answers(batch: Batch, m: str, retina: Retina | None) -> Answers:
    """Answers of one modality of some windows; `retina` for images."""
    x, seen = batch.inputs[m].cpu(), batch.observed[m].cpu().numpy()
    if retina is None:
        values = x.double().transpose(1, 2)[..., None].numpy()
        return Answers(values, seen.transpose(0, 2, 1), False)
    return Answers(retina.values(x).double().numpy(), seen, True)


def joined(pieces: list[Answers]) -> Answers:
    """Answers of windows one after the other."""
    return Answers(
        np.concatenate([p.values for p in pieces]),
        np.concatenate([p.seen for p in pieces]),
        pieces[0].images,
    )

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

from heliosight.core.batch import Batch

GRID, SPANS, DARKEST, SAMPLE = 3, 3, 0.1, 32
PIXELS = 16  # along a side, of those whose mean and deviation are told


@final
@dataclass(frozen=True)
class Answers:
    """Numbers of every window, channel and step of one modality.

    Attributes
    ----------
    values : `(N, C, T, K)`; a series answers with its value, K = 1.
    seen : `(N, C, T)` bool.
    raw : `(N, C, 2)` mean and standard deviation of what arrives in a channel, over the window's
        observed steps and pixels.
    images : True for frames.
    """

    values: np.ndarray
    seen: np.ndarray
    raw: np.ndarray
    images: bool

    def put(self, at: int, piece: Answers) -> None:
        """Write the answers of some windows from row `at` on."""
        rows = slice(at, at + len(piece.values))
        self.values[rows], self.seen[rows] = piece.values, piece.seen
        self.raw[rows] = piece.raw

    def rows(self, index: np.ndarray) -> Answers:
        """Some windows alone."""
        return Answers(self.values[index], self.seen[index], self.raw[index], self.images)

    def channel(self, i: int) -> Answers:
        """One channel or variable alone."""
        one = slice(i, i + 1)
        return Answers(self.values[:, one], self.seen[:, one], self.raw[:, one], self.images)

    def steps(self, place: slice) -> Answers:
        """Some steps alone; what arrives is still told of all of them."""
        return Answers(self.values[:, :, place], self.seen[:, :, place], self.raw, self.images)

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
    """What brightness is counted from: `(C, 1, K)` cells of the mean frame and `(C, 1, 1)` spread.

    edge : `(C, 1, H, W)`; a pixel is dark when it lies below it after its frame's own level (the
        mean of its pixels less that of the mean frame) is taken off.
    """

    cells: Tensor
    spread: Tensor
    edge: Tensor
    level: Tensor

    @staticmethod
    def learned(images: Tensor) -> Retina:
        """From frames `(N, C, T, H, W)`, a sample of them."""
        x = images[:: max(1, len(images) // SAMPLE)].float()
        mean = x.mean((0, 2))[:, None]
        level = mean.mean((-2, -1), keepdim=True)
        away = x - mean
        spread = away.pow(2).mean((0, 2, 3, 4)).sqrt().clamp(min=1e-6)
        away = away - away.mean((-2, -1), keepdim=True)
        rows = away.transpose(0, 1).flatten(1)
        rows = rows[:, :: max(1, rows.shape[1] // 10**6)]
        dark = rows.kthvalue(max(1, int(DARKEST * rows.shape[1])), 1).values
        edge = mean + dark[:, None, None, None]
        return Retina(_cells(mean), spread[:, None, None], edge, level)

    def values(self, images: Tensor) -> Tensor:
        """`(N, C, T, 2 GRID^2)` answers of frames `(N, C, T, H, W)`."""
        x = images.float()
        brightness = (_cells(x) - self.cells) / self.spread
        own = x.mean((-2, -1), keepdim=True) - self.level
        return torch.cat([brightness, _cells((x < self.edge + own).float())], -1)


def _cells(x: Tensor) -> Tensor:
    """`(..., GRID^2)` means of `(..., H, W)` over a grid of cells."""
    size = x.shape[-1]
    grid = min(GRID, size)
    weights = torch.zeros(size, grid)
    for i in range(grid):
        start, end = i * size // grid, -(-(i + 1) * size // grid)
        weights[start:end, i] = 1 / (end - start)
    return (weights.T @ (x @ weights)).flatten(-2)


def answers(batch: Batch, m: str, retina: Retina | None) -> Answers:
    """Answers of one modality of some windows; `retina` for images."""
    x, seen = batch.inputs[m].cpu(), batch.observed[m].cpu().numpy()
    if retina is None:
        values, seen = x.double().transpose(1, 2)[..., None].numpy(), seen.transpose(0, 2, 1)
        return Answers(values, seen, _raw(values, seen), False)
    stride = max(1, x.shape[-1] // PIXELS)
    pixels = x[..., ::stride, ::stride].double().flatten(3).numpy()
    return Answers(retina.values(x).numpy(), seen, _raw(pixels, seen), True)


def _raw(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """`(N, C, 2)` mean and standard deviation over observed steps of `(N, C, T, K)`."""
    weight = seen / np.maximum(seen.sum(2, keepdims=True), 1)
    mean = (values.mean(3) * weight).sum(2)
    square = ((values - mean[:, :, None, None]) ** 2).mean(3)
    return np.stack([mean, np.sqrt((square * weight).sum(2))], 2)


def blank(like: Answers, count: int) -> Answers:
    """Room for the answers of `count` windows."""
    return Answers(
        np.zeros((count, *like.values.shape[1:]), like.values.dtype),
        np.zeros((count, *like.seen.shape[1:]), bool),
        np.zeros((count, *like.raw.shape[1:])),
        like.images,
    )

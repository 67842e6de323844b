"""Do the data hold it? Ridge probes on plain features, cross-validated in blocks of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import linalg
from torch import Tensor
from torch.nn import functional as F

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY
from heliosight.core.seeding import numpy_stream

FOLDS = 6
GAP = 4 * DAY
STRENGTHS = 10.0 ** np.arange(-3.0, 2.1, 1.0)
GRID, SPANS = 3, 3


def features(batch: Batch, m: str) -> np.ndarray:
    """`(N, P)` plain features of one modality.

    Series: each variable's mean over the newest 1, 2, 4, ... steps. Images: per channel the mean
    over the newest frame and over each third of the frames in a grid of 3 x 3 cells, and the
    spread inside each cell of the newest frame.
    """
    x, mask = batch.inputs[m], batch.observed[m]
    if x.ndim == 3:
        return _series(x.double(), mask.double()).numpy()
    return _images(x, mask).numpy()


def _series(x: Tensor, mask: Tensor) -> Tensor:
    ladder = [2**k for k in range(int(np.log2(x.shape[1])) + 1)]
    means = [(x * mask)[:, -n:].sum(1) / mask[:, -n:].sum(1).clamp(min=1) for n in ladder]
    return torch.cat(means, 1)


def _images(x: Tensor, mask: Tensor) -> Tensor:
    frames = x.shape[2]
    cells = torch.stack([_cells(x[:, :, t]) for t in range(frames)], 2)
    weight = mask.double()[..., None]
    spans = [torch.arange(frames)[-1:], *torch.arange(frames).tensor_split(min(SPANS, frames))]
    means = [
        (cells * weight)[:, :, span].sum(2) / weight[:, :, span].sum(2).clamp(min=1)
        for span in spans
    ]
    newest = x[:, :, -1].double()
    spread = (_pool(newest**2) - _pool(newest) ** 2).clamp(min=0).sqrt().flatten(2)
    return torch.cat([*means, spread], 2).flatten(1)


def _cells(frame: Tensor) -> Tensor:
    return _pool(frame.double()).flatten(2)


def _pool(frame: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(frame, min(GRID, frame.shape[-1]))


@dataclass(frozen=True)
class Folds:
    """Contiguous test spans with a gap on both sides to the rows fitted on."""

    test: tuple[np.ndarray, ...]
    train: tuple[np.ndarray, ...]

    @staticmethod
    def of(times: np.ndarray, count: int = FOLDS) -> Folds:
        """Equal numbers of windows a fold."""
        tests, trains = [], []
        for piece in np.array_split(np.arange(len(times)), count):
            low, high = times[piece[0]] - GAP, times[piece[-1]] + GAP
            tests.append(piece)
            trains.append(np.flatnonzero((times < low) | (times > high)))
        return Folds(tuple(tests), tuple(trains))


def errors(x: np.ndarray, y: np.ndarray, mask: np.ndarray, folds: Folds) -> np.ndarray:
    """`(N, L)` squared errors of held-out ridge predictions, 0 where the target is unknown.

    The strength is the one with the least error on the last fifth of each fit's rows.
    """
    return many_errors(x, (y,), mask, folds)[0]


def many_errors(
    x: np.ndarray, targets: Sequence[np.ndarray], mask: np.ndarray, folds: Folds
) -> list[np.ndarray]:
    """`errors` for several targets of one mask; the systems to solve are built once for all."""
    out = [np.zeros_like(y) for y in targets]
    known = [np.where(mask, y, np.nan) for y in targets]
    for test, train in zip(folds.test, folds.train, strict=True):
        means = [np.nan_to_num(np.nanmean(y[train], 0)) for y in known]
        filled = [np.nan_to_num(y - mean) for y, mean in zip(known, means, strict=True)]
        cut = max(1, len(train) * 4 // 5)
        strengths = _strengths(x, filled, train[:cut], train[cut:])
        for strength in sorted(set(strengths)):
            chosen = [i for i, s in enumerate(strengths) if s == strength]
            found = _predict(x, [filled[i] for i in chosen], train, test, (strength,))[0]
            for i, prediction in zip(chosen, found, strict=True):
                out[i][test] = (filled[i][test] - prediction) ** 2
    return [np.where(mask, square, 0.0) for square in out]


def _strengths(
    x: np.ndarray, targets: Sequence[np.ndarray], fit: np.ndarray, check: np.ndarray
) -> list[float]:
    """The best strength for each target."""
    found = _predict(x, targets, fit, check, STRENGTHS)
    scores = [
        [((y[check] - p) ** 2).mean() for y, p in zip(targets, row, strict=True)] for row in found
    ]
    return [float(STRENGTHS[i]) for i in np.argmin(scores, 0)]


def _predict(
    x: np.ndarray,
    targets: Sequence[np.ndarray],
    fit: np.ndarray,
    at: np.ndarray,
    strengths: Iterable[float],
) -> list[list[np.ndarray]]:
    """By strength, each target's prediction."""
    mean, std = x[fit].mean(0), x[fit].std(0)
    std = np.where(std > 1e-12, std, np.inf)
    a, b = (x[fit] - mean) / std, (x[at] - mean) / std
    y = np.concatenate([target[fit] for target in targets], 1)
    centre, cuts = y.mean(0), np.cumsum([target.shape[1] for target in targets])[:-1]
    # the smaller of the two equivalent systems: columns or rows
    narrow = a.shape[1] <= len(a)
    gram, known = (a.T @ a, a.T @ (y - centre)) if narrow else (a @ a.T, y - centre)
    place = b if narrow else b @ a.T
    found = []
    for strength in strengths:
        system = gram + strength * len(a) * np.eye(len(gram))
        weights = linalg.solve(system, known, assume_a="pos", check_finite=False)
        found.append(np.split(centre + place @ weights, cuts, 1))
    return found


def planted(x: np.ndarray, y: np.ndarray, share: float, seed: int) -> np.ndarray:
    """`(N, L)` targets with a signal from `x` that explains `share` of their variance.

    The signal is a random direction in the standardised features, the same for all leads.
    """
    std = np.where(x.std(0) > 1e-12, x.std(0), np.inf)
    direction = numpy_stream(seed, "diagnosis", "planted").standard_normal(x.shape[1])
    signal = ((x - x.mean(0)) / std) @ direction
    signal = (signal - signal.mean()) / (signal.std() or 1.0)
    noise = y.std(0) * np.sqrt(share / (1 - share))
    return np.asarray(y + signal[:, None] * noise)

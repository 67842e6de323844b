"""The chance that jointly normal scores all stay below their limits, smooth in the limits.

Counting draws gives steps, whose gradient is zero. Here each score is drawn given the ones before
it, and the chance that it stays below is multiplied (Genz 1992, J. Comp. Graph. Stat. 1, 141,
section 2), on the lattice of fractional parts of square roots of primes (same source, section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)
POINTS = 256
EDGE = 1e-12  # scores are drawn from levels within (EDGE, 1 - EDGE)
JITTER = 1e-6  # added to the diagonal, so that scores that repeat each other have a root


def correlation_of(draws: Tensor) -> Tensor:
    """Correlation `(L, L)` float64 of normal draws `(M, L)`, positive definite."""
    found = torch.corrcoef(draws.to(torch.float64).T).reshape(draws.shape[1], draws.shape[1])
    eye = torch.eye(len(found), dtype=found.dtype, device=found.device)
    return (found + JITTER * eye) / (1 + JITTER)


def all_below(chances: Tensor, correlation: Tensor, points: int = POINTS) -> Tensor:
    """P(every score stays below), `(B,)`, from the single chances `(B, L)` of staying below.

    correlation : `(L, L)` of the normal scores, positive definite; L up to 24.
    """
    root = torch.linalg.cholesky(correlation.to(torch.float64))
    level = chances.to(torch.float64).clamp(EDGE, 1 - EDGE)
    limit = torch.special.ndtri(level)
    place = _lattice(points, len(root) - 1).to(limit)
    whole = limit.new_ones(len(limit), points)
    scores: list[Tensor] = []
    for row in range(len(root)):
        known = sum((root[row, k] * score for k, score in enumerate(scores)), limit.new_zeros(()))
        below = torch.special.ndtr((limit[:, row, None] - known) / root[row, row])
        whole = whole * below
        if row < len(root) - 1:
            drawn = (place[:, row] * below).clamp(EDGE, 1 - EDGE)
            scores.append(torch.special.ndtri(drawn))
    return whole.mean(1).to(chances)


def _lattice(points: int, size: int) -> Tensor:
    """`(points, size)` in [0, 1), folded so that both ends of each axis are joined."""
    step = torch.tensor(PRIMES[:size], dtype=torch.float64).sqrt()
    index = torch.arange(1, points + 1, dtype=torch.float64)
    return (2 * ((index[:, None] * step) % 1.0) - 1).abs()

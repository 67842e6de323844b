"""Per-window terms whose sums make variances, losses and slopes, for the block jackknife."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from heliosight.diagnosis.blocks import Estimate, jackknife
from heliosight.diagnosis.config import DiagnosisConfig


class Blocked(Protocol):
    """Windows in blocks of time: those of a diagnosis, or those a probe learns from."""

    @property
    def rows(self) -> np.ndarray:
        """`(N,)` block of each window."""
        ...

    @property
    def config(self) -> DiagnosisConfig:
        """Length of the blocks."""
        ...


@dataclass(frozen=True)
class Columns:
    """Named groups of per-window columns, `(N, k)` each, side by side."""

    groups: dict[str, np.ndarray]

    @property
    def matrix(self) -> np.ndarray:
        """`(N, sum k)`."""
        return np.concatenate(list(self.groups.values()), 1)

    def split(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Sums `(..., sum k)` by group."""
        edges = np.cumsum([g.shape[1] for g in self.groups.values()])[:-1]
        return dict(zip(self.groups, np.split(sums, edges, -1), strict=True))

    def estimate(
        self, evidence: Blocked, statistic: Callable[[dict[str, np.ndarray]], np.ndarray]
    ) -> Estimate:
        """Estimate of `statistic(sums by group)`."""
        return jackknife(
            self.matrix,
            evidence.rows,
            lambda sums: statistic(self.split(sums)),
            evidence.config.block_days,
        )


def moments(name: str, x: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the within-lead variance of `(N, L)` values."""
    x = np.where(mask, x, 0.0)
    return {f"{name}1": x, f"{name}2": x * x, f"{name}n": mask.astype(np.float64)}


def products(name: str, x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the within-lead covariance of two `(N, L)` arrays."""
    return {name: np.where(mask, x * y, 0.0)}


def variance(s: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Variance around each lead's own mean, averaged over all known values."""
    n = np.maximum(s[f"{name}n"], 1.0)
    inside = s[f"{name}2"] - s[f"{name}1"] ** 2 / n
    return inside.sum(-1) / n.sum(-1)


def covariance(s: dict[str, np.ndarray], pair: str, x: str, y: str) -> np.ndarray:
    """Covariance around each lead's own means; both moments over the same mask."""
    n = np.maximum(s[f"{x}n"], 1.0)
    return (s[pair] - s[f"{x}1"] * s[f"{y}1"] / n).sum(-1) / n.sum(-1)


def total(columns: Sequence[np.ndarray]) -> np.ndarray:
    """`(N, k)` from k arrays of `(N,)`."""
    return np.stack(list(columns), 1)

"""Draws of a Gaussian copula over leads (Pinson & Girard 2012, Appl. Energy 96, 12)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from heliosight.core.errors import SpecError
from heliosight.core.seeding import torch_stream


def correlated_draws(correlation: np.ndarray, leads: int, count: int, seed: int) -> Tensor:
    """Standard normal draws `(M, L)` with this correlation `(L, L)`, float32.

    Raises
    ------
    SpecError : wrong shape, not symmetric, diagonal not 1, or a clearly negative eigenvalue.
    """
    matrix = np.asarray(correlation, dtype=np.float64)
    square = matrix.shape == (leads, leads) and bool(np.isfinite(matrix).all())
    good = square and np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1.0)
    values, vectors = np.linalg.eigh(matrix) if good else (np.array([-1.0]), matrix)
    if values.min() < -1e-6:
        raise SpecError(
            f"a copula has a correlation matrix of {leads} leads",
            f"shape {matrix.shape}, smallest eigenvalue {values.min():.3g}"
            if good
            else f"shape {matrix.shape}, not symmetric with diagonal 1",
            "Correlate the normal scores of past forecasts per lead.",
        )
    root = torch.from_numpy(vectors * np.sqrt(values.clip(0)))
    normal = torch.randn(count, leads, generator=torch_stream(seed, "copula"), dtype=torch.float64)
    return (normal @ root.T).float()

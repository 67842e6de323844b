"""Shares of the forecast's variance by each of two modalities alone and by both together."""

from __future__ import annotations

import numpy as np

from heliosight.core.errors import NotApplicable
from heliosight.diagnosis.blocks import Estimate
from heliosight.diagnosis.evidence import Evidence


def crossing(evidence: Evidence) -> np.ndarray:
    """`(n, n, L)` forecasts, modality a of window i with modality b of window j, computed once.

    Raises
    ------
    NotApplicable : there are not two modalities, or they are not encoded apart.
    """
    if "crossing" not in evidence.memo:
        names = evidence.modalities
        if len(names) != 2 or not evidence.crossable:
            raise NotApplicable(
                "a crossing needs two modalities that are encoded apart",
                f"{len(names)} modalities",
            )
        rows = evidence.spread(2 * evidence.config.subset_count)
        a, b = (x.ravel() for x in np.meshgrid(rows, rows, indexing="ij"))
        y = evidence.crossed({names[0]: a, names[1]: b})
        evidence.memo["crossing"] = y.reshape(len(rows), len(rows), -1)
    found: np.ndarray = evidence.memo["crossing"]
    return found


def shares(f: np.ndarray) -> np.ndarray:
    """S_a, S_b, S_ab of a crossing `(n, m, L)`, `(3,)`; they sum to 1.

    Two-way layout with random rows and columns and one value a cell (Searle, Casella & McCulloch
    1992, Variance Components, 4.3): s_ab = MS_ab, s_a = (MS_a - MS_ab) / m,
    s_b = (MS_b - MS_ab) / n, means over leads, in shares of their sum. S_a is the first-order Sobol
    index, S_ab what an additive projection of the model loses (Hessel & Lee 2020).
    """
    n, m, _ = f.shape
    whole = f.mean((0, 1))
    by_a, by_b = f.mean(1) - whole, f.mean(0) - whole
    rest = f - whole - by_a[:, None] - by_b[None]
    both = float((rest**2).sum((0, 1)).mean()) / ((n - 1) * (m - 1))
    a = float((by_a**2).sum(0).mean()) / (n - 1) - both / m
    b = float((by_b**2).sum(0).mean()) / (m - 1) - both / n
    found = np.array([a, b, both])
    return found / max(float(found.sum()), 1e-300)


def split(evidence: Evidence) -> tuple[Estimate, Estimate, Estimate]:
    """S_a, S_b, S_ab, each with a jackknife that leaves a block of time out of rows and columns.

    Raises
    ------
    NotApplicable : see `crossing`; also when the forecast is constant.
    """
    _ = evidence.variance
    f = crossing(evidence)
    rows = evidence.spread(2 * evidence.config.subset_count)
    blocks = evidence.rows[rows]
    names = np.unique(blocks)
    kept = [np.flatnonzero(blocks != block) for block in names]
    left = np.array([shares(f[np.ix_(k, k)]) for k in kept])
    error = np.sqrt((len(names) - 1) / len(names) * ((left - left.mean(0)) ** 2).sum(0))
    days = evidence.config.block_days
    s_a, s_b, s_ab = (
        Estimate(float(v), float(e), len(names) - 1, days)
        for v, e in zip(shares(f), error, strict=True)
    )
    return s_a, s_b, s_ab

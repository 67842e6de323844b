"""Ridge regression of all leads at once from sums that are accumulated once.

min_W |Y - 1 b' - X W|^2 + n lambda |W|^2 with an unpenalised intercept b (Hoerl & Kennard 1970,
Technometrics 12, 55, eq. 2.1, on centred data). Everything the fit and its validation error need
is in the sums of rows, of squares and of products; spans of time are disjoint, so their sums add,
and a model that sees fewer columns takes a block of the same matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import linalg

from heliosight.core.errors import DataError

STRENGTHS = tuple(float(10.0**k) for k in np.arange(-4.0, 1.76, 0.25))


@final
@dataclass(frozen=True)
class Scaling:
    """Mean and spread of each column in the training past; NaN becomes the mean.

    mean, std : `(F,)`. A column without spread gets std 1 and hence stays 0.
    """

    mean: np.ndarray
    std: np.ndarray

    @staticmethod
    def of(values: np.ndarray) -> Scaling:
        """Scaling of `(N, F)` values, NaN ignored; a column with no value at all is refused."""
        known = np.isfinite(values)
        count = known.sum(0)
        if not len(values) or np.any(count == 0):
            raise DataError(
                "every column has a known value in the training past",
                f"{int((count == 0).sum())} of {values.shape[1]} columns have none",
                "Let the training span begin where all tables have begun.",
            )
        mean = np.where(known, values, 0.0).sum(0) / count
        square = np.where(known, (values - mean) ** 2, 0.0).sum(0) / count
        return Scaling(mean, np.where(square > 1e-16, np.sqrt(square), 1.0))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """`(N, F)` standardised, missing values at the training mean (0)."""
        scaled = values - self.mean
        scaled /= self.std
        return np.nan_to_num(scaled, copy=False, nan=0.0)


@final
@dataclass(frozen=True)
class Sums:
    """Sums over rows of one or more spans: `x` `(N, F)` and `y` `(N, L)`."""

    n: float
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray

    @staticmethod
    def of(x: np.ndarray, y: np.ndarray) -> Sums:
        """Accumulated over the rows given."""
        return Sums(float(len(x)), x.sum(0), y.sum(0), x.T @ x, x.T @ y, (y * y).sum(0))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, k) + getattr(other, k) for k in self.__dataclass_fields__))

    def block(self, columns: np.ndarray) -> Sums:
        """The same rows seen through fewer columns."""
        square = np.ix_(columns, columns)
        return Sums(self.n, self.x[columns], self.y, self.xx[square], self.xy[columns], self.yy)

    def error(self, weights: np.ndarray, intercept: np.ndarray) -> float:
        """Mean squared error of y = intercept + x weights over rows and leads."""
        cross = (weights * (self.xy - np.outer(self.x, intercept))).sum()
        square = (weights * (self.xx @ weights)).sum()
        rest = self.yy.sum() - 2 * (self.y * intercept).sum() + self.n * (intercept**2).sum()
        return float((rest - 2 * cross + square) / (self.n * len(intercept)))


@final
@dataclass(frozen=True)
class Path:
    """The eigenvectors of the centred columns: a fit for any strength costs one product."""

    n: float
    values: np.ndarray
    vectors: np.ndarray
    projected: np.ndarray
    x_mean: np.ndarray
    y_mean: np.ndarray

    @staticmethod
    def of(sums: Sums) -> Path:
        """Prepared from sums."""
        x_mean, y_mean = sums.x / sums.n, sums.y / sums.n
        centred = sums.xx - sums.n * np.outer(x_mean, x_mean)
        values, vectors = linalg.eigh(centred)
        projected = vectors.T @ (sums.xy - sums.n * np.outer(x_mean, y_mean))
        return Path(sums.n, np.maximum(values, 0.0), vectors, projected, x_mean, y_mean)

    def fit(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights `(F, L)` and intercept `(L,)` for lambda = `strength`."""
        shrunk = self.projected / (self.values + self.n * strength)[:, None]
        weights = self.vectors @ shrunk
        return weights, self.y_mean - self.x_mean @ weights


@final
@dataclass(frozen=True)
class Fit:
    """A fitted ridge: `weights` `(F, L)`, `intercept` `(L,)`, the strength that was chosen."""

    weights: np.ndarray
    intercept: np.ndarray
    strength: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """`(N, L)` for standardised columns `(N, F)`."""
        return np.asarray(x @ self.weights + self.intercept)


def fit_ridge(train: Sums, validation: Sums, strengths: Sequence[float] = STRENGTHS) -> Fit:
    """Strength by the error on `validation` of a fit on `train`, then a fit on both."""
    path = Path.of(train)
    errors = [validation.error(*path.fit(s)) for s in strengths]
    best = float(strengths[int(np.argmin(errors))])
    weights, intercept = Path.of(train + validation).fit(best)
    return Fit(weights, intercept, best)

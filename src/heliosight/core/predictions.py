"""Forecasts of one system on many issue times, ready to be scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heliosight.core.errors import SpecError


@dataclass(frozen=True)
class Predictions:
    """All arrays share the row order of `issue_time`.

    Attributes
    ----------
    name : the row's name in a table.
    issue_time : `(N,)` int64 UTC seconds, ascending.
    mean_log : `(N, L)` mean of log1p(ap).
    mean : `(N, L)` mean ap.
    observed : `(N, L)` ap, NaN where unknown.
    levels : `(Q,)`; quantiles : `(N, L, Q)` ap. Empty Q for a point forecast.
    event_probability : `(N, D, G)` P(max ap of the day reaches the class), NaN if not given.
    fold : `(N,)` int, the walk-forward fold of each row.
    """

    name: str
    issue_time: np.ndarray
    mean_log: np.ndarray
    mean: np.ndarray
    observed: np.ndarray
    levels: np.ndarray
    quantiles: np.ndarray
    event_probability: np.ndarray
    fold: np.ndarray

    def __post_init__(self) -> None:
        n, leads = self.mean.shape
        wanted = {
            "issue_time": (n,),
            "mean_log": (n, leads),
            "observed": (n, leads),
            "quantiles": (n, leads, len(self.levels)),
            "fold": (n,),
        }
        wrong = [
            f"{key} {getattr(self, key).shape} instead of {shape}"
            for key, shape in wanted.items()
            if getattr(self, key).shape != shape
        ]
        if wrong:
            raise SpecError("arrays of predictions must share their rows", "; ".join(wrong))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the name, for a record's npz."""
        return {key: getattr(self, key) for key in self.__dataclass_fields__ if key != "name"}

"""The windows a case is diagnosed on, and beside them those its model has learned from."""

from __future__ import annotations

from typing import final

import numpy as np
import torch

from heliosight.core.batch import Batch
from heliosight.core.spec import ForecastSpec
from heliosight.workflows.certify_worlds import World


@final
class Handed:
    """What a user's loader hands out: the windows learned from as they were, these as they are now.

    Parameters
    ----------
    own : the windows that are diagnosed, through a faulty loader where one is planted.
    learned : the world that the model was trained in.
    """

    def __init__(self, own: Batch, learned: World) -> None:
        self._own, self._past = own, learned.windows
        self._place = {int(t): i for i, t in enumerate(own.issue_time)}
        self.times = own.issue_time.numpy()
        self.all_times = np.union1d(learned.train, self.times)

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target."""
        return self._past.spec

    def batch(self, issue_times: np.ndarray, image_shift: np.ndarray | None = None) -> Batch:
        """Windows of issue times; rows of the diagnosed ones are not cut again."""
        del image_shift
        mine = np.array([int(t) in self._place for t in issue_times], dtype=bool)
        parts: list[Batch] = []
        if not mine.all():
            parts.append(self._past.batch(issue_times[~mine]))
        if mine.any():
            parts.append(self._own.select([self._place[int(t)] for t in issue_times[mine]]))
        order = np.argsort(np.concatenate([np.flatnonzero(~mine), np.flatnonzero(mine)]))
        return Batch.join(parts).select(torch.as_tensor(order))

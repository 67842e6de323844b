"""A user's point forecaster with a distribution: the errors it made on times it has not learned.

A model that gives one number a lead says nothing of how sure it is. The errors of its forecasts on
past issue times that it has not learned from (`subject.first` on) are put around the new forecast,
lead by lead (Roulston & Smith 2003, Tellus A 55, 16), and their order correlations join the leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.errors import ConfigError, DataError
from heliosight.core.folds import Fold
from heliosight.core.forecast import DEFAULT_LEVELS, Forecast
from heliosight.core.geomagnetic import EVENT_CLASSES, storm_threshold
from heliosight.core.output import ModelOutput
from heliosight.data.store import Store
from heliosight.data.windows import Windows
from heliosight.models.copula import correlated_draws
from heliosight.subject import Subject, model_hash
from heliosight.training import predict
from heliosight.training.predict import score_correlation
from heliosight.workflows.examined import foreign_subject, plain_name
from heliosight.workflows.run import Run
from heliosight.workflows.trained import warning_thresholds

LEADS, LEAD_HOURS, A_DAY = 24, 3, 8
HORIZON = 3 * DAY
FEWEST = 64
DRAWS = 500
_BATCH = 32


@final
@dataclass(frozen=True, eq=False)
class Dressed:
    """A user's model ready to issue; see `workflows.systems.System`."""

    store: Store
    name: str
    fold: Fold
    model: DressedModel
    subject: Subject
    past: Windows
    validation: np.ndarray
    thresholds: np.ndarray
    weights: str


@final
class DressedModel(nn.Module):
    """A subject whose point forecast carries the spread of its past errors.

    Parameters
    ----------
    residual : `(N, L)` errors of log1p(ap), observed less forecast.
    """

    spread: Tensor
    shift: Tensor
    levels: Tensor
    copula_draws: Tensor

    def __init__(self, subject: Subject, residual: np.ndarray, seed: int) -> None:
        super().__init__()
        self.subject, self.module = subject, subject.module
        ranks = rankdata(residual, axis=0) / (len(residual) + 1)
        correlation = score_correlation(ndtri(ranks))
        quantiles = np.quantile(residual, DEFAULT_LEVELS, axis=0).T
        self.register_buffer("spread", torch.from_numpy(quantiles).float())
        self.register_buffer("shift", torch.from_numpy(residual.mean(0)).float())
        self.register_buffer("levels", torch.tensor(DEFAULT_LEVELS))
        draws = correlated_draws(correlation, residual.shape[1], DRAWS, seed)
        self.register_buffer("copula_draws", draws)

    def forward(self, batch: Batch) -> ModelOutput:
        """The distribution of log1p(ap) `(B, L)` around the subject's forecast."""
        log = torch.log1p(self.subject.score(batch).clamp(min=0.0))
        quantiles = log[..., None] + self.spread
        return ModelOutput(Forecast(log + self.shift, quantiles.clamp(min=0.0), self.levels))

    def event_probability(self, output: ModelOutput) -> Tensor:
        """`(B, D, G)` P(any lead of the day reaches G1..G3)."""
        chances = [
            output.forecast.day_exceedance(storm_threshold(g), self.copula_draws, A_DAY)
            for g in EVENT_CLASSES
        ]
        return torch.stack(chances, -1)


def dressed_foreign(run: Run, issue: int) -> Dressed:
    """The user's model of a run, dressed with its errors on outcomes known before an issue time.

    Raises
    ------
    ConfigError : it does not forecast 24 intervals of 3 h, it is not told which times it has not
        learned from, or fewer than 64 of them have an outcome before the issue time.
    """
    config = run.config.subject
    if (config.leads, config.lead_hours) != (LEADS, LEAD_HOURS):
        raise ConfigError(
            f"a model that issues forecasts gives {LEADS} intervals of {LEAD_HOURS} h",
            f"{config.leads} of {config.lead_hours} h", where="subject.leads",
        )  # fmt: skip
    if not config.first:
        raise ConfigError(
            "a model's errors are those on times it has not learned from", "no first such time",
            "Set subject.first: its training and validation data end before it.", "subject.first",
        )  # fmt: skip
    first = to_seconds(config.first)
    subject, store, windows, times = foreign_subject(run)
    known = times[(times >= first) & (times <= issue - HORIZON)]
    if len(known) < FEWEST:
        raise ConfigError(
            f"a forecast is dressed with the errors of {FEWEST} or more earlier ones",
            f"{len(known)} from {config.first} to three days before {to_text(issue)}",
            "Give more data of the past, a smaller split.stride_hours, or a later --at.",
            "subject.first",
        )
    model = DressedModel(subject, _residuals(subject, windows, known), run.config.seed)
    target = store.tables[windows.spec.target_table]
    fold = Fold(
        f"unseen_{config.first[:10]}", (min(int(target.times[0]) + 60 * DAY, first), first),
        (first, issue - HORIZON + 1), (issue, issue + 1), 0.0,
    )  # fmt: skip
    name = plain_name(config.name or config.model)
    limits = warning_thresholds(predict(model, windows, known, name=name))
    weights = model_hash(config, subject)
    return Dressed(store, name, fold, model, subject, windows, known, limits, weights)


def _residuals(subject: Subject, windows: Windows, times: np.ndarray) -> np.ndarray:
    """`(N, L)` observed less forecast log1p(ap)."""
    found: list[Any] = []
    for start in range(0, len(times), _BATCH):
        batch = windows.batch(times[start : start + _BATCH])
        given = torch.log1p(subject.forecast(batch).clamp(min=0.0)).cpu()
        found.append((torch.log1p(batch.target) - given).double().numpy())
    errors = np.concatenate(found)
    if not np.isfinite(errors).all():
        lost = times[~np.isfinite(errors).all(1)]
        raise DataError(
            "a model that issues forecasts gives finite numbers",
            f"not for {len(lost)} of {len(times)} issue times, the first {to_text(int(lost[0]))}",
            "heliosight diagnose tells where they come from.",
        )
    return errors

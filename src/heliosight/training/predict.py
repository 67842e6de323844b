"""Forecasts of a trained model on many issue times, and the copula that joins their leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import DataError, SpecError
from heliosight.core.geomagnetic import EVENT_CLASSES
from heliosight.core.output import ModelOutput
from heliosight.core.ports import WindowSource
from heliosight.core.predictions import Predictions
from heliosight.core.progress import track
from heliosight.training.distributed import current_team
from heliosight.training.protocol import Trainable

Passed = Sequence[tuple[ModelOutput, Batch]]

LEADS_A_DAY = 8
# PIT values are kept this far from 0 and 1, where the normal score is infinite.
PIT_EDGE = 1e-4


def passed(
    model: Trainable, source: WindowSource, issue_times: np.ndarray, batch_size: int = 64
) -> Passed:
    """What the network says of windows `(N,)`, each once in ascending order, without their inputs.

    A copula and a forecast of the same windows are then made without a second pass.
    """
    times = np.unique(np.asarray(issue_times, np.int64))
    return [
        (ModelOutput(output.forecast), replace(batch, inputs={}, observed={}))
        for output, batch in _outputs(model, source, times, batch_size, "forecast validation")
    ]


def predict(
    model: Trainable,
    source: WindowSource,
    issue_times: np.ndarray,
    batch_size: int = 64,
    name: str = "model",
    fold: int | np.ndarray = 0,
    said: Passed | None = None,
) -> Predictions:
    """Forecasts of `issue_times` `(N,)`, in ascending order of time, each once.

    A window's forecast does not depend on `batch_size` but for rounding. Under torchrun every
    process computes its share and all get every row, so no metric is a mean over processes.

    Parameters
    ----------
    fold : walk-forward fold, one for all or `(N,)` in the order of `issue_times`.
    said : what `passed` gave of these very windows; the network is then not run again.

    Raises
    ------
    SpecError : no issue times.
    """
    times, place = np.unique(np.asarray(issue_times, np.int64), return_index=True)
    if not len(times):
        raise SpecError("a forecast needs issue times", "none", where=name)
    team = current_team()
    share = times if said is not None else times[team.share]
    # a process with nothing to do computes one window for its shapes and gives none of it
    asked = share if len(share) else times[:1]
    rows: list[dict[str, np.ndarray]] = []
    levels = np.zeros(0)
    for output, batch in said or _outputs(model, source, asked, batch_size, f"forecast {name}"):
        rows.append(_rows(model, output, batch))
        # float32 keeps 0.05 as 0.0500000007; every system must carry the very same levels
        levels = np.round(_array(output.forecast.levels), 6)
    own = {key: np.concatenate([r[key] for r in rows])[: len(share)] for key in rows[0]}
    shared = said is None
    columns = {key: team.gather(x, len(times)) if shared else x for key, x in own.items()}
    folds = np.broadcast_to(np.asarray(fold, np.int64), len(issue_times))[place]
    return Predictions(name=name, issue_time=times, levels=levels, fold=folds, **columns)


def fit_copula(
    model: Trainable,
    source: WindowSource,
    times: np.ndarray,
    batch_size: int = 64,
    seed: int = 0,
    said: Passed | None = None,
) -> np.ndarray:
    """Correlation `(L, L)` of the normal scores of the PIT; also given to `model.set_copula`.

    z = Phi^-1(F(y)) per lead, correlated over the issue times `(N,)` where both leads were
    observed (Pinson & Girard 2012, Appl. Energy 96, 12, section 3.2), then made positive definite.
    `said` as in `predict`.

    Raises
    ------
    SpecError : the model has no `set_copula`.
    DataError : too few observed targets.
    """
    if not hasattr(model, "set_copula"):
        raise SpecError("a copula needs a model with `set_copula`", type(model).__name__)
    outputs = said or _outputs(model, source, times, batch_size, "copula")
    scores = np.concatenate([_normal_scores(output, batch) for output, batch in outputs])
    correlation = score_correlation(scores)
    model.set_copula(correlation, seed)
    return correlation


def score_correlation(scores: np.ndarray) -> np.ndarray:
    """Positive definite correlation `(L, L)` of normal scores `(N, L)`, NaN where unobserved.

    Raises
    ------
    DataError : a lead shares fewer than 3 observed rows with another.
    """
    seen = np.isfinite(scores).astype(float)
    if (seen.T @ seen).min(initial=np.inf) < 3:
        raise DataError(
            "a copula needs 3 or more rows for every pair of leads",
            f"{len(scores)} rows",
            "Fit it on a longer block.",
        )
    mean = np.nansum(scores, 0) / seen.sum(0)
    centred = np.where(seen > 0, scores - mean, 0.0)
    both = centred.T @ centred
    own = (centred**2).T @ seen
    raw = both / np.sqrt(np.maximum(own * own.T, 1e-12))
    np.fill_diagonal(raw, 1.0)
    values, vectors = np.linalg.eigh(raw)
    fixed = (vectors * np.maximum(values, 1e-4)) @ vectors.T
    scale = np.sqrt(np.diag(fixed))
    return fixed / np.outer(scale, scale)


def _outputs(
    model: Trainable, source: WindowSource, times: np.ndarray, size: int, label: str
) -> Iterator[tuple[ModelOutput, Batch]]:
    """Output and batch of consecutive windows, in evaluation mode; the mode is put back."""
    first: Any = next(model.parameters())
    starts = range(0, len(times), size)
    was_training = model.training
    model.train(False)
    try:
        for start in track(starts, label, len(starts)):
            batch = source.batch(times[start : start + size]).to(first.device, first.dtype)
            with torch.no_grad():
                output = model(batch)
            yield output, batch
    finally:
        model.train(was_training)


def _rows(model: Trainable, output: ModelOutput, batch: Batch) -> dict[str, np.ndarray]:
    forecast = output.forecast
    observed = torch.where(batch.target_mask, batch.target, torch.nan)
    days = batch.target.shape[1] // LEADS_A_DAY
    if hasattr(model, "event_probability"):
        events = _array(model.event_probability(output))
    else:
        events = np.full((len(batch), days, len(EVENT_CLASSES)), np.nan)
    return {
        "mean_log": _array(forecast.mean),
        "mean": _array(forecast.mean_ap()),
        "observed": _array(observed),
        "quantiles": _array(forecast.quantiles_ap()),
        "event_probability": events,
    }


def _normal_scores(output: ModelOutput, batch: Batch) -> np.ndarray:
    """Normal scores `(B, L)` of the PIT, NaN where the target is unknown."""
    pit = output.forecast.cdf(torch.log1p(batch.target)).double()
    score = torch.special.ndtri(pit.clamp(PIT_EDGE, 1 - PIT_EDGE))
    return _array(torch.where(batch.target_mask, score, torch.nan))


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().double().numpy()

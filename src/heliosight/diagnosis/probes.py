"""Do the data hold it? Ridge probes in two steps, cross-validated in blocks of time.

The first step predicts the target from all other inputs, the second what is left of it from the
input asked about. Its strength is chosen on inner folds, up to "nothing": an input that holds
nothing gains about zero, instead of the noise that many columns would add to a joint fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from heliosight.core.clock import DAY
from heliosight.core.seeding import numpy_stream

FOLDS, INNER = 6, 4
GAP = 4 * DAY
STRENGTHS = 10.0 ** np.arange(-3.0, 3.1, 1.0)
LIMIT = 2.5  # deviations beyond which a held-out column counts no more: a ridge extrapolates badly


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


def gains(
    rest: np.ndarray,
    own: np.ndarray | Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    mask: np.ndarray,
    times: np.ndarray,
) -> list[np.ndarray]:
    """`(N, L)` fall of the held-out squared error that `own` brings beside `rest`, per target.

    Parameters
    ----------
    rest, own : `(N, P)` columns; `rest` may have none. Of several `own`, each is asked about what
        those before it leave. targets : `(N, L)` each, of one mask.
    times : `(N,)` issue times [s], rising.
    """
    asked = [own] if isinstance(own, np.ndarray) else own
    y = np.concatenate([np.where(mask, t, np.nan) for t in targets], 1)
    found = np.zeros_like(y)
    folds = Folds.of(times)
    for test, train in zip(folds.test, folds.train, strict=True):
        mean = np.nan_to_num(np.nanmean(y[train], 0))
        centred = np.nan_to_num(y - mean)
        left, base = _step(rest, centred[train], train, test, times)
        before = after = centred[test] - base
        for columns in asked:
            left, more = _step(columns, left, train, test, times)
            after = after - more
        found[test] = before**2 - after**2
    found = np.where(np.isnan(y), 0.0, found)
    return np.split(found, len(targets), 1)


def errors(x: np.ndarray, y: np.ndarray, mask: np.ndarray, times: np.ndarray) -> np.ndarray:
    """`(N, L)` squared errors of held-out predictions from `x`, 0 where the target is unknown."""
    folds, known = Folds.of(times), np.where(mask, y, np.nan)
    out = np.zeros_like(y)
    for test, train in zip(folds.test, folds.train, strict=True):
        mean = np.nan_to_num(np.nanmean(known[train], 0))
        centred = np.nan_to_num(known - mean)
        _, prediction = _step(x, centred[train], train, test, times)
        out[test] = (centred[test] - prediction) ** 2
    return np.where(mask, out, 0.0)


def learned(
    rest: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    mask: np.ndarray,
    times: np.ndarray,
    at: np.ndarray,
) -> np.ndarray:
    """`(K, L)` what columns `at` `(K, P)` say of what `rest` `(N, Q)` leaves of the target.

    The probe is fitted on other windows, `x` `(N, P)`; 0 everywhere when the inner folds choose
    "nothing".
    """
    known = np.where(mask, y, np.nan)
    centred = np.nan_to_num(known - np.nan_to_num(np.nanmean(known, 0)))
    train, test = np.arange(len(x)), len(x) + np.arange(len(at))
    left, _ = _step(rest, centred, train, train[:1], times)
    return _step(np.concatenate([x, at]), left, train, test, times)[1]


def carried_over(
    x: np.ndarray, y: np.ndarray, times: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What columns `x` `(N, P)` say of `y` `(N, L)` out of fold, and what `at` `(K, P)` says.

    Both 0 everywhere when the inner folds choose "nothing".
    """
    train, test = np.arange(len(x)), len(x) + np.arange(len(at))
    left, there = _step(np.concatenate([x, at]), y, train, test, times)
    return y - left, there


def _step(
    x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What is left of `y` `(train, L)` out of fold, and the prediction `(test, L)`.

    The strength is the best of `STRENGTHS` over all columns on inner folds, or no prediction.
    """
    if x.shape[1] == 0:
        return y, np.zeros((len(test), y.shape[1]))
    inner = Folds.of(times[train], INNER)
    tried = np.zeros((len(STRENGTHS), *y.shape))
    for at, fit in zip(inner.test, inner.train, strict=True):
        tried[:, at] = _predict(x[train[fit]], y[fit], x[train[at]], STRENGTHS)
    scores = ((y - tried) ** 2).mean((1, 2))
    best = int(scores.argmin())
    if scores[best] >= (y**2).mean():
        return y, np.zeros((len(test), y.shape[1]))
    return y - tried[best], _predict(x[train], y, x[test], STRENGTHS[best : best + 1])[0]


def _predict(x: np.ndarray, y: np.ndarray, at: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """`(strengths, N, L)` ridge predictions; the smaller of columns or rows is solved for."""
    mean, std = x.mean(0), x.std(0)
    std = np.where(std > 1e-12, std, np.inf)
    a = np.clip((x - mean) / std, -LIMIT, LIMIT)
    b = np.clip((at - mean) / std, -LIMIT, LIMIT)
    narrow = a.shape[1] <= len(a)
    gram, known = (a.T @ a, a.T @ y) if narrow else (a @ a.T, y)
    place = b if narrow else b @ a.T
    found = np.empty((len(strengths), len(at), y.shape[1]))
    for i, strength in enumerate(strengths):
        system = gram + strength * len(a) * np.eye(len(gram))
        found[i] = place @ linalg.solve(system, known, assume_a="pos", check_finite=False)
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

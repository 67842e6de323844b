"""How a forecast widens when inputs are stale: measured, by withholding them in the training past.

With usual inputs a forecast is issued as the model gives it; that is what its verification is
about. For any other state of the inputs the model forecasts the validation windows twice, as they
were and with the very same inputs withheld. Its errors, in units of its own interquartile range,

    z = (log1p(ap) - median) / (q75 - q25),

have quantiles Q by day ahead, Q' with the inputs withheld (error dressing, Roulston & Smith 2003,
Tellus A 55, 16, made local by the forecast's own spread as in Lei et al. 2018, JASA 113, 1094,
section 5.2). The median moves by Q'(1/2) - Q(1/2) spreads, and the distance of every other quantile
from it grows by (Q'(a) - Q'(1/2)) / (Q(a) - Q(1/2)): what withholding changed, and nothing else.
When the result is not better than climatology on those windows (CRPS, 27-day blocks), the forecast
is withheld. No factor is chosen by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from torch import Tensor

from heliosight.core.errors import DataError, SpecError
from heliosight.core.forecast import Forecast
from heliosight.core.geomagnetic import STORM_AP, storm_threshold
from heliosight.core.issued import Widening
from heliosight.core.predictions import Predictions
from heliosight.core.seeding import numpy_stream
from heliosight.evaluation.bootstrap import Blocks, interval
from heliosight.evaluation.metrics import crps
from heliosight.issuing.withheld import as_tensor

LEADS_A_DAY = 8
STORMS = tuple(STORM_AP)
BLOCK_DAYS = 27.0
DRAWS = 500
FEWEST = 64
RULE = (
    "A forecast is issued as the model gives it when its inputs are as complete as in 19 of 20 "
    "windows of the training past. Otherwise the newest steps of the lacking inputs were withheld "
    "on the validation windows, and the intervals grow as the errors did there. It is withheld "
    "when the forecast so made is not better than climatology there (CRPS, 27-day blocks, 95 %)."
)
_NARROWEST = 1e-3


@final
@dataclass(frozen=True)
class Errors:
    """Quantiles of the errors in units of the forecast's own spread.

    quantiles : `(D, Q)`; mean : `(D,)`; middle : place of the median among the levels.
    """

    quantiles: np.ndarray
    mean: np.ndarray
    middle: int

    @staticmethod
    def of(past: Predictions) -> Errors:
        """From forecasts whose outcome is known.

        Raises
        ------
        DataError : fewer than 64 forecasts with a known outcome.
        """
        median, spread = centre(past)
        z = (np.log1p(past.observed) - median) / spread
        days = z.reshape(len(z), -1, LEADS_A_DAY)
        known = np.isfinite(days).all((1, 2))
        if known.sum() < FEWEST:
            raise DataError(
                f"widening is measured on {FEWEST} or more past windows", str(int(known.sum())),
                "Give the split a longer validation span.",
            )  # fmt: skip
        flat = days[known].transpose(1, 0, 2).reshape(days.shape[1], -1)
        middle = int(np.argmin(np.abs(past.levels - 0.5)))
        return Errors(np.quantile(flat, past.levels, axis=1).T, flat.mean(1), middle)


@final
@dataclass(frozen=True)
class Change:
    """What withholding did to the errors, by day ahead.

    scale : `(D, Q)` growth of each quantile's distance from the median; shift, mean_shift :
        `(D,)` of the median and of the mean, in spreads.
    """

    scale: np.ndarray
    shift: np.ndarray
    mean_shift: np.ndarray

    @staticmethod
    def between(usual: Errors, withheld: Errors) -> Change:
        """From the errors of the same windows, with usual inputs and without."""
        middle = usual.middle
        away = [e.quantiles - e.quantiles[:, middle : middle + 1] for e in (usual, withheld)]
        small = np.abs(away[0]) < _NARROWEST
        scale = np.where(small, 1.0, away[1] / np.where(small, 1.0, away[0]))
        shift = withheld.quantiles[:, middle] - usual.quantiles[:, middle]
        return Change(scale, shift, withheld.mean - usual.mean)

    def apply(self, given: Predictions) -> Predictions:
        """The forecast so changed; its day probabilities are left as NaN."""
        median, spread = centre(given)
        scale = np.repeat(self.scale, LEADS_A_DAY, 0)[None]
        shift, mean_shift = (np.repeat(x, LEADS_A_DAY) for x in (self.shift, self.mean_shift))
        away = np.log1p(given.quantiles) - median[..., None]
        log = np.maximum((median + spread * shift)[..., None] + away * scale, 0.0)
        mean_log = given.mean_log + spread * mean_shift
        forecast = Forecast(as_tensor(mean_log), as_tensor(log), as_tensor(given.levels))
        return Predictions(
            name=given.name,
            issue_time=given.issue_time,
            mean_log=mean_log,
            mean=forecast.mean_ap().numpy(),
            observed=given.observed,
            levels=given.levels,
            quantiles=np.expm1(log),
            event_probability=np.full_like(given.event_probability, np.nan),
            fold=given.fold,
        )


def centre(given: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Median and interquartile range of log1p(ap), `(N, L)` each.

    Raises
    ------
    SpecError : the forecast does not give the levels 0.25, 0.5 and 0.75.
    """
    places = [int(np.argmin(np.abs(given.levels - p))) for p in (0.25, 0.5, 0.75)]
    if not np.allclose(given.levels[places], (0.25, 0.5, 0.75), atol=1e-6):
        raise SpecError(
            "a forecast that can be widened gives its quartiles", f"levels {given.levels}",
            "Add 0.25, 0.5 and 0.75 to the head's levels.",
        )  # fmt: skip
    low, middle, high = (np.log1p(given.quantiles[..., k]) for k in places)
    return middle, np.maximum(high - low, _NARROWEST)


def storm_probability(given: Predictions, draws: Tensor, batch: int = 64) -> np.ndarray:
    """`(N, D, G)` P(any lead of the day reaches G1..G5), leads joined by the copula `draws`."""
    rows = []
    for start in range(0, len(given.mean), batch):
        part = slice(start, start + batch)
        log = as_tensor(np.log1p(given.quantiles[part]))
        forecast = Forecast(as_tensor(given.mean_log[part]), log, as_tensor(given.levels))
        chances = [forecast.day_exceedance(storm_threshold(s), draws.double()) for s in STORMS]
        rows.append(np.stack([c.numpy() for c in chances], -1))
    return np.concatenate(rows)


def measured(
    withheld: dict[str, int],
    usual: Predictions,
    widened: Predictions,
    climatology: Predictions,
    seed: int,
) -> Widening:
    """What withholding did, on the validation windows that all three share."""
    scores = [crps(p).mean(1) for p in (widened, usual, climatology)]
    gain = scores[2] - scores[0]
    blocks = Blocks.of(usual.issue_time, np.zeros(len(gain), np.int64), BLOCK_DAYS)
    counts = blocks.draw(DRAWS, numpy_stream(seed, "widening"))
    sums = blocks.resample(blocks.sum(np.stack([gain, np.ones_like(gain)], 1)), counts)[0]
    how = f"{BLOCK_DAYS:g}-day block bootstrap, {DRAWS} draws"
    found = interval(sums[:, 0] / sums[:, 1], 0.95, how)
    if found is None:
        raise DataError("a widening is scored on windows whose outcome is known", "none finite")
    width = [(p.quantiles[..., -1] - p.quantiles[..., 0]).mean() for p in (widened, usual)]
    return Widening(
        withheld=withheld,
        windows=len(gain),
        width=float(width[0] / width[1]),
        crps=float(scores[0].mean()),
        crps_usual=float(scores[1].mean()),
        crps_climatology=float(scores[2].mean()),
        gain=found,
    )

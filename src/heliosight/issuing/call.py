"""What a forecast comes to: storm or not, on which day, when, and how sure.

One warns of a class when its day probability reaches the threshold with the best Heidke skill score
in the training past. So the same rule that is scored is the one that speaks on the page.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heliosight.core.clock import HOUR, to_text
from heliosight.core.forecast import Forecast
from heliosight.core.geomagnetic import KP_NAMES, kp_step_of_ap, storm_threshold
from heliosight.core.issued import DayCall
from heliosight.evaluation.dressing import NEVER
from heliosight.issuing.widen import LEADS_A_DAY, STORMS
from heliosight.issuing.withheld import as_tensor

LIKELY = 0.5


def day_calls(
    valid_time: np.ndarray,
    quantiles: np.ndarray,
    storm: np.ndarray,
    levels: Sequence[float],
    thresholds: np.ndarray,
    lead_hours: int = 3,
) -> tuple[DayCall, ...]:
    """One call a day.

    Parameters
    ----------
    valid_time : `(L,)`; quantiles : `(L, Q)` ap; storm : `(D, G)`; thresholds : `(D, G')` for the
        first G' classes.
    """
    log = as_tensor(np.log1p(quantiles))[None]
    middle = int(np.argmin(np.abs(np.array(levels) - 0.5)))
    forecast = Forecast(log[..., middle], log, as_tensor(np.array(levels)))
    chance = forecast.exceedance(storm_threshold(STORMS[0])).numpy()[0]
    return tuple(
        _call(day, valid_time, quantiles, storm[day], chance, middle, thresholds[day], lead_hours)
        for day in range(len(storm))
    )


def _call(
    day: int,
    valid_time: np.ndarray,
    quantiles: np.ndarray,
    storm: np.ndarray,
    chance: np.ndarray,
    middle: int,
    thresholds: np.ndarray,
    lead_hours: int,
) -> DayCall:
    leads = slice(day * LEADS_A_DAY, (day + 1) * LEADS_A_DAY)
    peak = leads.start + int(np.argmax(chance[leads]))
    reached = [g for g, p, least in zip(STORMS, storm, thresholds, strict=False) if p >= least]
    first = float(thresholds[0])
    warned = reached[-1] if reached and reached[0] == STORMS[0] else ""
    likely = [g for g, p in zip(STORMS, storm, strict=True) if p >= LIKELY]
    return DayCall(
        day=day + 1,
        start=to_text(valid_time[leads.start]),
        end=to_text(valid_time[leads.stop - 1] + lead_hours * HOUR),
        storm=warned,
        storm_probability=float(storm[STORMS.index(warned)]) if warned else 0.0,
        likely=likely[-1] if likely else "",
        probability=float(storm[0]),
        threshold=first if first < NEVER else None,
        peak_start=to_text(valid_time[peak]),
        peak_end=to_text(valid_time[peak] + lead_hours * HOUR),
        peak_probability=float(chance[peak]),
        kp_median=_kp(quantiles[leads, middle].max()),
        kp_high=_kp(quantiles[leads, -1].max()),
    )


def _kp(ap: float) -> str:
    return KP_NAMES[int(kp_step_of_ap(np.array(ap)))]

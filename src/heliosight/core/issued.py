"""Records of operation: forecasts as they were issued, their later verification, an opened seal.

Axes of the arrays beside them: N issue times, L leads, Q quantile levels, D days, G storm classes
G1..G5, R references, K inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from heliosight.core.errors import SpecError
from heliosight.core.records import Assumed, Interval, Record

Status = Literal["issued", "widened", "withheld"]
STATUSES: tuple[Status, ...] = ("issued", "widened", "withheld")


@dataclass(frozen=True)
class InputState:
    """One input of one forecast, as it was at issue time.

    Attributes
    ----------
    newest : when the newest value was observed (interval start or frame time), empty if none.
    age_hours : from then (the interval's end) to issue; None if nothing was there.
    missing, steps : unobserved steps of the window, and all of them.
    usual_missing : steps that 19 of 20 windows of the training past did not exceed.
    withheld : newest steps withheld in the calibration that answers for this state; 0 is usual.
    preliminary : observed steps that the archive may still revise.
    """

    modality: str
    variable: str
    newest: str
    age_hours: float | None
    missing: int
    steps: int
    usual_missing: int
    withheld: int
    preliminary: int = 0


@dataclass(frozen=True)
class DayCall:
    """What one day of the answer comes to.

    Attributes
    ----------
    start, end : of the day's leads.
    storm : strongest class whose probability reaches its warning threshold, empty for none;
        storm_probability : of that class. likely : strongest class of 50 % or more.
    probability : P(the day reaches G1). threshold : from which on one warns of G1, chosen in the
        training past; None when no threshold had any skill there.
    peak_start, peak_end : the interval in which G1 is likeliest; peak_probability : there.
    kp_median, kp_high : largest median and largest upper quantile of the day's intervals.
    """

    day: int
    start: str
    end: str
    storm: str
    storm_probability: float
    likely: str
    probability: float
    threshold: float | None
    peak_start: str
    peak_end: str
    peak_probability: float
    kp_median: str
    kp_high: str


@dataclass(frozen=True)
class Widening:
    """What withholding the same inputs did in the training past.

    Attributes
    ----------
    withheld : newest steps withheld by `modality.variable`.
    windows : validation windows it was measured on.
    width : mean width of the 90 % interval of ap over that with usual inputs.
    crps, crps_usual, crps_climatology : mean CRPS of ap on those windows.
    gain : CRPS of climatology less that of the forecast, with its 27-day block interval.
    """

    withheld: dict[str, int]
    windows: int
    width: float
    crps: float
    crps_usual: float
    crps_climatology: float
    gain: Interval

    @property
    def useful(self) -> bool:
        """True when it is better than climatology beyond its interval."""
        return self.gain.low is not None and self.gain.low > 0


@dataclass(frozen=True)
class Grade:
    """What the diagnosis record of this very model says of it; empty when there is none."""

    verdict: str = ""
    faults: int = 0
    open: int = 0
    checks: int = 0
    made: str = ""


@dataclass(frozen=True)
class PastScore:
    """How one system did before on one day ahead.

    where : `block` is the scored test block; `live` and `hindcast` are archive entries, apart.
    """

    where: str
    system: str
    day: int
    metrics: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class IssuedForecast(Record):
    """One or many forecasts of one model, issued together; arrays `IssuedArrays` lie beside it.

    Attributes
    ----------
    hindcast : made when the first of its intervals was over, or later; else it is a live one.
    calls : what the days of a single forecast's answer come to.
    answers : by issue time, the system that the page leads with (`network` or a reference).
    statuses, reasons : by issue time; a reason says in one sentence why not `issued`.
    input_names : `modality.variable` of the K inputs; `inputs` their states, only for one forecast.
    fold_start : from here on the model has seen nothing; weights, config and data are hashes.
    assumed, cutoff_minutes, as_known : of the inputs' store, when values counted as known.
    trained_as : what of it the model was trained with otherwise, in a sentence each.
    """

    schema: ClassVar[str] = "issued_forecast"
    issue_times: tuple[str, ...] = ()
    created: str = ""
    hindcast: bool = False
    system: str = ""
    fold: str = ""
    fold_start: str = ""
    weights: str = ""
    config: str = ""
    data: str = ""
    levels: tuple[float, ...] = ()
    lead_hours: int = 3
    storms: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    input_names: tuple[str, ...] = ()
    inputs: tuple[InputState, ...] = ()
    answers: tuple[str, ...] = ()
    calls: tuple[DayCall, ...] = ()
    statuses: tuple[Status, ...] = ()
    reasons: tuple[str, ...] = ()
    widenings: tuple[Widening, ...] = ()
    frames: tuple[str, ...] = ()
    grade: Grade = field(default_factory=Grade)
    past: tuple[PastScore, ...] = ()
    rule: str = ""
    licences: dict[str, str] = field(default_factory=dict)
    assumed: tuple[Assumed, ...] = ()
    cutoff_minutes: float = 0.0
    as_known: str = ""
    trained_as: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class IssuedArrays:
    """Numbers of issued forecasts; NaN where a forecast was withheld.

    Attributes
    ----------
    init_time : `(N,)` UTC seconds; valid_time : `(N, L)` starts of the intervals.
    quantiles : `(N, L, Q)` ap; mean : `(N, L)` ap; storm : `(N, D, G)` P(day reaches the class).
    reference_quantiles : `(N, R, L, Q)`; reference_mean : `(N, R, L)`; reference_storm :
        `(N, R, D, G)`.
    age_hours : `(N, K)` NaN where nothing was there; withheld : `(N, K)` steps.
    status : `(N,)` place in `STATUSES`.
    """

    init_time: np.ndarray
    valid_time: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray
    storm: np.ndarray
    reference_quantiles: np.ndarray
    reference_mean: np.ndarray
    reference_storm: np.ndarray
    age_hours: np.ndarray
    withheld: np.ndarray
    status: np.ndarray

    def __post_init__(self) -> None:
        shapes = {name: np.shape(x) for name, x in self.arrays().items()}
        q, b = shapes["quantiles"], shapes["reference_storm"]
        wrong = len(q) != 3 or len(b) != 4
        n, leads = q[:2] if not wrong else (0, 0)
        wanted = {} if wrong else {
            "init_time": (n,), "valid_time": (n, leads), "mean": (n, leads), "status": (n,),
            "storm": (n, *b[2:]), "reference_quantiles": (n, b[1], *q[1:]),
            "reference_mean": (n, b[1], leads), "withheld": shapes["age_hours"],
        }  # fmt: skip
        found = [f"{k} {shapes[k]} instead of {s}" for k, s in wanted.items() if shapes[k] != s]
        if wrong or found:
            raise SpecError(
                "arrays of an issued forecast share their axes",
                "; ".join(found) or f"quantiles {q}, reference_storm {b}",
            )

    def arrays(self) -> dict[str, np.ndarray]:
        """All by name, for a record's npz."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @staticmethod
    def of(arrays: dict[str, np.ndarray]) -> IssuedArrays:
        """From a record's npz; what does not belong to it is passed over.

        Raises
        ------
        SpecError : an array is absent, or their axes differ.
        """
        absent = [name for name in IssuedArrays.__dataclass_fields__ if name not in arrays]
        if absent:
            raise SpecError("an issued forecast has all its arrays", f"no {', '.join(absent)}")
        return IssuedArrays(**{name: arrays[name] for name in IssuedArrays.__dataclass_fields__})


@dataclass(frozen=True)
class ForecastVerification(Record):
    """One archive entry held to what was observed afterwards; the entry itself stays as it was.

    Arrays beside it: `observed` `(N, L)` ap; `crps` `(N, 1 + R, L)`, the answer first.

    Attributes
    ----------
    hindcast : of the entry. preliminary : observed values that the archive may still revise.
    number : of this verification of the entry, 1 is the first; a later one has fewer such values.
    """

    schema: ClassVar[str] = "forecast_verification"
    entry: str = ""
    entry_hash: str = ""
    issue_times: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    complete: bool = False
    data: str = ""
    hindcast: bool = True
    preliminary: int = 0
    number: int = 1

"""What a report is made from: records as they were saved, and the arrays beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.geomagnetic import EVENT_CLASSES
from heliosight.core.records import DatasetCard, Diagnosis, Explanation, Scorecard, TrainedRun
from heliosight.core.records_explain import AttributionSurvey
from heliosight.core.spec import ForecastSpec

LANGUAGES = ("en", "ko")
Explained = tuple[Explanation, Mapping[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class ForecastExample:
    """One issued forecast with what was known before it and, where known, what came after.

    Attributes
    ----------
    issue_time : UTC seconds.
    last_input_time : when the newest input became available [UTC seconds], at or before issue.
    past_time : `(P,)` int64, starts of the 3-hour intervals before issue; past_ap : `(P,)` ap.
    valid_time : `(L,)` int64, starts of the forecast intervals.
    levels : `(Q,)` ascending; quantiles : `(L, Q)` ap; mean : `(L,)` ap.
    event_probability : `(D, G)` P(the day's largest ap reaches G1, G2, G3).
    observed : `(L,)` ap, NaN where unknown.
    driver_time : `(S,)` int64, starts of the driver intervals.
    drivers : by variable name (`speed`, `bz_gsm`, `density`), `(S,)` in the variable's unit.
    lead_hours : length of one forecast interval [h].
    """

    issue_time: int
    last_input_time: int
    past_time: np.ndarray
    past_ap: np.ndarray
    valid_time: np.ndarray
    levels: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray
    event_probability: np.ndarray
    observed: np.ndarray
    driver_time: np.ndarray
    drivers: Mapping[str, np.ndarray] = field(default_factory=dict)
    lead_hours: int = 3

    def __post_init__(self) -> None:
        leads, times = len(self.valid_time), len(self.driver_time)
        wanted = {
            "past_ap": (len(self.past_time),),
            "quantiles": (leads, len(self.levels)),
            "mean": (leads,),
            "observed": (leads,),
            "event_probability": (len(self.event_probability), len(EVENT_CLASSES)),
        }
        found = {name: np.shape(getattr(self, name)) for name in wanted}
        found |= {f"drivers[{name}]": np.shape(x) for name, x in self.drivers.items()}
        wanted |= {f"drivers[{name}]": (times,) for name in self.drivers}
        _require_shapes("arrays of a forecast example must share their axes", found, wanted)
        if self.last_input_time > self.issue_time:
            raise SpecError(
                "no input is newer than the issue time",
                f"last input {self.last_input_time}, issued {self.issue_time}",
                "Give the time at which the newest input became available.",
            )


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """Everything a report shows; a part that is None or empty is left out, and said so.

    Attributes
    ----------
    title : the page's heading.
    simulated : True labels every figure as simulated.
    frames_from_file : the explained frames were given as a file beside the run's own data.
    system : the scorecard's name of the forecaster; empty takes the trained run's name.
    spec : names and times of the inputs, for the attributions to the series.
    training_log : the rows of the training log: of kind `step` with `epoch`, `step` (within the
        epoch), `gradient_norms` and `rates` by group; of kind `epoch` with `epoch`, `loss`,
        `validation_loss`, `features` (per branch `mean`, `std`) and `hidden_norm`, the `(T,)`
        norms of the hidden state over the frames. Rows of another kind are passed over.
    explanations : records with their arrays: `images` `(C, T, H, W)` or `(T, H, W)`, `frames`
        `(C, T, H, W)` grey levels 0..255, per series modality `(S, V)`, and optionally `profile`,
        `profile_low`, `profile_high` `(T,)`.
    importance : profiles over windows as the explain stage saved them, each with `name`, `labels`,
        `value`, `low`, `high`, `units`, `how`; survey : a record with its arrays.
    oracle : what a simulated world says is achievable, by name.
    command : what reproduces the report.
    created : when it was made, ISO 8601 UTC.
    """

    title: str
    simulated: bool
    dataset: DatasetCard | None = None
    trained: TrainedRun | None = None
    training_log: list[dict[str, Any]] | None = None
    scorecard: Scorecard | None = None
    diagnosis: Diagnosis | None = None
    explanations: tuple[Explained, ...] = ()
    importance: tuple[Mapping[str, Any], ...] = ()
    survey: tuple[AttributionSurvey, Mapping[str, np.ndarray]] | None = None
    example: ForecastExample | None = None
    oracle: dict[str, Any] | None = None
    spec: ForecastSpec | None = None
    system: str = ""
    command: str = ""
    created: str = ""
    language: str = "en"
    frames_from_file: bool = False

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ConfigError(
                "a report is written in a known language",
                repr(self.language),
                f"Known: {', '.join(LANGUAGES)}.",
                "report.language",
            )
        for explanation, arrays in self.explanations:
            _check_explanation(explanation, arrays, self.spec)

    @property
    def forecaster(self) -> str:
        """The scorecard's name of the forecaster, empty when it is not known."""
        return self.system or (self.trained.name if self.trained else "")


def _check_explanation(
    explanation: Explanation, arrays: Mapping[str, np.ndarray], spec: ForecastSpec | None
) -> None:
    frames, channels = len(explanation.frame_times), len(explanation.channels)
    found: dict[str, tuple[int, ...]] = {}
    wanted: dict[str, tuple[int, ...]] = {}
    for name in ("images", "frames"):
        if name in arrays:
            found[name] = arrays[name].shape[:-2]
            wanted[name] = (frames,) if found[name] == (frames,) else (channels, frames)
    for name in ("profile", "profile_low", "profile_high"):
        if name in arrays:
            found[name], wanted[name] = arrays[name].shape, (frames,)
    for name, modality in (spec.modalities if spec else {}).items():
        if modality.kind == "series" and name in arrays:
            found[name] = arrays[name].shape
            wanted[name] = (modality.steps, len(modality.variables))
    rule = (
        f"arrays of the explanation {explanation.method!r} must fit its channels, frames and inputs"
    )
    _require_shapes(rule, found, wanted)


def _require_shapes(
    rule: str, found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    wrong = [f"{k} {found[k]} instead of {wanted[k]}" for k in wanted if found[k] != wanted[k]]
    if wrong:
        raise SpecError(rule, "; ".join(wrong), "Give the arrays that lie beside the record.")

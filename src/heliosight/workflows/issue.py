"""Forecasts of one trained fold at any issue times, with references, ages and widening."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from heliosight.core.batch import Batch
from heliosight.core.clock import HOUR
from heliosight.core.errors import ConfigError
from heliosight.core.issued import STATUSES, InputState, IssuedArrays, Status, Widening
from heliosight.core.predictions import Predictions
from heliosight.core.tables import SeriesTable, Table, Tables
from heliosight.data.windows import Windows
from heliosight.evaluation.at_issue import ISSUED, references_at
from heliosight.issuing.gaps import State, Usual, input_names, is_usual, withheld_by_name
from heliosight.issuing.rows import nothing_of, one_row, repeated, stacked
from heliosight.issuing.widen import Change, Errors, measured, storm_probability
from heliosight.issuing.withheld import Withheld
from heliosight.training import predict
from heliosight.workflows.input_ages import ages, input_states, window_masks
from heliosight.workflows.inputs_now import INDEX, completed
from heliosight.workflows.systems import System

NETWORK = "network"
FALLBACK = ("damped", "climatology")
_ROWS = 256


@final
@dataclass(frozen=True)
class Made:
    """Forecasts of some issue times: arrays, and what is told of each.

    data : hash of the inputs seen. thresholds : `(D, G)` from which on to warn, by reference.
    """

    arrays: IssuedArrays
    levels: tuple[float, ...]
    statuses: tuple[Status, ...]
    reasons: tuple[str, ...]
    answers: tuple[str, ...]
    widenings: tuple[Widening, ...]
    data: str
    thresholds: Mapping[str, np.ndarray]


@final
class Issuer:
    """One system, ready to forecast from given tables.

    Parameters
    ----------
    tables : as they are known; a row is used only from the moment on at which it was available.
    windows : validation windows on which a widening is measured.
    """

    def __init__(self, system: System, tables: Tables, windows: int = 384) -> None:
        self.system, self.fold, self.spec = system, system.fold, system.spec
        self._index(tables)
        self.tables: dict[str, Table] = completed(tables, self.spec)
        self.now = Windows(self.tables, self.spec)
        self.model = system.model
        self._past = system.past
        self._windows = windows
        self._widened: dict[State, tuple[Change, Widening]] = {}

    def issue(self, issue_times: np.ndarray) -> Made:
        """Forecasts of `(N,)` ascending issue times, none before the fold's test block."""
        if issue_times.min() < self.fold.test[0]:
            raise ConfigError(
                "a forecast is made by a model that has not seen its time",
                str(issue_times.min()),
                where="forecast.at",
            )
        observed = window_masks(self.now, issue_times)
        states = self.usual.states(observed)
        beside = references_at(
            self._index(self.system.store.tables), self._index(self.tables), self.fold, issue_times
        )
        references = [given for given, _ in beside]
        source = _Hashed(self.now)
        given = predict(self.model, source, issue_times, name=self.system.name)
        found = [self._answer(given, row, state, references) for row, state in enumerate(states)]
        parts = [p for p, _, _ in found]
        status = np.array([STATUSES.index(s) for _, s, _ in found], np.int8)
        used = {s: self._widened[s][1] for s in states if s in self._widened}
        return Made(
            self._arrays(stacked(parts), references, states, status),
            tuple(float(v) for v in given.levels),
            tuple(s for _, s, _ in found),
            tuple(r for _, _, r in found),
            tuple(self._leads_with(s, t) for (_, s, _), t in zip(found, issue_times, strict=True)),
            tuple(used.values()),
            source.hash.hexdigest(),
            {name: limit for name, (_, limit) in zip(ISSUED, beside, strict=True)},
        )

    @cached_property
    def usual(self) -> Usual:
        """What windows of the validation past lacked."""
        parts = [
            window_masks(self._past, self.validation[i : i + _ROWS])
            for i in range(0, len(self.validation), _ROWS)
        ]
        return Usual.of({name: np.concatenate([p[name] for p in parts]) for name in parts[0]})

    @cached_property
    def validation(self) -> np.ndarray:
        """Validation issue times, evenly spaced, at most so many."""
        times = self.system.validation
        take = np.linspace(0, len(times) - 1, min(self._windows, len(times)))
        return times[np.unique(take.astype(int))]

    def states(self, issue: int) -> tuple[InputState, ...]:
        """Age and gaps of every input at one issue time."""
        return input_states(self.now, self.usual, issue)

    def _answer(
        self, given: Predictions, row: int, state: State, references: list[Predictions]
    ) -> tuple[tuple[Predictions, np.ndarray], Status, str]:
        """One row's forecast, its status, and why."""
        one = one_row(given, row)
        if is_usual(state):
            return (one, storm_probability(one, self.model.copula_draws)), "issued", ""
        change, widening = self._widening(state, references)
        lacking = _lacking(widening, self.spec.modalities)
        if not widening.useful:
            nothing = nothing_of(one)
            storm = np.full((1, *references[0].event_probability.shape[1:]), np.nan)
            return (nothing, storm), "withheld", f"not better than climatology without {lacking}"
        one = change.apply(one)
        storm = storm_probability(one, self.model.copula_draws)
        told = f"intervals {widening.width:.2f} times as wide, for want of {lacking}"
        return (one, storm), "widened", told

    def _widening(self, state: State, references: list[Predictions]) -> tuple[Change, Widening]:
        """Measured once a state."""
        if state not in self._widened:
            hidden = Withheld(self._past, state)
            past = predict(self.model, hidden, self.validation, name="inputs withheld")
            change = Change.between(Errors.of(self._usual_past), Errors.of(past))
            constant = references[ISSUED.index("climatology")]
            names = withheld_by_name(self.spec, state)
            found = measured(
                names,
                self._usual_past,
                change.apply(past),
                repeated(constant, past),
                self.system.run.config.seed,
            )
            self._widened[state] = change, found
        return self._widened[state]

    @cached_property
    def _usual_past(self) -> Predictions:
        return predict(self.model, self._past, self.validation, name="usual inputs")

    def _leads_with(self, status: Status, issue: int) -> str:
        """The system the page leads with: a withheld network is replaced by a reference."""
        if status != "withheld":
            return NETWORK
        index = self._index(self.tables)
        known = (index.available <= issue) & np.isfinite(index.column("ap"))
        fresh = known.any() and issue - index.times[known][-1] <= 2 * index.cadence
        return FALLBACK[0] if fresh else FALLBACK[1]

    def _arrays(
        self,
        network: tuple[Predictions, np.ndarray],
        references: list[Predictions],
        states: list[State],
        status: np.ndarray,
    ) -> IssuedArrays:
        given, storm = network
        issue = given.issue_time
        leads = np.arange(self.spec.leads) * self.spec.lead_hours * HOUR
        return IssuedArrays(
            init_time=issue,
            valid_time=issue[:, None] + leads,
            quantiles=given.quantiles.astype(np.float32),
            mean=given.mean.astype(np.float32),
            storm=storm.astype(np.float32),
            reference_quantiles=_side_by_side(references, "quantiles"),
            reference_mean=_side_by_side(references, "mean"),
            reference_storm=_side_by_side(references, "event_probability"),
            age_hours=ages(self.now, issue),
            withheld=np.array([[k for _, counts in s for k in counts] for s in states], np.int16),
            status=status,
        )

    def _index(self, tables: Mapping[str, Table]) -> SeriesTable:
        table = tables.get(INDEX)
        if not isinstance(table, SeriesTable):
            raise ConfigError(
                "references need the index table", f"no {INDEX!r}", where="forecast.inputs"
            )
        return table

    @property
    def names(self) -> tuple[str, ...]:
        """`modality.variable` of all inputs."""
        return input_names(self.spec)


@final
class _Hashed:
    """A window source that hashes what it gave: the inputs that a forecast really saw."""

    def __init__(self, source: Windows) -> None:
        self._source = source
        self.spec = source.spec
        self.hash = hashlib.sha256()

    def batch(self, issue_times: np.ndarray, image_shift: np.ndarray | None = None) -> Batch:
        """The source's windows."""
        batch = self._source.batch(issue_times, image_shift)
        for name in self.spec.modalities:
            for part in (batch.inputs[name], batch.observed[name]):
                self.hash.update(np.ascontiguousarray(part.numpy()).data)
        return batch


def _side_by_side(references: list[Predictions], key: str) -> np.ndarray:
    return np.stack([getattr(r, key) for r in references], 1).astype(np.float32)


def _lacking(widening: Widening, modalities: Mapping[str, object]) -> str:
    """The lacking modalities in a few words."""
    names = [m for m in modalities if any(k.startswith(f"{m}.") for k in widening.withheld)]
    return ", ".join(
        f"{m} (up to {max(k for n, k in widening.withheld.items() if n.startswith(m + '.'))} steps)"
        for m in names
    )

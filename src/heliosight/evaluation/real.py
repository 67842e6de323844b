"""The table of all references on real observations, its controls, and the facts it must show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from heliosight.core.errors import ConfigError
from heliosight.core.folds import Fold
from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval, Provenance, Scorecard
from heliosight.core.tables import SeriesTable
from heliosight.evaluation import features
from heliosight.evaluation.bootstrap import resolved
from heliosight.evaluation.leakage import LeakageRow, leakage_table
from heliosight.evaluation.references import (
    SIMPLE,
    References,
    Rows,
    ridge_references,
    simple_references,
)
from heliosight.evaluation.scorecard import ScorecardConfig, find, on_common_rows, scorecard

RIDGES: Mapping[str, tuple[str, ...]] = {
    "ridge_ap": ("ap", "clock"),
    "ridge_omni": ("ap", "clock", "wind"),
    "ridge_omni_ch": ("ap", "clock", "wind", "area"),
}
GAIN = ("ridge_omni_ch", "ridge_omni")
# Absence of a gain in correlation is claimed when the interval lies inside this margin: a quarter
# of the smallest gain that the unshifted series has to show.
EQUIVALENCE = 0.01
ABOUT = 0.015  # how near a gain has to come to the published one
INFLATION = 3.0


@final
@dataclass(frozen=True)
class RealTableConfig:
    """How the table is made.

    Attributes
    ----------
    shift_days : delays of the coronal-hole series in the controls [d].
    leakage : also show what random splits fake.
    reference : the system of the differences.
    """

    scoring: ScorecardConfig = field(default_factory=ScorecardConfig)
    shift_days: tuple[int, ...] = (13, 365)
    leakage: bool = True
    reference: str = "damped"

    def __post_init__(self) -> None:
        if any(days <= 0 for days in self.shift_days):
            raise ConfigError(
                "a control delays the series", f"{self.shift_days} days", where="shift_days"
            )
        known = (*SIMPLE, *RIDGES)
        if self.reference not in known:
            raise ConfigError(
                "the reference is one of the table's own", self.reference, f"{known}", "reference"
            )


@final
@dataclass(frozen=True)
class Fact:
    """Something that must be seen on real data: what it says, whether it is seen, what came."""

    statement: str
    holds: bool
    came: str


@final
@dataclass(frozen=True)
class RealExtras:
    """What belongs to the table and is not a score.

    Attributes
    ----------
    thresholds : `(K, D, G)` warning probabilities by system; strengths : ridge lambda by fold.
    missing : share of imputed values by group of columns; columns : their number.
    """

    thresholds: Mapping[str, np.ndarray]
    strengths: Mapping[str, tuple[float, ...]]
    missing: Mapping[str, float]
    columns: Mapping[str, int]
    leakage: tuple[LeakageRow, ...]
    facts: tuple[Fact, ...]


@final
@dataclass(frozen=True)
class Known:
    """What every table of one past holds whatever network stands in it.

    Attributes
    ----------
    parts : columns of the ridges by group; systems : the groups of each ridge.
    """

    rows: Rows
    parts: Mapping[str, np.ndarray]
    systems: Mapping[str, tuple[str, ...]]
    simple: References
    ridges: References


def known_table(
    ap: SeriesTable,
    wind: SeriesTable,
    coronal_holes: SeriesTable | None,
    folds: Sequence[Fold],
    config: RealTableConfig,
) -> Known:
    """References and controls on the issue times of the folds, as `real_table` takes them."""
    rows = Rows.of(ap, folds)
    delays = config.shift_days if coronal_holes is not None else ()
    parts = column_groups(ap, wind, coronal_holes, rows.issue_time, delays)
    systems = {
        **{name: groups for name, groups in RIDGES.items() if set(groups) <= set(parts)},
        **{shifted(d): (*RIDGES["ridge_omni"], f"area{d}") for d in delays},
    }
    simple = simple_references(ap, rows)
    return Known(rows, parts, systems, simple, ridge_references(rows, parts, systems))


def real_table(
    ap: SeriesTable,
    wind: SeriesTable,
    coronal_holes: SeriesTable | None,
    folds: Sequence[Fold],
    config: RealTableConfig | None = None,
    others: Sequence[Predictions] = (),
    other_thresholds: Mapping[str, np.ndarray] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    provenance: Provenance | None = None,
    known: Known | None = None,
) -> tuple[list[Predictions], Scorecard, RealExtras]:
    """All references, controls and `others` on identical rows, one issue time every 3 h.

    Parameters
    ----------
    ap : 3-hourly with `ap`; wind : 3-hourly with `features.WIND_VARIABLES`; coronal_holes : daily
        with `ch_area`, available at its own time; None leaves its rows out.
    others : forecasts of other systems (networks) on the same test spans, numbered alike; the
        table is then made on the rows that all have. other_thresholds : as in `scorecard`.
    pairs : further differences, `(system, other)`.
    known : what `known_table` gave of the same tables, folds and config, else made here.

    Returns
    -------
    Predictions of every row of the table, its scorecard, and the extras. A control is named
    `ridge_omni_ch_shift13d`. Differences are to `config.reference` and to `ridge_omni`.
    """
    config = config or RealTableConfig()
    known = known or known_table(ap, wind, coronal_holes, folds, config)
    simple, ridges, parts = known.simple, known.ridges, known.parts
    delays = config.shift_days if "area" in parts else ()
    predictions = on_common_rows([*simple.predictions, *ridges.predictions, *others])
    thresholds = {**simple.thresholds, **ridges.thresholds, **(other_thresholds or {})}
    gains = ((a, GAIN[1]) for a in (GAIN[0], *map(shifted, delays)) if a in known.systems)
    card = scorecard(
        predictions,
        config.reference,
        pairs=[*pairs, *gains],
        thresholds=thresholds,
        config=config.scoring,
        fold_names=[fold.name for fold in known.rows.folds],
        provenance=provenance,
        notes=_notes(ridges),
    )
    week = np.concatenate([parts["ap"][:, : features.HISTORY_STEPS], parts["wind"]], 1)
    leaks = leakage_table(known.rows, week, config.scoring.seed) if config.leakage else ()
    columns = {name: part.shape[1] for name, part in parts.items()}
    facts = known_facts(card, leaks, delays)
    extras = RealExtras(thresholds, ridges.strengths, ridges.missing, columns, leaks, facts)
    return predictions, card, extras


def shifted(days: int) -> str:
    """The name of the control whose coronal-hole series comes `days` late."""
    return f"{GAIN[0]}_shift{days}d"


def column_groups(
    ap: SeriesTable,
    wind: SeriesTable,
    coronal_holes: SeriesTable | None,
    issue_time: np.ndarray,
    shift_days: Sequence[int] = (),
) -> dict[str, np.ndarray]:
    """Columns of all ridges by group, `(N, F)` each: `ap`, `clock`, `wind`, `area`, `area13`.

    Without coronal holes there are no groups of area.
    """
    found = {
        "ap": features.ap_group(ap, issue_time),
        "clock": features.clock_group(issue_time),
        "wind": features.wind_group(wind, issue_time),
    }
    if coronal_holes is None:
        return found
    areas = {f"area{d}": features.area_group(coronal_holes, issue_time, d) for d in shift_days}
    return {**found, "area": features.area_group(coronal_holes, issue_time), **areas}


def known_facts(
    card: Scorecard, leaks: Sequence[LeakageRow], shift_days: Sequence[int]
) -> tuple[Fact, ...]:
    """What the field knows and this table has to show, day by day, each with what came."""
    facts = [
        _damping(card, day, raw) for raw in ("persistence", "recurrence_27d") for day in (1, 2, 3)
    ]
    for day, gain in ((2, 0.04), (3, 0.05)):
        facts.append(_gain(card, day, gain))
        facts += [_no_gain(card, day, days) for days in shift_days]
    return (*facts, *_inflation(leaks))


def _damping(card: Scorecard, day: int, raw: str) -> Fact:
    one, other = (find(card.rows, s, f"day {day}", "rmse_ap_pooled") for s in ("damped", raw))
    holds = bool(one and other and one.value < other.value)
    came = f"RMSE {one.value:.2f} against {other.value:.2f} ap" if one and other else "no score"
    return Fact(f"damped beats {raw} on day {day}", holds, came)


def _gain(card: Scorecard, day: int, about: float) -> Fact:
    found = find(card.differences, " - ".join(GAIN), f"day {day}", "corr_log_within")
    holds = bool(found and resolved(found) and abs(found.value - about) <= ABOUT)
    statement = f"coronal-hole area raises the correlation on day {day} by about {about:+.2f}"
    return Fact(statement, holds, _text(found))


def _no_gain(card: Scorecard, day: int, days: int) -> Fact:
    found = find(card.differences, f"{shifted(days)} - {GAIN[1]}", f"day {day}", "corr_log_within")
    low, high = (found.low, found.high) if found else (None, None)
    holds = low is not None and high is not None and low > -EQUIVALENCE and high < EQUIVALENCE
    statement = f"delayed by {days} days it adds nothing on day {day} (within +-{EQUIVALENCE})"
    return Fact(statement, holds, _text(found))


def _inflation(leaks: Sequence[LeakageRow]) -> tuple[Fact, ...]:
    if not leaks:
        return ()
    by_split = {row.split: row.pooled for row in leaks}
    random, honest = by_split["random anchors"], by_split["walk-forward"]
    return (
        Fact(
            f"random splits inflate day-3 skill at least {INFLATION:g}-fold",
            random > INFLATION * max(honest, 0.0),
            f"correlation {random:.3f} against {honest:.3f} walk-forward",
        ),
    )


def _text(found: Interval | None) -> str:
    if found is None or found.low is None or found.high is None:
        return "no interval"
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _notes(ridges: References) -> tuple[str, ...]:
    shares = ", ".join(f"{k} {100 * v:.2f} %" for k, v in ridges.missing.items())
    return (
        f"missing inputs, set to the training mean: {shares}",
        "probabilities: each system dressed with its own training errors; raw persistence and "
        "recurrence stay unshrunk and so over-warn",
        "warning thresholds: best HSS in the training past of each fold",
    )

"""Before and after, prepared for the page: two models side by side, curve by curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.clock import DAY
from heliosight.core.records import Finding, SkillRow
from heliosight.core.records_remedy import Improvement, Trial
from heliosight.report.chart_lines import Line
from heliosight.report.colours import common_scale
from heliosight.report.images import data_uri, overlay_strips
from heliosight.report.views_skill import Cell, cell
from heliosight.report.wording import Words

Arrays = Mapping[str, np.ndarray]
SIDES = ("before", "after")
ENLARGED = 4
SUSPECTED = ("T16", "T17", "T18", "T19")
R2 = ("r2_day1", "r2_day2", "r2_day3", "r2")


@final
@dataclass(frozen=True)
class TrialView:
    """One trial, and the change of the error against each control."""

    trial: Trial
    against_same: Cell | None
    against_random: Cell | None

    @property
    def state(self) -> str:
        """`accepted` by a proof, `promising` by a screening, or `refuted`."""
        if not self.trial.accepted:
            return "refuted"
        return "accepted" if self.trial.proof else "promising"


@final
@dataclass(frozen=True)
class MapRow:
    """One row of pictures: frames of the Sun, or a model's maps over them."""

    key: str
    pictures: tuple[str, ...]


@final
@dataclass(frozen=True)
class CurveSpec:
    """A chart's curves with its titles; `key` names its words."""

    key: str
    lines: tuple[Line, ...]
    x_title: str
    y_title: str
    log: bool = False
    zero: bool = False


def shown(found: Improvement, arrays: Arrays) -> Arrays:
    """Arrays of both models, or of the one there is where nothing was repaired."""
    return arrays if found.patch else {k: v for k, v in arrays.items() if k[:6] != "after/"}


def trial_views(found: Improvement) -> list[TrialView]:
    """Trials in the order they were judged; a rise of the error is worse."""
    views = []
    for trial in found.trials:
        cells = [cell(change, "rmse_log_pooled") for change in trial.changes.values()]
        views.append(
            TrialView(trial, cells[0] if cells else None, cells[1] if len(cells) > 1 else None)
        )
    return views


def repair(found: Improvement, words: Words) -> str:
    """Names of the remedies that were proved, in words."""
    rows = [row.name for row in found.plan if row.state == "accepted"]
    return " + ".join(words.name("remedy", name) for name in rows if ":" not in name)


def proved_over(found: Improvement) -> int:
    """Paired seeds of the proof that was accepted."""
    return max((len(t.seeds) for t in found.trials if t.proof and t.accepted), default=0)


def faults_of(findings: Sequence[Finding]) -> list[Finding]:
    """One finding per part and cause."""
    seen: dict[tuple[str, str], Finding] = {}
    for f in findings:
        if f.outcome == "fault":
            seen.setdefault((f.subject, f.cause), f)
    return list(seen.values())


def also_found(found: Improvement) -> list[str]:
    """Faults of the first diagnosis, on the trial block, that the test block's does not name."""
    named = {f"{f.cause.replace('_', ' ')} in {f.subject}" for f in faults_of(found.before)}
    answers = [a for row in found.plan if row.state != "advice" for a in row.answers]
    return [a for a in dict.fromkeys(answers) if a not in named]


def cleared(findings: Sequence[Finding]) -> list[Finding]:
    """What a researcher suspects first and the checks did not find: rates, clipping, memorising."""
    return [f for f in findings if f.check in SUSPECTED and f.outcome == "healthy"]


def map_rows(arrays: Arrays) -> tuple[list[int], list[MapRow], float]:
    """Frames t = first, middle, last: the Sun, and each model's maps on one common scale."""
    if "before/maps" not in arrays:
        return [], [], 0.0
    frames = arrays["before/frames"][0].astype(np.float64)
    places = [0, len(frames) // 2, len(frames) - 1]
    sides = [side for side in SIDES if f"{side}/maps" in arrays]
    each = np.stack([arrays[f"{side}/maps"][places] for side in sides])
    scale = common_scale(each)
    rows = [MapRow("sun", tuple(data_uri(_large(frames[t]).astype(np.uint8)) for t in places))]
    for side, maps in zip(sides, each, strict=True):
        overlays = tuple(overlay_strips(_large(m)[None, None], scale)[0] for m in maps)
        rows.append(MapRow(side, overlays))
    return places, rows, scale


def _large(picture: np.ndarray) -> np.ndarray:
    return np.kron(picture, np.ones((ENLARGED, ENLARGED)))


def curves(arrays: Arrays, words: Words) -> list[CurveSpec]:
    """Every comparison that is a curve, as far as the arrays hold it."""
    found = [
        _importance(arrays, words),
        _hidden(arrays, words),
        *_quantiles(arrays, "feature", words),
        *_quantiles(arrays, "gradient", words),
        _days(arrays, words),
        _window(arrays, words),
    ]
    return [spec for spec in found if spec is not None]


def _line(
    name: str, x: Iterable[float], y: np.ndarray, bold: bool = False, *band: np.ndarray
) -> Line:
    low, high = (tuple(b.tolist()) for b in band) if band else ((), ())
    return Line(name, [float(v) for v in x], np.asarray(y, float).tolist(), low, high, bold)


def _sides(arrays: Arrays, name: str, words: Words, x: Iterable[float] = ()) -> list[Line]:
    """One curve a model; `x` is counted from 0 where it is not given."""
    places = list(x)
    lines = []
    for side in SIDES:
        y = arrays.get(f"{side}/{name}")
        if y is not None:
            ends = [f"{side}/{name}_{end}" for end in ("low", "high")]
            band = [arrays[end] for end in ends if end in arrays]
            at = places or range(len(y))
            lines.append(_line(words.name("side", side), at, y, side == "after", *band))
    return lines


def _importance(arrays: Arrays, words: Words) -> CurveSpec | None:
    lines = _sides(arrays, "frame", words)
    titles = (words("axis_frame"), words("improve_axis_importance"))
    return CurveSpec("importance", tuple(lines), *titles, zero=True) if lines else None


def _hidden(arrays: Arrays, words: Words) -> CurveSpec | None:
    lines = _sides(arrays, "hidden_norm", words)
    titles = (words("axis_frame"), words("axis_hidden_norm"))
    return CurveSpec("hidden_norm", tuple(lines), *titles, zero=True) if lines else None


def _quantiles(arrays: Arrays, name: str, words: Words) -> list[CurveSpec]:
    """One chart a model: the value below which each share of all values lies, by branch."""
    found = []
    for side in SIDES:
        prefix = f"{side}/{name}/"
        branches = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
        lines = tuple(
            _line(words.name("branch", b), range(1, 100), arrays[prefix + b]) for b in branches
        )
        if lines:
            titles = (words("improve_axis_share"), words("improve_axis_" + name))
            found.append(CurveSpec(f"{name}_{side}", lines, *titles, name == "gradient"))
    return found


def _days(arrays: Arrays, words: Words) -> CurveSpec | None:
    if "day2" not in arrays:
        return None
    days = ((arrays["day2_time"] - arrays["issue_time"]) / DAY).tolist()
    observed = _line(words("improve_observed"), days, arrays["day2"])
    titles = (words("improve_axis_days"), words("improve_axis_ap"))
    lines = (observed, *_sides(arrays, "day2", words, days))
    return CurveSpec("days", lines, *titles, zero=True)


def _window(arrays: Arrays, words: Words) -> CurveSpec | None:
    if "observed" not in arrays:
        return None
    hours = [3.0 * (k + 1) for k in range(len(arrays["observed"]))]
    observed = _line(words("improve_observed"), hours, arrays["observed"])
    titles = (words("axis_lead"), words("improve_axis_ap"))
    lines = (observed, *_sides(arrays, "forecast", words, hours))
    return CurveSpec("window", lines, *titles, zero=True)


def contributions(found: Improvement) -> list[tuple[str, Cell | None, Cell | None]]:
    """Share of forecast variance of each modality (T8), before and after."""
    sides = [
        {f.subject: f.value for f in findings if f.check == "T8" and f.value is not None}
        for findings in (found.before, found.after)
    ]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    cells = [{n: cell(value) for n, value in side.items()} for side in sides]
    return [(n, cells[0].get(n), cells[1].get(n)) for n in names if " x " not in n]


def score_rows(found: Improvement) -> list[tuple[str, tuple[Cell | None, ...], Cell | None]]:
    """R2 by day and over all days of each model and every reference, and our gain over it.

    Where nothing was repaired there is one model, and no gain over itself.
    """
    alone = () if found.patch else ("after", "after - before")
    by_name = {row.system: row.metrics for row in found.scores}
    rows = []
    for row in found.scores:
        if "r2" not in row.metrics or row.system in alone:
            continue
        cells = tuple(cell(row.metrics[k]) if k in row.metrics else None for k in R2)
        difference = f"after - {row.system}"
        gain = None if difference in alone else by_name.get(difference, {}).get("r2_gain")
        rows.append((row.system, cells, None if gain is None else cell(gain, "r2_log_pooled")))
    return rows


def knowable(found: Improvement) -> SkillRow | None:
    """What the simulated world allows, where it is known."""
    return next((row for row in found.scores if row.system == "knowable"), None)

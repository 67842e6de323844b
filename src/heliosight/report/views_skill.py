"""The scorecard as tables and curves: what a reader compares, with what is not resolved said so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from heliosight.core.records import Interval, Scorecard, SkillRow
from heliosight.report.chart_lines import Chart, Line, line_chart
from heliosight.report.wording import Words

Verdict = Literal["better", "worse", "unresolved", "differs", "no_interval"]
LEAD_HOURS = 3.0
MOST_PLACES = 4  # smaller numbers are written with an exponent
BETWEEN = " - "  # joins the two systems of a difference
# What is shown first and what the headline is about, the first that the scorecard has.
FIRST = ("rmse_ap_pooled", "corr_log_pooled", "brier_G1_pooled", "crps_ap_pooled")
OPEN = FIRST[:2]  # not folded away
LOWER_IS_BETTER = {"rmse", "mae", "crps", "brier", "far"}
HIGHER_IS_BETTER = {"r2", "corr", "pod", "hss", "tss", "brier_skill", "auc"}
Metrics = Mapping[str, Interval]


@final
@dataclass(frozen=True)
class Cell:
    """A number with its interval, ready to be printed."""

    value: str
    interval: str = ""
    verdict: Verdict | None = None


@final
@dataclass(frozen=True)
class SkillTable:
    """One metric: systems by slices; each row is `(name, is the forecaster, cells)`."""

    metric: str
    slices: tuple[str, ...]
    rows: tuple[tuple[str, bool, tuple[Cell | None, ...]], ...]


def slice_order(name: str) -> tuple[int, int, str]:
    """Days before leads before anything else, each by its number."""
    found = re.fullmatch(r"(day|lead)[ _-]*(\d+)", name)
    if not found:
        return (2, 0, name)
    return (0 if found[1] == "day" else 1, int(found[2]), name)


def slice_words(name: str, words: Words) -> str:
    """The slice in the reader's language."""
    kind, value, _ = slice_order(name)
    return words("slice_day", n=value) if kind == 0 else words.name("slice", name)


def metric_words(name: str, words: Words) -> str:
    """`rmse_ap_pooled` in the reader's language, as score, scale and how it was pooled."""
    found = re.fullmatch(r"(.+)_(ap|log|G[1-5])_(pooled|within)", name)
    if not found:
        return words.name("score", name)
    score, scale, how = found.groups()
    return words(
        "metric_form", score=words.name("score", score), scale=words.name("scale", scale),
        how=words("how_" + how),
    )  # fmt: skip


def system_words(name: str, words: Words, reference: str) -> str:
    """A system's name; of a difference both names, unless the second is the reference."""
    name = name.removesuffix(BETWEEN + reference)
    return " − ".join(words.name("system", part) for part in name.split(BETWEEN))


def tables(
    rows: Sequence[SkillRow], forecaster: str, differences: bool
) -> tuple[list[SkillTable], list[SkillTable]]:
    """One table per metric over the days: those shown first, and the rest."""
    kept = [row for row in rows if slice_order(row.slice)[0] != 1]
    slices = tuple(sorted({row.slice for row in kept}, key=slice_order))
    systems = list(dict.fromkeys(row.system for row in kept))
    found = {(row.system, row.slice): row.metrics for row in kept}
    metrics = sorted({name for row in kept for name in row.metrics}, key=_metric_order)
    made = [_table(m, systems, slices, found, forecaster, differences) for m in metrics]
    first = [table for table in made if table.metric in OPEN] or made[:1]
    return first, [table for table in made if table not in first]


def _table(
    metric: str, systems: Sequence[str], slices: tuple[str, ...],
    found: Mapping[tuple[str, str], Metrics], forecaster: str, differences: bool,
) -> SkillTable:  # fmt: skip
    rows = []
    for system in systems:
        values = [found.get((system, part), {}).get(metric) for part in slices]
        if any(values):
            cells = tuple(cell(x, metric if differences else "") if x else None for x in values)
            rows.append((system, system.split(BETWEEN)[0] == forecaster, cells))
    return SkillTable(metric, slices, tuple(rows))


def cell(interval: Interval, metric: str = "") -> Cell:
    """An interval as text; with a `metric` it is a difference and gets a verdict."""
    places = decimals(interval)
    show = signed if metric else plain
    text = ""
    if interval.low is not None and interval.high is not None:
        text = f"[{show(interval.low, places)}, {show(interval.high, places)}]"
    return Cell(show(interval.value, places), text, verdict(interval, metric) if metric else None)


def verdict(difference: Interval, metric: str) -> Verdict:
    """Better, worse, or not resolved because the interval includes 0."""
    if difference.low is None or difference.high is None:
        return "no_interval"
    if difference.low <= 0 <= difference.high:
        return "unresolved"
    score = re.sub(r"_(ap|log|G[1-5])_(pooled|within)$", "", metric)
    if score in LOWER_IS_BETTER:
        return "better" if difference.high < 0 else "worse"
    if score in HIGHER_IS_BETTER:
        return "better" if difference.low > 0 else "worse"
    return "differs"


def decimals(interval: Interval) -> int:
    """Decimal places that show two digits of the interval's half width, or three of the value."""
    low, high = interval.low, interval.high
    half = (high - low) / 2 if low is not None and high is not None else abs(interval.value) / 20
    if not np.isfinite(half) or half <= 0:
        return 2
    return max(int(1 - np.floor(np.log10(half))), 0)


def plain(value: float, places: int) -> str:
    """A number with a true minus sign."""
    if not np.isfinite(value):
        return "–"
    if places > MOST_PLACES:
        text = f"{value:.1e}".replace("e-0", "e-") if value else "0"
    else:
        text = f"{value:.{places}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def signed(value: float, places: int) -> str:
    """A number with its sign always shown."""
    text = plain(value, places)
    return text if text[0] in "−–" or not float(text.replace("−", "-")) else f"+{text}"


def primary_metric(rows: Sequence[SkillRow]) -> str:
    """The metric shown first of those that the rows have, empty when there is none."""
    return min({name for row in rows for name in row.metrics}, key=_metric_order, default="")


def lead_curves(card: Scorecard, forecaster: str, words: Words) -> tuple[str, list[Line]] | None:
    """The first metric against lead time for every system, and which metric it is."""
    rows = [row for row in card.rows if slice_order(row.slice)[0] == 1]
    metric = primary_metric(rows)
    if not metric:
        return None
    systems = sorted(
        {row.system for row in rows if metric in row.metrics},
        key=lambda s: (s != forecaster, s != card.reference, s),
    )
    return metric, [lead_line(s, metric, rows, s == forecaster, words) for s in systems]


def lead_chart(
    card: Scorecard, forecaster: str, words: Words, stamp: str
) -> tuple[str, Chart] | None:
    """The curves of `lead_curves` as a chart."""
    found = lead_curves(card, forecaster, words)
    if found is None:
        return None
    metric, lines = found
    title = metric_words(metric, words)
    alt = words("lead_alt", metric=title)
    return metric, line_chart(lines, words("axis_lead"), title, alt, stamp=stamp)


def lead_line(system: str, metric: str, rows: Sequence[SkillRow], bold: bool, words: Words) -> Line:
    """One system's curve against the end of each lead's interval [h]; the bold one has a band."""
    mine = sorted(
        (row for row in rows if row.system == system and metric in row.metrics),
        key=lambda row: slice_order(row.slice),
    )
    points = [row.metrics[metric] for row in mine]
    hours = [LEAD_HOURS * slice_order(row.slice)[1] for row in mine]
    low = [p.low for p in points if p.low is not None and p.high is not None]
    high = [p.high for p in points if p.low is not None and p.high is not None]
    banded = bold and len(low) == len(points)
    return Line(
        words.name("system", system), hours, [p.value for p in points],
        low if banded else [], high if banded else [], bold,
    )  # fmt: skip


def _metric_order(metric: str) -> tuple[int, str]:
    return (FIRST.index(metric) if metric in FIRST else len(FIRST), metric)


def headline_differences(card: Scorecard, forecaster: str) -> tuple[str, list[tuple[str, Cell]]]:
    """The first metric and the forecaster's difference to the reference on each day."""
    names = (f"{forecaster}{BETWEEN}{card.reference}", forecaster)
    rows = [r for r in card.differences if r.system in names and slice_order(r.slice)[0] == 0]
    metric = primary_metric(rows)
    if not metric:
        return "", []
    ordered = sorted(rows, key=lambda row: slice_order(row.slice))
    cells = [(r.slice, cell(r.metrics[metric], metric)) for r in ordered if metric in r.metrics]
    return metric, cells

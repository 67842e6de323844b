"""A scorecard as aligned text that is also markdown."""

from __future__ import annotations

from collections.abc import Sequence

from heliosight.core.records import Interval, Scorecard, SkillRow
from heliosight.evaluation.bootstrap import resolved
from heliosight.evaluation.leakage import LeakageRow
from heliosight.evaluation.real import Fact
from heliosight.evaluation.scorecard import find

DAYS = ("day 1", "day 2", "day 3")
HEADLINE = (
    "rmse_ap_pooled",
    "corr_log_within",
    "crps_ap_pooled",
    "hss_G1_pooled",
    "brier_skill_G1_pooled",
)
_WORDS = {
    "bias": "bias", "mae": "MAE", "rmse": "RMSE", "r2": "R2", "corr": "correlation",
    "sigma_ratio": "sigma ratio", "slope": "slope", "crps": "CRPS", "pod": "POD", "far": "FAR",
    "hss": "HSS", "tss": "TSS", "frequency_bias": "frequency bias", "brier": "Brier score",
    "brier_skill": "Brier skill", "auc": "ROC area", "mse_skill": "MSE skill",
}  # fmt: skip
_SCALES = {"ap": "ap", "log": "log ap"}
_HOW = {"pooled": "pooled", "within": "mean of folds"}


def metric_title(key: str) -> str:
    """Words for a score key: `corr_log_within` is `correlation of log ap, mean of folds`."""
    score, scale, how = key.rsplit("_", 2)
    return f"{_WORDS.get(score, score)} of {_SCALES.get(scale, scale)}, {_HOW.get(how, how)}"


def grid(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A markdown table whose columns line up; the first is left-, the others right-aligned."""
    lines = [list(header), *(list(row) for row in body)]
    width = [max(3, *(len(line[k]) for line in lines)) for k in range(len(header))]

    def text(line: Sequence[str]) -> str:
        cells = [
            c.rjust(w) if k else c.ljust(w)
            for k, (c, w) in enumerate(zip(line, width, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = "|".join("-" * (w + 1) + ":" if k else "-" * (w + 2) for k, w in enumerate(width))
    return "\n".join([text(lines[0]), f"|{rule}|", *map(text, lines[1:])])


def score_table(
    card: Scorecard,
    metrics: Sequence[str] = HEADLINE,
    slices: Sequence[str] = DAYS,
    systems: Sequence[str] | None = None,
) -> str:
    """One row per system, values of the slices side by side, no intervals."""
    header = ["system", *(metric_title(m) for m in metrics)]
    names = systems or _systems(card.rows)
    body = [
        [name, *(" / ".join(_plain(find(card.rows, name, s, m)) for s in slices) for m in metrics)]
        for name in names
    ]
    return f"{' / '.join(slices)}\n\n{grid(header, body)}"


def interval_table(
    rows: Sequence[SkillRow],
    metric: str,
    slices: Sequence[str] = DAYS,
    difference: bool = False,
) -> str:
    """One score with its intervals; a difference whose interval includes 0 is marked."""
    names = [n for n in _systems(rows) if any(find(rows, n, s, metric) for s in slices)]
    body = [
        [name, *(number_with_interval(find(rows, name, s, metric), difference) for s in slices)]
        for name in names
    ]
    return f"{metric_title(metric)}\n\n{grid(['system', *slices], body)}"


def leakage_text(rows: Sequence[LeakageRow]) -> str:
    """The inflation by splitting, as a table."""
    body = [
        [r.split, f"{r.pooled:.3f}", "-" if r.within is None else f"{r.within:.3f}", str(r.rows)]
        for r in rows
    ]
    title = "nearest neighbours, day-3 mean of log ap: correlation by split"
    return f"{title}\n\n{grid(['split', 'pooled', 'mean of folds', 'rows'], body)}"


def facts_text(facts: Sequence[Fact]) -> str:
    """The known facts, each seen or not."""
    body = [[f.statement, "seen" if f.holds else "NOT SEEN", f.came] for f in facts]
    return grid(["known fact", "here", "measured"], body)


def full_text(card: Scorecard, metrics: Sequence[str] = HEADLINE) -> str:
    """Everything a terminal shows of a scorecard: scores, intervals, differences, notes."""
    span = f"{card.issue_times} issue times, {card.first_issue} to {card.last_issue}"
    parts = [span, score_table(card, metrics)]
    parts += [interval_table(card.rows, m) for m in metrics]
    parts += ["Differences (~ not resolved: the interval includes 0)"]
    parts += [interval_table(card.differences, m, difference=True) for m in metrics]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in card.notes)])


def _systems(rows: Sequence[SkillRow]) -> list[str]:
    return list(dict.fromkeys(row.system for row in rows))


def _plain(value: Interval | None) -> str:
    return "-" if value is None else _number(value.value)


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign}.2f}" if abs(value) >= 1 else f"{value:{sign}.3f}"


def number_with_interval(value: Interval | None, difference: bool = False) -> str:
    """A score with its interval; a difference is signed, and marked when it is not resolved."""
    if value is None:
        return "-"
    sign = "+" if difference else ""
    text = _number(value.value, sign)
    if value.low is None or value.high is None:
        return text
    mark = "~ " if difference and not resolved(value) else ""
    return f"{mark}{text} [{_number(value.low, sign)}, {_number(value.high, sign)}]"

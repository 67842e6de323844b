"""The training view: losses, gradients and features by branch, the hidden state over frames.

Reads the training log: rows of kind `step` (`epoch`, `step`, `gradient_norms`, `rates`) and of kind
`epoch` (`epoch`, `loss`, `validation_loss`, `features`, `hidden_norm`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from heliosight.report.chart_lines import Chart, Line, line_chart
from heliosight.report.wording import Words

TrainingChart = tuple[str, Chart]
Row = Mapping[str, Any]
MOST_POINTS = 500


@final
@dataclass(frozen=True)
class CurveSet:
    """The curves of one panel; `key` names its words."""

    key: str
    lines: tuple[Line, ...]
    x_title: str
    y_title: str
    log: bool


def training_charts(log: Sequence[Row], words: Words, stamp: str) -> list[TrainingChart]:
    """The panels of `training_curves` as charts, each with the key of its caption."""
    return [
        (
            "training_" + s.key,
            line_chart(
                s.lines, s.x_title, s.y_title, words("training_" + s.key), log=s.log,
                zero=not s.log, stamp=stamp,
            ),
        )
        for s in training_curves(log, words)
    ]  # fmt: skip


def training_curves(log: Sequence[Row], words: Words) -> list[CurveSet]:
    """The panels the log has numbers for."""
    epochs = [row for row in log if row.get("kind", "epoch") == "epoch"]
    steps = [row for row in log if row.get("kind") == "step"]
    when, epoch = _step_time(steps), _numbers(epochs, "epoch")
    gradients = [row.get("gradient_norms", {}) for row in steps]
    rates = [row.get("rates", {}) for row in steps]
    found = {
        "loss": _losses(epochs, words),
        "gradient": _branches(when, gradients, words),
        "feature": _branches(epoch, [_spread(row) for row in epochs], words),
        "hidden_norm": _hidden_norm(epochs, words),
        "rate": _branches(when, rates, words),
    }
    logarithmic = {"gradient", "feature", "rate"}
    return [
        CurveSet(
            key, tuple(lines), words("axis_frame" if key == "hidden_norm" else "axis_epoch"),
            words("axis_" + key), key in logarithmic,
        )
        for key, lines in found.items() if lines
    ]  # fmt: skip


def _losses(epochs: Sequence[Row], words: Words) -> list[Line]:
    time = _numbers(epochs, "epoch")
    lines = []
    for key in ("validation_loss", "loss"):
        x, y = _known(time, _numbers(epochs, key))
        if x:
            lines.append(Line(words("line_" + key), x, y, bold=key == "validation_loss"))
    return lines


def _branches(
    time: Sequence[float], rows: Sequence[Mapping[str, float]], words: Words
) -> list[Line]:
    """One curve per branch."""
    lines = []
    for name in sorted({name for row in rows for name in row}):
        x, y = _known(time, [_float(row.get(name)) for row in rows])
        if x:
            lines.append(Line(words.name("branch", name), *_thinned(x, y)))
    return lines


def _hidden_norm(epochs: Sequence[Row], words: Words) -> list[Line]:
    """The hidden state's norm over the frames, after the first and the last epoch."""
    rows = [row for row in epochs if np.size(row.get("hidden_norm", ()))]
    picked = rows[-1:] if len(rows) < 2 else [rows[-1], rows[0]]
    return [
        Line(
            words("line_epoch", n=row.get("epoch", "–")), range(len(row["hidden_norm"])),
            list(row["hidden_norm"]), bold=rank == 0,
        )
        for rank, row in enumerate(picked)
    ]  # fmt: skip


def _spread(row: Row) -> dict[str, float]:
    """Standard deviation of each branch's features."""
    return {name: _float(x.get("std")) for name, x in row.get("features", {}).items()}


def _step_time(steps: Sequence[Row]) -> list[float]:
    """Steps on the epochs' axis: epoch 3 is complete at 3."""
    longest: dict[Any, float] = {}
    for row in steps:
        longest[row["epoch"]] = max(longest.get(row["epoch"], 0.0), float(row["step"]))
    return [float(row["epoch"]) - 1 + float(row["step"]) / longest[row["epoch"]] for row in steps]


def _numbers(rows: Sequence[Row], key: str) -> list[float]:
    return [_float(row.get(key)) for row in rows]


def _float(value: Any) -> float:
    return float(value) if isinstance(value, (int, float, np.number)) else float("nan")


def _known(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """The points that exist."""
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _thinned(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    """At most `MOST_POINTS` points, each the largest of its stretch, so that no spike is lost."""
    if len(x) <= MOST_POINTS:
        return x, y
    parts = np.array_split(np.arange(len(x)), MOST_POINTS)
    best = [int(part[np.argmax(np.asarray(y)[part])]) for part in parts]
    return [x[i] for i in best], [y[i] for i in best]

"""The plan as text, with ticks, to be read while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from heliosight.core.records_remedy import PlanRow

TICKS = {
    "planned": "[ ]",
    "running": "[>]",
    "promising": "[~]",
    "accepted": "[x]",
    "refuted": "[-]",
    "left out": "[.]",
    "advice": " * ",
}
LEGEND = "[ ] planned  [>] running  [~] promising  [x] proved  [-] refuted  [.] left out"


def ledger(rows: Sequence[PlanRow], spent: str) -> str:
    """One line a row, then what has been spent."""
    width = max((len(row.name) for row in rows), default=0)
    lines = [_line(row, width) for row in rows]
    return "\n".join([*lines, "", LEGEND, spent, ""])


def _line(row: PlanRow, width: int) -> str:
    answers = f" for {', '.join(row.answers)}" if row.answers else ""
    note = f": {row.note}" if row.note else ""
    return f"{TICKS[row.state]} {row.name:<{width}}{answers}{note}"

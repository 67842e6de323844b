"""Before and after on one page, and the same comparisons as figures for a paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from heliosight.core.files import write_text
from heliosight.core.records_remedy import Improvement
from heliosight.report import views_improve as views
from heliosight.report.chart_lines import Chart, line_chart
from heliosight.report.environment import environment
from heliosight.report.figure_improve import save_improvement_figures
from heliosight.report.wording import Words


def write_improvement(
    path: Path, found: Improvement, arrays: Mapping[str, np.ndarray], *, language: str,
    changed: Mapping[str, str], command: str, figures: Path | None = None,
    recipes: Mapping[str, str] | None = None,
) -> list[Path]:  # fmt: skip
    """Write the page, whole or not at all, and figures where a folder is given.

    Parameters
    ----------
    arrays : what the two models' curves and maps are drawn from.
    changed : config keys that the repair changes, `old -> new`. command : what makes it again.
    recipes : what to do, by accepted remedy, for somebody whose code no config describes.
    """
    write_text(path, render_improvement(found, arrays, language, changed, command, recipes))
    made = [] if figures is None else save_improvement_figures(figures, found, arrays)
    return [path, *made]


def render_improvement(
    found: Improvement, arrays: Mapping[str, np.ndarray], language: str,
    changed: Mapping[str, str], command: str, recipes: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """The page as HTML text; every name and sentence of the record is escaped."""
    words = Words(language)
    simulated = found.provenance.simulated
    arrays = views.shown(found, arrays)
    places, rows, scale = views.map_rows(arrays)
    context: dict[str, Any] = {
        "found": found,
        "t": words,
        "language": language,
        "simulated": simulated,
        "changed": changed,
        "repaired": bool(found.patch),
        "command": command,
        "faults": views.faults_of(found.before),
        "left": views.faults_of(found.after),
        "also": views.also_found(found),
        "cleared": views.cleared(found.before),
        "trials": views.trial_views(found),
        "grades": list(zip(found.grades_before, found.grades_after, strict=True)),
        "places": places,
        "map_rows": rows,
        "map_scale": scale,
        "charts": _charts(arrays, words, words("simulated_stamp") if simulated else ""),
        "contributions": views.contributions(found),
        "scores": views.score_rows(found),
        "knowable": views.knowable(found),
        "accepted": [row for row in found.plan if row.state == "accepted"],
        "recipes": dict(recipes or {}),
        "repair": views.repair(found, words),
        "proved_over": views.proved_over(found),
        "advice": [row for row in found.plan if row.state == "advice"],
    }
    return environment().get_template("improve.html").render(context)


def _charts(arrays: Mapping[str, np.ndarray], words: Words, stamp: str) -> list[tuple[str, Chart]]:
    return [
        (
            "improve_chart_" + spec.key,
            line_chart(
                spec.lines, spec.x_title, spec.y_title, words("improve_chart_" + spec.key),
                log=spec.log, zero=spec.zero, stamp=stamp,
            ),
        )
        for spec in views.curves(arrays, words)
    ]  # fmt: skip

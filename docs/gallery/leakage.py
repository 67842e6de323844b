"""How a split fakes skill, on the gallery's simulated Sun."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from bench import place
from checks import STYLE

from heliosight.core.clock import DAY
from heliosight.core.tables import SeriesTable
from heliosight.data.splits import walk_forward
from heliosight.evaluation.leakage import LeakageRow, leakage_table
from heliosight.evaluation.references import Rows

STRIDE, LEADS, PAST = 2, 24, 56  # every 6 h; targets to +72 h; a week of 3-hour steps


def make(_name: str, folder: Path) -> None:
    """Write `leakage.svg` and `leakage.md`."""
    rows = table()
    with mpl.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
        ax.barh([r.split for r in rows], [r.pooled for r in rows], color=["#a33", "#262", "#262"])
        ax.invert_yaxis()
        ax.set(xlabel="correlation with the day-3 mean of log(1 + ap)", xlim=(-0.1, 1))
        figure.savefig(folder / "leakage.svg", metadata={"Date": None})
        plt.close(figure)
    within = ["-" if r.within is None else f"{r.within:.3f}" for r in rows]
    body = [
        f"| {r.split} | {r.pooled:.3f} | {mean} | {r.rows} |"
        for r, mean in zip(rows, within, strict=True)
    ]
    head = ["| split | pooled | mean of folds | rows |", "|---|---|---|---|"]
    picture = "![the same learner under three splits](gallery/made/leakage.svg)"
    (folder / "leakage.md").write_text("\n".join([picture, "", *head, *body, ""]))


def table() -> tuple[LeakageRow, ...]:
    """Nearest neighbours of a week of ap and speed, under three splits of the same windows."""
    tables = place().tables
    ap, wind = tables["geomagnetic"], tables["solar_wind"]
    assert isinstance(ap, SeriesTable) and isinstance(wind, SeriesTable)
    past = np.stack([np.log1p(ap.column("ap")), wind.column("speed") / 100], 1)
    issue = np.arange(PAST, len(ap.times) - LEADS, STRIDE)
    columns = np.stack([past[i - PAST : i].reshape(7, 8, 2).mean(1).ravel() for i in issue])
    target = np.stack([ap.column("ap")[i : i + LEADS] for i in issue])
    times = ap.times[issue]
    starts = [int(times[0]) + years * 365 * DAY for years in (4, 6)]
    blocks = list(zip(starts, [*starts[1:], int(times[-1])], strict=True))
    folds = walk_forward(int(times[0]), int(times[-1]), blocks, 34.0, 0.15)
    return leakage_table(Rows(times, target, tuple(folds)), columns)

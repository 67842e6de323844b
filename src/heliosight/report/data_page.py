"""The page that shows what a store holds: coverage, holes, histograms, a contact sheet, terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import final

import numpy as np
from markupsafe import Markup

from heliosight.core.clock import to_text
from heliosight.core.files import write_text
from heliosight.core.records import DatasetCard
from heliosight.core.variables import VARIABLES
from heliosight.report.environment import environment
from heliosight.report.images import data_uri
from heliosight.report.svg import Panel, document, log_span, nice_ticks
from heliosight.report.wording import Words

WIDTH, ROW, LEFT = 760.0, 15.0, 150.0
SMALL, TALL = 230.0, 130.0
COVERED = "fill:var(--accent)"


@final
@dataclass(frozen=True)
class Histogram:
    """Counts `(k,)` of a variable's values between `edges` `(k + 1,)`."""

    variable: str
    edges: np.ndarray
    counts: np.ndarray


@final
@dataclass(frozen=True)
class Thumbnail:
    """A frame `(H, W)` uint8 with its time; None where it is missing, `bad` where it is flagged."""

    pixels: np.ndarray | None
    time: str
    bad: bool


@final
@dataclass(frozen=True)
class TableView:
    """One table of the store.

    Attributes
    ----------
    coverage : `(V, bins)` share observed over the page's span.
    gaps : first and last missing stamp and the number of rows of the longest holes.
    sheet : thumbnails by channel, in order of time.
    """

    name: str
    variables: tuple[str, ...]
    coverage: np.ndarray
    gaps: tuple[tuple[str, str, int], ...]
    histograms: tuple[Histogram, ...]
    sheet: tuple[tuple[str, tuple[Thumbnail, ...]], ...] = ()


@final
@dataclass(frozen=True)
class DataPage:
    """What the page shows; `start` and `end` are the span of its coverage [UTC seconds]."""

    card: DatasetCard
    start: int
    end: int
    tables: tuple[TableView, ...]


def write_data_page(path: Path, page: DataPage, language: str) -> Path:
    """Write the page as one HTML file, whole or not at all; returns its path."""
    write_text(path, render_data_page(page, language))
    return path


def render_data_page(page: DataPage, language: str) -> str:
    """The page as HTML text without a script; every word that was given is escaped."""
    words = Words(language, "data")
    simulated = page.card.provenance.simulated
    return (
        environment()
        .get_template("data.html")
        .render(
            page=page,
            t=words,
            stamp=words("simulated_stamp") if simulated else "",
            coverages=[coverage_chart(page, table, words) for table in page.tables],
            histograms=[[histogram(h, words) for h in table.histograms] for table in page.tables],
            sheets=[[sheet(name, row) for name, row in table.sheet] for table in page.tables],
            share=_share,
            number=_number,
        )
    )


def coverage_chart(page: DataPage, table: TableView, words: Words) -> Markup:
    """A row for each variable, darker where more of it is observed, white where nothing is."""
    height = ROW * len(table.variables)
    panel = Panel(LEFT, 6, WIDTH - LEFT - 40, height, (page.start, page.end), (height, 0))
    edges = np.linspace(page.start, page.end, table.coverage.shape[1] + 1)
    for k, name in enumerate(table.variables):
        for first, last, share in _runs(table.coverage[k]):
            shade = f"{COVERED};fill-opacity:{0.15 + 0.85 * share:.2f}"
            panel.bar((edges[first], edges[last]), (k * ROW + 2, (k + 1) * ROW - 2), "", shade)
        panel.label(LEFT - 8, 6 + (k + 0.5) * ROW + 3.5, name, anchor="end")
    ticks = np.linspace(page.start, page.end, 6)
    panel.x_axis([float(t) for t in ticks], [to_text(t)[:10] for t in ticks])
    panel.frame()
    spoken = words("coverage_spoken", table=table.name, share=_share(table.coverage.mean()))
    return document(WIDTH, height + 36, [panel], spoken)


def _runs(shares: np.ndarray) -> list[tuple[int, int, float]]:
    """Neighbouring bins of one share (to 5 %) as one bar; empty bins are left white."""
    steps = np.ceil(shares * 20) / 20
    cuts = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
    return [(a, b, float(steps[a])) for a, b in pairwise(cuts) if steps[a] > 0]


def histogram(found: Histogram, words: Words) -> Markup:
    """Counts on a logarithmic axis: what is rare is what matters."""
    known = VARIABLES.get(found.variable)
    title = known.label if known else found.variable
    span = (float(found.edges[0]), float(found.edges[-1]))
    counts = log_span([float(n) for n in found.counts if n > 0])
    panel = Panel(44, 8, SMALL - 52, TALL - 46, span, counts, log=True)
    for a, b, n in zip(found.edges[:-1], found.edges[1:], found.counts, strict=True):
        if n > 0:
            panel.bar((float(a), float(b)), (counts[0], float(n)), "", COVERED)
    panel.y_axis()
    ticks = nice_ticks(*span, wanted=4)
    panel.x_axis(ticks, [f"{t:g}" for t in ticks], title)
    panel.frame()
    spoken = words("histogram_spoken", variable=title, low=f"{span[0]:g}", high=f"{span[1]:g}")
    return document(SMALL, TALL, [panel], spoken)


def sheet(name: str, row: Sequence[Thumbnail]) -> list[dict[str, str | bool]]:
    """Pictures of one channel: grey levels as they are."""
    return [
        {"src": data_uri(_small(t.pixels)) if t.pixels is not None else "", "time": t.time,
         "bad": t.bad, "channel": name}
        for t in row
    ]  # fmt: skip


def _small(pixels: np.ndarray, largest: int = 128) -> np.ndarray:
    step = max(1, len(pixels) // largest)
    return np.ascontiguousarray(pixels[::step, ::step])


def _share(value: float) -> str:
    return f"{100 * value:.4g} %"


def _number(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.4g}".replace("-", "−")

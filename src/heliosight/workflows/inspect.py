"""`data inspect` and `data card`: what a store holds, as lines, as a page and as a text to keep."""

from __future__ import annotations

from heliosight.core.clock import to_text
from heliosight.core.files import write_text
from heliosight.core.records import DatasetCard
from heliosight.core.tables import BAD_FRAME, MISSING, ImageTable, Table
from heliosight.data.overview import bar_line, coverage, longest_gaps, sheet_rows, spreads
from heliosight.data.store import Store
from heliosight.report.data_page import (
    DataPage,
    Histogram,
    TableView,
    Thumbnail,
    write_data_page,
)
from heliosight.workflows.run import Run, StageResult

PAGE, CARD = "data.html", "DATA_CARD.md"
# What hubs read; each source has its own licence, named below.
FRONT = ("---", "license: other", "tags: [space-weather, geomagnetic-activity]", "---", "")


def inspect(run: Run, store: Store, lines: tuple[str, ...]) -> StageResult:
    """The store's card with coverage and gaps as lines, and the page beside the run."""
    tables = [store.tables[card.name] for card in store.card.tables]
    start, end = _span(tables)
    told = [line for table in tables for line in _coverage_lines(table, start, end)]
    views = tuple(_view(table, start, end) for table in tables)
    page = DataPage(store.card, start, end, views)
    path = write_data_page(run.folder / PAGE, page, run.config.report.language)
    return StageResult(store.card, (*lines, *told, f"page: {path}"))


def _span(tables: list[Table]) -> tuple[int, int]:
    """From the first row of any table to the last one's end."""
    filled = [t for t in tables if len(t.times)]
    if not filled:
        return 0, 1
    start = min(int(t.times[0]) for t in filled)
    return start, max(int(t.times[-1]) + t.cadence for t in filled)


def _coverage_lines(table: Table, start: int, end: int) -> list[str]:
    shares = coverage(table, start, end, 48)
    span = f"coverage of {table.name}, {to_text(start)[:10]} to {to_text(end)[:10]}"
    rows = [
        f"  {name:<18} {bar_line(row)}" for name, row in zip(table.variables, shares, strict=True)
    ]
    holes = [
        f"  gap {to_text(gap.start)} to {to_text(gap.end)}, {gap.rows} rows"
        for gap in longest_gaps(table, 3)
    ]
    return [span, *rows, *holes]


def _view(table: Table, start: int, end: int) -> TableView:
    return TableView(
        table.name,
        table.variables,
        coverage(table, start, end),
        tuple((to_text(g.start), to_text(g.end), g.rows) for g in longest_gaps(table)),
        tuple(Histogram(s.variable, s.edges, s.counts) for s in spreads(table)),
        _sheet(table) if isinstance(table, ImageTable) else (),
    )


def _sheet(table: ImageTable) -> tuple[tuple[str, tuple[Thumbnail, ...]], ...]:
    rows = sheet_rows(table)
    return tuple(
        (channel, tuple(_thumbnail(table, i, c) for i in rows))
        for c, channel in enumerate(table.variables)
    )


def _thumbnail(table: ImageTable, i: int, c: int) -> Thumbnail:
    flag = int(table.flags[i, c])
    pixels = None if flag & MISSING else table.frames[i, c]
    return Thumbnail(pixels, to_text(int(table.times[i])), bool(flag & BAD_FRAME))


def write_card(run: Run, card: DatasetCard) -> StageResult:
    """Write the card as a text that can lie beside a published model or data set."""
    path = run.folder / CARD
    write_text(path, card_text(card))
    return StageResult(card, (f"card: {path}",))


def known_lines(card: DatasetCard) -> list[str]:
    """What is assumed of each source, a line each."""
    told = [
        f"- {a.table}, {a.source}: {a.latency_hours:.3g} h after its time"
        + (f", in place of {a.stands_for}" if a.stands_for else "")
        + (f" (itself after {a.published_hours:.3g} h)" if a.definitive else "")
        + f": {a.why}"
        for a in card.assumed
    ]
    cutoff = f"- A forecast for a 3-hour mark is made {card.cutoff_minutes:g} min after it."
    return [*told, cutoff]


def card_text(card: DatasetCard) -> str:
    """A dataset card in Markdown: what, since when, holes, licences, caveats, sources."""
    kind = "simulated" if card.provenance.simulated else "observed"
    lines = [
        *FRONT,
        f"# Data of {card.name}",
        "",
        f"Hash of the data: `{card.store_hash}` ({kind}).",
        "",
    ]
    lines += ["## Tables", "", "| table | from | to | every | rows | missing rows |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {t.name} | {t.start} | {t.end} | {t.cadence_hours:g} h | {t.rows} | {t.gaps} |"
        for t in card.tables
    ]
    lines += [
        "",
        "## Variables",
        "",
        "| table | variable | units | missing | out of range | mean |",
    ]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {t.name} | {v.name} | {v.units} | {100 * v.missing / max(v.total, 1):.2f} % | "
        f"{v.out_of_range} | {'' if v.mean is None else f'{v.mean:.4g}'} |"
        for t in card.tables for v in t.variables
    ]  # fmt: skip
    if card.assumed:
        lines += ["", "## When values count as known", "", *known_lines(card)]
    for title, items in (("Licences", card.licences), ("Sources", card.sources)):
        told = [f"- {name}: {text}" for name, text in items.items()] or ["- none noted"]
        lines += ["", f"## {title}", "", *told]
    lines += ["", "## Caveats", "", *(f"- {text}" for text in card.caveats or ("none noted",)), ""]
    return "\n".join(lines)

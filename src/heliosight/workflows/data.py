"""The data stage: the run's store, and a look at it."""

from __future__ import annotations

from heliosight.core.records import DatasetCard
from heliosight.workflows.build import build_share
from heliosight.workflows.config_data import FetchedData
from heliosight.workflows.fetch import fetch
from heliosight.workflows.inspect import inspect, write_card
from heliosight.workflows.run import Run, StageResult
from heliosight.workflows.store import days_folder, store_of
from heliosight.workflows.sun_check import check


def run(run: Run, verb: str) -> StageResult:
    """Build or reuse the store; `inspect` shows what is in it, `card` writes it down.

    `fetch` asks the archives, `sun` compares the simulated Sun with reality.
    """
    if verb == "sun":
        return check(run)
    if verb == "fetch":
        return fetch(run)
    data = run.config.data
    if isinstance(data, FetchedData) and data.shard:
        return StageResult(None, build_share(data, days_folder(run)))
    store = store_of(run, again=run.force)
    lines = card_lines(store.card)
    if verb == "inspect":
        return inspect(run, store, lines)
    return write_card(run, store.card) if verb == "card" else StageResult(store.card, lines)


def card_lines(card: DatasetCard) -> tuple[str, ...]:
    """A dataset card as plain lines."""
    lines = [f"store {card.name}: {len(card.tables)} tables, hash {card.store_hash[:12]}"]
    for table in card.tables:
        lines.append(
            f"  {table.name:<18} {table.start} to {table.end}  every {table.cadence_hours:g} h  "
            f"{table.rows} rows, {table.gaps} gaps"
        )
        for v in table.variables:
            flagged = f", {v.out_of_range} out of range" if v.out_of_range else ""
            mean = "" if v.mean is None else f", mean {v.mean:.4g}, std {v.std:.4g} {v.units}"
            lines.append(
                f"    {v.name:<18} {100 * v.missing / max(v.total, 1):.2f} % missing{flagged}{mean}"
            )
    lines += [f"  licence {name}: {text}" for name, text in card.licences.items()]
    return tuple(lines + [f"  note: {text}" for text in card.caveats])

"""The ledger of seals: what is written down before a sealed block is read, and what is refused.

The block is known by its data, not by its name: a digest of each month of its ap. So another store,
other dates or another run beside the same ledger do not make an opened block unopened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from heliosight.core.clock import to_text
from heliosight.core.errors import ConfigError
from heliosight.core.files import digest
from heliosight.core.folds import Span
from heliosight.core.sealed import Opening
from heliosight.core.tables import SeriesTable
from heliosight.issuing.ledger import Entry, Ledger

HASHES = ("config", "weights", "data", "start", "end")


def open_block(
    ledger: Ledger, ap: SeriesTable, span: Span, hashes: Mapping[str, str], reason: str
) -> Opening:
    """Write the opening down, then hand it over; the same opening again is no second one.

    Parameters
    ----------
    hashes : of `config`, `weights` and `data`. reason : why a block is opened once more.

    Raises
    ------
    ConfigError : the block was opened before with something else, and no reason is given.
    """
    asked = months(ap, span)
    block = {"start": to_text(span[0]), "end": to_text(span[1])}
    body: dict[str, Any] = {**hashes, **block, "months": asked, "reason": reason}
    earlier = overlapping(ledger.entries(), asked)
    for entry in earlier:
        if all(entry.body[key] == body[key] for key in HASHES):
            return _opening(entry, [e for e in earlier if e.number < entry.number])

    def allowed(entries: list[Entry]) -> None:
        before = overlapping(entries, asked)
        if before and not reason:
            raise ConfigError(
                "a sealed block is opened once",
                f"{len(before)} opening(s) before, the last {before[-1].written} with "
                + _differences(before[-1], body),
                "Its test value is spent. To open it again and have that written down, "
                "set verify.reopen='the reason'.",
                str(ledger.path),
            )

    return _opening(ledger.append_if(allowed, body), earlier)


def months(ap: SeriesTable, span: Span) -> dict[str, str]:
    """A digest of each whole or part month of ap in a span, by `YYYY-MM`."""
    inside = (ap.times >= span[0]) & (ap.times < span[1])
    times, values = ap.times[inside], ap.column("ap")[inside]
    names = np.array([to_text(int(t))[:7] for t in times])
    return {
        str(name): digest(
            [times[names == name].tolist(), [str(v) for v in values[names == name].tolist()]]
        )
        for name in np.unique(names)
    }


def overlapping(entries: Sequence[Entry], asked: Mapping[str, str]) -> list[Entry]:
    """Openings that read any month of the same data."""
    return [e for e in entries if set(e.body["months"].items()) & set(asked.items())]


def _differences(entry: Entry, body: Mapping[str, Any]) -> str:
    changed = [key for key in HASHES if entry.body[key] != body[key]]
    return f"another {', another '.join(changed)}"


def _opening(entry: Entry, earlier: Sequence[Entry]) -> Opening:
    body = entry.body
    told = tuple(
        f"{e.written}: {e.body['start']} to {e.body['end']}, weights {e.body['weights'][:12]}"
        + (f", because: {e.body['reason']}" if e.body["reason"] else "")
        for e in earlier
    )
    return Opening(
        number=len(told) + 1,
        start=body["start"],
        end=body["end"],
        written=entry.written,
        config=body["config"],
        weights=body["weights"],
        data=body["data"],
        reason=body["reason"],
        earlier=told,
        line=entry.hash,
    )

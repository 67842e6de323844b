"""The ledger of seals: what is written down before a sealed block is read, and what is refused.

The block is known by its data, not by its name: a digest of each month of its ap. So another store,
other dates or another run beside the same ledger do not make an opened block unopened. Nor does
another ledger: every opening is also written into the user's own one (the witness), which lies with
the user's account and not with a run. What was removed from both cannot be known.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heliosight.core.clock import to_text
from heliosight.core.errors import ConfigError, RecordError
from heliosight.core.files import digest
from heliosight.core.folds import Span
from heliosight.core.sealed import Opening
from heliosight.core.tables import SeriesTable
from heliosight.issuing.ledger import Entry, Ledger

HASHES = ("config", "weights", "data", "start", "end")


def witness_ledger() -> Ledger:
    """The user's own ledger of seals: `HELIOSIGHT_STATE`, else `XDG_STATE_HOME`/heliosight."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = os.environ.get("HELIOSIGHT_STATE") or Path(base) / "heliosight"
    return Ledger(Path(folder) / "seals.jsonl")


def open_block(
    ledger: Ledger, witness: Ledger, ap: SeriesTable, span: Span, hashes: Mapping[str, str],
    reason: str,
) -> Opening:  # fmt: skip
    """Write the opening down, twice, then hand it over; the same opening again is no second one.

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
    seen = _elsewhere(witness, asked, ledger)
    earlier = _in_order(overlapping(ledger.entries(), asked), seen)
    for entry in earlier:
        if _is_same(entry, body) and entry not in seen:
            _witness(witness, ledger, entry)
            return _opening(entry, earlier[: earlier.index(entry)])

    def allowed(entries: list[Entry]) -> None:
        before = _in_order(overlapping(entries, asked), seen)
        other = [e for e in before if not _is_same(e, body)]
        if other and not reason:
            last = other[-1]
            raise ConfigError(
                "a sealed block is opened once",
                f"{len(other)} opening(s) before, the last {last.written} with "
                + _differences(last, body),
                "Its test value is spent. To open it again and have that written down, "
                "set verify.reopen='the reason'.",
                str(witness.path if last in seen else ledger.path),
            )

    made = ledger.append_if(allowed, body)
    _witness(witness, ledger, made)
    return _opening(made, [e for e in earlier if not _is_same(e, body)])


def _witness(witness: Ledger, ledger: Ledger, entry: Entry) -> None:
    """Have an opening seen; one that was interrupted in between is seen now."""
    if all(seen.body["line"] != entry.hash for seen in witness.entries()):
        where = str(ledger.path.resolve())
        witness.append({**entry.body, "line": entry.hash, "ledger": where})


def _elsewhere(witness: Ledger, asked: Mapping[str, str], ledger: Ledger) -> list[Entry]:
    """Openings that the witness saw and the run's own ledger does not have, each once."""
    own = [entry.body for entry in ledger.entries()]
    found: list[Entry] = []
    for entry in overlapping(witness.entries(), asked):
        if not any(_is_same(entry, body) for body in (*own, *(e.body for e in found))):
            found.append(entry)
    return found


def _in_order(own: Sequence[Entry], seen: Sequence[Entry]) -> list[Entry]:
    return sorted([*own, *seen], key=lambda entry: entry.written)


def _is_same(entry: Entry, body: Mapping[str, Any]) -> bool:
    return all(entry.body[key] == body[key] for key in HASHES)


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
    """Openings that read any month of the same data.

    Raises
    ------
    RecordError : a line is no opening: the ledger is another one.
    """
    for entry in entries:
        body = entry.body
        if not isinstance(body, Mapping) or not isinstance(body.get("months"), Mapping):
            raise RecordError(
                "a ledger of seals lists openings of sealed blocks", f"line {entry.number + 1}",
                "Name another file in verify.ledger.",
            )  # fmt: skip
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

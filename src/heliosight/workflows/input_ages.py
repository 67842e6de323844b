"""How old every input of a forecast is, and what of it is missing."""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import HOUR, to_text
from heliosight.core.issued import InputState
from heliosight.core.tables import PRELIMINARY, SeriesTable
from heliosight.data.windows import Windows
from heliosight.issuing.gaps import Usual


def input_states(windows: Windows, usual: Usual, issue: int) -> tuple[InputState, ...]:
    """Age and gaps of every input at one issue time."""
    times = np.array([issue])
    observed = window_masks(windows, times)
    state = dict(usual.states(observed)[0])
    found = []
    for name, modality in windows.spec.modalities.items():
        stamps = _stamps(windows, name, times)[0]
        early = observed[name][0] & _preliminary(windows, name, times)[0]
        for v, variable in enumerate(modality.variables):
            seen = observed[name][0, :, v]
            age = _age(windows, name, stamps, seen, issue)
            found.append(
                InputState(
                    modality=name,
                    variable=variable,
                    newest=_text(stamps, seen),
                    age_hours=None if np.isnan(age) else float(age),
                    missing=int((~seen).sum()),
                    steps=len(seen),
                    usual_missing=int(usual.missing[name][v]),
                    withheld=state[name][v],
                    preliminary=int(early[:, v].sum()),
                )
            )
    return tuple(found)


def window_masks(windows: Windows, issue_times: np.ndarray) -> dict[str, np.ndarray]:
    """Observed masks `(B, steps, V)` by modality, without reading a frame."""
    return {name: cut.observed[cut.rows(issue_times)] for name, cut in windows.cuts.items()}


def ages(windows: Windows, issue_times: np.ndarray) -> np.ndarray:
    """`(N, K)` age [h] of the newest value of every input; NaN where nothing is there."""
    columns = []
    for name, mask in window_masks(windows, issue_times).items():
        stamps = _stamps(windows, name, issue_times)
        columns += [
            [
                _age(windows, name, s, m, int(t))
                for s, m, t in zip(stamps, mask[:, :, v], issue_times, strict=True)
            ]
            for v in range(mask.shape[2])
        ]
    return np.array(columns, np.float32).T


def _preliminary(windows: Windows, name: str, issue_times: np.ndarray) -> np.ndarray:
    """`(B, steps, V)` True where the archive may still revise the value."""
    cut = windows.cuts[name]
    flags = np.asarray(cut.table.flags)[:, cut.columns]
    early = np.concatenate([(flags & PRELIMINARY) > 0, np.zeros((1, flags.shape[1]), bool)])
    return early[cut.rows(issue_times)]


def _stamps(windows: Windows, name: str, issue_times: np.ndarray) -> np.ndarray:
    """`(B, steps)` when each step was observed: a frame's own time, an interval's start."""
    cut = windows.cuts[name]
    return np.append(cut.table.times, -1)[cut.rows(issue_times)]


def _age(windows: Windows, name: str, stamps: np.ndarray, seen: np.ndarray, issue: int) -> float:
    if not seen.any():
        return float("nan")
    table = windows.cuts[name].table
    # known before its interval ends is what is of its beginning: a day's hole area, of 00 UT
    length = table.cadence + min(table.latency, 0) if isinstance(table, SeriesTable) else 0
    return float(issue - stamps[seen][-1] - length) / HOUR


def _text(stamps: np.ndarray, seen: np.ndarray) -> str:
    return to_text(int(stamps[seen][-1])) if seen.any() else ""

"""Which frames, steps, channels, variables and modalities move the forecast, over many windows.

An element is important when replacing it by the same element of another real window changes the
forecast. The change is reported in the target's unit as root mean square over windows and donors,
with an interval from 27-day blocks; a single zeroed frame says little and is not offered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.progress import bar
from heliosight.core.seeding import torch_stream
from heliosight.explain.blocks import HOW, block_interval
from heliosight.explain.evaluator import Evaluator, expand
from heliosight.explain.replay import remembered_calls
from heliosight.subject import Subject, capture_calls

Axis = Literal["steps", "variables"]


@final
@dataclass(frozen=True)
class Profile:
    """Importance of each element.

    Attributes
    ----------
    name : what was replaced; labels : one per element.
    value, low, high : `(n,)` root mean square change of the target and its interval (NaN: none).
    signed : `(n,)` mean of f(window) - f(replaced), which cancels over windows when the effect has
        either sign.
    units, how : the target's unit, and how it was found.
    """

    name: str
    labels: tuple[str, ...]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    signed: np.ndarray
    units: str
    how: str


@final
@dataclass(frozen=True)
class Element:
    """What is replaced together: places of a modality, or all of it."""

    label: str
    modality: str
    place: tuple[slice | int, ...]


def elements(batch: Batch, modality: str, axis: Axis, names: tuple[str, ...] = ()) -> list[Element]:
    """Frames or steps (`steps`), channels or variables (`variables`) of a modality, in order."""
    x = batch.inputs[modality]
    images = x.ndim == 5
    steps_at = 2 if images else 1
    which = steps_at if axis == "steps" else 3 - steps_at
    every = slice(None)
    found = []
    for k in range(x.shape[which]):
        place = (k,) if which == 1 else (every, k)
        label = names[k] if axis == "variables" and names else str(k - x.shape[which])
        found.append(Element(label, modality, place))
    return found


def modalities(batch: Batch) -> list[Element]:
    """Each modality as a whole."""
    return [Element(name, name, ()) for name in batch.inputs]


def importance(
    evaluator: Evaluator,
    windows: Batch,
    items: list[Element],
    name: str,
    donors: int = 4,
    seed: int = 0,
) -> Profile:
    """Importance of `items` over `windows` `(N)`, each replaced from `donors` other windows.

    The unaffected prefix of recurrent cells is reused. Donors are other windows drawn at random.

    Raises
    ------
    NotApplicable : fewer than two windows.
    """
    if len(windows) < 2:
        raise NotApplicable("importance needs at least two windows", str(len(windows)))
    draw = torch_stream(seed, "explain", "importance", name)
    change = np.zeros((len(windows), donors, len(items)))
    with bar(f"importance of {name}", len(windows)) as running:
        for n in range(len(windows)):
            window = windows.select([n])
            with remembered_calls(evaluator.subject, window):
                value = float(evaluator.values(window))
                for d in range(donors):
                    other = (
                        n + 1 + int(torch.randint(len(windows) - 1, (), generator=draw))
                    ) % len(windows)
                    batch = _swapped(window, windows.select([other]), items)
                    change[n, d] = value - evaluator.values(batch).cpu().numpy()
            running.advance()
    return _profile(change, windows, items, name, evaluator, seed)


def _swapped(window: Batch, donor: Batch, items: list[Element]) -> Batch:
    """One copy of the window per element, with that element and its mask from the donor."""
    many = expand(window, len(items))
    for row, item in enumerate(items):
        for store, given in ((many.inputs, donor.inputs), (many.observed, donor.observed)):
            store[item.modality][row][item.place] = given[item.modality][0][item.place]
    return many


def _profile(
    change: np.ndarray,
    windows: Batch,
    items: list[Element],
    name: str,
    evaluator: Evaluator,
    seed: int,
) -> Profile:
    square = (change**2).mean(1)
    low, high = block_interval(square, windows.issue_time.cpu().numpy(), seed)
    how = f"replaced from {change.shape[1]} other real windows; {len(change)} windows; {HOW}"
    return Profile(
        name, tuple(item.label for item in items), np.sqrt(square.mean(0)), np.sqrt(low),
        np.sqrt(high), change.mean((0, 1)), evaluator.target.units, how,
    )  # fmt: skip


def shapley(
    evaluator: Evaluator, window: Batch, donors: Batch, players: dict[str, list[Element]]
) -> dict[str, float]:
    """Exact Shapley values (Shapley 1953) of groups of elements for one window's target.

    A coalition keeps its elements, everything else comes from a donor; values average over donors.
    Elements of no player stay. The values sum to f(window) - mean f(all players from a donor).

    Raises
    ------
    NotApplicable : more than ten players, which would need over a thousand forwards a donor.
    """
    names = list(players)
    if not 1 <= len(names) <= 10:
        raise NotApplicable(
            "exact Shapley values need one to ten players", str(len(names)), "Group the frames."
        )
    coalitions = [frozenset(c) for k in range(len(names) + 1) for c in combinations(names, k)]
    worth = dict.fromkeys(coalitions, 0.0)
    for d in range(len(donors)):
        donor = donors.select([d])
        batch = Batch.join([_coalition(window, donor, players, c) for c in coalitions])
        for kept, value in zip(coalitions, evaluator.values(batch).tolist(), strict=True):
            worth[kept] += value / len(donors)
    return {name: _shapley_of(name, names, worth) for name in names}


def _coalition(
    window: Batch, donor: Batch, players: dict[str, list[Element]], kept: frozenset[str]
) -> Batch:
    one = expand(window, 1)
    for name, items in players.items():
        for item in items if name not in kept else []:
            one.inputs[item.modality][0][item.place] = donor.inputs[item.modality][0][item.place]
            seen = donor.observed[item.modality][0][item.place]
            one.observed[item.modality][0][item.place] = seen
    return one


def _shapley_of(name: str, names: list[str], worth: dict[frozenset[str], float]) -> float:
    n, total = len(names), 0.0
    for coalition in worth:
        if name not in coalition:
            size = len(coalition)
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            total += weight * (worth[coalition | {name}] - worth[coalition])
    return total


def attention_weights(subject: Subject, batch: Batch) -> dict[str, Tensor]:
    """Attention weights `(B, ...)` by part: weights, not importance; empty without attention.

    A weight says how much of a token's value is mixed in, not what that value does.
    """
    found = {}
    paths = {name for name, _ in subject.module.named_modules() if name}
    for path in sorted(name for name in paths if "attention" in name.rsplit(".", 1)[-1].lower()):
        with torch.no_grad(), capture_calls(subject, path) as calls:
            subject.forecast(batch)
        for call, output in enumerate(calls.outputs):
            if isinstance(output, tuple) and len(output) == 2 and _is_weight(output[1]):
                found[path if len(calls) == 1 else f"{path}.{call}"] = output[1].detach()
    return found


def _is_weight(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and bool((value >= 0).all())
        and bool(torch.allclose(value.sum(-1), value.new_ones(()), atol=1e-3))
    )

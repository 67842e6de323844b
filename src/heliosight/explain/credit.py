"""Who gets the credit for one window, and what attention mixes: profiles of groups of inputs."""

from __future__ import annotations

import numpy as np

from heliosight.core.batch import Batch
from heliosight.explain.importance import (
    Element,
    Profile,
    attention_weights,
    elements,
    shapley,
)
from heliosight.explain.question import Question

PARTS, MOST = 4, 10  # an image modality is cut into so many; exact values of more players cost 2^n
TOKEN_GROUPS = 8
CREDIT, ATTENTION = "shapley", "attention"


def players(batch: Batch) -> dict[str, list[Element]]:
    """Each series as a whole and each image modality in four spans of frames, oldest first.

    With many modalities each is one player.
    """
    images = sum(x.ndim == 5 for x in batch.inputs.values())
    parts = PARTS if len(batch.inputs) + images * (PARTS - 1) <= MOST else 1
    found: dict[str, list[Element]] = {}
    for name, x in batch.inputs.items():
        steps = elements(batch, name, "steps")
        for some in np.array_split(np.arange(len(steps)), parts if x.ndim == 5 else 1):
            whole = len(some) == len(steps)
            label = name if whole else f"{name} {_span(some, len(steps))}"
            if len(some):
                found[label] = [steps[k] for k in some]
    return found


def of_one_window(name: str) -> bool:
    """Whether a profile of that name is of the explained window alone, not over many."""
    return name.split(" ")[0] in (CREDIT, ATTENTION)


def _span(some: np.ndarray, count: int) -> str:
    return f"{some[0] - count}..{some[-1] - count}"


def credit(question: Question, window: Batch, context: Batch) -> Profile:
    """Exact Shapley values of `players` for one window, replaced from evenly spread others."""
    others = len(context)
    take = np.linspace(0, others - 1, min(question.config.donors, others)).astype(int)
    donors = context.select(np.unique(take).tolist())
    values = shapley(question.evaluator, window, donors, players(window))
    total = sum(values.values())
    how = (
        "exact Shapley values of this one window: what a group adds, averaged over all orders; "
        f"replaced from {len(donors)} other real windows; they sum to {total:+.3g}, the forecast "
        "less its mean with everything replaced"
    )
    return _plain(CREDIT, values, question.evaluator.target.units, how)


def attended(question: Question, window: Batch) -> list[Profile]:
    """Weights of each attention that can be read, by group of its tokens, oldest first."""
    found = []
    for path, weights in attention_weights(question.evaluator.subject, window).items():
        own = weights[0].double().cpu().numpy()
        tokens = own.reshape(-1, own.shape[-1]).mean(0)
        if len(tokens) < 2:
            continue
        groups = np.array_split(np.arange(len(tokens)), min(TOKEN_GROUPS, len(tokens)))
        values = {_span(some, len(tokens)): float(tokens[some].sum()) for some in groups}
        how = (
            "weights, not importance: how much of each token is mixed in, mean over heads and "
            "queries; what a token does is another question"
        )
        found.append(_plain(f"{ATTENTION} {path}", values, "share", how))
    return found


def _plain(name: str, values: dict[str, float], units: str, how: str) -> Profile:
    value = np.array(list(values.values()))
    none = np.full(len(value), np.nan)
    return Profile(name, tuple(values), value, none, none, value, units, how)

"""What is no fault to repair: an input without information, a question without enough data."""

from __future__ import annotations

from heliosight.core.records_remedy import Prescription

UNREPAIRED: tuple[Prescription, ...] = (
    Prescription(
        "remove_input",
        ("benign_unused",),
        "The input holds nothing beside the others, and the forecast does not move with it.",
        {},
        "skill stays the same without it",
        ("USE", "T10"),
        ("skill",),
        "none",
        "Leave the input out. There is nothing to fix, and every fix would add noise.",
        "Trained without it, the skill is the same (paired interval inside the margin).",
    ),
    Prescription(
        "more_data",
        ("inconclusive",),
        "The interval holds both answers; no change of the model can decide the question.",
        {},
        "the interval is narrower by the root of the number of blocks",
        (),
        (),
        "none",
        "Diagnose more windows over a longer time; see how many blocks of 27 days it takes.",
        "The finding is no longer `inconclusive`.",
    ),
)

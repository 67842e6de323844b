"""Remedies that change the network."""

from __future__ import annotations

from heliosight.core.records_remedy import Prescription

SKILL = ("skill",)

STRUCTURAL: tuple[Prescription, ...] = (
    Prescription(
        "temporal_attention",
        ("steps_not_connected", "short_sight", "time_unused", "order_blind"),
        "Read the last frame alone, and whatever the state forgets is lost; attention over all "
        "frames reaches each directly.",
        {"model.@images.pooling": "attention"},
        "older frames move the forecast",
        ("T5", "T12", "T3"),
        SKILL,
        "structural",
        "Collect the cell's output after every frame and attend over the T tokens (4 heads, "
        "position codes on the keys).",
        "T12: more than half of the frames hold 95 % of the use, or older ones hold nothing more.",
        ("encoders.images.pooling",),
    ),
    Prescription(
        "every_frame",
        ("steps_not_connected", "short_sight", "vanishing_state"),
        "The mean over all frames gives each of them the same short way to the forecast and its "
        "gradient.",
        {"model.@images.pooling": "mean"},
        "every frame gets a gradient",
        ("T5", "T12", "T13"),
        SKILL,
        "structural",
        "Average the cell's outputs over all frames instead of taking the last.",
        "T5: every frame is reached; T12 as above.",
        ("encoders.images.pooling",),
    ),
    Prescription(
        "auxiliary_head",
        ("lazy_or_blocked", "starved_branch", "slow_branch", "not_learning", "below_reference"),
        "A head of its own gives the branch a gradient that the other branch cannot take away.",
        {"model.auxiliary.image": True, "training.loss.auxiliary_weight": 0.3},
        "the branch learns, and the forecast moves with it",
        ("USE", "T8", "T16", "T17"),
        SKILL,
        "structural",
        "Add linear 128, ReLU, linear on the branch's features, forecasting the same target, "
        "with weight 0.3 in the loss; ignore it when forecasting.",
        "T16: the branch's gradient is above noise; USE is no fault.",
        ("auxiliary",),
    ),
    Prescription(
        "cross_attention",
        ("lazy_or_blocked", "misused", "single_token", "static_gate"),
        "A gate sees pooled vectors; attention between the tokens of both branches can pair a "
        "frame with a step of wind.",
        {
            "model.fusion": {"$becomes": ["cross_attention", "width", "dropout"]},
            "faults": {"$without": ["single_token", "gate_bias"]},
        },
        "the branch moves the forecast, with something to choose from",
        ("T6", "T15", "USE", "T8"),
        SKILL,
        "structural",
        "Let each branch's tokens (frames, steps) query the other's, before pooling, in both "
        "directions; never over one pooled vector and never over the batch.",
        "T6: more than one key and gradients for query and key.",
        ("fusion",),
    ),
    Prescription(
        "modality_dropout",
        ("lazy_or_blocked", "harmful_reliance", "spurious_reliance", "misused", "broken_relation"),
        "Windows that lose one branch at random force the other to speak for itself.",
        {"training.augmentation.modality_dropout": 0.2},
        "either branch moves the forecast, neither to its harm",
        ("USE", "T8", "T9"),
        SKILL,
        "structural",
        "In a fifth of the training windows mark one whole modality as unobserved.",
        "USE is no fault for either modality.",
    ),
)

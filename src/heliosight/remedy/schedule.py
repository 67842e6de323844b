"""Remedies that change how a network is trained."""

from __future__ import annotations

from heliosight.core.records_remedy import Prescription
from heliosight.remedy.patch import SHORT
from heliosight.remedy.quick import LOST

SKILL = ("skill",)
BELOW = "below_reference"

SCHEDULE: tuple[Prescription, ...] = (
    Prescription(
        "progressive",
        (
            "lazy_or_blocked",
            "starved_branch",
            "slow_branch",
            "not_learning",
            "misused",
            LOST,
            BELOW,
        ),
        "The image branch first learns alone, from every frame and through its own heads (the "
        "target, and the week's coronal-hole areas), at first from short sequences; then fusion "
        "and head learn to read it, in one scale with the others, while it is frozen. A frozen "
        "random fusion would teach it nothing, and a branch that has learned nothing is lost in "
        "any scale.",
        {
            "model.branch_norm": True,
            "model.@images.pooling": "last",
            "model.@images.forget_bias": "chrono",
            "model.auxiliary.image": True,
            "model.auxiliary.every_frame": True,
            "model.auxiliary.area": 7,
            "training.batch_size": 8,
            "training.clipping.total": 5.0,
            "training.clipping.groups": {},
            "training.curriculum.how": "slice",
            "training.stages": {"$progressive": 6e-3},
            "training.curriculum.steps": {"$curriculum": [SHORT]},
        },
        "the branch has something to say before the other has explained all",
        ("T14", "USE", "T8", "T16", "T17", "REF"),
        SKILL,
        "training",
        "Train the image branch with its own heads for two thirds of the epochs (rate 6e-3, "
        "batches of 8, two thirds of it on the newest fifth of the frames), then everything else "
        "with the image branch frozen; LayerNorm on each branch before the fusion.",
        "USE is no fault; the auxiliary forecast of the first stage beats climatology.",
        ("encoders.images", "auxiliary"),
    ),
    Prescription(
        "curriculum",
        ("short_sight", "learned_short_memory", "vanishing_state", "time_unused"),
        "From a quarter to a half to all frames, the newest always kept, the cell learns to "
        "remember step by step.",
        {"training.curriculum.steps": {"$curriculum": [0.25, 0.5]}},
        "older frames move the forecast",
        ("T12", "T13"),
        SKILL,
        "training",
        "Train on the newest 7 frames, then 14, then 28, always those next to the issue time.",
        "T12: the frames that hold 95 % of the use grow.",
    ),
    Prescription(
        "transfer",
        ("memorisation", "starved_branch", "not_learning", BELOW),
        "A simulated Sun has as many examples as one likes; an image branch that has learned "
        "holes and rotation there needs few real ones.",
        {"start.weights": {"$of": "improve.transfer"}},
        "the branch moves the forecast, and its error falls",
        ("T16", "T19", "REF"),
        SKILL,
        "training",
        "Train the same architecture on a simulated Sun (`heliosight train --config-name skill`), "
        "then begin the real training with its image branch.",
        "T19: the best epoch is not the first; the error falls below that of a ridge on the "
        "same series.",
    ),
    Prescription(
        "temporal_augmentation",
        ("memorisation", "static_map"),
        "Shifted windows with missing frames are other examples of the same physics; nothing "
        "wraps around and nothing from after the issue time comes in.",
        {"training.augmentation.image_shift": 2, "training.augmentation.frame_dropout": 0.1},
        "validation loss falls after the first epoch",
        ("T19", "T22"),
        SKILL,
        "training",
        "Shift frames by up to two into the past, mark a tenth of them unobserved in half of the "
        "windows; never roll, never flip time.",
        "T19: the best epoch is not the first.",
    ),
    Prescription(
        "regularise",
        ("memorisation", "overconfident", "harmful_reliance", "spurious_reliance"),
        "A branch with more freedom than data learns the training windows by heart.",
        {
            "training.optimiser.weight_decay": {"$times": [5.0, "training.optimiser.weight_decay"]},
            "model.@images.dropout": 0.3,
        },
        "the forecast's amplitude fits its skill",
        ("T19", "T20", "USE", "T9"),
        SKILL,
        "training",
        "Five times the weight decay and dropout 0.3 on the memorising branch.",
        "T19: no rise from the first epoch on; T20: calibration slope 1.",
    ),
    Prescription(
        "fresh_head",
        ("collapse",),
        "A head whose weights decayed to a constant starts anew near climatology, without decay.",
        {"training.optimiser.weight_decay": 0.0, "faults": {"$without": ["collapse"]}},
        "the forecast varies with its input",
        ("T20",),
        SKILL,
        "training",
        "Initialise the head anew, remove weight decay, and check that the target is transformed "
        "and the loss is not flat.",
        "T20: variance of the forecast above 1 % of the target's.",
        ("head", "fusion"),
    ),
)

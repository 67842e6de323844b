"""Remedies of an afternoon: a line of code or a number of the config."""

from __future__ import annotations

from heliosight.core.records_remedy import Prescription

SKILL = ("skill",)
LOST = "lost_at_fusion"

QUICK: tuple[Prescription, ...] = (
    Prescription(
        "carry_state",
        ("state_not_carried", "steps_not_connected"),
        "A cell that starts anew at every frame sees single frames; with its own last state it "
        "can relate them.",
        {"faults": {"$without": ["state_not_carried"]}},
        "answers of a call depend on earlier frames",
        ("T4", "T5", "T13"),
        SKILL,
        "quick",
        "In the loop over frames pass the state a call returns to the next call: "
        "`state = cell(x[:, t], state)`. Set zeros only before the first frame.",
        "T4 and T13 no longer say `state_not_carried`: perturb an early frame, and a later answer "
        "of the cell must change.",
    ),
    Prescription(
        "attach_state",
        ("state_detached", "steps_detached"),
        "A detached state carries information forward but no gradient back, so no cell learns "
        "what to remember.",
        {"faults": {"$without": ["state_detached"]}},
        "the state's gradient reaches the call before",
        ("T5", "T13"),
        SKILL,
        "quick",
        "Remove `.detach()` and `no_grad` from the state between frames; detach only between "
        "batches.",
        "T13 no longer says `state_detached`: the gradient at the state of the call before is "
        "not zero.",
    ),
    Prescription(
        "right_frames",
        ("same_frame", "reversed_frames", "wrong_frame", "no_frame", "future_leak"),
        "Each call of a recurrent cell must be given its own frame, oldest first, none from "
        "after the issue time.",
        {
            "faults": {
                "$without": [
                    "same_frame",
                    "reversed_frames",
                    "shuffled_frames",
                    "next_frame",
                    "future_leak",
                ]
            }
        },
        "call t depends on frame t and none after it",
        ("T4", "T7"),
        SKILL,
        "quick",
        "Index the time axis, not another one: `for t in range(x.shape[1]): cell(x[:, t], state)` "
        "for `(B, T, ...)`, oldest frame first.",
        "T4: call t is given frame t; T7: nothing after the issue time has a gradient.",
    ),
    Prescription(
        "connect",
        ("not_connected", "detached", "dead_channel", "dead_weights"),
        "What no gradient reaches cannot learn.",
        {"faults": {"$without": ["detached"]}},
        "every input and weight gets a gradient",
        ("T5",),
        SKILL,
        "quick",
        "Find the `detach`, `no_grad`, zero factor or parameter outside the optimiser that T5 "
        "names, and remove it.",
        "T5 is healthy for the input and for the weights.",
    ),
    Prescription(
        "position_on_time",
        ("batch_leakage", "order_blind"),
        "A position code on the batch axis tells a window its place in the batch and nothing of "
        "time.",
        {"faults": {"$without": ["position_on_batch", "batch_statistics"]}},
        "a forecast does not depend on its batch, and changes when time is permuted",
        ("T2", "T3"),
        SKILL,
        "quick",
        "Add `code[:S]` to `(B, S, F)` along S (`batch_first=True`), and never index it by batch.",
        "T2 is exactly zero; T3 is not.",
    ),
    Prescription(
        "branch_norm",
        (LOST, "lazy_or_blocked", "slow_branch", "starved_branch", "misused"),
        "A branch whose features are a hundred times smaller than another's is lost in the first "
        "layer after fusion; LayerNorm gives all branches one scale.",
        {"model.branch_norm": True},
        "the branch arrives at the fusion and moves the forecast",
        ("T14", "USE", "T8", "T17", "T16"),
        SKILL,
        "quick",
        "Put `nn.LayerNorm(features)` on each branch between its encoder and the fusion.",
        "T14: the branch's share of the fused variance is above 1 %; USE is no fault.",
    ),
    Prescription(
        "branch_rates",
        ("slow_branch", "starved_branch", "not_learning", "lazy_or_blocked"),
        "With one rate the branch that learns fastest explains the target first and leaves the "
        "other no error to learn from.",
        {"training.optimiser.rates.@images": {"$times": [5.0, "training.optimiser.default_rate"]}},
        "the slow branch moves at a pace near the others'",
        ("T17", "T16", "USE", "T8"),
        SKILL,
        "quick",
        "Give the slow branch its own parameter group with five times the learning rate.",
        "T17: its features move at more than a tenth of the fastest branch's pace.",
    ),
    Prescription(
        "clip_wider",
        ("clip_domination", "collapse"),
        "A limit of 1.0 on all gradients together clips nearly every step, and the largest "
        "branch decides by how much.",
        {"training.clipping.total": 5.0, "training.clipping.groups.@images": 10.0},
        "few steps are clipped",
        ("T18", "T20"),
        SKILL,
        "quick",
        "Raise the limit on the global gradient norm to 5.0 and give the ConvLSTM its own of 10.0.",
        "T18: each group keeps more than half of the step its own limit would leave.",
    ),
    Prescription(
        "clip_by_module",
        ("clip_domination",),
        "Clipping each module by itself, no branch pays for another's large gradient.",
        {"training.clipping.total": None, "training.clipping.groups": {"$every_group": 1.0}},
        "no group's step is taken away by another",
        ("T18",),
        SKILL,
        "quick",
        "Call `clip_grad_norm_` once per module instead of once for all parameters.",
        "T18: the share of its own clipped step that is left is 1.",
    ),
    Prescription(
        "chrono_bias",
        ("vanishing_state", "learned_short_memory", "short_sight", "time_unused"),
        "With forget gates near one half a state fades by 2^-28 over the window; biases drawn "
        "as log U(1, T - 1) spread the memory over all frames.",
        {
            "model.@images.forget_bias": "chrono",
            "faults": {"$without": ["forget_bias"]},
        },
        "the state outlives half the window",
        ("T12", "T13"),
        SKILL,
        "quick",
        "Set the forget gate's bias to log u, u ~ U(1, T - 1), and the input gate's to its "
        "negative.",
        "T13: resetting the state halfway moves more than 1 % of the forecast's variance.",
        ("encoders.images.backbone",),
    ),
)

"""The twenty faults, their strengths, and the causes a right diagnosis may name.

A fault has several valid names: a state that is not carried also leaves early frames without
effect. What is accepted is declared here, before any diagnosis is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from heliosight.zoo.faults import FaultConfig
from heliosight.zoo.loader import LoaderFault
from heliosight.zoo.recipes import Recipe

Severity = Literal["only", "mild", "moderate", "strong"]
Half = Literal["development", "test"]
RECURRENT = ("concat", "gated", "cross_attention")
GATED = ("gated", "conv3d")
ALL = ("concat", "gated", "cross_attention", "conv3d")


@dataclass(frozen=True)
class Planting:
    """How one ill model comes about: its training, surgery, loader and explainer.

    law : the world it is diagnosed in, where that is not the one it was trained in.
    """

    recipe: Recipe = field(default_factory=Recipe)
    surgery: tuple[FaultConfig, ...] = ()
    loader: tuple[LoaderFault, ...] = ()
    explainer: str = ""
    law: str = ""


@dataclass(frozen=True)
class Operator:
    """One fault operator.

    Attributes
    ----------
    id : F1 to F20 of the protocol, with a letter where it has variants.
    causes : any of these in the diagnosis finds it, and is right when named first.
    symptoms : these find it too, and are not its root.
    exact : decided by the exact tests T1 to T7 (and T13 for a detached state).
    sizes : strength by severity in the development half; `unseen`: in the test half.
    architectures : those that have the part it is planted in.
    plant : from strength and architecture to a planting.
    """

    id: str
    title: str
    causes: tuple[str, ...]
    exact: bool
    plant: Callable[[float, str], Planting]
    sizes: dict[Severity, float] = field(default_factory=lambda: {"only": 1.0})
    unseen: dict[Severity, float] = field(default_factory=lambda: {"only": 1.0})
    architectures: tuple[str, ...] = ALL
    symptoms: tuple[str, ...] = ()

    def sizes_of(self, half: Half) -> dict[Severity, float]:
        """Strengths of a half."""
        return self.sizes if half == "development" else self.unseen


def _surgery(kind: str, series_in: tuple[str, ...] = ()) -> Callable[[float, str], Planting]:
    def plant(size: float, architecture: str) -> Planting:
        branch = "solar_wind" if architecture in series_in else "images"
        return Planting(surgery=(FaultConfig(kind, branch, size),))  # type: ignore[arg-type]

    return plant


def _loader(kind: str, branch: str, channel: int) -> Callable[[float, str], Planting]:
    return lambda size, _: Planting(
        loader=(LoaderFault(kind, branch, channel, size),)  # type: ignore[arg-type]
    )


def _trained(**fixed: float | bool | str) -> Callable[[float, str], Planting]:
    """A training choice; the strength takes the place of the value "size"."""

    def plant(size: float, _: str) -> Planting:
        values = {k: size if v == "size" else v for k, v in fixed.items()}
        return Planting(Recipe(**values))  # type: ignore[arg-type]

    return plant


def _shortcut(size: float, _: str) -> Planting:
    return Planting(Recipe(law="with_copy", copy=size), law="broken_copy")


def _explainer(name: str) -> Callable[[float, str], Planting]:
    return lambda _size, _: Planting(explainer=name)


def _graded(mild: float, moderate: float, strong: float) -> dict[Severity, float]:
    return {"mild": mild, "moderate": moderate, "strong": strong}


UNUSED = ("lazy_or_blocked", "slow_branch", "not_learning")
NO_GAIN = ("lazy_or_blocked", "misused", "harmful_reliance", "spurious_reliance")
PARTED = (*NO_GAIN, "broken_relation")
SHORT = ("vanishing_state", "learned_short_memory", "short_sight", "time_unused")

OPERATORS: tuple[Operator, ...] = (
    Operator("F1", "position on the batch axis", ("batch_leakage",), True,
             _surgery("position_on_batch"), unseen={"only": 0.3}),
    Operator("F2", "attention over one token", ("single_token",), True,
             _surgery("single_token", ("concat",)),
             architectures=("concat", "cross_attention", "conv3d")),
    Operator("F3", "the same frame each step", ("same_frame", "steps_not_connected"), True,
             _surgery("same_frame")),
    Operator("F4", "state not carried", ("state_not_carried", "steps_not_connected"), True,
             _surgery("state_not_carried"), architectures=RECURRENT),
    Operator("F5", "state detached", ("state_detached", "steps_detached"), True,
             _surgery("state_detached"), architectures=RECURRENT),
    Operator("F6", "forget bias lowered", SHORT, False, _surgery("forget_bias"),
             _graded(2.0, 6.0, 10.0), _graded(3.0, 7.0, 12.0), RECURRENT),
    Operator("F7", "branch not given to the optimiser", (*UNUSED, "dead_weights"), False,
             _trained(frozen=True)),
    Operator("F8", "branch detached", ("detached",), True, _surgery("detached")),
    Operator("F9", "features too weak to learn from", UNUSED, False,
             _trained(image_gain="size"), _graded(0.1, 4e-4, 1e-4), _graded(0.2, 3e-4, 3e-5)),
    Operator("F10", "gate shut by its bias", UNUSED, False, _surgery("gate_bias"),
             _graded(1.0, 5.0, 8.0), _graded(1.5, 6.0, 9.0), GATED),
    Operator("F11", "branch's learning rate too low", UNUSED, False,
             _trained(image_rate="size", zero_start=True),
             _graded(0.1, 1e-3, 1e-4), _graded(0.2, 2e-3, 1e-5)),
    Operator("F12", "clipping dominated by one group", ("clip_domination",), False,
             _trained(auxiliary="size", clip=0.5), _graded(10.0, 60.0, 300.0),
             _graded(15.0, 80.0, 500.0)),
    Operator("F13", "shortcut learned, then gone", PARTED, False, _shortcut,
             _graded(0.5, 0.9, 0.99), _graded(0.6, 0.85, 0.98)),
    Operator("F14a", "channel dead", ("constant_channel", "dead_channel"), True,
             _loader("dead_channel", "images", 1)),
    Operator("F14b", "channel duplicated", ("duplicate_channel",), True,
             _loader("duplicate_channel", "images", 1)),
    Operator("F14c", "channel mis-scaled",
             ("off_scale", "misused", "harmful_reliance", "spurious_reliance", "overconfident"),
             False,
             _loader("scaled_channel", "images", 0), _graded(1.3, 3.0, 10.0),
             _graded(1.4, 4.0, 12.0), symptoms=("lazy_or_blocked", "broken_relation")),
    Operator("F15a", "frames reversed", ("reversed_frames",), True, _surgery("reversed_frames"),
             architectures=RECURRENT),
    Operator("F15b", "frames shuffled", ("wrong_frame", "future_leak"), True,
             _surgery("shuffled_frames"), architectures=RECURRENT),
    Operator("F15c", "images misaligned by days", PARTED, False,
             _loader("misaligned", "images", 0), _graded(1.0, 6.0, 12.0), _graded(1.5, 7.0, 14.0)),
    Operator("F16", "forecast collapsed", ("collapse",), False, _surgery("collapse"),
             _graded(0.7, 0.4, 0.1), _graded(0.75, 0.5, 0.05)),
    Operator("F17a", "batch statistics in evaluation", ("batch_leakage",), True,
             _surgery("batch_statistics")),
    Operator("F17b", "dropout left on", ("batch_leakage", "wrapping"), True,
             _surgery("dropout_on"), {"only": 0.2}, {"only": 0.1}),
    Operator("F18a", "target among the inputs", ("future_leak",), True,
             _surgery("future_leak"), {"only": 0.3}, {"only": 0.1}),
    Operator("F18b", "a step is given a later frame", ("future_leak",), True,
             _surgery("next_frame"), architectures=RECURRENT),
    Operator("F19", "images paired with other windows in training", NO_GAIN, False,
             _trained(strangers=True)),
    Operator("F20a", "explainer keeps the last call", ("explainer",), True,
             _explainer("last_call_only")),
    Operator("F20b", "explainer has the sign wrong", ("explainer",), True,
             _explainer("wrong_sign")),
    Operator("F20c", "explainer scales every map", ("explainer",), True,
             _explainer("each_map_scaled")),
    Operator("F20d", "explainer runs backwards in time", ("explainer",), True,
             _explainer("reversed_maps")),
)  # fmt: skip
BY_ID = {operator.id: operator for operator in OPERATORS}
# Two faults at once: an exact and a graded one, or two exact ones.
PAIRS = (
    ("F1", "F16"), ("F8", "F14b"), ("F5", "F16"), ("F18a", "F8"), ("F17a", "F14a"), ("F3", "F1"),
)  # fmt: skip


def together(plantings: tuple[Planting, ...]) -> Planting:
    """Several surgeries and loader faults in one model."""
    return Planting(
        surgery=tuple(f for p in plantings for f in p.surgery),
        loader=tuple(f for p in plantings for f in p.loader),
    )

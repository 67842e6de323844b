"""Which healthy and which ill model each check is shown on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import draw
import torch
from bench import Case, case, copier, healthy, memorised
from matplotlib.axes import Axes
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.models import Forecaster
from heliosight.workflows.explainers import gradient_maps
from heliosight.zoo.explainers import last_call_only
from heliosight.zoo.faults import FaultConfig, change_forward
from heliosight.zoo.healthy import static_gate
from heliosight.zoo.loader import LoaderFault
from heliosight.zoo.recipes import Recipe

Panel = Callable[[Axes, Case], None]


@dataclass(frozen=True)
class Shown:
    """One check's picture.

    Attributes
    ----------
    panel : draws one case; its page says how to read it.
    """

    healthy: Callable[[], Case]
    ill: Callable[[], Case]
    panel: Panel


def images(kind: str, size: float = 1.0) -> FaultConfig:
    """A fault of the image branch."""
    return FaultConfig(kind, "images", size)  # type: ignore[arg-type]


def order_blind(model: Forecaster) -> None:
    """The wind encoder is given the mean over all steps at every step."""
    change_forward(
        model.encoders["solar_wind"],
        lambda own: lambda x, seen: own(x.mean(1, keepdim=True).expand_as(x), seen),
    )


def shut(model: Forecaster) -> None:
    """The gate of the images is all but shut."""
    with torch.no_grad():
        model.fusion.gates["images"].bias -= 8.0


def mean_gate(model: Forecaster) -> None:
    """Every gate becomes its mean over the windows."""
    static_gate(model, healthy("gated").batch)


def brightness(subject: object, batch: Batch) -> Tensor:
    """A wrong explainer: right on the small networks of T1, else it shows the frame."""
    if batch.inputs["images"].shape[2] == 6:
        return gradient_maps(subject, batch)  # type: ignore[arg-type]
    return batch.inputs["images"].float()


def away(subject: object, batch: Batch) -> Tensor:
    """A wrong explainer: the maps of integrated gradients, but turned inside out on the disc."""
    maps = gradient_maps(subject, batch)  # type: ignore[arg-type]
    return maps if maps.shape[2] == 6 else maps.roll((8, 8), (-2, -1))


CORNER = Recipe("corner")  # a signal off the centre, or "look at the centre" explains it too
SHORTCUT = Recipe(law="with_copy", copy=0.9)
LOW = images("forget_bias", 6.0)
SHOWN: dict[str, Shown] = {
    "T1": Shown(
        healthy,
        lambda: case("ill: the hook keeps the last call", explainer=last_call_only),
        draw.lamp_maps,
    ),
    "T2": Shown(
        healthy,
        lambda: case("ill: position added along the batch", images("position_on_batch")),
        draw.alone_and_together,
    ),
    "T3": Shown(
        healthy,
        lambda: case("ill: the wind's mean at every step", surgery=order_blind),
        draw.permuted,
    ),
    "T4": Shown(
        healthy,
        lambda: case("ill: state not carried", images("state_not_carried")),
        draw.dependence_panel,
    ),
    "T5": Shown(
        healthy,
        lambda: case("ill: state detached", images("state_detached")),
        draw.gradients,
    ),
    "T6": Shown(
        lambda: healthy("cross_attention"),
        lambda: case("ill: one token", FaultConfig("single_token"), architecture="cross_attention"),
        draw.query_gradients,
    ),
    "T7": Shown(
        healthy,
        lambda: case("ill: the target is among the inputs", images("future_leak", 0.3)),
        draw.other_target,
    ),
    "T8": Shown(
        healthy,
        lambda: case("ill: features 300 times too small", images("weak_features", 0.003)),
        draw.dots(0.01),
    ),
    "T9": Shown(
        healthy,
        lambda: case("ill: features 300 times too small", images("weak_features", 0.003)),
        draw.dots(0.01),
    ),
    "T10": Shown(
        healthy,
        lambda: case("nothing in the images", recipe=Recipe("uninformative")),
        draw.dots(0.01),
    ),
    "USE": Shown(
        lambda: healthy("gated"),
        lambda: case("ill: gate shut", surgery=shut, architecture="gated"),
        draw.use_bars,
    ),
    "T11": Shown(
        healthy,
        lambda: case(
            "ill: 211 is a copy of 193", loader=LoaderFault("duplicate_channel", "images", 1)
        ),
        draw.dots(0.01),
    ),
    "T25": Shown(
        lambda: case("healthy", compared=True),
        lambda: case(
            "ill: 193 arrives four times as bright",
            loader=LoaderFault("scaled_channel", "images", 0, 4.0),
            compared=True,
        ),
        draw.dots(1.0),
    ),
    "T26": Shown(
        lambda: case("healthy", compared=True),
        lambda: case(
            "ill: kp has parted from the images",
            recipe=SHORTCUT,
            law="broken_copy",
            compared=True,
        ),
        draw.dots(1.0),
    ),
    "T12": Shown(
        healthy,
        lambda: case("ill: forget biases lowered by 6", LOW),
        draw.time_profile,
    ),
    "T13": Shown(
        healthy,
        lambda: case("ill: forget biases lowered by 6", LOW),
        draw.memory,
    ),
    "T14": Shown(
        healthy,
        lambda: case("ill: features 300 times too small", images("weak_features", 0.003)),
        draw.dots(0.01),
    ),
    "T15": Shown(
        lambda: healthy("gated"),
        lambda: case("a gate that never moves", surgery=mean_gate, architecture="gated"),
        draw.gates,
    ),
    "T16": Shown(
        healthy,
        lambda: case("ill: amplitude cut to a third", images("collapse", 0.3), level="full"),
        draw.dots(0.0),
    ),
    "T17": Shown(
        healthy,
        lambda: case("ill: images never given to the optimiser", recipe=Recipe(frozen=True)),
        draw.pace,
    ),
    "T18": Shown(
        healthy,
        lambda: case(
            "ill: an auxiliary loss fills the norm", recipe=Recipe(auxiliary=60.0, clip=0.5)
        ),
        draw.dots(0.5),
    ),
    "T19": Shown(healthy, memorised, draw.curves),
    "T20": Shown(
        healthy,
        lambda: case("ill: amplitude cut to a third", images("collapse", 0.3)),
        draw.calibration_panel,
    ),
    "T21": Shown(
        healthy,
        copier,
        draw.against_last,
    ),
    "T22": Shown(
        lambda: case("healthy: integrated gradients", explainer=gradient_maps),
        lambda: case("ill: images are not needed", recipe=Recipe("uninformative")),
        draw.dots(1.0),
    ),
    "T23": Shown(
        lambda: case("healthy: integrated gradients", explainer=gradient_maps),
        lambda: case("ill: the map is the frame", explainer=brightness),
        draw.with_and_without_weights,
    ),
    "T24": Shown(
        lambda: case("healthy: integrated gradients", recipe=CORNER, explainer=gradient_maps),
        lambda: case("ill: maps moved half a frame", explainer=away),
        draw.dots(0.05),
    ),
}

"""Healthy models that look ill: what a diagnosis must leave alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from heliosight.core.batch import Batch
from heliosight.models import Forecaster
from heliosight.models.fusion import ConcatFusion, GatedFusion
from heliosight.zoo.catalogue import ALL, GATED
from heliosight.zoo.faults import change_encoded
from heliosight.zoo.manipulation import mean_of
from heliosight.zoo.recipes import Recipe


@dataclass(frozen=True)
class HardHealthy:
    """One kind of healthy model that looks ill.

    Attributes
    ----------
    surgery : `rescaled` or `static_gate`, done to a plain trained model; empty for none.
    explained : the diagnosis is also given a right explainer.
    uses : modalities that a healthy model of this kind really uses.
    """

    id: str
    title: str
    recipe: Recipe = field(default_factory=Recipe)
    surgery: str = ""
    architectures: tuple[str, ...] = ALL
    explained: bool = False
    uses: tuple[str, ...] = ("images", "solar_wind")


HARD: tuple[HardHealthy, ...] = (
    HardHealthy("H1", "images hold nothing", Recipe("uninformative"), uses=("solar_wind",)),
    HardHealthy("H2", "images and wind hold the same", Recipe("redundant"), uses=("solar_wind",)),
    HardHealthy("H3", "only the newest frames count", Recipe("short_memory")),
    HardHealthy("H4", "hardly anything can be known", Recipe("low_signal"), uses=()),
    HardHealthy("H5", "branch scaled by 0.001, the next weight by 1000", surgery="rescaled"),
    HardHealthy("H6", "the signal sits at a fixed place", Recipe("corner"), explained=True),
    HardHealthy("H7", "a small but real share of the images", Recipe("small_share")),
    HardHealthy("H8", "a gate that is constant", surgery="static_gate", architectures=GATED),
)
BY_ID = {kind.id: kind for kind in HARD}
SCALE = 1e-3


@torch.no_grad()
def rescaled(model: Forecaster, name: str, scale: float = SCALE) -> None:
    """The branch's features times `scale` and the fusion's weights on them over it."""
    change_encoded(
        model,
        name,
        lambda e: replace(e, tokens=e.tokens * scale, summary=e.summary * scale),
    )
    fusion = model.fusion
    if isinstance(fusion, ConcatFusion):
        _columns(model, name, fusion.mix[0].weight).div_(scale)
    elif isinstance(fusion, GatedFusion):
        fusion.values[name].weight.div_(scale)
        for gate in fusion.gates.values():
            _columns(model, name, gate.weight).div_(scale)
    else:
        fusion.widen[name].weight.div_(scale)


def _columns(model: Forecaster, name: str, weight: torch.Tensor) -> torch.Tensor:
    """The columns of a weight on all summaries side by side that read one branch."""
    config, start = model.config, 0
    for other, modality in model.spec.modalities.items():
        width = config.encoder(other, modality).features
        if other == name:
            return weight[:, start : start + width]
        start += width
    return weight[:, :0]


@torch.no_grad()
def recalibrate(model: Forecaster, batch: Batch) -> None:
    """Fit each lead's location to the windows by a line; a short training stops before that."""
    f, y = mean_of(model, batch).double(), torch.log1p(batch.target).double()
    a, b = f - f.mean(0), y - y.mean(0)
    slope = ((a * b).mean(0) / a.pow(2).mean(0).clamp(min=1e-12)).clamp(0.0, 3.0)
    out, leads = model.head.trunk.out, f.shape[1]
    weight, bias = out.weight.view(leads, 2, -1)[:, 0], out.bias.view(leads, 2)[:, 0]
    weight.mul_(slope[:, None].to(weight))
    bias.copy_(bias * slope.to(bias) + (y.mean(0) - slope * f.mean(0)).to(bias))


@torch.no_grad()
def static_gate(model: Forecaster, batch: Batch) -> None:
    """Every fusion gate becomes its mean over the windows: its logit's mean as bias, no weights."""
    inputs: list[torch.Tensor] = []
    gates = list(model.fusion.gates.values())
    handle = gates[0].register_forward_pre_hook(lambda _m, args: inputs.append(args[0]))
    model(batch)
    handle.remove()
    for gate in gates:
        gate.bias.copy_(gate(inputs[0]).mean(0))
        gate.weight.mul_(0.0)
    recalibrate(model, batch)

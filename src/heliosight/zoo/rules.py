"""Published rules of thumb, asked about the same models: the rows to beat."""

from __future__ import annotations

import torch

from heliosight.core.batch import Batch
from heliosight.models import Forecaster

RATIOS = (10.0, 100.0)
SMALL_GRADIENT, SMALL_CHANGE, LARGE_GATE = 1e-6, 0.01, 0.5
RULES = (
    "magnitude ratio above 10",
    "magnitude ratio above 100",
    "gradient below 1e-6",
    "zero ablation below 0.01",
    "mean gate above 0.5",
)


def rules_of_thumb(model: Forecaster, batch: Batch) -> dict[str, bool]:
    """Which rules call the model ill, by name; a rule that cannot be asked is left out.

    - magnitude ratio: mean Euclidean norms of the branches' features, larger over smaller;
    - gradient: mean absolute gradient of the mean squared error at a branch's weights;
    - zero ablation: mean absolute change of log1p(ap) when a modality is set to zero;
    - gate: the mean of some branch's fusion gate lies above one half ("dominant").
    """
    model.eval()
    with torch.no_grad():
        output = model(batch)
    names = list(model.spec.modalities)
    sizes = [float(output.features[f"raw.{m}"].norm(dim=-1).mean()) for m in names]
    ratio = max(sizes) / max(min(sizes), 1e-30)
    found = dict(zip(RULES[:2], (ratio > r for r in RATIOS), strict=True))
    gradients = _gradients(model, batch, names)
    if gradients:
        found[RULES[2]] = min(gradients) < SMALL_GRADIENT
    found[RULES[3]] = min(_ablated(model, batch, m) for m in names) < SMALL_CHANGE
    gates = [float(v.mean()) for k, v in output.features.items() if k.startswith("gate.")]
    if gates:
        found[RULES[4]] = max(gates) > LARGE_GATE
    return found


def _gradients(model: Forecaster, batch: Batch, names: list[str]) -> list[float]:
    """Mean absolute gradient over the weights of each branch; empty without any graph."""
    with torch.enable_grad():
        mean = model(batch).forecast.mean
        if not mean.requires_grad:
            return []
        loss = ((mean - torch.log1p(batch.target)) ** 2).mean()
        weights = {m: [p for p in model.encoders[m].parameters() if p.requires_grad] for m in names}
        return [_mean_size(loss, own) for own in weights.values() if own]


def _mean_size(loss: torch.Tensor, weights: list[torch.nn.Parameter]) -> float:
    grads = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    total = sum(float(g.abs().sum()) for g in grads if g is not None)
    return total / sum(w.numel() for w in weights)


@torch.no_grad()
def _ablated(model: Forecaster, batch: Batch, name: str) -> float:
    zero = batch.with_inputs({name: torch.zeros_like(batch.inputs[name])})
    change = model(batch).forecast.mean - model(zero).forecast.mean
    return float(change.abs().mean())

"""Learning rates, freezing and clipping by parameter group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import cos, pi

import torch
from torch import nn

from heliosight.training.checks import require
from heliosight.training.protocol import Trainable, parameters_by_group

Groups = Mapping[str, Mapping[str, nn.Parameter]]
FIELD_RATES = {"transformer": 1e-4, "convlstm": 5e-4, "fusion": 1e-4, "head": 1e-4}
FIELD_CLIPPING = {"convlstm": 10.0}


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW (Loshchilov & Hutter 2019) with a rate per group, warm-up and cosine decay.

    Attributes
    ----------
    rates : learning rate by group; `default_rate` is for groups not named.
    weight_decay : decoupled; biases, gains and other one-dimensional parameters are spared.
    warmup : share of a stage's steps over which the rate rises linearly.
    floor : share of the rate that is left at the stage's end.
    """

    rates: dict[str, float] = field(default_factory=lambda: dict(FIELD_RATES))
    default_rate: float = 1e-4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: float = 0.05
    floor: float = 0.01

    def __post_init__(self) -> None:
        for name, rate in {**self.rates, "default_rate": self.default_rate}.items():
            require(rate > 0, "a learning rate is positive", rate, where=name)
        require(self.weight_decay >= 0, "weight decay is not negative", self.weight_decay)
        require(all(0 <= b < 1 for b in self.betas), "AdamW's betas lie in [0, 1)", self.betas)
        require(0 <= self.warmup < 1, "warm-up is a share of the steps in [0, 1)", self.warmup)
        require(0 <= self.floor <= 1, "the floor is a share of the rate in [0, 1]", self.floor)


@dataclass(frozen=True)
class ClippingConfig:
    """Largest gradient norms; each named group is clipped first, then everything together."""

    total: float | None = 5.0
    groups: dict[str, float] = field(default_factory=lambda: dict(FIELD_CLIPPING))

    def __post_init__(self) -> None:
        for name, norm in {**self.groups, "total": self.total}.items():
            require(norm is None or norm > 0, "a gradient norm limit is positive", norm, "", name)


def check_names(named: Mapping[str, float], usual: Mapping[str, float], groups: Groups) -> None:
    """Refuse a named group the model lacks, unless the value is the shipped one.

    A single-branch model may keep the shipped table; a value somebody chose must take effect.
    """
    for name, value in named.items():
        fits = name in groups or usual.get(name) == value
        rule = "a named parameter group exists in the model"
        require(fits, rule, name, f"Groups: {', '.join(groups)}.")


def schedule(step: int, total: int, config: OptimiserConfig) -> float:
    """Share of the learning rate at a step of a stage: linear warm-up, then half a cosine.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. 5, without restarts.
    """
    warm = round(config.warmup * total)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    return config.floor + (1 - config.floor) * 0.5 * (1 + cos(pi * done))


def build_optimiser(
    groups: Groups, rates: Mapping[str, float], config: OptimiserConfig
) -> torch.optim.AdamW:
    """AdamW over the groups in `rates`; each entry remembers its group and full rate."""
    entries = []
    for name, rate in rates.items():
        members = list(groups[name].values())
        for decayed in (True, False):
            chosen = [p for p in members if (p.ndim > 1) == decayed]
            decay = config.weight_decay if decayed else 0.0
            entry = {"params": chosen, "lr": rate, "weight_decay": decay}
            entries += [{**entry, "group": name, "rate": rate}] if chosen else []
    return torch.optim.AdamW(entries, betas=config.betas)


def set_rates(optimiser: torch.optim.Optimizer, share: float) -> dict[str, float]:
    """Put every group at `share` of its full rate; returns the rates by group."""
    for entry in optimiser.param_groups:
        entry["lr"] = entry["rate"] * share
    return {entry["group"]: entry["lr"] for entry in optimiser.param_groups}


def train_only(model: Trainable, trained: Mapping[str, object]) -> None:
    """Training mode for the groups `trained`; everything else is frozen, buffers included.

    A sub-module whose parameters are all frozen goes to evaluation mode, so that its
    normalisation statistics stay as they are. One without parameters follows its parent.
    """
    for name, members in parameters_by_group(model).items():
        for parameter in members.values():
            parameter.requires_grad_(name in trained)
    model.train()
    for module in model.modules():
        own = list(module.parameters())
        if own and not any(p.requires_grad for p in own):
            module.eval()


def clip(groups: Groups, config: ClippingConfig) -> tuple[dict[str, float], dict[str, bool]]:
    """Clip gradients in place; gives norms before clipping and which limits were exceeded.

    Groups come first so that one exploding branch does not shrink the step of all the others.
    """
    grads = {
        name: [p.grad for p in members.values() if p.grad is not None]
        for name, members in groups.items()
    }
    grads = {name: found for name, found in grads.items() if found}
    norms = _norms(grads)
    limits = {name: config.groups[name] for name in norms if name in config.groups}
    clipped = {name: norms[name] > limit for name, limit in limits.items()}
    left = dict(norms)
    for name in (n for n, over in clipped.items() if over):
        left[name] = limits[name]
        _scale(grads[name], limits[name] / norms[name])
    total = sum(n * n for n in left.values()) ** 0.5
    clipped["total"] = config.total is not None and total > config.total
    if config.total is not None and clipped["total"]:
        _scale([g for found in grads.values() for g in found], config.total / total)
    norms["total"] = sum(n * n for n in norms.values()) ** 0.5
    return norms, clipped


def _norms(grads: Mapping[str, list[torch.Tensor]]) -> dict[str, float]:
    """Euclidean norm by group, fetched from the device at once."""
    if not grads:
        return {}
    each = [torch.stack([g.norm() for g in found]).norm() for found in grads.values()]
    return dict(zip(grads, torch.stack(each).tolist(), strict=True))


def _scale(grads: list[torch.Tensor], factor: float) -> None:
    for grad in grads:
        grad.mul_(factor)

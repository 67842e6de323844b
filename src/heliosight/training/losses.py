"""Losses of a distributional forecast of y = log1p(ap), as sums so that any split adds up.

Each term is summed over windows and leads and divided once, by the weight of the whole optimiser
step. Micro-batches and processes then add up to the same loss as one big batch, masks included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import SpecError
from heliosight.core.forecast import Forecast
from heliosight.core.geomagnetic import STORM_AP, storm_threshold
from heliosight.core.output import ModelOutput
from heliosight.training.checks import require
from heliosight.training.lessons import AREA, Lesson
from heliosight.training.speed import SPEED, Speed

TERMS = ("quantile", "crps", "mse", "mae", "huber")
AUXILIARY = "auxiliary"


@dataclass(frozen=True)
class ContrastiveConfig:
    """Alignment of the branches' features before fusion.

    `infonce` tells a window's image features from those of the other windows of its micro-batch
    (van den Oord et al. 2018, arXiv:1807.03748, eq. 4, both directions); `consistency` is
    1 - cosine similarity.
    """

    kind: Literal["none", "infonce", "consistency"] = "none"
    weight: float = 0.1
    temperature: float = 0.1

    def __post_init__(self) -> None:
        require(self.weight >= 0, "a loss weight is not negative", self.weight, where="weight")
        require(self.temperature > 0, "a temperature is positive", self.temperature)


@dataclass(frozen=True)
class LossConfig:
    """What is minimised.

    Attributes
    ----------
    terms : weight by name. `quantile` (pinball, mean over levels), `crps` (pinball integrated over
        level) train the quantiles; `mse`, `mae`, `huber` train the mean of log1p(ap).
    huber_delta : where Huber turns linear [log1p(ap)].
    storm_weights : weight of a lead whose observed ap reaches the NOAA class; empty is none.
    auxiliary_weight : of the auxiliary heads' squared error.
    """

    terms: dict[str, float] = field(default_factory=lambda: {"quantile": 1.0, "mse": 0.5})
    huber_delta: float = 1.0
    storm_weights: dict[str, float] = field(default_factory=dict)
    auxiliary_weight: float = 0.3
    contrastive: ContrastiveConfig = field(default_factory=ContrastiveConfig)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.terms) - set(TERMS))
        require(not unknown, "a loss term is known", unknown, f"Known: {TERMS}.", "terms")
        weights = list(self.terms.values())
        good = all(w >= 0 for w in weights) and sum(weights) > 0
        require(good, "loss terms weigh 0 or more and one is positive", self.terms, where="terms")
        known = set(self.storm_weights) <= set(STORM_AP)
        require(known, "a storm class is one of G1 to G5", sorted(self.storm_weights))
        positive = all(w > 0 for w in self.storm_weights.values())
        require(positive, "a storm weight is positive", self.storm_weights)
        require(self.huber_delta > 0, "huber_delta is positive", self.huber_delta)
        require(self.auxiliary_weight >= 0, "a loss weight is not negative", self.auxiliary_weight)


NOAA_STORM_WEIGHTS = {"G1": 2.0, "G2": 3.0, "G3": 4.0, "G4": 6.0, "G5": 8.0}


def lead_weights(batch: Batch | Lesson, config: LossConfig) -> Tensor:
    """Weight of every lead, `(..., L)`: 0 where the target is unknown, else its storm class's."""
    weight = torch.ones_like(batch.target)
    for storm in sorted(config.storm_weights, key=STORM_AP.__getitem__):
        reached = batch.target > storm_threshold(storm)
        weight = torch.where(reached, config.storm_weights[storm], weight)
    return weight * batch.target_mask


def log_target(batch: Batch | Lesson) -> Tensor:
    """y = log1p(ap), 0 where unknown."""
    return torch.where(batch.target_mask, torch.log1p(batch.target), 0.0)


def pinball(forecast: Forecast, y: Tensor) -> Tensor:
    """Quantile score `(B, L, Q)`: max(a (y - q), (a - 1)(y - q)) (Koenker & Bassett 1978)."""
    gap = y.unsqueeze(-1) - forecast.quantiles
    level = forecast.levels.to(gap)
    return torch.maximum(level * gap, (level - 1) * gap)


def crps(forecast: Forecast, y: Tensor) -> Tensor:
    """CRPS `(B, L)`: twice the quantile score integrated over level (Laio & Tamea 2007, eq. 13).

    The integral is a sum in which each level stands for the stretch up to halfway to its
    neighbours.
    """
    level = forecast.levels.to(y)
    middle = (level[1:] + level[:-1]) / 2
    width = torch.cat([level.new_zeros(1), middle, level.new_ones(1)]).diff()
    return 2 * (pinball(forecast, y) * width).sum(-1)


def term(name: str, forecast: Forecast, y: Tensor, delta: float) -> Tensor:
    """One loss term per lead, `(B, L)`."""
    if name == "quantile":
        return pinball(forecast, y).mean(-1)
    if name == "crps":
        return crps(forecast, y)
    how = {"mse": F.mse_loss, "mae": F.l1_loss}.get(name)
    if how is not None:
        return how(forecast.mean, y, reduction="none")
    return F.huber_loss(forecast.mean, y, reduction="none", delta=delta)


def branch_features(output: ModelOutput, modalities: Mapping[str, object]) -> dict[str, Tensor]:
    """Features `(B, F)` by modality: `alignment.<modality>` where a model projects them."""
    found = {n: output.features.get(f"alignment.{n}", output.features.get(n)) for n in modalities}
    return {n: x for n, x in found.items() if x is not None}


def contrastive_sum(features: Mapping[str, Tensor], config: ContrastiveConfig) -> Tensor:
    """Alignment loss summed over windows and averaged over pairs of branches.

    Raises
    ------
    SpecError : fewer than two branches, or branches of different width.
    """
    widths = {name: x.shape[1] for name, x in features.items()}
    if len(widths) < 2 or len(set(widths.values())) > 1:
        raise SpecError(
            "contrastive alignment needs two branches of equal feature width",
            str(widths),
            "Set loss.contrastive.kind=none or give the branches one width.",
        )
    units = {name: F.normalize(x, dim=1) for name, x in features.items()}
    pairs = [_aligned(a, b, config) for a, b in combinations(units.values(), 2)]
    return torch.stack(pairs).mean()


def _aligned(a: Tensor, b: Tensor, config: ContrastiveConfig) -> Tensor:
    if config.kind == "consistency":
        return (1 - (a * b).sum(1)).sum()
    logits = a @ b.T / config.temperature
    own = torch.arange(len(a), device=a.device)
    both = [F.cross_entropy(x, own, reduction="sum") for x in (logits, logits.T)]
    return torch.stack(both).mean()


def auxiliary_errors(
    output: ModelOutput,
    batch: Batch,
    config: LossConfig,
    speed: Speed | None = None,
    lesson: Lesson | None = None,
) -> list[Tensor]:
    """Weighted squared error of each auxiliary head, summed over windows and leads.

    A lesson's moments count as one together, so that speaking more often weighs no more.
    """
    heads, found = dict(output.auxiliary), []
    weight, y = lead_weights(batch, config), log_target(batch)
    said = {name: output.every_frame.get(name, x[:, None]) for name, x in heads.items()}
    if speed is not None:
        found.append((weight * speed.error(heads[SPEED].to(y))).sum())
    if lesson is not None:
        weight, y = lead_weights(lesson, config), log_target(lesson)
        if AREA in heads:
            error = lesson.area_error(said[AREA])
            found.append((error * weight.sum(-1)).mean(1).sum())
    else:
        weight, y = weight[:, None], y[:, None]
    forecasts = [x.to(y) for name, x in said.items() if name not in (SPEED, AREA)]
    return found + [(weight * (x - y) ** 2).sum(-1).mean(1).sum() for x in forecasts]


@final
class Objective:
    """The loss of a stage: forecast terms, auxiliary heads, alignment.

    `weights(batch)` gives the normalisers `(2,)` of a batch (lead weight, windows); they depend on
    the target alone, so their total over a step is known before the first forward.
    """

    def __init__(
        self,
        config: LossConfig,
        modalities: Mapping[str, object],
        main_weight: float = 1.0,
        auxiliary_weight: float | None = None,
    ) -> None:
        self.config, self.modalities, self.main = config, modalities, main_weight
        default = config.auxiliary_weight
        self.auxiliary = default if auxiliary_weight is None else auxiliary_weight

    @property
    def names(self) -> tuple[str, ...]:
        """Every part there can be, in one order for all processes."""
        return (*TERMS, AUXILIARY, self.config.contrastive.kind)

    def weights(self, batch: Batch) -> Tensor:
        """Normalisers of a batch, `(2,)`."""
        lead = lead_weights(batch, self.config).sum()
        return torch.stack([lead, lead.new_tensor(float(len(batch)))])

    def sums(
        self,
        output: ModelOutput,
        batch: Batch,
        speed: Speed | None = None,
        lesson: Lesson | None = None,
    ) -> dict[str, Tensor]:
        """Every part of the loss, weighted and summed over windows and leads; see `divided`.

        Auxiliary heads predict log1p(ap), but `speed` and `area`, which predict `speed` and the
        areas of the `lesson`. Heads that speak at every frame are held to the lesson's targets.
        """
        weight, y = lead_weights(batch, self.config), log_target(batch)
        parts = {
            name: self.main * scale * (weight * self._term(name, output, y)).sum()
            for name, scale in self.config.terms.items()
            if scale * self.main > 0
        }
        errors = []
        if self.auxiliary > 0:
            errors = auxiliary_errors(output, batch, self.config, speed, lesson)
        if errors:
            parts[AUXILIARY] = self.auxiliary * torch.stack(errors).sum()
        contrastive = self.config.contrastive
        if contrastive.kind != "none" and contrastive.weight * self.main > 0:
            aligned = contrastive_sum(branch_features(output, self.modalities), contrastive)
            parts[contrastive.kind] = contrastive.weight * aligned
        return parts

    def divided(self, parts: Mapping[str, Tensor], total: Tensor) -> dict[str, Tensor]:
        """Sums divided by the normalisers `total` `(2,)` of everything that is summed."""
        leads, windows = total.clamp(min=1e-12)
        by_window = self.config.contrastive.kind
        return {n: x / (windows if n == by_window else leads) for n, x in parts.items()}

    def _term(self, name: str, output: ModelOutput, y: Tensor) -> Tensor:
        forecast = output.forecast
        same = Forecast(forecast.mean.to(y), forecast.quantiles.to(y), forecast.levels)
        return term(name, same, y, self.config.huber_delta)

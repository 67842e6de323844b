"""Fusion of any number of branches: concatenation, gates, or cross-attention over tokens.

Cross-attention runs between the tokens of one sample, never over pooled single vectors (a softmax
over one key is the constant 1) and never over the batch axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from heliosight.core.errors import SpecError
from heliosight.models.limits import divides, fraction, positive
from heliosight.models.tokens import Attention


@final
@dataclass(frozen=True)
class Branch:
    """What one modality brings: tokens `(B, N, F)` and their summary `(B, F)`."""

    tokens: Tensor
    summary: Tensor


@final
@dataclass(frozen=True)
class Fused:
    """The joint vector `(B, F)`, and gates or attention weights by name for inspection."""

    vector: Tensor
    features: Mapping[str, Tensor]


@final
@dataclass(frozen=True)
class BranchSize:
    """Width F and number of tokens N of a branch."""

    features: int
    tokens: int


@final
@dataclass(frozen=True)
class ConcatConfig:
    """Summaries side by side, then one layer of `width`."""

    type: Literal["concat"] = "concat"
    width: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        positive(self, "width")
        fraction(self, "dropout")


@final
@dataclass(frozen=True)
class GatedConfig:
    """A sum of branches, each under a sigmoid gate that sees all summaries."""

    type: Literal["gated"] = "gated"
    width: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        positive(self, "width")
        fraction(self, "dropout")


@final
@dataclass(frozen=True)
class CrossAttentionConfig:
    """Every branch's tokens ask all other branches' tokens, in both directions."""

    type: Literal["cross_attention"] = "cross_attention"
    width: int = 64
    heads: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        positive(self, "width", "heads")
        fraction(self, "dropout")
        divides(self, "heads", "width")


FusionConfig = ConcatConfig | GatedConfig | CrossAttentionConfig


@final
class ConcatFusion(nn.Module):
    """See `ConcatConfig`."""

    def __init__(self, config: ConcatConfig, sizes: Mapping[str, BranchSize]) -> None:
        super().__init__()
        total = sum(size.features for size in sizes.values())
        self.mix = nn.Sequential(
            nn.Linear(total, config.width), nn.GELU(), nn.Dropout(config.dropout)
        )

    def forward(self, branches: Mapping[str, Branch]) -> Fused:
        """The joint vector `(B, width)`."""
        return Fused(self.mix(_beside(branches)), {})


@final
class GatedFusion(nn.Module):
    """See `GatedConfig`; gates lie in (0, 1) and need not sum to 1, so one branch works too."""

    def __init__(self, config: GatedConfig, sizes: Mapping[str, BranchSize]) -> None:
        super().__init__()
        total = sum(size.features for size in sizes.values())
        self.values = nn.ModuleDict(
            {name: nn.Linear(size.features, config.width) for name, size in sizes.items()}
        )
        self.gates = nn.ModuleDict({name: nn.Linear(total, config.width) for name in sizes})
        self.finish = nn.Sequential(nn.GELU(), nn.Dropout(config.dropout))

    def forward(self, branches: Mapping[str, Branch]) -> Fused:
        """The joint vector `(B, width)` and `gate.<modality>` `(B, width)`."""
        everything = _beside(branches)
        gates = {name: torch.sigmoid(gate(everything)) for name, gate in self.gates.items()}
        parts = [gates[name] * self.values[name](b.summary) for name, b in branches.items()]
        return Fused(
            self.finish(torch.stack(parts).sum(0)),
            {f"gate.{name}": gate for name, gate in gates.items()},
        )


@final
class CrossAttentionFusion(nn.Module):
    """See `CrossAttentionConfig`.

    Each branch gives its summary plus the mean over its tokens of what they found in the others.

    Raises
    ------
    SpecError : a branch would attend over a single key.
    """

    def __init__(self, config: CrossAttentionConfig, sizes: Mapping[str, BranchSize]) -> None:
        super().__init__()
        _require_keys(sizes)
        width = config.width
        self.widen = nn.ModuleDict({n: nn.Linear(s.features, width) for n, s in sizes.items()})
        self.attention = nn.ModuleDict(
            {name: Attention(width, config.heads) for name in sizes if len(sizes) > 1}
        )
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Sequential(
            nn.Linear(len(sizes) * width, width), nn.GELU(), nn.Dropout(config.dropout)
        )

    def forward(self, branches: Mapping[str, Branch]) -> Fused:
        """The joint vector `(B, width)` and `cross_attention.<modality>` `(B, heads, N, M)`.

        These are the weights with which the N tokens of a branch read the M tokens of all others,
        the others in the order of the branches.
        """
        tokens = {name: self.widen[name](b.tokens) for name, b in branches.items()}
        parts, features = [], {}
        for name, branch in branches.items():
            part = self.widen[name](branch.summary)
            if name in self.attention:
                others = torch.cat([x for other, x in tokens.items() if other != name], 1)
                found, weights = self.attention[name](tokens[name], others, others)
                features[f"cross_attention.{name}"] = weights
                part = part + found.mean(1)
            parts.append(self.norm(part))
        return Fused(self.mix(torch.cat(parts, -1)), features)


def _require_keys(sizes: Mapping[str, BranchSize]) -> None:
    total = sum(size.tokens for size in sizes.values())
    for name, size in sizes.items():
        if len(sizes) > 1 and total - size.tokens < 2:
            raise SpecError(
                "cross-attention needs at least two tokens to choose from",
                f"{name!r} would read a single one",
                "Give the other branch an encoder with one token a step, or use concat or gated.",
                "fusion",
            )


def _beside(branches: Mapping[str, Branch]) -> Tensor:
    return torch.cat([branch.summary for branch in branches.values()], -1)


def build_fusion(config: FusionConfig, sizes: Mapping[str, BranchSize]) -> nn.Module:
    """The fusion its config names, for branches of these sizes."""
    if isinstance(config, ConcatConfig):
        return ConcatFusion(config, sizes)
    if isinstance(config, GatedConfig):
        return GatedFusion(config, sizes)
    return CrossAttentionFusion(config, sizes)

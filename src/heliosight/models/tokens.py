"""What every encoder gives, positions on the time axis, attention with visible weights, pooling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

PoolingKind = Literal["last", "mean", "attention", "self_attention"]


@final
@dataclass(frozen=True)
class Encoded:
    """One modality after its encoder.

    Attributes
    ----------
    tokens : `(B, T, F)`, one a frame or step, oldest first.
    summary : `(B, F)` the tokens pooled over time.
    hidden : `(B, T, F')` state of the network per frame or step, averaged over space.
    attention : `(B, heads, T)` weight of each token in the summary, None where nothing attends.
    """

    tokens: Tensor
    summary: Tensor
    hidden: Tensor
    attention: Tensor | None = None


def sinusoids(steps: int, width: int) -> Tensor:
    """Position codes `(steps, width)` (Vaswani et al. 2017, section 3.5)."""
    place = torch.arange(steps, dtype=torch.float64)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(1e4) / width))
    code = torch.stack([torch.sin(place * rate), torch.cos(place * rate)], -1)
    return code.flatten(1)[:, :width].to(torch.get_default_dtype())


@final
class Attention(nn.Module):
    """Multi-head attention over the token axis of each sample (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        # No bias: it would shift all scores of a query alike, which softmax does not see.
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Answers `(B, N, F)` and weights `(B, heads, N, M)`.

        Queries are `(B, N, F)`, keys and values `(B, M, F)`.
        """
        q, k, v = self.query(query), self.key(key), self.value(value)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1)
        return self.out((weights @ v).transpose(1, 2).flatten(2)), weights


@final
class TemporalPooling(nn.Module):
    """Tokens `(B, T, F)` to one vector: the last, their mean, or what attention picks.

    `attention` has one learned query a head; `self_attention` lets every token ask and averages
    the answers. Keys carry their position in time, values do not. A single token is simply taken,
    since a softmax over one key is the constant 1.
    """

    def __init__(self, kind: PoolingKind, width: int, steps: int, heads: int) -> None:
        super().__init__()
        self.kind = kind = kind if steps > 1 else "last"
        if kind in ("attention", "self_attention"):
            self.attention = Attention(width, heads)
            self.register_buffer("position", sinusoids(steps, width), persistent=False)
        if kind == "attention":
            self.question = nn.Parameter(torch.randn(1, 1, width))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pooled `(B, F)` and the weight of each token `(B, heads, T)`, None without attention."""
        if self.kind == "last":
            return tokens[:, -1], None
        if self.kind == "mean":
            return tokens.mean(1), None
        keys = tokens + self.position[-tokens.shape[1] :]
        asks = keys if self.kind == "self_attention" else self.question.expand(len(tokens), -1, -1)
        pooled, weights = self.attention(asks, keys, tokens)
        return pooled.mean(1), weights.mean(2)

"""Encoders of a series `(B, S, V)`: Transformer, TCN, LSTM, linear.

Each sees `(B, S, 2 V)`: the normalised values and, beside them, whether they were observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heliosight.core.spec import ModalitySpec
from heliosight.models.limits import divides, fraction, positive
from heliosight.models.tokens import Attention, Encoded, PoolingKind, TemporalPooling, sinusoids


@final
@dataclass(frozen=True)
class TransformerConfig:
    """Transformer over steps; position lies on the time axis.

    Attributes
    ----------
    features : width of the tokens, a multiple of `heads`.
    feedforward : width inside each block's two-layer network.
    position : `sinusoidal` or `learned`.
    """

    type: Literal["transformer"] = "transformer"
    features: int = 32
    layers: int = 2
    heads: int = 4
    feedforward: int = 64
    dropout: float = 0.1
    position: Literal["sinusoidal", "learned"] = "sinusoidal"
    pooling: PoolingKind = "attention"

    def __post_init__(self) -> None:
        positive(self, "features", "layers", "heads", "feedforward")
        fraction(self, "dropout")
        divides(self, "heads", "features")


@final
@dataclass(frozen=True)
class TcnConfig:
    """Causal dilated convolutions with residuals (Bai et al. 2018); layer k has dilation 2^k."""

    type: Literal["tcn"] = "tcn"
    features: int = 32
    layers: int = 4
    kernel: int = 3
    heads: int = 4
    dropout: float = 0.1
    pooling: PoolingKind = "last"

    def __post_init__(self) -> None:
        positive(self, "features", "layers", "kernel", "heads")
        fraction(self, "dropout")
        divides(self, "heads", "features")


@final
@dataclass(frozen=True)
class LstmConfig:
    """LSTM over steps."""

    type: Literal["lstm"] = "lstm"
    features: int = 32
    layers: int = 1
    heads: int = 4
    pooling: PoolingKind = "last"

    def __post_init__(self) -> None:
        positive(self, "features", "layers", "heads")
        divides(self, "heads", "features")


@final
@dataclass(frozen=True)
class LinearConfig:
    """One linear map of the whole window: the yardstick, and enough for a few daily values."""

    type: Literal["linear"] = "linear"
    features: int = 32

    def __post_init__(self) -> None:
        positive(self, "features")


SeriesConfig = TransformerConfig | TcnConfig | LstmConfig | LinearConfig


@final
class TransformerBlock(nn.Module):
    """Pre-norm block: attention over steps, then a two-layer network, both with residuals."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.before_feedforward = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, S, F)` to the same shape."""
        normed = self.before_attention(x)
        x = x + self.dropout(self.attention(normed, normed, normed)[0])
        return x + self.dropout(self.feedforward(self.before_feedforward(x)))


@final
class TransformerEncoder(nn.Module):
    """See `TransformerConfig`."""

    def __init__(self, config: TransformerConfig, spec: ModalitySpec) -> None:
        super().__init__()
        width = config.features
        self.embed = nn.Linear(2 * len(spec.variables), width)
        code = sinusoids(spec.steps, width)
        if config.position == "learned":
            self.position = nn.Parameter(code)
        else:
            self.register_buffer("position", code, persistent=False)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.heads, config.feedforward, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.pooling = TemporalPooling(config.pooling, width, spec.steps, config.heads)

    def forward(self, values: Tensor, observed: Tensor) -> Encoded:
        """Tokens of normalised values `(B, S, V)` and their mask."""
        x = self.embed(with_mask(values, observed)) + self.position[-values.shape[1] :]
        for block in self.blocks:
            x = block(x)
        tokens = self.norm(x)
        summary, weights = self.pooling(tokens)
        return Encoded(tokens, summary, x, weights)


@final
class CausalBlock(nn.Module):
    """Causal dilated convolution, LayerNorm over features, GELU, residual."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = (kernel - 1) * dilation
        self.conv = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, S, F)` to the same shape; step s sees steps up to s."""
        past = F.pad(x.transpose(1, 2), (self.reach, 0))
        return x + self.dropout(F.gelu(self.norm(self.conv(past).transpose(1, 2))))


@final
class TcnEncoder(nn.Module):
    """See `TcnConfig`."""

    def __init__(self, config: TcnConfig, spec: ModalitySpec) -> None:
        super().__init__()
        width = config.features
        self.embed = nn.Linear(2 * len(spec.variables), width)
        self.blocks = nn.Sequential(
            *(CausalBlock(width, config.kernel, 2**k, config.dropout) for k in range(config.layers))
        )
        self.pooling = TemporalPooling(config.pooling, width, spec.steps, config.heads)

    def forward(self, values: Tensor, observed: Tensor) -> Encoded:
        """Tokens of normalised values `(B, S, V)` and their mask."""
        tokens = self.blocks(self.embed(with_mask(values, observed)))
        summary, weights = self.pooling(tokens)
        return Encoded(tokens, summary, tokens, weights)


@final
class LstmEncoder(nn.Module):
    """See `LstmConfig`."""

    def __init__(self, config: LstmConfig, spec: ModalitySpec) -> None:
        super().__init__()
        width = config.features
        self.lstm = nn.LSTM(2 * len(spec.variables), width, config.layers, batch_first=True)
        self.pooling = TemporalPooling(config.pooling, width, spec.steps, config.heads)

    def forward(self, values: Tensor, observed: Tensor) -> Encoded:
        """Tokens of normalised values `(B, S, V)` and their mask."""
        tokens, _ = self.lstm(with_mask(values, observed))
        summary, weights = self.pooling(tokens)
        return Encoded(tokens, summary, tokens, weights)


@final
class LinearEncoder(nn.Module):
    """See `LinearConfig`; its only token is its summary."""

    def __init__(self, config: LinearConfig, spec: ModalitySpec) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * spec.steps * len(spec.variables), config.features)

    def forward(self, values: Tensor, observed: Tensor) -> Encoded:
        """One token of normalised values `(B, S, V)` and their mask."""
        summary = self.linear(with_mask(values, observed).flatten(1))
        return Encoded(summary[:, None], summary, summary[:, None])


def with_mask(values: Tensor, observed: Tensor) -> Tensor:
    """`(B, S, 2 V)`: values and, beside them, 1 where observed."""
    return torch.cat([values, observed.to(values.dtype)], -1)


def series_encoder(config: SeriesConfig, spec: ModalitySpec) -> nn.Module:
    """The encoder its config names."""
    if isinstance(config, TransformerConfig):
        return TransformerEncoder(config, spec)
    if isinstance(config, TcnConfig):
        return TcnEncoder(config, spec)
    if isinstance(config, LstmConfig):
        return LstmEncoder(config, spec)
    return LinearEncoder(config, spec)

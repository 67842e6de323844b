"""The architectures that faults are planted in, small enough to train in seconds."""

from __future__ import annotations

from heliosight.core.errors import ConfigError
from heliosight.models import ForecasterConfig
from heliosight.models.auxiliary import AuxiliaryConfig
from heliosight.models.fusion import ConcatConfig, CrossAttentionConfig, GatedConfig
from heliosight.models.heads import GaussianHeadConfig
from heliosight.models.images import Conv3dConfig, ConvLSTMConfig
from heliosight.models.series import LinearConfig, TcnConfig, TransformerConfig

WIDTH = 16
_STEM = {"patch": 4, "stem_channels": 8, "pixel_channels": 8, "features": WIDTH, "hidden": 8}
_HEAD = GaussianHeadConfig(hidden=32, dropout=0.0)
_PLAIN = {
    "head": _HEAD, "auxiliary": AuxiliaryConfig(image=False), "branch_norm": False, "draws": 2,
}  # fmt: skip
ARCHITECTURES: dict[str, ForecasterConfig] = {
    "concat": ForecasterConfig(
        images=ConvLSTMConfig(pooling="last", **_STEM),  # type: ignore[arg-type]
        series=TransformerConfig(features=WIDTH, layers=1, feedforward=32, dropout=0.0),
        fusion=ConcatConfig(width=WIDTH, dropout=0.0),
        **_PLAIN,  # type: ignore[arg-type]
    ),
    "gated": ForecasterConfig(
        images=ConvLSTMConfig(pooling="last", **_STEM),  # type: ignore[arg-type]
        series=TcnConfig(features=WIDTH, layers=4, dropout=0.0),
        fusion=GatedConfig(width=WIDTH, dropout=0.0),
        **_PLAIN,  # type: ignore[arg-type]
    ),
    "cross_attention": ForecasterConfig(
        images=ConvLSTMConfig(pooling="last", **_STEM),  # type: ignore[arg-type]
        series=TransformerConfig(features=WIDTH, layers=1, feedforward=32, dropout=0.0),
        fusion=CrossAttentionConfig(width=WIDTH, heads=2, dropout=0.0),
        **_PLAIN,  # type: ignore[arg-type]
    ),
    "conv3d": ForecasterConfig(
        images=Conv3dConfig(pooling="attention", layers=2, **_STEM),  # type: ignore[arg-type]
        series=LinearConfig(features=WIDTH),
        fusion=GatedConfig(width=WIDTH, dropout=0.0),
        **_PLAIN,  # type: ignore[arg-type]
    ),
}


def architecture(name: str) -> ForecasterConfig:
    """The configuration of an architecture.

    Raises
    ------
    ConfigError : no such architecture.
    """
    if name not in ARCHITECTURES:
        raise ConfigError(
            "an architecture is one of the zoo's", name, f"Known: {', '.join(ARCHITECTURES)}."
        )
    return ARCHITECTURES[name]

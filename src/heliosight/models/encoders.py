"""The encoders of both kinds behind one door."""

from __future__ import annotations

from torch import nn

from heliosight.core.errors import SpecError
from heliosight.core.spec import ModalitySpec
from heliosight.models.images import Conv3dConfig, ConvLSTMConfig, ImageConfig, ImageEncoder
from heliosight.models.series import LinearConfig, SeriesConfig, series_encoder

EncoderConfig = ImageConfig | SeriesConfig


def require_kind(chosen: EncoderConfig, name: str, spec: ModalitySpec) -> None:
    """Refuse an image encoder for a series and the other way round, with `SpecError`."""
    if isinstance(chosen, (ConvLSTMConfig, Conv3dConfig)) != (spec.kind == "images"):
        raise SpecError(
            "an encoder fits its modality's kind",
            f"{chosen.type} for {spec.kind} {name!r}",
            "Images take convlstm or conv3d; series take transformer, tcn, lstm or linear.",
            f"model.encoders.{name}",
        )


def build_encoder(config: EncoderConfig, spec: ModalitySpec) -> nn.Module:
    """The encoder its config names; called as `encoder(values, observed) -> Encoded`."""
    if isinstance(config, (ConvLSTMConfig, Conv3dConfig)):
        return ImageEncoder(config, spec)
    return series_encoder(config, spec)


def token_count(config: EncoderConfig, spec: ModalitySpec) -> int:
    """Tokens N it gives: one a step, and a linear encoder a single one."""
    return 1 if isinstance(config, LinearConfig) else spec.steps

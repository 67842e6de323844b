"""The forecaster: any modalities in, one distribution of log1p(ap) a lead out.

Every operation acts on one sample at a time (LayerNorm and GroupNorm, never BatchNorm), so a
forecast does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.errors import ConfigError, SpecError
from heliosight.core.geomagnetic import EVENT_CLASSES, storm_threshold
from heliosight.core.output import ModelOutput
from heliosight.core.seeding import stream_seed
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import Moments
from heliosight.models.auxiliary import ROOT_AREA, AuxiliaryConfig, AuxiliaryHead
from heliosight.models.convlstm import ConvLSTM
from heliosight.models.copula import correlated_draws
from heliosight.models.encoders import EncoderConfig, build_encoder, require_kind, token_count
from heliosight.models.fusion import (
    Branch,
    BranchSize,
    CrossAttentionConfig,
    FusionConfig,
    build_fusion,
)
from heliosight.models.heads import (
    HeadConfig,
    QuantileHeadConfig,
    build_head,
)
from heliosight.models.images import ConvLSTMConfig, ImageConfig
from heliosight.models.inputs import checked
from heliosight.models.limits import positive
from heliosight.models.normalise import Normalise
from heliosight.models.series import SeriesConfig, TransformerConfig
from heliosight.models.tokens import Encoded

TARGET = "target"


@final
@dataclass(frozen=True)
class ForecasterConfig:
    """The architecture; which modalities there are comes from the `ForecastSpec`.

    Attributes
    ----------
    images, series : encoder of every image or series modality not named in `encoders`.
    encoders : encoder by modality.
    branch_norm : LayerNorm on each branch before fusion.
    squash : asinh of normalised series values.
    draws : size M of the copula's sample, from which day probabilities are counted.
    """

    images: ImageConfig = field(default_factory=ConvLSTMConfig)
    series: SeriesConfig = field(default_factory=TransformerConfig)
    encoders: dict[str, EncoderConfig] = field(default_factory=dict)
    fusion: FusionConfig = field(default_factory=CrossAttentionConfig)
    branch_norm: bool = True
    head: HeadConfig = field(default_factory=QuantileHeadConfig)
    auxiliary: AuxiliaryConfig = field(default_factory=AuxiliaryConfig)
    squash: bool = True
    draws: int = 1000

    def __post_init__(self) -> None:
        positive(self, "draws")

    def encoder(self, name: str, spec: ModalitySpec) -> EncoderConfig:
        """Config of one modality's encoder; `SpecError` if it is of the wrong kind."""
        chosen = self.encoders.get(name, self.images if spec.kind == "images" else self.series)
        require_kind(chosen, name, spec)
        return chosen


@final
class Forecaster(nn.Module):
    """Built by `build_forecaster`; gives a `ModelOutput` in training and evaluation alike."""

    copula_draws: Tensor

    def __init__(
        self,
        config: ForecasterConfig,
        spec: ForecastSpec,
        moments: Mapping[str, Moments],
        seed: int,
    ) -> None:
        super().__init__()
        self.config, self._spec = config, spec
        self.normalise = nn.ModuleDict()
        self.encoders = nn.ModuleDict()
        self.branch_norms = nn.ModuleDict()
        self.projections = nn.ModuleDict()
        sizes: dict[str, BranchSize] = {}
        for name, modality in spec.modalities.items():
            encoder = config.encoder(name, modality)
            sizes[name] = BranchSize(encoder.features, token_count(encoder, modality))
            self._add_branch(name, modality, encoder, moments[name], seed)
        with _weights(seed, "fusion"):
            self.fusion = build_fusion(config.fusion, sizes)
        target = moments[TARGET]
        with _weights(seed, "head"):
            self.head = build_head(
                config.head, config.fusion.width, spec.leads, target.mean[0], target.std[0]
            )
        self.auxiliary = nn.ModuleDict()
        self._add_auxiliary(moments, sizes, seed)
        self.register_buffer("copula_draws", torch.zeros(config.draws, spec.leads))
        self.set_copula(np.eye(spec.leads), seed)

    def _add_branch(
        self,
        name: str,
        modality: ModalitySpec,
        encoder: EncoderConfig,
        moments: Moments,
        seed: int,
    ) -> None:
        width = encoder.features
        squash = self.config.squash and modality.kind == "series"
        self.normalise[name] = Normalise(name, modality, moments, squash)
        with _weights(seed, "encoder", name):
            self.encoders[name] = build_encoder(encoder, modality)
        self.branch_norms[name] = nn.LayerNorm(width) if self.config.branch_norm else nn.Identity()
        if self.config.auxiliary.alignment:
            with _weights(seed, "alignment", name):
                self.projections[name] = nn.Linear(width, self.config.auxiliary.alignment)

    def _add_auxiliary(
        self, moments: Mapping[str, Moments], sizes: Mapping[str, BranchSize], seed: int
    ) -> None:
        config = self.config.auxiliary
        width = sum(sizes[name].features for name in self._image_names())
        leads = self._spec.leads
        wanted = {"image": leads * config.image, "speed": leads * config.speed, "area": config.area}
        for name, size in ((n, k) for n, k in wanted.items() if k and width):
            mean, std = _target_moments(name, self._spec, moments)
            with _weights(seed, "auxiliary", name):
                self.auxiliary[name] = AuxiliaryHead(config, width, size, mean, std)
        if config.every_frame:
            _require_frame_tokens(self.config, self._spec, self._image_names())

    def _image_names(self) -> list[str]:
        return [n for n, m in self._spec.modalities.items() if m.kind == "images"]

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target."""
        return self._spec

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """Modules by role.

        `encoder.<modality>`, `cell.<modality>.<layer>` (called once a frame),
        `branch_norm.<modality>`, `fusion`, `head`, `auxiliary.<name>`.
        """
        found: dict[str, nn.Module] = {}
        for name, encoder in self.encoders.items():
            found[f"encoder.{name}"] = encoder
            cells = getattr(getattr(encoder, "backbone", None), "cells", ())
            found |= {f"cell.{name}.{i}": cell for i, cell in enumerate(cells)}
            found[f"branch_norm.{name}"] = self.branch_norms[name]
        found |= {"fusion": self.fusion, "head": self.head}
        return found | {f"auxiliary.{name}": head for name, head in self.auxiliary.items()}

    def modules_by_group(self) -> Mapping[str, list[tuple[str, nn.Parameter]]]:
        """Named parameters by the name a learning rate goes by, each in exactly one group.

        Encoders go by their kind (`convlstm`, `transformer`, ...), then `fusion` (with the branch
        norms), `head` and `auxiliary` (with the alignment projections). No group is empty.
        """
        groups: dict[str, list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in self.named_parameters():
            groups.setdefault(self._group_of(name), []).append((name, parameter))
        return groups

    def _group_of(self, parameter: str) -> str:
        place, member = parameter.split(".")[:2]
        if place == "encoders":
            return self.config.encoder(member, self._spec.modalities[member]).type
        return {"branch_norms": "fusion", "projections": "auxiliary"}.get(place, place)

    @property
    def area_days(self) -> int:
        """Daily coronal-hole areas that a head names; 0 without such a head."""
        return self.config.auxiliary.area if "area" in self.auxiliary else 0

    @property
    def every_frame(self) -> bool:
        """True when the auxiliary heads speak after every frame."""
        return self.config.auxiliary.every_frame and len(self.auxiliary) > 0

    def set_activation_checkpointing(self, on: bool) -> None:
        """Recompute ConvLSTM frames in backward instead of keeping them, sqrt(T) at a time.

        Memory then grows with sqrt(T); cells are called once more a frame in backward.
        """
        for name, encoder in self.encoders.items():
            steps = self._spec.modalities[name].steps
            if isinstance(getattr(encoder, "backbone", None), ConvLSTM):
                encoder.backbone.checkpoint_frames = round(steps**0.5) if on else 0

    def forward(self, batch: Batch) -> ModelOutput:
        """The forecast, auxiliary forecasts, and features for inspection.

        Features: `<modality>` `(B, F)` as it enters fusion, `raw.<modality>` before the branch
        norm, `hidden_states.<modality>` `(B, T, F)`, `attention.<modality>` `(B, heads, T)`, and
        what fusion and head expose.

        Raises
        ------
        SpecError : a modality is missing or its shape is not the specification's.
        """
        features: dict[str, Tensor] = {}
        branches = {name: self._branch(name, batch, features) for name in self._spec.modalities}
        fused = self.fusion(branches)
        forecast, head_features = self.head(fused.vector)
        features |= {**fused.features, **head_features}
        auxiliary, every_frame = self._auxiliary(branches)
        return ModelOutput(forecast, auxiliary, features, every_frame)

    def _auxiliary(self, branches: Mapping[str, Branch]) -> tuple[dict[str, Tensor], ...]:
        """What the heads say at issue time, and where they speak at every frame, there too."""
        if not len(self.auxiliary):
            return {}, {}
        images = [branches[name] for name in self._image_names()]
        if not self.config.auxiliary.every_frame:
            summary = torch.cat([b.summary for b in images], -1)
            return {name: head(summary) for name, head in self.auxiliary.items()}, {}
        tokens = torch.cat([b.tokens for b in images], -1)
        every = {name: head(tokens) for name, head in self.auxiliary.items()}
        return {name: x[:, -1] for name, x in every.items()}, every

    def _branch(self, name: str, batch: Batch, features: dict[str, Tensor]) -> Branch:
        values, observed = checked(name, self._spec.modalities[name], batch)
        encoded: Encoded = self.encoders[name](self.normalise[name](values, observed), observed)
        norm = self.branch_norms[name]
        branch = Branch(norm(encoded.tokens), norm(encoded.summary))
        features[name], features[f"raw.{name}"] = branch.summary, encoded.summary
        features[f"hidden_states.{name}"] = encoded.hidden
        if encoded.attention is not None:
            features[f"attention.{name}"] = encoded.attention
        if name in self.projections:
            features[f"alignment.{name}"] = self.projections[name](branch.summary)
        return branch

    def score(self, batch: Batch) -> Tensor:
        """Mean ap `(B, L)` with its graph."""
        return self(batch).forecast.mean_ap()

    @torch.no_grad()
    def forecast(self, batch: Batch) -> Tensor:
        """Mean ap `(B, L)`, without a graph."""
        return self.score(batch)

    def set_copula(self, correlation: np.ndarray, seed: int) -> None:
        """Join the leads: fix the draws from which day probabilities are counted.

        Raises
        ------
        SpecError : not a correlation matrix of the leads `(L, L)`.
        """
        draws = correlated_draws(correlation, self._spec.leads, self.config.draws, seed)
        self.copula_draws.copy_(draws)

    def event_probability(self, output: ModelOutput) -> Tensor:
        """P(any lead of day d reaches the class), `(B, D, G)` for days 1-3 and G1, G2, G3."""
        day = 24 // self._spec.lead_hours
        chances = [
            output.forecast.day_exceedance(storm_threshold(storm), self.copula_draws, day)
            for storm in EVENT_CLASSES
        ]
        return torch.stack(chances, -1)


def build_forecaster(
    config: ForecasterConfig, spec: ForecastSpec, moments: Mapping[str, Moments], seed: int = 0
) -> Forecaster:
    """A forecaster whose untrained forecast is close to climatology.

    Parameters
    ----------
    moments : training mean and deviation by modality in physical units, and under `target` those
        of log1p(ap), one number each; a speed head also looks for `speed`.
    seed : of the initial weights; each part has its own stream.

    Raises
    ------
    SpecError : no modality, no moments for one, an encoder of the wrong kind.
    ConfigError : an encoder is given for a modality that does not exist.
    """
    if not spec.modalities:
        raise SpecError("a forecaster has at least one modality", "none", where="spec")
    unknown = sorted(config.encoders.keys() - spec.modalities.keys())
    if unknown:
        raise ConfigError(
            "an encoder belongs to a modality of the data",
            ", ".join(unknown),
            f"Modalities: {', '.join(spec.modalities)}.",
            "model.encoders",
        )
    missing = [name for name in (*spec.modalities, TARGET) if name not in moments]
    if missing:
        raise SpecError(
            "moments exist for every modality and the target",
            f"none for {', '.join(missing)}",
            "Compute them over the training span.",
        )
    return Forecaster(config, spec, moments, seed)


def _target_moments(
    name: str, spec: ForecastSpec, moments: Mapping[str, Moments]
) -> tuple[float, float]:
    """Mean and deviation of what an auxiliary head predicts."""
    if name == "area":
        return ROOT_AREA
    if name == "image" or name in moments:
        found = moments[TARGET if name == "image" else name]
        return found.mean[0], found.std[0]
    for modality, m in spec.modalities.items():
        if name in m.variables:
            i = m.variables.index(name)
            return moments[modality].mean[i], moments[modality].std[i]
    raise SpecError(
        "an auxiliary head needs the moments of what it predicts",
        f"none for {name!r}",
        f"Give moments[{name!r}] or an input series with that variable.",
        f"model.auxiliary.{name}",
    )


def _require_frame_tokens(
    config: ForecasterConfig, spec: ForecastSpec, images: Sequence[str]
) -> None:
    """Heads that speak at every frame need a token a frame, all image modalities in step."""
    found = {name: config.encoder(name, spec.modalities[name]) for name in images}
    pooling = {name: getattr(encoder, "pooling", "") for name, encoder in found.items()}
    steps = {(spec.modalities[name].steps, spec.modalities[name].cadence_hours) for name in images}
    if any(kind != "last" for kind in pooling.values()) or len(steps) > 1:
        raise ConfigError(
            "heads that speak at every frame need image encoders that pool by `last`, in step",
            f"pooling {pooling}, steps and cadence {sorted(steps)}",
            "Set images.pooling=last or auxiliary.every_frame=false.",
            "model.auxiliary.every_frame",
        )


@contextmanager
def _weights(seed: int, *names: str) -> Iterator[None]:
    """Initial weights from a stream of their own; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "weights", *names))
        yield

"""How somebody else's model is named, called and read, as a command line or YAML says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from heliosight.core.errors import ConfigError

OutputScale = Literal["ap", "log1p_ap", "kp"]


@dataclass(frozen=True)
class ScalingConfig:
    """x -> (x - mean) / std of what a model is given; one value serves for all, or one a channel.

    An unobserved place becomes 0 after scaling.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not self.mean or not self.std or any(not s > 0 for s in self.std):
            raise ConfigError(
                "a scaling has means and positive deviations",
                f"mean {self.mean}, std {self.std}",
                where="subject.scaling",
            )


@dataclass(frozen=True)
class OutputConfig:
    """From what a model returns to ap: take `key`, times `std` plus `mean`, out of `scale`.

    Attributes
    ----------
    key : name in a mapping or place in a tuple, when it returns several things.
    scale : unit of the result; `log1p_ap` is log(1 + ap), `kp` is Kp in decimal thirds.
    """

    key: str = ""
    scale: OutputScale = "ap"
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class SubjectConfig:
    """A model that is not ours; an empty `model` examines the run's own forecaster.

    Attributes
    ----------
    model : `my_package.my_file:build`, a function without arguments that gives the module.
    checkpoint : its weights, safetensors or a torch file of tensors.
    name : how it is called in the results; empty takes its class.
    inputs : argument of its forward -> modality and axes it wants, for example
        `{sdo: images BTCHW, omni: solar_wind BSV}`; empty guesses and shows the guess.
    scaling : by modality, before the model sees it; the default gives physical units.
    output : how its answer becomes ap.
    parts : role -> path inside the module, over the guess; an empty path takes the role away.
    leads, lead_hours : what it forecasts: intervals counted from the issue time.
    first, end : issue times it is examined on, ISO 8601, those it has not learned from; empty for
        all of the data.
    log : its training log, lines of JSON as `diagnose(records=)` reads them.
    """

    model: str = ""
    checkpoint: str = ""
    name: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    scaling: dict[str, ScalingConfig] = field(default_factory=dict)
    output: OutputConfig = field(default_factory=OutputConfig)
    parts: dict[str, Any] = field(default_factory=dict)
    leads: int = 24
    lead_hours: int = 3
    first: str = ""
    end: str = ""
    log: str = ""

    def __post_init__(self) -> None:
        if self.leads < 1 or self.lead_hours < 3 or self.lead_hours % 3:
            raise ConfigError(
                "leads are at least one interval of whole 3 hours",
                f"{self.leads} of {self.lead_hours} h",
                where="subject.leads",
            )
        if self.checkpoint and not self.model:
            raise ConfigError(
                "a checkpoint comes with the model it belongs to",
                f"subject.checkpoint={self.checkpoint} alone",
                "Name the model too: --model my_package.my_file:build.",
                "subject.checkpoint",
            )

    @property
    def arguments(self) -> dict[str, tuple[str, str]]:
        """Argument -> (modality, axes), for `adapter`."""
        return {name: _argument(name, text) for name, text in self.inputs.items()}

    @property
    def roles(self) -> dict[str, str]:
        """Role -> path, nested keys joined by dots."""
        return dict(_flat(self.parts))


def _argument(name: str, text: str) -> tuple[str, str]:
    words = [word for word in re.split(r"[\s:,]+", text.strip()) if word]
    if len(words) < 2:
        raise ConfigError(
            "an input is a modality and the axes it wants",
            repr(text),
            'Write for example "images BTCHW" or "solar_wind BSV".',
            f"subject.inputs.{name}",
        )
    return words[0], " ".join("".join(words[1:]))


def _flat(parts: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in parts.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            found += _flat(value, f"{name}.")
        elif isinstance(value, str):
            found.append((name, value))
        else:
            raise ConfigError(
                "a role names a path inside the model", repr(value), where=f"subject.parts.{name}"
            )
    return found

"""The whole config of a run, composed of each room's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from heliosight.core import config as strict
from heliosight.core.errors import ConfigError
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.data.fetch import FetchConfig
from heliosight.diagnosis import DiagnosisConfig
from heliosight.evaluation.real import RealTableConfig
from heliosight.explain import ExplainConfig
from heliosight.explain.question import METHOD_NAMES
from heliosight.models import ForecasterConfig
from heliosight.subject import SubjectConfig
from heliosight.sun import SunConfig
from heliosight.training import TrainingConfig
from heliosight.workflows.config_data import (
    DataConfig,
    SunData,
    require_finite,
    require_steps,
    require_time,
)
from heliosight.workflows.config_improve import ImproveConfig
from heliosight.zoo.faults import FaultConfig

ExplainerName = Literal["grad_cam", "integrated_gradients", "occlusion"]
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


@dataclass(frozen=True)
class SplitConfig:
    """Walk-forward folds.

    Attributes
    ----------
    first : first issue time; empty for the first with enough history.
    test_starts : start of each test block, ISO 8601.
    end : end of the last test block; empty for the end of the data.
    stride_hours : spacing of training and test issue times.
    """

    test_starts: tuple[str, ...] = ()
    first: str = ""
    end: str = ""
    buffer_days: float = 34.0
    validation_share: float = 0.15
    stride_hours: int = 3

    def __post_init__(self) -> None:
        if self.stride_hours < 3 or self.stride_hours % 3:
            raise ConfigError(
                "issue times are whole 3-hour intervals apart",
                str(self.stride_hours),
                where="split.stride_hours",
            )
        for text in (*self.test_starts, *filter(None, (self.first, self.end))):
            require_time(text, "split")


@dataclass(frozen=True)
class StartConfig:
    """Weights of another run to start from (fine-tuning).

    Attributes
    ----------
    weights : a `weights.safetensors`; `{system}` in its path stands for the system's name. Empty
        starts fresh.
    parts : beginnings of the names of the parameters that are taken; a system that has none of
        them starts fresh.
    """

    weights: str = ""
    parts: tuple[str, ...] = ("encoders.images", "auxiliary")


@dataclass(frozen=True)
class ExamineConfig:
    """Which fold is diagnosed (counted from the last with -1), and how thoroughly.

    frames : npz of real frames to look at instead of the store's images; exact checks only.
    explainers : methods asked by T1 and T22-T24; occlusion costs minutes.
    """

    fold: int = -1
    frames: str = ""
    explainers: tuple[ExplainerName, ...] = ("grad_cam", "integrated_gradients")
    checks: DiagnosisConfig = field(default_factory=DiagnosisConfig)


@dataclass(frozen=True)
class ScoreConfig:
    """Simulated worlds whose truth explanations are held to (`explain --score`).

    Attributes
    ----------
    worlds : a simulated Sun by name; every one is learned with each of `seeds`.
    windows : how many windows of the test block are explained: the highest forecasts, at least
        `apart_days` apart.
    strong : share of the achievable skill from which on a model counts as strong.
    bound : achievable by the oracle's `floor` (ridge on noise-free features) or its `ceiling`.
    issues, members : of the Monte Carlo ceiling; 24 and 8 leave a standard error of about 0.03.
    method : the method that the claims are about; choose it on other worlds.
    """

    worlds: dict[str, SunConfig] = field(default_factory=dict)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    windows: int = 8
    apart_days: float = 3.0
    strong: float = 0.8
    bound: Literal["floor", "ceiling"] = "ceiling"
    issues: int = 24
    members: int = 8
    method: str = "integrated_gradients"

    def __post_init__(self) -> None:
        if not self.seeds or self.windows < 1 or self.issues < 1 or self.members < 2:
            raise ConfigError(
                "a score takes at least one seed, window and issue time, and two members",
                f"{len(self.seeds)} seeds, {self.windows} windows, {self.issues} issue times, "
                f"{self.members} members",
                where="explain.score",
            )
        for world in self.worlds:
            _safe_name(world, "explain.score.worlds")


@dataclass(frozen=True)
class ExplainStage:
    """Which window is explained; empty means the strongest forecast storm of the test block.

    frames : npz of real frames to look at instead of the store's images.
    score : worlds with known truth for `explain --score`.
    survey_windows, survey_method : of `explain --survey`, one method over many windows.
    """

    issue_time: str = ""
    frames: str = ""
    context: int = 64
    fold: int = -1
    method: ExplainConfig = field(default_factory=ExplainConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    survey_windows: int = 64
    survey_method: str = "hires_cam"

    def __post_init__(self) -> None:
        if self.issue_time:
            require_time(self.issue_time, "explain.issue_time")
        if self.survey_method not in METHOD_NAMES or self.survey_windows < 2:
            raise ConfigError(
                f"a survey is made with a known method ({', '.join(METHOD_NAMES)}) over at least "
                "two windows",
                f"{self.survey_method!r}, {self.survey_windows} windows",
                where="explain.survey_method",
            )


@dataclass(frozen=True)
class ForecastConfig:
    """What is forecast, from which inputs, and where it is kept and shown.

    Attributes
    ----------
    at : issue time; empty for the newest data. Only what was available then is used.
    since, until, every_hours : many hindcasts instead; `until` is included.
    inputs : a store or a folder of live files to read inputs from; empty for the run's own store.
    clock : issue at the present 3-hour mark, however old the inputs are (live use).
    archive : folder of issued forecasts; empty for `forecast` in the run directory.
    explain : explain a single forecast. methods : by which methods.
    windows : validation windows on which a widening is measured.
    chunk : hindcasts in memory at once.
    host, port : where `--serve` listens; 0 takes a free port.
    """

    at: str = ""
    since: str = ""
    until: str = ""
    every_hours: int = 3
    inputs: str = ""
    clock: bool = False
    archive: str = ""
    explain: bool = True
    methods: tuple[str, ...] = ("grad_cam", "gradient_x_input")
    windows: int = 384
    chunk: int = 64
    host: str = "127.0.0.1"
    port: int = 8423

    def __post_init__(self) -> None:
        for name in ("at", "since", "until"):
            if getattr(self, name):
                require_time(getattr(self, name), f"forecast.{name}")
        if self.every_hours < 3 or self.every_hours % 3:
            raise ConfigError(
                "hindcasts are whole 3-hour intervals apart",
                str(self.every_hours),
                where="forecast.every_hours",
            )
        if not self.host or not self.host.isprintable():
            raise ConfigError(
                "a server is given the name of an address; an empty one would be every address",
                repr(self.host), "127.0.0.1 is this machine alone.", "forecast.host",
            )  # fmt: skip
        small = [n for n in ("windows", "chunk") if getattr(self, n) < 1]
        if small or not 0 <= self.port < 65536:
            raise ConfigError(
                "counts are at least 1 and a port lies in 0..65535",
                f"{', '.join(small) or self.port}",
                where="forecast",
            )


@dataclass(frozen=True)
class VerifyConfig:
    """The sealed test block, opened once.

    Attributes
    ----------
    start, end : of its issue times, after every test block of `split`.
    reopen : why it is opened again with something else; the reason is written down.
    ledger : of the seals; empty for `seals.jsonl` beside the run directory.
    """

    start: str = ""
    end: str = ""
    stride_hours: int = 3
    reopen: str = ""
    ledger: str = ""

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if getattr(self, name):
                require_time(getattr(self, name), f"verify.{name}")
        if self.stride_hours < 3 or self.stride_hours % 3:
            raise ConfigError(
                "issue times are whole 3-hour intervals apart",
                str(self.stride_hours),
                where="verify.stride_hours",
            )


@dataclass(frozen=True)
class PublishConfig:
    """A trained forecaster as a folder for others.

    Attributes
    ----------
    fold : whose weights, counted from the last with -1.
    folder : where to; empty for `published` in the run directory.
    licence : of the weights, as a hub names it; contact : whom to ask about them.
    """

    fold: int = -1
    folder: str = ""
    licence: str = "bsd-3-clause"
    contact: str = ""

    def __post_init__(self) -> None:
        if not LICENCE.fullmatch(self.licence):
            raise ConfigError(
                "a licence is named as hubs do, in letters, digits, points, plus and minus",
                repr(self.licence), "For example bsd-3-clause, cc-by-4.0 or other.",
                "publish.licence",
            )  # fmt: skip
        if not self.contact.isprintable():
            raise ConfigError(
                "a contact is one printable line", repr(self.contact), where="publish.contact"
            )


@dataclass(frozen=True)
class ReportConfig:
    """The report's language and whether figures for papers are written beside it."""

    language: Literal["en", "ko"] = "en"
    figures: Literal["none", "paper"] = "none"


@dataclass(frozen=True)
class CertifyConfig:
    """Which half of the zoo is diagnosed.

    Attributes
    ----------
    half : thresholds and rules may be tuned on `development`; `test` has other architectures,
        another spectrum and unseen strengths, and is run once a release.
    quick : a few cases on a short Sun.
    only : faults and hard kinds by name (F6, H3); empty for all.
    workers : processes.
    """

    half: Literal["development", "test"] = "development"
    quick: bool = False
    only: tuple[str, ...] = ()
    workers: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(
                "a certificate needs a process", str(self.workers), where="certify.workers"
            )


@dataclass(frozen=True)
class AppConfig:
    """A run.

    Attributes
    ----------
    systems : forecasters to train, by name, each with the modalities it sees; the first is the one
        that is diagnosed and explained.
    inputs : every modality by name.
    subject : a model of one's own to diagnose, explain and report in place of the first system.
    faults : planted in every network, for a model that is ill on purpose.
    """

    name: str = "demo"
    run_dir: str = ""
    seed: int = 1
    threads: int = 2
    data: DataConfig = field(default_factory=SunData)
    fetch: FetchConfig = field(default_factory=FetchConfig)
    inputs: dict[str, ModalitySpec] = field(default_factory=dict)
    systems: dict[str, tuple[str, ...]] = field(default_factory=dict)
    split: SplitConfig = field(default_factory=SplitConfig)
    model: ForecasterConfig = field(default_factory=ForecasterConfig)
    start: StartConfig = field(default_factory=StartConfig)
    faults: tuple[FaultConfig, ...] = ()
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluate: RealTableConfig = field(default_factory=RealTableConfig)
    subject: SubjectConfig = field(default_factory=SubjectConfig)
    diagnose: ExamineConfig = field(default_factory=ExamineConfig)
    explain: ExplainStage = field(default_factory=ExplainStage)
    forecast: ForecastConfig = field(default_factory=ForecastConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    improve: ImproveConfig = field(default_factory=ImproveConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    publish: PublishConfig = field(default_factory=PublishConfig)
    certify: CertifyConfig = field(default_factory=CertifyConfig)

    def __post_init__(self) -> None:
        require_finite(strict.dump(self), "")
        if self.threads < 1:
            raise ConfigError("a run uses at least one thread", str(self.threads), where="threads")
        for system, names in self.systems.items():
            for name in names:
                if name not in self.inputs:
                    raise ConfigError(
                        "a system's modality is one of `inputs`",
                        repr(name),
                        f"Inputs: {', '.join(self.inputs)}.",
                        f"systems.{system}",
                    )
        _safe_name(self.name, "name")
        for text in filter(None, (self.subject.first, self.subject.end)):
            require_time(text, "subject")
        for where in ("systems", "inputs"):
            for name in getattr(self, where):
                _safe_name(name, where)
        for name, modality in self.inputs.items():
            require_steps(modality, f"inputs.{name}")

    def spec(self, system: str) -> ForecastSpec:
        """The specification of one system."""
        return ForecastSpec({name: self.inputs[name] for name in self.systems[system]})


def app_config(plain: Mapping[str, Any]) -> AppConfig:
    """The frozen config of a composed mapping; unknown keys are refused with their path."""
    return strict.build(AppConfig, plain)


def _safe_name(name: str, where: str) -> None:
    if not name or Path(name).name != name or name.startswith(".") or not name.isprintable():
        raise ConfigError("a name is a plain folder name", repr(name), where=where)

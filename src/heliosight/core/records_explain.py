"""Frozen evidence about explanations: held to a known truth, and over many windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from heliosight.core.records import Record, SkillRow


@dataclass(frozen=True)
class Claim:
    """A line drawn beforehand and on which side of it the result lies; None: no evidence."""

    rule: str
    value: float | None
    passed: bool | None
    reason: str = ""


@dataclass(frozen=True)
class ScoredModel(Record):
    """Explanations of one model held to a known truth.

    Attributes
    ----------
    world, seed : the simulated Sun it learned from and the seed of its weights.
    skill : share of the variance of the day's mean log1p(ap) explained on the test block.
    floor, achievable : what the oracle says images allow: at least (ridge on noise-free features)
        and at most (conditional mean given every structure).
    bound : which of the two `reached` is a share of.
    scores : by method, or by map that knows nothing, score by name.
    windows : how many windows were explained.
    """

    schema: ClassVar[str] = "scored_model"
    world: str = ""
    seed: int = 0
    skill: float = 0.0
    floor: float = 0.0
    achievable: float = 0.0
    bound: Literal["floor", "ceiling"] = "ceiling"
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    windows: int = 0

    @property
    def reached(self) -> float:
        """Skill as a share of what is achievable, by the bound named."""
        limit = self.floor if self.bound == "floor" else self.achievable
        return self.skill / limit if limit > 0 else 0.0


@dataclass(frozen=True)
class ExplanationScore(Record):
    """Methods held to known truths over worlds and seeds.

    Attributes
    ----------
    target : what was explained; definitions : what each score is, by name.
    models : every model scored; rows : methods by slice (`all`, a world, `strong` models), with
        intervals over worlds and seeds.
    strong : share of the achievable skill from which on a model counts as strong.
    claims : what was asked beforehand, each with what was found, `passed` None without evidence.
    """

    schema: ClassVar[str] = "explanation_score"
    target: str = ""
    definitions: dict[str, str] = field(default_factory=dict)
    models: tuple[ScoredModel, ...] = ()
    rows: tuple[SkillRow, ...] = ()
    strong: float = 0.8
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class AttributionSurvey(Record):
    """One method over many windows; the arrays lie beside it.

    Arrays: `profile`, `low`, `high` `(T,)` and `channels`, `channels_low`, `channels_high` `(C,)`
    mean attribution with bounds, `disc`, `disc_size` `(H, W)`, `sun`, `sun_size` `(18, 36)` by
    latitude and Carrington longitude, `hours` `(T,)` of the frames before issue.

    Attributes
    ----------
    icc_windows, icc_frames : agreement of maps between windows, and between frames of a window.
    """

    schema: ClassVar[str] = "attribution_survey"
    method: str = ""
    target: str = ""
    units: str = ""
    channels: tuple[str, ...] = ()
    windows: int = 0
    first_issue: str = ""
    last_issue: str = ""
    icc_windows: float = 0.0
    icc_frames: float = 0.0
    how: str = ""

"""Records of an improvement: remedies as declared, trials, grades, the repair study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from heliosight.core.records import Finding, Interval, Record, SkillRow

Cost = Literal["quick", "structural", "training", "none"]


@dataclass(frozen=True)
class Prescription:
    """A remedy as declared before it is tried.

    Attributes
    ----------
    answers : causes of findings that it answers. mechanism : why it should help.
    patch : dotted config key to the value it gets; empty where nothing is to be tried.
    predicts : the effect, in words. tests : checks whose fault must go.
    must_not_harm : what may not get worse.
    cost : `quick`, `structural`, `training` or `none`, the order in which remedies are tried.
    recipe : the same in words for a model of another make. proof : how to tell that it worked.
    fresh : beginnings of parameter names that start anew instead of from the ill weights.
    """

    name: str
    answers: tuple[str, ...]
    mechanism: str
    patch: dict[str, Any]
    predicts: str
    tests: tuple[str, ...]
    must_not_harm: tuple[str, ...]
    cost: Cost
    recipe: str = ""
    proof: str = ""
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialRun(Record):
    """One seed of one arm: trained, scored on the trial block, diagnosed there.

    Its forecasts, weights and training log lie beside it.
    """

    schema: ClassVar[str] = "trial_run"
    arm: str = ""
    patch: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    epochs: int = 0
    best_epoch: int = 0
    validation_loss: float = 0.0
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Trial(Record):
    """Whether a prescription's prediction held, over all seeds and against both controls.

    Attributes
    ----------
    prescriptions : one, or several tried together. answers : the faults it was tried for.
    cleared, control_cleared : seeds in which these faults were gone, and in the better control.
    new_faults : faults of most seeds that the control does not have.
    changes : mean squared error minus that of each control, in shares of the target's variance;
        below 0 is better. margin : a rise up to this much counts as no loss.
    proof : over all seeds, for the full time and against both controls; else a screening.
    """

    schema: ClassVar[str] = "trial"
    prescriptions: tuple[str, ...] = ()
    patch: dict[str, Any] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    accepted: bool = False
    cleared: int = 0
    control_cleared: int = 0
    new_faults: tuple[str, ...] = ()
    changes: dict[str, Interval] = field(default_factory=dict)
    margin: float = 0.0
    reason: str = ""
    seconds: float = 0.0
    proof: bool = False


@dataclass(frozen=True)
class Grade:
    """`good`, `moderate` or `bad` by a stated rule, with what it was judged by."""

    aspect: Literal["temporal", "saliency", "forecast"]
    grade: Literal["good", "moderate", "bad"]
    rule: str
    reasons: tuple[str, ...]
    redesign: str = ""


@dataclass(frozen=True)
class PlanRow:
    """One line of the plan as it stands.

    state : `planned`, `running`, `promising` (by the screening), `accepted` (proved), `refuted`,
        `left out` or `advice`.
    """

    name: str
    state: str
    answers: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class RepairCase(Record):
    """One model of the repair study.

    Attributes
    ----------
    planted : causes that were planted, none in a healthy model. found : all that were found.
    prescribed : remedies that were planned; accepted : those that were proved.
    repaired : a planted cause was found, and none is left. by_continuing, by_random : none was
        found after training on, or left after a random remedy.
    gain : error of training as it was minus that of the repaired model on the test block, in
        shares of the target's variance; harmed : its interval lies below 0.
    took : what was planted is there, seen on the model and a twin without it, not by a diagnosis.
    """

    schema: ClassVar[str] = "repair_case"
    case: str = ""
    seed: int = 0
    planted: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    prescribed: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    repaired: bool = False
    by_continuing: bool = False
    by_random: bool = False
    gain: Interval | None = None
    harmed: bool = False
    took: bool = True
    seconds: float = 0.0


@dataclass(frozen=True)
class RepairStudy(Record):
    """Rates over the cases of the repair study, with exact binomial intervals."""

    schema: ClassVar[str] = "repair_study"
    cases: int = 0
    planned: int = 0
    rates: dict[str, Interval] = field(default_factory=dict)
    by_fault: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Improvement(Record):
    """What was wrong, what was tried in which order, what worked, and both models' grades.

    Attributes
    ----------
    before, after : findings on the test block. grades_before, grades_after : likewise.
    patch : what turns the ill config into the repaired one, empty when nothing was accepted.
    scores : by name, on the test block: `before`, `after`, `after - before`, every reference, and
        what the world allows where that is known.
    """

    schema: ClassVar[str] = "improvement"
    subject: str = ""
    plan: tuple[PlanRow, ...] = ()
    trials: tuple[Trial, ...] = ()
    patch: dict[str, Any] = field(default_factory=dict)
    before: tuple[Finding, ...] = ()
    after: tuple[Finding, ...] = ()
    grades_before: tuple[Grade, ...] = ()
    grades_after: tuple[Grade, ...] = ()
    scores: tuple[SkillRow, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

"""Did a remedy do what it declared? Decided over all seeds, against both controls."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

from heliosight.core.records import Finding, Interval
from heliosight.remedy.quick import LOST

# A part that is given or keeps nothing from before cannot remember: what its memory is worth shows
# only when it can. So these are no new faults where one of those is repaired in the same branch.
MEMORY = frozenset({"vanishing_state", "learned_short_memory", "time_unused", "short_sight"})
NO_MEMORY = frozenset(
    {
        "state_not_carried", "state_detached", "same_frame", "no_frame", "not_connected",
        "detached", "steps_not_connected", "steps_detached",
    }
)  # fmt: skip


class Fault(NamedTuple):
    """A fault by the part that has it and its cause; several checks may see the same one."""

    subject: str
    cause: str

    def __str__(self) -> str:
        """For people: `state not carried in cell.images.0`."""
        return f"{self.cause.replace('_', ' ')} in {self.subject}"

    @property
    def branch(self) -> str:
        """The input it belongs to: `images` of `cell.images.0`."""
        words = [w for w in re.split(r"[./]", self.subject) if w != "cell" and not w.isdigit()]
        return words[0] if words else ""

    def was_hidden_by(self, other: Fault) -> bool:
        """True when it could not show itself beside another one."""
        return self.cause in MEMORY and other.cause in NO_MEMORY and self.branch == other.branch


@final
@dataclass(frozen=True)
class Arm:
    """What one way of training gave: the faults of each seed's model."""

    name: str
    faults: tuple[frozenset[Fault], ...]

    def seeds_without(self, targets: Iterable[Fault]) -> int:
        """Seeds in which none of these faults is left."""
        wanted = frozenset(targets)
        return sum(not (found & wanted) for found in self.faults)

    def usual(self) -> frozenset[Fault]:
        """Faults of more than half of the seeds."""
        count = Counter(fault for found in self.faults for fault in found)
        return frozenset(f for f, n in count.items() if 2 * n > len(self.faults))


@final
@dataclass(frozen=True)
class Judgement:
    """Accepted or not, with what it was decided by."""

    accepted: bool
    cleared: int
    control_cleared: int
    new_faults: tuple[str, ...]
    reason: str


def lost(finding: Finding) -> bool:
    """T14 proved by an equivalence test that the branch does not arrive at the fusion."""
    return finding.check == "T14" and finding.outcome == "inconclusive" and bool(finding.action)


def lost_branches(findings: Iterable[Finding]) -> list[Fault]:
    """Branches lost at the fusion, unless USE says that nothing is missed there."""
    every = list(findings)
    settled = {
        f.subject for f in every if f.check == "USE" and f.outcome in ("healthy", "benign_unused")
    }
    return [Fault(f.subject, LOST) for f in every if lost(f) and f.subject not in settled]


def faults_of(findings: Iterable[Finding]) -> frozenset[Fault]:
    """Every fault, and branches lost at the fusion."""
    every = list(findings)
    found = {Fault(f.subject, f.cause) for f in every if f.outcome == "fault"}
    return frozenset(found.union(lost_branches(every)))


def unanswered(before: Iterable[Finding], after: Iterable[Finding]) -> frozenset[Fault]:
    """Faults of a model whose checks give no answer on another one: they count as still there.

    An answer is a verdict, or a number that leaves the question open; a check that abstains or is
    not applicable has shown nothing.
    """
    told = {
        (f.check, f.subject) for f in after
        if f.outcome in ("healthy", "fault", "benign_unused") or f.value is not None
    }  # fmt: skip
    found: dict[Fault, set[bool]] = {}
    every = list(before)
    there = faults_of(every)
    for f in every:
        for fault in faults_of([f]) & there:
            found.setdefault(fault, set()).add((f.check, f.subject) in told)
    return frozenset(fault for fault, answers in found.items() if answers == {False})


def judge(
    targets: Sequence[Fault],
    arm: Arm,
    controls: Sequence[Arm],
    changes: Mapping[str, Interval],
    margin: float,
) -> Judgement:
    """The verdict on one arm.

    Accepted when in most seeds all `targets` are gone, in no control they are, no fault is there
    in most seeds that the first control (training as it was) does not have and that they did not
    hide, and the mean squared error has risen by less than `margin` against it (upper bound of the
    interval). A random remedy may help as well: it stands in the way no longer when its error is
    higher by `margin` at least (by the interval too).

    Parameters
    ----------
    controls : training as it was first, then a random remedy.
    changes : error minus each control's by its name, in shares of the target's variance.
    """
    seeds = len(arm.faults)
    cleared = arm.seeds_without(targets)
    control = max((c.seeds_without(targets) for c in controls), default=0)
    more = arm.usual() - controls[0].usual()
    new = tuple(sorted(str(f) for f in more if not any(f.was_hidden_by(t) for t in targets)))
    worse = changes[controls[0].name]
    reasons = []
    if 2 * cleared <= seeds:
        reasons.append(f"the fault is still there in {seeds - cleared} of {seeds} seeds")
    outdone = [c for c in controls[1:] if _higher(changes[c.name], margin)]
    equal = max((c.seeds_without(targets) for c in controls if c not in outdone), default=0)
    if 2 * equal > seeds:
        reasons.append(f"a control lost the fault as well, in {equal} of {seeds} seeds")
    if new:
        reasons.append(f"it brought {', '.join(new)}")
    if worse.high is None or worse.high >= margin:
        high = "unknown" if worse.high is None else f"{worse.high:+.3f}"
        reasons.append(f"a loss of skill is not excluded: {high} against a margin of {margin:g}")
    gone = f"the fault is gone in {cleared} of {seeds} seeds, {control} with a control"
    if 2 * control > seeds:
        gone += ", a random remedy whose error is higher"
    told = "; ".join(reasons) or gone
    return Judgement(not reasons, cleared, control, new, told)


def _higher(change: Interval, margin: float) -> bool:
    """The control's error is resolved as higher, by so much at least."""
    return change.high is not None and change.high <= -margin

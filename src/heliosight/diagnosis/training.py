"""T17, T18, T19: what the training log tells about branches, clipping and overfitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Interval
from heliosight.diagnosis.blocks import Estimate, TooFew, jackknife
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.left import missed
from heliosight.diagnosis.output import calibration, skill_of
from heliosight.diagnosis.usage import chance_of, verdicts

EPOCHS, STEPS, BLOCKS = 5, 40, 8
STILL = 1e-9  # a branch that moves less than this between epochs was not trained
SLOWER = 10.0  # a branch this many times slower than the fastest is worth telling
PENALTY = 0.5  # a branch that gets less than this share of the step its own clipping would leave
Rows = Sequence[Mapping[str, Any]]


@final
class LearnsAtPace(Check):
    """T17."""

    id: ClassVar[str] = "T17"
    question: ClassVar[str] = "Did each branch learn, and at a pace near the others'?"
    needs: ClassVar[str] = "a training log with features by branch, five epochs"
    cost: ClassVar[str] = "none"
    rule: ClassVar[str] = (
        "movement of the branch's features between epochs in their own standard deviations, "
        "against the fastest branch, in epochs that train both. Not moving at all is a fault; ten "
        "times slower (jackknife over epochs) is one only where USE finds the modality lazy or "
        "blocked, for imbalance alone is no fault"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a branch."""
        moved = movements(_epochs(evidence, EPOCHS))
        fastest = max(moved, key=lambda m: float(moved[m].sum()))
        if len(moved) < 2:
            raise NotApplicable("a pace is compared between two branches", f"{len(moved)} logged")
        return [self._branch(evidence, m, moved, fastest) for m in moved]

    def _branch(
        self, evidence: Evidence, m: str, moved: dict[str, np.ndarray], fastest: str
    ) -> Finding:
        statistic = "movement against the fastest branch"
        if not moved[m].any():
            reason, action = "its features never moved", "Give the branch to the optimiser."
            value = Interval(0.0, how="exact")
            return self.finding(m, "fault", statistic, value, reason, "not_learning", action)
        both = (moved[m] > STILL) & (moved[fastest] > STILL)
        if both.sum() < EPOCHS - 1:
            reason = f"both branches moved in {both.sum()} epochs only: stages train one at a time"
            return self.finding(m, "inconclusive", statistic, None, reason)
        pace = relative_pace(moved[m][both], moved[fastest][both])
        size = evidence.config.level_of_test
        value = pace.interval()
        if m == fastest or pace.p_above(1 / SLOWER) < size:
            reason = "it learned at a pace near the others'"
            return self.finding(m, "healthy", statistic, value, reason)
        slow = pace.p_below(1 / SLOWER)
        if slow >= size:
            return self.finding(m, "inconclusive", statistic, value, "not resolved")
        reason = f"over {SLOWER:g} times slower than {fastest}"
        if _cause(evidence, m) == "lazy_or_blocked":
            action = "Raise this branch's learning rate, or train it first with its own head."
            p = max(slow, chance_of(evidence, m))
            return self.finding(m, "fault", statistic, value, reason, "slow_branch", action, p)
        reason += "; whether that matters is judged in USE"
        return self.finding(m, "inconclusive", statistic, value, reason)


@final
class ClipsFairly(Check):
    """T18."""

    id: ClassVar[str] = "T18"
    question: ClassVar[str] = "Does clipping everything together take one branch's step away?"
    needs: ClassVar[str] = "a training log with gradient norms by group and what was clipped"
    cost: ClassVar[str] = "none"
    rule: ClassVar[str] = (
        "mean factor that clipping all gradients together leaves to a group, over the mean factor "
        "that the same limit on the group alone would leave; a fault when below one half "
        "(jackknife over blocks of steps)"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a group."""
        rows = [r for r in evidence.records if r.get("kind") == "step" and "gradient_norms" in r]
        if not rows:
            raise NotApplicable("this check needs gradient norms in a training log", "none")
        if len(rows) < STEPS:
            raise TooFew(f"this check needs {STEPS} steps", f"{len(rows)}")
        names = [name for name in rows[-1]["gradient_norms"] if name != "total"]
        rows = [r for r in rows if all(n in r["gradient_norms"] for n in names)]
        norms, limit = clipped_norms(rows, names)
        if limit is None:
            reason = "no step was clipped as a whole"
            return [
                self.finding(n, "healthy", _LEFT, Interval(1.0, how="exact"), reason) for n in names
            ]
        return [self._group(evidence, n, norms, names, limit) for n in names]

    def _group(
        self, evidence: Evidence, name: str, norms: np.ndarray, names: list[str], limit: float
    ) -> Finding:
        left, driven = penalty(norms, names.index(name), limit)
        value, size = left.interval(), evidence.config.level_of_test
        others = np.delete(norms.mean(0), names.index(name))
        first = [n for n in names if n != name][int(others.argmax())] if len(others) else "none"
        reason = f"{driven:.0%} of all steps were clipped by other groups alone, most by {first}"
        p = left.p_below(PENALTY)
        if p < size:
            action = "Clip each group by a limit of its own, the dominating one first."
            cause = "clip_domination"
            return self.finding(name, "fault", _LEFT, value, reason, cause, action, p)
        outcome = "healthy" if left.p_above(PENALTY) < size else "inconclusive"
        return self.finding(name, outcome, _LEFT, value, reason)  # type: ignore[arg-type]


_LEFT = "share of its own clipped step that is left"


@final
class OverfitOnset(Check):
    """T19."""

    id: ClassVar[str] = "T19"
    question: ClassVar[str] = "When did the model begin to memorise, and did that cost skill?"
    needs: ClassVar[str] = "a training log with training and validation loss, five epochs"
    cost: ClassVar[str] = "none beside T20 and USE"
    rule: ClassVar[str] = (
        "after the best epoch, the rise of the validation loss as a share of that rise plus the "
        "fall of the training loss (jackknife over epochs); a fault when it is above zero, the "
        "first epoch of the stage is the best, and it costs the kept forecast held-out skill: it "
        "does worse than its own mean, varies more than it knows, or a probe beside it gains more "
        "than the smallest miss from some input. A model that can know nothing is no such fault"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding for the last stage."""
        rows = _epochs(evidence, EPOCHS)
        rows = [r for r in rows if r.get("stage") == rows[-1].get("stage")]
        if len(rows) < EPOCHS:
            raise TooFew(f"this check needs {EPOCHS} epochs of a stage", f"{len(rows)}")
        loss = np.array([[r["loss"], r["validation_loss"]] for r in rows], dtype=np.float64)
        best = int(loss[:, 1].argmin())
        after = loss[best:]
        if len(after) < EPOCHS - 1:
            reason = f"best epoch {best + 1} of {len(rows)}: too few after it to see a rise"
            return [self.finding("training", "healthy", _SHARE, None, reason)]
        rise, size = overfit_share(after), evidence.config.level_of_test
        reason = f"best epoch {best + 1} of {len(rows)}"
        if best == 0 and rise.p_above(0.0) < size:
            return [self._from_the_first(evidence, rise, reason)]
        return [self._later(rise, reason, rise.p_above(0.0) < size, best)]

    def _from_the_first(self, evidence: Evidence, rise: Estimate, reason: str) -> Finding:
        """Every epoch after the first memorises: what that costs the forecast that was kept."""
        value, size = rise.interval(), evidence.config.level_of_test
        harm, harmless = cost_of_memorising(evidence)
        reason += ": every epoch after the first memorises"
        p = max(rise.p_above(0.0), harm)
        if p < size:
            reason += ", and the forecast that was kept lacks skill"
            action = "Regularise, augment in time, shrink the encoders, or lower the rate."
            cause = "memorisation"
            return self.finding("training", "fault", _SHARE, value, reason, cause, action, p)
        if harmless < size:
            reason += ", which costs the forecast that was kept nothing: no more can be known"
            return self.finding("training", "healthy", _SHARE, value, reason)
        reason += "; whether that costs skill is not resolved"
        return self.finding("training", "inconclusive", _SHARE, value, reason)

    def _later(self, rise: Estimate, reason: str, rises: bool, best: int) -> Finding:
        value = rise.interval()
        if rises:
            reason += ": it overfits after, which stopping at the best epoch avoids"
            return self.finding("training", "healthy", _SHARE, value, reason)
        if best == 0:
            reason += ": whether the rest memorises is not resolved"
            return self.finding("training", "inconclusive", _SHARE, value, reason)
        return self.finding("training", "healthy", _SHARE, value, reason + ": no rise after it")


_SHARE = "share of overfitting in the change after the best epoch"


def cost_of_memorising(evidence: Evidence) -> tuple[float, float]:
    """p of "the kept forecast lacks no skill" and of "it lacks some that matters".

    Skill is lacking when the forecast does worse than its own mean, when it varies more than it
    knows (T20), or when a probe beside it finds something in an input (USE); every way is paid
    for. 1 and 1 where the sample is too small to say.
    """
    config = evidence.config
    try:
        skill = skill_of(evidence)
        slope, lost, _ = calibration(evidence)
        left = [x.gain for x in missed(evidence).values()]
    except NotApplicable:
        return 1.0, 1.0
    ways = [
        skill.p_below(-config.smallest_gain),
        max(lost.p_above(config.smallest_gain), slope.p_below(1.0)),
        *(x.p_above(config.smallest_miss) for x in left),
    ]
    absent = [
        skill.p_above(-config.smallest_gain),
        lost.p_below(config.smallest_gain),
        *(x.p_below(config.smallest_miss) for x in left),
    ]
    return min(1.0, len(ways) * min(ways)), max(absent)


def _epochs(evidence: Evidence, least: int) -> list[Mapping[str, Any]]:
    rows = [r for r in evidence.records if r.get("kind") == "epoch"]
    if not rows:
        raise NotApplicable(
            "this check needs the epochs of a training log", "none",
            "Pass diagnose(..., records=); on the command line subject.log=FILE.",
        )  # fmt: skip
    if len(rows) < least:
        raise TooFew(f"this check needs {least} epochs", f"{len(rows)}")
    return rows


def movements(rows: Rows) -> dict[str, np.ndarray]:
    """`(E - 1,)` movement of each branch's features between epochs.

    From the logged mean m and standard deviation s over windows and units, before their norm where
    both are logged: |m' - m| / s + |s' - s| / s with s the geometric mean of the two deviations.
    A lower bound of how far the features themselves moved; a rescaled branch moves the same.

    Raises
    ------
    NotApplicable : no features are logged.
    """
    logged = [r.get("features") or {} for r in rows]
    names = [n for n in logged[-1] if not n.startswith("raw.") and all(n in f for f in logged)]
    if not names:
        raise NotApplicable("this check needs features by branch in the log", "none")
    found = {}
    for name in names:
        raw = f"raw.{name}"
        key = raw if all(raw in f for f in logged) else name
        mean = np.array([f[key]["mean"] for f in logged], dtype=np.float64)
        spread = np.array([f[key]["std"] for f in logged], dtype=np.float64)
        scale = np.sqrt(np.maximum(spread[1:] * spread[:-1], 1e-300))
        found[name] = (np.abs(np.diff(mean)) + np.abs(np.diff(spread))) / scale
    return found


def relative_pace(mine: np.ndarray, fastest: np.ndarray) -> Estimate:
    """Geometric mean over epochs of the movement over that of the fastest branch.

    Ratios epoch by epoch: both slow down together as a training ends, which a ratio of sums, ruled
    by the first epoch, would count as uncertainty.
    """
    ratio = np.log(np.maximum(mine, 1e-300) / np.maximum(fastest, 1e-300))
    return _over_blocks(
        np.stack([ratio, np.ones_like(ratio)], 1), lambda s: np.exp(s[..., 0] / s[..., 1])
    )


def clipped_norms(rows: Rows, names: Sequence[str]) -> tuple[np.ndarray, float | None]:
    """`(N, G)` norms after each group's own clipping, and the limit of all together.

    Limits are not logged: one lies between the largest norm it let pass and the smallest it did
    not, and is taken at their geometric mean; None when no step exceeded it.
    """
    norms = np.array([[r["gradient_norms"][n] for n in names] for r in rows], dtype=np.float64)
    for i, name in enumerate(names):
        over = np.array([bool(r["clipped"].get(name, False)) for r in rows])
        limit = _limit(norms[:, i], over)
        norms[:, i] = norms[:, i] if limit is None else np.minimum(norms[:, i], limit)
    over = np.array([bool(r["clipped"].get("total", False)) for r in rows])
    return norms, _limit(np.sqrt((norms**2).sum(1)), over)


def _limit(norm: np.ndarray, over: np.ndarray) -> float | None:
    if not over.any():
        return None
    above = float(norm[over].min())
    below = norm[~over & (norm <= above)]
    return float(np.sqrt(above * below.max())) if len(below) and below.max() > 0 else above


def penalty(norms: np.ndarray, group: int, limit: float) -> tuple[Estimate, float]:
    """E min(1, c / |g|) / E min(1, c / |g_m|) and the share of steps clipped by others alone.

    norms : `(N, G)` by group. Scaling all norms with the limit changes nothing.
    """
    total, own = np.sqrt((norms**2).sum(1)), norms[:, group]
    together = np.minimum(1.0, limit / np.maximum(total, 1e-300))
    alone = np.minimum(1.0, limit / np.maximum(own, 1e-300))
    driven = float(((total > limit) & (own <= limit)).mean())
    return _over_blocks(np.stack([together, alone], 1), lambda s: s[..., 0] / s[..., 1]), driven


def overfit_share(loss: np.ndarray) -> Estimate:
    """R / (R + F) after the best epoch, R the validation loss's net rise, F training's net fall.

    loss : `(E, 2)` training and validation from the best epoch on. Bounded form of the overfitting
    to generalisation ratio of Wang, Tran & Feiszli 2020 (arXiv:1905.12681), whose denominator is
    zero here. Multiplying the loss by a constant changes nothing.
    """
    change = np.diff(loss, axis=0)
    terms = np.stack([change[:, 1], -change[:, 0]], 1)

    def share(s: np.ndarray) -> np.ndarray:
        both = np.abs(s[..., 0]) + np.abs(s[..., 1])
        return np.asarray(s[..., 0] / np.maximum(both, 1e-300))

    return _over_blocks(terms, share)


def _over_blocks(terms: np.ndarray, statistic: Any) -> Estimate:
    """Jackknife over at most eight blocks of rows that follow each other."""
    count = min(BLOCKS, len(terms))
    rows = np.arange(len(terms)) * count // len(terms)
    return jackknife(terms, rows, statistic, how=f"delete-one-block jackknife, t, {count} blocks")


def _cause(evidence: Evidence, m: str) -> str:
    """USE's cause for a modality; empty where it cannot be asked."""
    try:
        return verdicts(evidence).get(m, ("", "", "", ""))[1]
    except NotApplicable:
        return ""

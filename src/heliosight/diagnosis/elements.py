"""T11, T12: channels, and how far back in time the forecast looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.progress import bar
from heliosight.core.records import Finding, Outcome
from heliosight.core.seeding import torch_stream
from heliosight.diagnosis.blocks import Estimate, TooFew, jackknife
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.left import gain_left, missed
from heliosight.diagnosis.sample import Part
from heliosight.diagnosis.usage import Verdict, judge, unless_known
from heliosight.diagnosis.use import (
    Answer,
    Use,
    held,
    holding,
    needed,
    use_of,
    used,
    uses,
)

GROUPS, SHIFTS = 14, 6
FEW = 128  # windows that a channel of images is replaced in
HELD = 0.95
OWN_SHARE = 0.03  # of what the modality moves: a weak branch may look back and remember well


@final
class Channels(Check):
    """T11."""

    id: ClassVar[str] = "T11"
    question: ClassVar[str] = "Is every channel alive, different from the others, and used?"
    needs: ClassVar[str] = "a modality with several channels or variables"
    cost: ClassVar[str] = "1 F per window and channel, ridge probes"
    rule: ClassVar[str] = (
        "constant or bitwise equal to another: fault; used and harm excluded (equivalence test): "
        "fine, for channels repeat each other; else the rule of USE on the channel alone"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a channel, of modalities with more than one."""
        findings: list[Finding] = []
        for m in evidence.modalities:
            variables = evidence.subject.spec.modalities[m].variables
            if len(variables) > 1:
                findings += self._modality(evidence, m, variables)
        if not findings:
            raise NotApplicable("this check needs several channels", "one in every modality")
        return findings

    def _modality(self, evidence: Evidence, m: str, variables: tuple[str, ...]) -> list[Finding]:
        """Sick channels are told whatever the statistics say; too few windows silence the rest."""
        sick = _sick(evidence.batch, m, variables)
        findings = [
            self.finding(f"{m}/{v}", "fault", _CHANNEL, None, reason, cause, _LOADER)
            for v, (cause, reason) in sick.items()
        ]
        try:
            return [*findings, *self._judged(evidence, m, variables, sick)]
        except NotApplicable as error:
            outcome: Outcome = "inconclusive" if isinstance(error, TooFew) else "not_applicable"
            return [*findings, self.finding(m, outcome, _CHANNEL, None, str(error))]

    def _judged(
        self, evidence: Evidence, m: str, variables: tuple[str, ...], sick: Mapping[str, Any]
    ) -> list[Finding]:
        found = {v: channel_use(evidence, m, i) for i, v in enumerate(variables)}
        need = needed(evidence, found)
        hold = evidence.of_windows(("held", m), lambda: self._held(evidence, m, variables))
        findings = []
        for v, use in found.items():
            if v in sick:
                continue
            part = Part(m, variables.index(v))
            outcome, cause, reason, action = unless_known(
                evidence, part, _channel(evidence, use, need[v], hold[v])
            )
            value = use.share.interval()
            findings.append(
                self.finding(
                    f"{m}/{v}", outcome, _CHANNEL, value, reason, cause, action,
                    _chance(evidence, part, use) if cause else None,
                )
            )  # fmt: skip
        return findings

    def _held(self, evidence: Evidence, m: str, variables: tuple[str, ...]) -> dict[str, Answer]:
        whole = evidence.sample.answers
        columns = {v: whole[m].channel(i).features() for i, v in enumerate(variables)}
        columns |= {other: a.features() for other, a in whole.items() if other != m}
        try:
            return held(evidence, {v: holding(evidence.sample, columns, v) for v in variables})
        except NotApplicable:
            return dict.fromkeys(variables, "unsure")


def channel_use(evidence: Evidence, m: str, i: int) -> Use:
    """Use of one channel, computed once.

    A series is cheap to encode again: all windows and more shifts than for images.
    """
    key = f"channel/{m}/{i}"
    if key not in evidence.memo:
        evidence.memo[key] = _channel_use(evidence, m, i)
    found: Use = evidence.memo[key]
    return found


def _channel_use(evidence: Evidence, m: str, i: int) -> Use:
    series, n = evidence.batch.inputs[m].ndim == 3 and evidence.crossable, len(evidence.batch)
    every, count = (1, SHIFTS) if series else (max(1, n // FEW), 2)
    axis = 1 if evidence.batch.inputs[m].ndim == 5 else 2
    index = np.arange(len(evidence.batch))[::every]
    kept = []
    for other, usable in evidence.shifts[:count]:
        full = np.full(evidence.forecast.shape, np.nan)
        y = changed(evidence, m, index, _OneChannel(evidence.batch, m, axis, i, other))
        full[::every] = np.where(usable[::every][:, None], y, np.nan)
        kept.append(full)
    return use_of(evidence, np.stack(kept))


_CHANNEL = "share of forecast variance (total Sobol index)"
_LOADER = "Correct the loader or the normalisation of this channel."


def _channel(evidence: Evidence, use: Use, need: Answer, hold: Answer) -> Verdict:
    """USE of one channel; whether skill needs it beside channels that repeat it is not asked."""
    answer, config = used(evidence, use), evidence.config
    harmless = use.gain.p_above(-config.smallest_gain) < config.level_of_test
    if answer == "yes" and need in ("no", "unsure") and harmless and hold != "yes":
        return "healthy", "", "used, and it costs no skill", ""
    return judge(answer, need, hold)


def _chance(evidence: Evidence, part: Part, use: Use) -> float:
    """p of a channel's fault: it costs no skill, and the forecast misses nothing of it."""
    harm = 2 * use.gain.p_below(-evidence.config.smallest_gain)
    try:
        left = 2 * gain_left(evidence, part).p_above(evidence.config.smallest_miss)
    except NotApplicable:
        left = 1.0
    return min(1.0, harm, left)


def _sick(batch: Batch, m: str, variables: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Cause and reason of channels that are constant or a copy of another."""
    x = batch.inputs[m] if batch.inputs[m].ndim == 5 else batch.inputs[m].transpose(1, 2)
    found: dict[str, tuple[str, str]] = {}
    for i, v in enumerate(variables):
        if bool((x[:, i] == x[0, i].flatten()[0]).all()):
            found[v] = ("constant_channel", "it has one value everywhere")
            continue
        for j in range(i):
            if torch.equal(x[:, i], x[:, j]):
                found[v] = ("duplicate_channel", f"it is bitwise equal to {variables[j]}")
    return found


@final
class _OneChannel:
    """Rows of a modality with one channel taken from other windows."""

    def __init__(self, batch: Batch, m: str, axis: int, i: int, other: np.ndarray) -> None:
        self._batch, self._m, self._axis, self._i, self._other = batch, m, axis, i, other

    def __call__(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        batch, m, place = self._batch, self._m, torch.as_tensor(rows)
        source = torch.as_tensor(self._other[rows])
        pair = []
        for held_ in (batch.inputs[m], batch.observed[m]):
            x = held_[place]
            x.select(self._axis, self._i).copy_(held_.select(self._axis, self._i)[source])
            pair.append(x)
        return pair[0], pair[1]


def changed(
    evidence: Evidence, m: str, rows: np.ndarray, change: _OneChannel | _Steps
) -> np.ndarray:
    """`(len(rows), L)` forecasts with modality m replaced by `change(rows)`."""
    size, parts = evidence.together(m), []
    for start in range(0, len(rows), size):
        piece = rows[start : start + size]
        parts.append(evidence.beside(m, piece, *change(piece)))
    return np.concatenate(parts)


@final
class _Steps:
    """Rows of a modality with some steps replaced, or all steps reordered."""

    def __init__(
        self,
        batch: Batch,
        m: str,
        steps: np.ndarray,
        other: np.ndarray | None,
        order: Tensor | None,
    ) -> None:
        self._batch, self._m = batch, m
        self._axis = 2 if batch.inputs[m].ndim == 5 else 1
        self._steps, self._other, self._order = torch.as_tensor(steps), other, order

    def __call__(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        inputs, masks = self._batch.inputs[self._m], self._batch.observed[self._m]
        return self._pick(inputs, rows), self._pick(masks, rows)

    def _pick(self, full: Tensor, rows: np.ndarray) -> Tensor:
        x = full[torch.as_tensor(rows)]
        if self._order is not None:
            return x.index_select(self._axis, self._order)
        if self._other is None:
            return x
        source = full[torch.as_tensor(self._other[rows])].index_select(self._axis, self._steps)
        return x.index_copy(self._axis, self._steps, source)


@dataclass(frozen=True)
class Profile:
    """How much each group of steps moves the forecast.

    Attributes
    ----------
    steps : first step of each group, oldest first.
    share : total Sobol index of each group.
    reach : steps, counted back from the newest, that hold 95 % of the sum of shares.
    static, shuffled, reversed : share of variance that moves when all steps become the newest,
        are shuffled, or run backwards.
    """

    steps: tuple[int, ...]
    share: tuple[float, ...]
    reach: int
    static: Estimate
    shuffled: Estimate
    reversed: Estimate


def profile(evidence: Evidence, m: str) -> Profile:
    """Profile over time of one modality, on a subset of windows; computed once."""
    key = f"profile/{m}"
    if key not in evidence.memo:
        evidence.memo[key] = _profile(evidence, m)
    found: Profile = evidence.memo[key]
    return found


def _profile(evidence: Evidence, m: str) -> Profile:
    batch, rows = evidence.batch, evidence.spread(2 * evidence.config.subset_count)
    count = batch.inputs[m].shape[2 if batch.inputs[m].ndim == 5 else 1]
    if count < 2:
        raise NotApplicable("a profile over time needs several steps", f"one in {m}")
    spread = evidence.variance
    groups = np.array_split(np.arange(count), min(count, GROUPS))
    few = rows[::2]
    share = []
    with bar(f"frames of {m}", len(groups)) as running:
        for group in groups:
            moved = _moved(evidence, m, few, group)
            share.append(float(np.nanmean(moved) / spread))
            running.advance()
    draw = torch_stream(evidence.config.seed, "diagnosis", "shuffle", m)
    orders = {
        "static": torch.full((count,), count - 1),
        "shuffled": torch.randperm(count, generator=draw),
        "reversed": torch.arange(count).flip(0),
    }
    utilities = {k: _reordered(evidence, m, rows, order, spread) for k, order in orders.items()}
    return Profile(
        tuple(int(g[0]) for g in groups), tuple(share), _reach(groups, share, count), **utilities
    )


def _moved(evidence: Evidence, m: str, rows: np.ndarray, group: np.ndarray) -> np.ndarray:
    """`(len(rows),)` half the squared change when a group of steps comes from another time.

    Windows take turns with the shifts: two pairs of one window tell less than pairs of two.
    """
    some = evidence.shifts[:2]
    turn = np.zeros(len(evidence.batch), dtype=int)
    turn[rows] = np.arange(len(rows)) % len(some)
    other = np.choose(turn, [index for index, _ in some])
    usable = np.choose(turn, [fit for _, fit in some])[rows]
    y = changed(evidence, m, rows, _Steps(evidence.batch, m, group, other, None))
    return np.where(usable, ((y - evidence.forecast[rows]) ** 2 / 2).mean(1), np.nan)


def _reordered(
    evidence: Evidence, m: str, rows: np.ndarray, order: Tensor, spread: float
) -> Estimate:
    y = changed(evidence, m, rows, _Steps(evidence.batch, m, np.zeros(0, int), None, order))
    moved = ((y - evidence.forecast[rows]) ** 2 / 2).mean(1) / spread
    blocks = np.unique(evidence.rows[rows], return_inverse=True)[1]
    terms = np.stack([moved, np.ones_like(moved)], 1)
    days = evidence.config.block_days
    return jackknife(terms, blocks, lambda s: s[..., 0] / s[..., 1], days)


def _reach(groups: list[np.ndarray], share: list[float], count: int) -> int:
    """Steps from the newest back to the start of the group where 95 % of the sum is held."""
    total, held_ = sum(share), 0.0
    for group, value in zip(reversed(groups), reversed(share), strict=True):
        held_ += value
        if held_ >= HELD * total:
            return int(count - group[0])
    return count


@final
class Frames(Check):
    """T12."""

    id: ClassVar[str] = "T12"
    question: ClassVar[str] = "How far back in time does the forecast look, and is that enough?"
    needs: ClassVar[str] = "a modality with several steps, windows over many solar rotations"
    cost: ClassVar[str] = "20 F per window of the subset and modality"
    rule: ClassVar[str] = (
        "time is unused when freezing, shuffling and reversing the steps all move less than the "
        "smallest use and than 3 % of what the modality moves (equivalence tests); short sight is "
        "a fault only when a probe gains from the steps before those that hold 95 % of the use, "
        "and not asked of a part that is too small as a whole"
    )
    level: ClassVar[str] = "standard"
    by_chance: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a modality with several steps."""
        findings = []
        for m in evidence.modalities:
            try:
                findings.append(self._modality(evidence, m))
            except NotApplicable as error:
                findings.append(self.finding(m, "not_applicable", "", None, str(error)))
        return findings

    def _modality(self, evidence: Evidence, m: str) -> Finding:
        p, config = profile(evidence, m), evidence.config
        if used(evidence, uses(evidence)[m]) != "yes":
            reason = "the forecast hardly moves with it (judged in USE)"
            return self.finding(m, "not_applicable", "", None, reason)
        utilities = (p.static, p.shuffled, p.reversed)
        least = smallest_effect(evidence, m)
        unused = all(u.p_below(least) < config.level_of_test for u in utilities)
        count = evidence.batch.inputs[m].shape[2 if evidence.batch.inputs[m].ndim == 5 else 1]
        statistic = "share of variance that moves when all steps become the newest"
        text = (
            f"95 % of its use lies in the newest {p.reach} of {count} steps; shuffled "
            f"{p.shuffled.value:.3f}, reversed {p.reversed.value:.3f}"
        )
        value = p.static.interval()
        if p.reach > count // 2 and not unused:
            return self.finding(m, "healthy", statistic, value, text)
        if _too_faint(evidence, m):
            text += "; its part is too small as a whole (judged in USE)"
            return self.finding(m, "not_applicable", statistic, value, text)
        newest = 1 if unused else p.reach
        older = older_steps_hold(evidence, m, newest)
        if older == "yes":
            cause = "time_unused" if unused else "short_sight"
            action = (
                "Raise the forget bias (chrono initialisation), pool over all steps or attend "
                "over them, lengthen the window step by step in training."
            )
            text += "; a probe gains from the steps before"
            missing = chance_older(evidence, m, newest)
            return self.finding(m, "fault", statistic, value, text, cause, action, missing)
        if older == "no":
            text += "; the steps before hold nothing more"
            return self.finding(m, "healthy", statistic, value, text)
        text += "; whether the steps before hold more is not resolved"
        return self.finding(m, "inconclusive", statistic, value, text)


def smallest_effect(evidence: Evidence, m: str) -> float:
    """Share of forecast variance that counts as an effect inside a modality.

    The smallest use, or 3 % of what the modality moves where that is less.
    """
    return min(evidence.config.smallest_use, OWN_SHARE * uses(evidence)[m].share.value)


def _too_faint(evidence: Evidence, m: str) -> bool:
    """A part that is right and half too small misses older steps as it misses the newest."""
    try:
        return missed(evidence)[m].fainter.value > 0
    except NotApplicable:
        return False


def older_steps_hold(evidence: Evidence, m: str, newest: int) -> Answer:
    """Whether the forecast misses something that the steps before the newest ones hold.

    "Yes" when a probe gains from them beside the forecast; "no" when it does not beside all other
    inputs.
    """
    if chance_older(evidence, m, newest) < evidence.config.level_of_test:
        return "yes"
    found: Answer = evidence.of_windows(
        ("older", m, newest), lambda: _older_steps_hold(evidence, m, newest)
    )
    return "no" if found == "no" else "unsure"


def chance_older(evidence: Evidence, m: str, newest: int) -> float:
    """p of "a probe gains nothing that matters from the steps before", beside the forecast."""
    key = f"older left/{m}/{newest}"
    if key not in evidence.memo:
        evidence.memo[key] = _chance_older(evidence, m, newest)
    return float(evidence.memo[key])


def _chance_older(evidence: Evidence, m: str, newest: int) -> float:
    if newest >= evidence.own_sample.answers[m].values.shape[2]:
        return 1.0
    try:
        left = gain_left(evidence, Part(m, but_newest=newest))
    except NotApplicable:
        return 1.0
    return left.p_above(evidence.config.smallest_miss)


def _older_steps_hold(evidence: Evidence, m: str, newest: int) -> Answer:
    whole = evidence.sample.answers
    count = whole[m].values.shape[2]
    if newest >= count:
        return "no"
    columns = {
        "older": whole[m].steps(slice(0, count - newest)).features(),
        "newer": whole[m].steps(slice(count - newest, count)).features(),
    }
    columns |= {other: a.features() for other, a in whole.items() if other != m}
    try:
        return held(evidence, {"older": holding(evidence.sample, columns, "older")})["older"]
    except NotApplicable:
        return "unsure"

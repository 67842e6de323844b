"""T2, T3, T7: independence of the batch, order within a branch, nothing from after issue time."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.records import Finding
from heliosight.core.seeding import torch_stream
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.exact import RULE, Effect, effect

TIME_AXIS = {"images": 2, "series": 1}


@final
class BatchIndependence(Check):
    """T2."""

    id: ClassVar[str] = "T2"
    question: ClassVar[str] = "Is a window's forecast independent of its batch?"
    needs: ClassVar[str] = "a forecast"
    cost: ClassVar[str] = "6 F per exact window"
    rule: ClassVar[str] = f"the forecast alone and in another place among others: {RULE}"
    alone: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding for the whole subject."""
        score = evidence.subject.forecast

        def difference(batch: Batch) -> tuple[Tensor, Tensor]:
            alone = torch.cat([score(batch.select([i])) for i in range(len(batch))])
            together = score(batch)
            turned = score(batch.select(list(range(len(batch)))[::-1])).flip(0)
            return alone.repeat(2, 1), torch.cat([together, turned])

        found = effect(evidence.subject, evidence.few, difference)
        statistic = "relative change of the forecast"
        if found.zero:
            return [self.finding("forecast", "healthy", statistic, found.interval, found.text())]
        action = (
            "Move the operation off the batch axis: position codes on the time axis "
            "(batch_first), batch statistics in evaluation mode, states reset for each batch."
        )
        return [
            self.finding(
                "forecast", "fault", statistic, found.interval,
                f"the same window gives another forecast beside other windows ({found.text()})",
                "batch_leakage", action,
            )
        ]  # fmt: skip


@final
class OrderSeen(Check):
    """T3."""

    id: ClassVar[str] = "T3"
    question: ClassVar[str] = "Does the branch see the order of its steps?"
    needs: ClassVar[str] = "a forecast, a modality with at least two steps"
    cost: ClassVar[str] = "8 F per exact window and modality"
    rule: ClassVar[str] = f"steps permuted in time, three permutations: {RULE}"
    alone: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a modality."""
        return [self._modality(evidence, m) for m in evidence.modalities]

    def _modality(self, evidence: Evidence, m: str) -> Finding:
        steps = evidence.batch.inputs[m].shape[TIME_AXIS[evidence.subject.spec.modalities[m].kind]]
        statistic = "relative change of the forecast under permuted steps"
        if steps < 2:
            return self.finding(m, "not_applicable", statistic, None, "one step has no order")
        if reach(evidence, m).zero:
            reason = "the modality does not reach the forecast at all (see T5)"
            return self.finding(m, "not_applicable", statistic, None, reason)
        found = effect(evidence.subject, evidence.few, _permuted(evidence, m, steps))
        if not found.zero:
            return self.finding(m, "healthy", statistic, found.interval, found.text())
        action = (
            "Encode position on the time axis (check batch_first), and pool in a way that knows "
            "order: last state or attention with positions."
        )
        reason = f"any order of its {steps} steps gives the same forecast ({found.text()})"
        return self.finding(m, "fault", statistic, found.interval, reason, "order_blind", action)


def _permuted(evidence: Evidence, m: str, steps: int) -> Callable[[Batch], tuple[Tensor, Tensor]]:
    axis = TIME_AXIS[evidence.subject.spec.modalities[m].kind]
    draw = torch_stream(evidence.config.seed, "diagnosis", "order", m)
    orders = [torch.randperm(steps, generator=draw) for _ in range(2)]
    orders.append(torch.arange(steps).flip(0))

    def difference(batch: Batch) -> tuple[Tensor, Tensor]:
        changed = [
            evidence.subject.forecast(
                batch.with_inputs(
                    {m: batch.inputs[m].index_select(axis, order)},
                    {m: batch.observed[m].index_select(axis, order)},
                )
            )
            for order in orders
        ]
        plain = evidence.subject.forecast(batch)
        return plain.repeat(len(orders), 1), torch.cat(changed)

    return difference


def reach(evidence: Evidence, m: str) -> Effect:
    """Effect of giving every window another window's modality."""

    def difference(batch: Batch) -> tuple[Tensor, Tensor]:
        other = batch.with_inputs(
            {m: batch.inputs[m].roll(1, 0)}, {m: batch.observed[m].roll(1, 0)}
        )
        return evidence.subject.forecast(batch), evidence.subject.forecast(other)

    return effect(evidence.subject, evidence.few, difference)


@final
class Causality(Check):
    """T7."""

    id: ClassVar[str] = "T7"
    question: ClassVar[str] = "Does the forecast use what is not known at issue time?"
    needs: ClassVar[str] = "a forecast; recurrent cells are asked by T4"
    cost: ClassVar[str] = "4 F per exact window"
    rule: ClassVar[str] = (
        "the target given with the windows replaced by other values: the forecast must stay "
        "bitwise the same"
    )
    alone: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding: the target does not enter."""
        batch = evidence.few
        other = Batch(
            batch.inputs, batch.observed, batch.issue_time, batch.target.roll(1, 0) * 3 + 7,
            ~batch.target_mask,
        )  # fmt: skip
        a, b = evidence.subject.forecast(batch), evidence.subject.forecast(other)
        again = evidence.subject.forecast(batch)
        if not torch.equal(torch.nan_to_num(a), torch.nan_to_num(again)):
            reason = "two forecasts of the same windows differ, so a change says nothing"
            return [self.finding("target", "inconclusive", "changed forecasts", None, reason)]
        leaks = not torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
        if not leaks:
            reason = "the forecast is bitwise the same for any target"
            return [self.finding("target", "healthy", "changed forecasts", None, reason)]
        reason = "the forecast changes when the target of its window changes"
        action = "Take the target out of everything that the model is given."
        return [
            self.finding(
                "target", "fault", "changed forecasts", None, reason, "future_leak", action
            )
        ]

"""A check: a question, what it needs, its rule fixed beforehand, and its findings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from heliosight.core.records import Finding, Interval, Outcome
from heliosight.diagnosis.evidence import Evidence


class Check(ABC):
    """Answers one question about a subject.

    Attributes
    ----------
    id, question : its name in tables and the question in words.
    needs : ports and parts without which it is not applicable, in words.
    cost : roughly what it computes, in forwards F and backwards G of a window.
    rule : how the outcome follows from the number.
    level : the first level that runs it.
    alone : it changes global state (the default precision) and runs beside no other check.
    by_chance : its faults are decided by statistics, so each of its questions may raise a false
        alarm and counts where those are controlled (family.py).
    """

    id: ClassVar[str]
    question: ClassVar[str]
    needs: ClassVar[str]
    cost: ClassVar[str]
    rule: ClassVar[str]
    level: ClassVar[str] = "quick"
    alone: ClassVar[bool] = False
    by_chance: ClassVar[bool] = False

    @abstractmethod
    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding per part asked about; raises `NotApplicable` where it cannot ask."""

    def finding(
        self,
        subject: str,
        outcome: Outcome,
        statistic: str,
        value: Interval | None,
        reason: str,
        cause: str = "",
        action: str = "",
        p: float | None = None,
    ) -> Finding:
        """A finding of this check; a fault of a check by chance comes with its p."""
        return Finding(
            self.id, self.question, subject, outcome, statistic, value, self.rule, reason, cause,
            action, p=p,
        )  # fmt: skip

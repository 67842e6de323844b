"""The evidence of a certificate: every model of known health, and the scores over all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from heliosight.core.records import Interval, Record


@dataclass(frozen=True)
class NamedFault:
    """A fault that a diagnosis named: its cause, the part, and the check that found it."""

    cause: str
    subject: str
    check: str


@dataclass(frozen=True)
class CertifiedCase(Record):
    """One model of known health, diagnosed.

    Attributes
    ----------
    stratum : `fault`, `pair`, `healthy`, `hard` or `natural`; kind : which fault or which kind.
    model : the trained model behind it, which several cases share; span : stretch of time.
    took : the manipulation check: the fault is really in the model, or the model is really healthy.
    note : what the manipulation check measured.
    wanted : one set of accepted causes for each planted fault, none for a healthy model.
    symptoms : for each planted fault, causes that show it without naming the root.
    named : faults in the diagnosis, the most likely root first.
    lost : branches proved not to arrive at the fusion, unless nothing is missed there; no faults.
    questions, unresolved : findings in all, and those left open.
    rules : published rules of thumb by name, True where one calls the model ill.
    """

    schema: ClassVar[str] = "certified_case"
    stratum: str = ""
    kind: str = ""
    severity: str = ""
    architecture: str = ""
    model: str = ""
    span: int = 0
    exact: bool = False
    took: bool = False
    note: str = ""
    wanted: tuple[tuple[str, ...], ...] = ()
    symptoms: tuple[tuple[str, ...], ...] = ()
    named: tuple[NamedFault, ...] = ()
    lost: tuple[str, ...] = ()
    questions: int = 0
    unresolved: tuple[str, ...] = ()
    rules: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class CertificateRow:
    """One score with its interval; `hits` of `count` cases, `goal` where one was set beforehand."""

    group: str
    name: str
    value: Interval
    hits: float
    count: int
    goal: float | None = None


@dataclass(frozen=True)
class Certificate(Record):
    """How often a diagnosis is right about models of known health.

    Attributes
    ----------
    half : `development` or `test`. code : hash of everything that decides.
    not_taken : cases whose manipulation check failed; they are told and not scored.
    """

    schema: ClassVar[str] = "certificate"
    half: str = ""
    rows: tuple[CertificateRow, ...] = ()
    cases: int = 0
    not_taken: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    code: str = ""
    seconds: float = 0.0

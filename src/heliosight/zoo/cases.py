"""Which models are diagnosed in a half of the certificate: every case by name, in fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from heliosight.zoo import catalogue, healthy
from heliosight.zoo.catalogue import OPERATORS, PAIRS, Half, Operator, Planting, together
from heliosight.zoo.foreign import NATURAL
from heliosight.zoo.recipes import Recipe

Stratum = Literal["fault", "pair", "healthy", "hard", "natural"]
HALVES: dict[Half, tuple[tuple[str, ...], str]] = {
    "development": (("concat", "gated"), "A"),
    "test": (("cross_attention", "conv3d"), "B"),
}
SPANS = 3


@dataclass(frozen=True)
class Size:
    """How many models and spans a half has.

    Attributes
    ----------
    plain : seeds of plain models; each is diagnosed on `spans` spans of time, in turn.
    ill : spans on which an ill model is diagnosed where its fault is exact or moderate, else one.
    hard : models of each hard healthy kind, one span each, in turn.
    severities : of graded faults.
    kinds : operators, empty for all. pairs, natural : whether those strata are run.
    architectures : how many of the half's.
    """

    plain: int = 6
    spans: int = 2
    ill: int = 2
    hard: int = 3
    severities: tuple[str, ...] = ("mild", "moderate", "strong")
    kinds: tuple[str, ...] = ()
    pairs: bool = True
    natural: bool = True
    architectures: int = 2


FULL = Size()
QUICK = Size(1, 1, 1, 1, ("moderate",), ("F1", "F4", "F8", "F14a", "F18a", "H5"), False, False, 1)


@dataclass(frozen=True)
class Case:
    """One diagnosis of one model.

    Attributes
    ----------
    kind : operator, two operators, hard kind, `plain` or a foreign model's name.
    seed : of the model; span : which stretch of time it is diagnosed on.
    causes : one set of accepted causes for each planted fault; none for a healthy model.
    symptoms : for each planted fault, causes that show it without being its root.
    exact : its faults are all decided by exact tests.
    hard : id of the hard healthy kind, empty otherwise.
    """

    stratum: Stratum
    kind: str
    severity: str
    architecture: str
    spectrum: str
    seed: int
    span: int
    planting: Planting = field(default_factory=Planting)
    causes: tuple[tuple[str, ...], ...] = ()
    exact: bool = False
    hard: str = ""
    symptoms: tuple[tuple[str, ...], ...] = ()

    @property
    def name(self) -> str:
        """A folder's name."""
        parts = (self.kind, self.severity, self.architecture, f"m{self.seed}", f"s{self.span}")
        return "_".join(parts)

    @property
    def model(self) -> tuple[str, str, int, Recipe]:
        """What the trained model behind the case depends on."""
        return self.architecture, self.spectrum, self.seed, self.planting.recipe


def cases(half: Half, size: Size = FULL) -> list[Case]:
    """Every case of a half."""
    architectures, spectrum = HALVES[half]
    found = [
        case
        for architecture in architectures[: size.architectures]
        for case in (
            *_healthy(architecture, spectrum, size),
            *_hard(architecture, spectrum, size),
            *_ill(architecture, spectrum, size, half),
            *(_pairs(architecture, spectrum, half) if size.pairs else ()),
        )
    ]
    if half == "test" and size.natural:
        found += _natural(spectrum)
    return [c for c in found if not size.kinds or c.kind in (*size.kinds, "plain")]


def _healthy(architecture: str, spectrum: str, size: Size) -> Iterator[Case]:
    for seed in range(size.plain):
        for turn in range(size.spans):
            span = (seed + turn) % SPANS
            yield Case("healthy", "plain", "none", architecture, spectrum, seed, span)


def _hard(architecture: str, spectrum: str, size: Size) -> Iterator[Case]:
    for kind in healthy.HARD:
        if architecture not in kind.architectures:
            continue
        for seed in range(size.hard):
            planting, span = Planting(kind.recipe), seed % SPANS
            yield Case(
                "hard", kind.id, "none", architecture, spectrum, seed, span, planting, hard=kind.id
            )


def _ill(architecture: str, spectrum: str, size: Size, half: Half) -> Iterator[Case]:
    for operator in OPERATORS:
        if architecture not in operator.architectures:
            continue
        for severity, strength in operator.sizes_of(half).items():
            if severity not in (*size.severities, "only"):
                continue
            count = size.ill if severity in ("only", "moderate") else 1
            planting = operator.plant(strength, architecture)
            for span in range(count):
                seed = 0 if planting.recipe != Recipe() else span
                yield Case(
                    "fault", operator.id, severity, architecture, spectrum, seed, span, planting,
                    (operator.causes,), operator.exact,
                    symptoms=(operator.symptoms,),
                )  # fmt: skip


def _pairs(architecture: str, spectrum: str, half: Half) -> Iterator[Case]:
    for names in PAIRS:
        both = [catalogue.BY_ID[name] for name in names]
        if all(architecture in operator.architectures for operator in both):
            planting = together(tuple(_worst(o, architecture, half) for o in both))
            yield Case(
                "pair", "+".join(names), "strong", architecture, spectrum, 0, 1, planting,
                tuple(o.causes for o in both), all(o.exact for o in both),
            )  # fmt: skip


def _worst(operator: Operator, architecture: str, half: Half) -> Planting:
    sizes = operator.sizes_of(half)
    return operator.plant(sizes.get("strong", sizes.get("only", 1.0)), architecture)


def _natural(spectrum: str) -> Iterator[Case]:
    """Foreign models with faults found in public code, and their healthy twin."""
    for name, causes in NATURAL.items():
        accepted = (causes,) if causes else ()
        for seed in range(2):
            yield replace(
                Case("natural", name, "only", "foreign", spectrum, seed, seed),
                causes=accepted, exact=bool(causes),
            )  # fmt: skip

"""A walk-forward fold: what may be learned from, what may be tuned on, what is scored."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from heliosight.core.clock import to_text
from heliosight.core.errors import SpecError

Span = tuple[int, int]


@dataclass(frozen=True)
class Fold:
    """Half-open spans of issue times [UTC seconds], in order, with the buffer between them.

    Attributes
    ----------
    train, validation, test : `(start, end)`; the validation span lies in the training past.
    buffer_days : at least this long between the end of one span's last target and the next span.
    """

    name: str
    train: Span
    validation: Span
    test: Span
    buffer_days: float

    def __post_init__(self) -> None:
        edges = (*self.train, *self.validation, *self.test)
        if any(b < a for a, b in pairwise(edges)):
            raise SpecError(
                "train, validation and test follow each other in time",
                ", ".join(to_text(e) for e in edges),
                where=f"fold {self.name}",
            )

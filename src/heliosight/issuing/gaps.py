"""Which of its inputs a window lacks, and how unusual that is.

Every variable of a modality is judged apart: a magnetometer can be silent while the plasma
instrument is not. A lack is the larger of two counts: the newest steps that are all missing, and
all missing steps of the window. A lack is usual when 19 of 20 windows of the training past lacked
as much; otherwise it is answered for by the calibration in which as many of the newest steps,
rounded up to a rung, were withheld. The newest steps matter most, so holes elsewhere are taken for
worse than they are, never for better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.errors import DataError
from heliosight.core.spec import ForecastSpec

RUNGS = (1, 2, 4, 8, 16, 32)
USUAL = 0.95
Masks = Mapping[str, np.ndarray]  # by modality `(B, steps, V)` observed, images as `(B, T, C)`
Lack = Mapping[str, np.ndarray]  # by modality `(V,)` steps
State = tuple[tuple[str, tuple[int, ...]], ...]  # withheld steps by modality, hashable


def input_names(spec: ForecastSpec) -> tuple[str, ...]:
    """`modality.variable` of all inputs, in order."""
    return tuple(f"{name}.{v}" for name, m in spec.modalities.items() for v in m.variables)


def newest_missing(mask: np.ndarray) -> np.ndarray:
    """`(B, V)` number of newest steps that are missing in a row, of a mask `(B, steps, V)`."""
    backwards = mask[:, ::-1]
    return np.where(backwards.any(1), backwards.argmax(1), mask.shape[1])


def lack(mask: np.ndarray) -> np.ndarray:
    """`(B, V)` missing steps of a mask `(B, steps, V)`; the newest run is part of them."""
    return np.asarray((~mask).sum(1))


@final
@dataclass(frozen=True)
class Usual:
    """What windows of the training past lacked: by modality `(V,)` steps, newest and in all."""

    newest: Lack
    missing: Lack

    @staticmethod
    def of(observed: Masks) -> Usual:
        """From the masks of windows of the training past.

        Raises
        ------
        DataError : no window.
        """
        if not all(len(mask) for mask in observed.values()):
            raise DataError(
                "what is usual is learned from windows of the training past", "none",
                "Give the split a validation share.",
            )  # fmt: skip
        return Usual(
            {name: _quantile(newest_missing(mask)) for name, mask in observed.items()},
            {name: _quantile(lack(mask)) for name, mask in observed.items()},
        )

    def states(self, observed: Masks) -> list[State]:
        """The calibration that answers for each window; every count 0 where all is usual."""
        found = {}
        for name, mask in observed.items():
            newest, missing = newest_missing(mask), lack(mask)
            unusual = (newest > self.newest[name]) | (missing > self.missing[name])
            found[name] = np.where(unusual, rung(np.maximum(newest, missing), mask.shape[1]), 0)
        count = len(next(iter(observed.values())))
        return [
            tuple((name, tuple(int(k) for k in found[name][row])) for name in observed)
            for row in range(count)
        ]


def rung(steps: np.ndarray, most: int) -> np.ndarray:
    """Steps rounded up to a rung, at most all of them; 0 becomes the first rung."""
    rungs = np.array([*(r for r in RUNGS if r < most), most])
    return np.asarray(rungs[np.searchsorted(rungs, np.maximum(steps, 1)).clip(0, len(rungs) - 1)])


def is_usual(state: State) -> bool:
    """True when nothing is withheld."""
    return not any(any(counts) for _, counts in state)


def withheld_by_name(spec: ForecastSpec, state: State) -> dict[str, int]:
    """Withheld steps by `modality.variable`, those above 0."""
    return {
        f"{name}.{variable}": k
        for name, counts in state
        for variable, k in zip(spec.modalities[name].variables, counts, strict=True)
        if k
    }


def _quantile(counts: np.ndarray) -> np.ndarray:
    return np.quantile(counts, USUAL, axis=0, method="higher").astype(np.int64)

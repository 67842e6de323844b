"""Windows by index: nothing is copied before a batch is asked for.

Nothing that became available after its issue time enters a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.clock import HOUR, to_text
from heliosight.core.errors import SpecError
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import SeriesTable, Tables
from heliosight.data.cuts import ImageCut, SeriesCut, make_cut


@final
@dataclass(frozen=True)
class WindowTimes:
    """The three faces of time of `B` windows [UTC seconds].

    Attributes
    ----------
    issue : `(B,)`.
    valid : `(B, L)` start of each lead's interval.
    stamps : by modality `(B, steps)`, the nominal stamp of each step.
    available : by modality `(B, steps)`, when the value in that place was first known;
        -1 where the table has no such row.
    """

    issue: np.ndarray
    valid: np.ndarray
    stamps: dict[str, np.ndarray]
    available: dict[str, np.ndarray]


@final
class Windows:
    """Windows over continuous tables, by issue time (the port `WindowSource`).

    Parameters
    ----------
    tables : by name, as `load_store(...).tables` or the simulated Sun gives them.
    spec : what a window holds.

    Raises
    ------
    SpecError : a table or variable is absent, a kind, cadence or size differs.
    """

    def __init__(self, tables: Tables, spec: ForecastSpec) -> None:
        self._spec = spec
        self.cuts: dict[str, SeriesCut | ImageCut] = {
            name: make_cut(_table(tables, m.table, name), m, f"modality {name}")
            for name, m in spec.modalities.items()
        }
        self._target = _target_cut(tables, spec)

    @property
    def spec(self) -> ForecastSpec:
        """Inputs and target."""
        return self._spec

    def batch(self, issue_times: np.ndarray, image_shift: np.ndarray | None = None) -> Batch:
        """Windows of `(B,)` UTC seconds.

        Parameters
        ----------
        image_shift : `(B,)` whole frames into the past, 0 or more; series are not shifted.

        Raises
        ------
        SpecError : an issue time off the lead grid, a negative or misshapen shift.
        """
        issue = self._issue(issue_times)
        shift = _shift(image_shift, len(issue))
        inputs: dict[str, Tensor] = {}
        observed: dict[str, Tensor] = {}
        for name, cut in self.cuts.items():
            if isinstance(cut, ImageCut):
                inputs[name], observed[name] = _images(cut, cut.rows(issue, shift))
            else:
                inputs[name], observed[name] = _series(cut, cut.rows(issue))
        target, mask = _series(self._target, self._target.rows_at(self._valid(issue)))
        return Batch(inputs, observed, torch.from_numpy(issue), target[..., 0], mask[..., 0])

    def times(self, issue_times: np.ndarray) -> WindowTimes:
        """Issue, valid and available times of every place in the windows."""
        issue = self._issue(issue_times)
        stamps, available = {}, {}
        for name, cut in self.cuts.items():
            stamps[name] = cut.stamps(issue)
            available[name] = np.append(cut.table.available, -1)[cut.rows(issue)]
        return WindowTimes(issue, self._valid(issue), stamps, available)

    def issue_times(
        self,
        start: int,
        end: int,
        stride_hours: int = 3,
        min_observed: float = 0.0,
        complete_target: bool = True,
    ) -> np.ndarray:
        """Issue times in [start, end), multiples of `stride_hours` since 00 UTC, with history.

        Parameters
        ----------
        min_observed : smallest observed share of every modality of a window.
        complete_target : leave out windows with an unknown lead.

        Returns
        -------
        `(N,)` int64, ascending: those whose oldest step is not before its table's first row.

        Raises
        ------
        SpecError : a window is longer than its table, so that no time will ever do.
        """
        stride = stride_hours * HOUR
        issue = np.arange(-(-start // stride) * stride, end, stride, dtype=np.int64)
        good = np.ones(len(issue), dtype=bool)
        for cut in self.cuts.values():
            good &= cut.stamps(issue)[:, 0] > cut.begins() - cut.table.cadence / 2
            if min_observed > 0:
                share = cut.observed.mean(1)[cut.rows(issue)].mean(1)
                good &= share >= min_observed - 1e-9
        if complete_target:
            good &= self._target.observed[self._target.rows_at(self._valid(issue)), 0].all(1)
        if len(issue) and not good.any():
            self._require_long_enough()
        return issue[good]

    def _require_long_enough(self) -> None:
        for name, cut in self.cuts.items():
            table, span = cut.table, int(cut.back[0])
            held = int(table.times[-1] - table.times[0])
            if span > held + table.cadence / 2:
                raise SpecError(
                    "a window is no longer than its store",
                    f"{cut.spec.steps} steps over {span / HOUR:g} h, while table {table.name} "
                    f"covers {held / HOUR:g} h",
                    "Give fewer steps, or more data.",
                    f"modality {name}",
                )

    def _valid(self, issue: np.ndarray) -> np.ndarray:
        lead = self._spec.lead_hours * HOUR
        return issue[:, None] + lead * np.arange(self._spec.leads)

    def _issue(self, issue_times: np.ndarray) -> np.ndarray:
        issue = np.asarray(issue_times, dtype=np.int64).reshape(-1)
        off = issue % (self._spec.lead_hours * HOUR) != 0
        if off.any():
            raise SpecError(
                f"an issue time is a multiple of {self._spec.lead_hours} h since 00 UTC",
                to_text(issue[off][0]),
                "Round it down.",
            )
        return issue


def _table(tables: Tables, name: str, modality: str) -> SeriesTable:
    if name not in tables:
        raise SpecError(
            "a store has the table a modality names",
            repr(name),
            f"It has: {', '.join(tables)}.",
            f"modality {modality}",
        )
    return tables[name]  # type: ignore[return-value]


def _target_cut(tables: Tables, spec: ForecastSpec) -> SeriesCut:
    one = ModalitySpec("series", spec.target_table, (spec.target,), spec.leads, spec.lead_hours)
    return SeriesCut(_table(tables, spec.target_table, "target"), one, "target")


def _shift(image_shift: np.ndarray | None, count: int) -> np.ndarray | None:
    if image_shift is None:
        return None
    shift = np.asarray(image_shift, dtype=np.int64)
    if shift.shape != (count,) or (shift < 0).any():
        raise SpecError(
            "image_shift is (B,) frames into the past, 0 or more",
            f"shape {shift.shape}, smallest {shift.min(initial=0)}",
            "A negative shift would show the future.",
        )
    return shift


def _series(cut: SeriesCut, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Values `(B, S, V)` float32 and observed `(B, S, V)`."""
    return torch.from_numpy(cut.values[rows]), torch.from_numpy(cut.observed[rows])


def _images(cut: ImageCut, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Frames `(B, C, T, H, W)` uint8 and observed `(B, C, T)`; unobserved frames hold 0."""
    planes = cut.planes[rows].transpose(0, 2, 1)
    frames = np.take(cut.pixels, planes, axis=0)
    observed = np.ascontiguousarray(cut.observed[rows].transpose(0, 2, 1))
    if not observed.all():
        frames[~observed] = 0
    return torch.from_numpy(frames), torch.from_numpy(observed)

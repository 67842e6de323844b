"""What the checks share: the windows, the forecast, and branch features encoded once.

Branches are encoded once per window. A forecast for any pairing of branches then costs what comes
after the encoders alone: one real window goes in, the encoders are replaced by stored features of
as many windows as wanted, and the rest of the model computes all of them at once.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable, SubjectError
from heliosight.core.ports import WindowSource
from heliosight.core.progress import bar
from heliosight.diagnosis import probes
from heliosight.diagnosis.blocks import block_rows
from heliosight.diagnosis.config import DiagnosisConfig
from heliosight.diagnosis.explainers import Explainer
from heliosight.diagnosis.sample import Sample, sample_of
from heliosight.diagnosis.shifts import shifts
from heliosight.subject import Subject, capture_calls, flat_tensors, replaced

CACHE_BYTES = 2**30
SERIES = 4  # series take the room of one window of images; smaller batches cost more a window
PAST = 200  # windows that a probe can be learned from


@final
class Evidence:
    """A subject and windows ordered in issue time, with everything computed once and kept.

    Raises
    ------
    SubjectError : the windows are not in order of issue time.
    """

    def __init__(
        self,
        subject: Subject,
        batch: Batch,
        config: DiagnosisConfig,
        explainers: Mapping[str, Explainer] | None = None,
        records: Sequence[Mapping[str, Any]] = (),
        more: tuple[WindowSource, np.ndarray] | None = None,
        shared: dict[Any, Any] | None = None,
    ) -> None:
        times = batch.issue_time.cpu().numpy()
        if np.any(np.diff(times) <= 0):
            raise SubjectError(
                "windows are ordered in issue time, none twice",
                "issue times that do not rise",
                "Sort the issue times and drop duplicates.",
            )
        self.subject, self.batch, self.config, self.times = subject, batch, config, times
        self.explainers, self.records = dict(explainers or {}), list(records)
        self._more = more
        self._features: dict[str, Any] = {}
        self.memo: dict[str, Any] = {}
        self._shared: dict[Any, Any] = {} if shared is None else shared

    def prepare(self, statistics: bool) -> None:
        """Compute what many checks share: the forecast; for `statistics` shifts and answers too."""
        _ = self.forecast
        if statistics:
            _ = self.crossable, self.shifted, self.sample

    def twin(self) -> Evidence:
        """The same evidence about a copy of the subject; what is computed is shared."""
        other = copy.copy(self)
        other.subject = self.subject.twin()
        return other

    @property
    def modalities(self) -> list[str]:
        """Names of the input streams."""
        return [name for name in self.subject.spec.modalities if name in self.batch.inputs]

    def of_windows(self, name: Hashable, compute: Callable[[], Any]) -> Any:
        """What depends on the windows and the config alone, computed once; subjects may share."""
        if name not in self._shared:
            self._shared[name] = compute()
        return self._shared[name]

    @property
    def variance(self) -> float:
        """Variance of the forecast within leads.

        Raises
        ------
        NotApplicable : the forecast is constant up to rounding.
        """
        f = self.forecast
        found = float(f.var(0).mean())
        if found <= 1e-12 * max(1e-12, float((f**2).mean())):
            raise NotApplicable("shares of variance need a forecast that varies", "it is constant")
        return found

    @property
    def features(self) -> dict[str, Any]:
        """What each encoder gave for all windows, by modality."""
        _ = self.forecast
        return self._features

    @cached_property
    def few(self) -> Batch:
        """Some windows far apart, for exact checks."""
        return self.batch.select(self.spread(self.config.exact_windows).tolist())

    def spread(self, count: int) -> np.ndarray:
        """`(count,)` indices spread evenly over the windows."""
        return evenly(len(self.batch), count)

    @cached_property
    def rows(self) -> np.ndarray:
        """`(N,)` block of each window."""
        return block_rows(self.times, self.config.block_days)

    @cached_property
    def observed(self) -> tuple[np.ndarray, np.ndarray]:
        """Target in the working scale and its mask, `(N, L)`."""
        y = self.batch.target.double().cpu().numpy()
        y = np.log1p(np.maximum(y, 0.0)) if self.config.scale == "log" else y
        return y, self.batch.target_mask.cpu().numpy()

    @cached_property
    def sample(self) -> Sample:
        """What probes learn from: more windows of the same data if there are, else these."""
        found: Sample = self.of_windows(
            "sample",
            lambda: sample_of(self.batch, self.modalities, self.config, self._more),
        )
        return found

    @cached_property
    def own_sample(self) -> Sample:
        """The same of these windows alone, where a probe is held against the forecast."""
        if self._more is None:
            return self.sample
        return sample_of(self.batch, self.modalities, self.config)

    @cached_property
    def past(self) -> Sample | None:
        """Other windows of the same data, none near these; None when there are few of them."""
        if self._more is None:
            return None
        times = self.sample.times
        away = (times < self.times[0] - probes.GAP) | (times > self.times[-1] + probes.GAP)
        return self.sample.select(np.flatnonzero(away)) if away.sum() >= PAST else None

    @cached_property
    def forecast(self) -> np.ndarray:
        """`(N, L)` in the working scale; the encoders' features are kept on the way.

        Raises
        ------
        SubjectError : some forecast is not finite; told again without computing again.
        """
        if "unusable" in self.memo:
            raise self.memo["unusable"]
        parts, features = [], []
        count, size = len(self.batch), self.config.chunk
        with bar("encode windows", -(-count // size)) as running:
            for start in range(0, count, size):
                y, kept = self._encode(self.batch.select(slice(start, start + size)))
                parts.append(y)
                features.append(kept)
                running.advance()
        self._features = _joined(features, count, size)
        found = np.concatenate(parts)
        if not np.isfinite(found).all():
            bad = int((~np.isfinite(found).all(1)).sum())
            error = SubjectError("a forecast is finite", f"{bad} of {count} windows are not")
            self.memo["unusable"] = error
            raise error
        return found

    def _encode(self, batch: Batch) -> tuple[np.ndarray, dict[str, Any]]:
        parts = {m: f"encoder.{m}" for m in self.modalities}
        with ExitStack() as stack, torch.no_grad():
            calls = {
                m: stack.enter_context(capture_calls(self.subject, part))
                for m, part in parts.items()
                if part in self.subject.parts
            }
            y = self.scaled(batch)
        return y, {m: c.outputs[0] for m, c in calls.items() if len(c) == 1}

    def scaled(self, batch: Batch) -> np.ndarray:
        """`(B, L)` forecast of a batch in the working scale, without a graph."""
        with torch.no_grad():
            wanted = "forecast" if self.config.scale == "ap" else "log_mean"
            return self._scale(self.subject.quantities(batch, (wanted,)))

    def _scale(self, named: Mapping[str, Tensor]) -> np.ndarray:
        if self.config.scale == "ap":
            return named["forecast"].double().cpu().numpy()
        if "log_mean" in named:
            return named["log_mean"].double().cpu().numpy()
        return np.log1p(np.maximum(named["forecast"].double().cpu().numpy(), 0.0))

    @cached_property
    def crossable(self) -> bool:
        """True when every branch is encoded apart and putting stored features back is exact."""
        plain = self.forecast
        if set(self._features) != set(self.modalities):
            return False
        place = self.spread(8)
        try:
            again = self._tail(dict.fromkeys(self.modalities, place))
        except SubjectError:
            return False
        same = again.shape == plain[place].shape
        return same and bool(np.allclose(again, plain[place], rtol=1e-4, atol=1e-4))

    def crossed(self, index: Mapping[str, np.ndarray]) -> np.ndarray:
        """`(M, L)` forecasts where row i has each modality of window `index[modality][i]`."""
        count, size = len(next(iter(index.values()))), 1024 if self.crossable else self.config.chunk
        parts = []
        for start in range(0, count, size):
            piece = {m: place[start : start + size] for m, place in index.items()}
            parts.append(self._tail(piece) if self.crossable else self._whole(piece))
        return np.concatenate(parts)

    def _tail(self, index: Mapping[str, np.ndarray]) -> np.ndarray:
        with ExitStack() as stack:
            for m, place in index.items():
                value = _picked(self._features[m], torch.as_tensor(place), len(self.batch))
                stack.enter_context(replaced(self.subject, f"encoder.{m}", value))
            return self.scaled(self.batch.select(slice(0, 1)))

    def beside(
        self, m: str, rows: np.ndarray, x: Tensor | None = None, seen: Tensor | None = None
    ) -> np.ndarray:
        """`(B, L)` forecasts of windows `rows` in which only modality m is encoded again.

        The other branches are taken from the store.

        x, seen : in place of that modality's input and its mask.
        """
        if not self.crossable:
            return self.scaled(self._changed(m, rows, rows, x, seen))
        return self._beside(m, rows, rows[:1] if self._thins(m) else rows, x, seen)

    def together(self, m: str) -> int:
        """Windows a forward when modality m alone is encoded again: of a series four times more."""
        small = self.crossable and self.batch.inputs[m].ndim == 3
        return self.config.chunk * (SERIES if small else 1)

    def _beside(
        self, m: str, rows: np.ndarray, others: np.ndarray, x: Tensor | None, seen: Tensor | None
    ) -> np.ndarray:
        with ExitStack() as stack:
            for other in self.modalities:
                if other != m:
                    value = _picked(self._features[other], torch.as_tensor(rows), len(self.batch))
                    stack.enter_context(replaced(self.subject, f"encoder.{other}", value))
            return self.scaled(self._changed(m, rows, others, x, seen))

    def _changed(
        self, m: str, rows: np.ndarray, others: np.ndarray, x: Tensor | None, seen: Tensor | None
    ) -> Batch:
        """Windows `rows` with x and seen for modality m; of the other modalities windows `others`.

        One of those is enough where nobody reads them: images cost most to copy and normalise.
        """
        batch, own, few = self.batch, torch.as_tensor(rows), torch.as_tensor(others)

        def of(values: Mapping[str, Tensor], given: Tensor | None) -> dict[str, Tensor]:
            kept = {o: v[few] for o, v in values.items() if o != m}
            return {**kept, m: values[m][own] if given is None else given}

        return Batch(
            of(batch.inputs, x), of(batch.observed, seen),
            batch.issue_time[own], batch.target[own], batch.target_mask[own],
        )  # fmt: skip

    def _thins(self, m: str) -> bool:
        """True when one window of the other modalities gives the same forecasts, tried once."""
        key = f"thin/{m}"
        if key not in self.memo:
            place = self.spread(8)
            try:
                again = self._beside(m, place, place[:1], None, None)
            except SubjectError:
                again = np.zeros(0)
            plain = self.forecast[place]
            self.memo[key] = again.shape == plain.shape and bool(
                np.allclose(again, plain, rtol=1e-4, atol=1e-4)
            )
        return bool(self.memo[key])

    def _whole(self, index: Mapping[str, np.ndarray]) -> np.ndarray:
        first = next(iter(index.values()))
        base = self.batch.select(torch.as_tensor(first))
        inputs = {m: self.batch.inputs[m][torch.as_tensor(p)] for m, p in index.items()}
        masks = {m: self.batch.observed[m][torch.as_tensor(p)] for m, p in index.items()}
        return self.scaled(base.with_inputs(inputs, masks))

    @cached_property
    def shifts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Circular time shifts and which rows may be used under each."""
        full, fewer = self.config.shift_count, 3
        return shifts(self.times, full if self.crossable else fewer, self.config.seed)

    @cached_property
    def shifted(self) -> dict[str, np.ndarray]:
        """`(K, N, L)` forecasts with one modality shifted, by modality; NaN where not usable."""
        place = np.arange(len(self.batch))
        found = {}
        with bar("shift modalities", len(self.modalities) * len(self.shifts)) as running:
            for m in self.modalities:
                kept = []
                for index, usable in self.shifts:
                    y = self.crossed({o: index if o == m else place for o in self.modalities})
                    kept.append(np.where(usable[:, None], y, np.nan))
                    running.advance(note=m)
                found[m] = np.stack(kept)
        return found

    def part(self, role: str) -> str:
        """The role if the subject has it.

        Raises
        ------
        NotApplicable : it has not.
        """
        if role not in self.subject.parts:
            raise NotApplicable(
                f"this check needs the part {role!r}",
                f"parts: {', '.join(self.subject.parts) or 'none'}",
                "Name it with wrap(..., parts=...).",
            )
        return role

    def roles(self, prefix: str) -> list[str]:
        """Roles that begin with `prefix`."""
        return [role for role in self.subject.parts if role.startswith(prefix)]


def evenly(count: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `count` places, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _joined(pieces: Sequence[dict[str, Any]], count: int, size: int) -> dict[str, Any]:
    """Features of all chunks one after the other; nothing when they would not fit in memory."""
    tensors = [t for piece in pieces for t in flat_tensors(piece)]
    stored = sum(t.numel() * t.element_size() for t in tensors)
    names = set.intersection(*(set(piece) for piece in pieces))
    if stored > CACHE_BYTES:
        return {}
    sizes = tuple(min(size, count - start) for start in range(0, count, size))
    return {m: _cat([piece[m] for piece in pieces], sizes) for m in sorted(names)}


def _cat(values: Sequence[Any], sizes: tuple[int, ...]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        axis = _window_axis([tuple(v.shape) for v in values], sizes)
        return first if axis is None else torch.cat([v.detach() for v in values], axis)
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        return dataclasses.replace(first, **_cat([vars(v) for v in values], sizes))
    if isinstance(first, Mapping):
        return {key: _cat([v[key] for v in values], sizes) for key in first}
    if isinstance(first, (tuple, list)):
        return type(first)(_cat(items, sizes) for items in zip(*values, strict=True))
    return first


def _window_axis(shapes: Sequence[tuple[int, ...]], sizes: tuple[int, ...]) -> int | None:
    """The first axis that counts windows: the last state of torch's own GRU has it second."""
    for axis in range(len(shapes[0])):
        if all(shape[axis] == n for shape, n in zip(shapes, sizes, strict=True)):
            return axis
    return None


def _picked(value: Any, place: Tensor, count: int) -> Any:
    if isinstance(value, Tensor):
        axis = _window_axis([tuple(value.shape)], (count,))
        return value if axis is None else value.index_select(axis, place.to(value.device))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **_picked(vars(value), place, count))
    if isinstance(value, Mapping):
        return {key: _picked(item, place, count) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_picked(item, place, count) for item in value)
    return value

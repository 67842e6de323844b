"""The windows a probe learns from: those of the diagnosis, or many more of the same data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.batch import Batch
from heliosight.core.ports import WindowSource
from heliosight.core.progress import bar
from heliosight.diagnosis.answers import Answers, Retina, answers, blank
from heliosight.diagnosis.blocks import block_rows
from heliosight.diagnosis.config import DiagnosisConfig


@final
@dataclass(frozen=True)
class Part:
    """Some inputs: a modality, one channel of it, or its steps but the newest so many."""

    modality: str
    channel: int | None = None
    but_newest: int = 0

    def columns(self, sample: Sample) -> np.ndarray:
        """`(N, P)` what a probe is told of them."""
        found = sample.answers[self.modality]
        if self.channel is not None:
            found = found.channel(self.channel)
        return found.steps(slice(0, found.values.shape[2] - self.but_newest)).features()


@final
@dataclass(frozen=True)
class Sample:
    """Answers of every modality with targets.

    Attributes
    ----------
    answers : by modality. times : `(N,)`. rows : `(N,)` block of each window.
    y, mask : `(N, L)` target in the working scale.
    """

    answers: Mapping[str, Answers]
    times: np.ndarray
    rows: np.ndarray
    y: np.ndarray
    mask: np.ndarray
    config: DiagnosisConfig

    def features(self) -> dict[str, np.ndarray]:
        """`(N, P)` columns of every modality."""
        return {m: a.features() for m, a in self.answers.items()}

    def select(self, index: np.ndarray) -> Sample:
        """The windows of `index`."""
        kept = {m: a.rows(index) for m, a in self.answers.items()}
        times, y, mask = self.times[index], self.y[index], self.mask[index]
        return Sample(kept, times, block_rows(times, self.config.block_days), y, mask, self.config)


def sample_of(
    batch: Batch,
    modalities: Sequence[str],
    config: DiagnosisConfig,
    more: tuple[WindowSource, np.ndarray] | None = None,
) -> Sample:
    """The sample of a batch, or of more windows read a few at a time.

    more : a source and issue times `(N,)`; what is learned of the images is still the batch's.
    """
    retinas = {
        m: Retina.learned(batch.inputs[m]) if batch.inputs[m].ndim == 5 else None
        for m in modalities
    }
    found: dict[str, Answers] = {}
    times, targets, masks = [], [], []
    count = len(batch) if more is None else len(more[1])
    with bar("look at the data", -(-count // config.chunk)) as running:
        at = 0
        for part in _pieces(batch, config.chunk, more):
            for m in modalities:
                piece = answers(part, m, retinas[m])
                # one array made at once: small ones kept between large ones fragment the memory
                found[m] = found.get(m) or blank(piece, count)
                found[m].put(at, piece)
            times.append(part.issue_time.cpu().numpy())
            targets.append(part.target.double().cpu().numpy())
            masks.append(part.target_mask.cpu().numpy())
            at += len(part)
            running.advance()
    when, y = np.concatenate(times), np.concatenate(targets)
    y = np.log1p(np.maximum(y, 0.0)) if config.scale == "log" else y
    return Sample(
        found, when,
        block_rows(when, config.block_days), y, np.concatenate(masks), config,
    )  # fmt: skip


def _pieces(
    batch: Batch, size: int, more: tuple[WindowSource, np.ndarray] | None
) -> Iterator[Batch]:
    if more is None:
        for start in range(0, len(batch), size):
            yield batch.select(slice(start, start + size))
        return
    source, times = more
    for start in range(0, len(times), size):
        yield source.batch(times[start : start + size])

"""What the data hold: the world's oracle where it is simulated, a probe where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.batch import Batch
from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval
from heliosight.core.tables import SeriesTable
from heliosight.diagnosis import probes
from heliosight.diagnosis.answers import Retina, answers
from heliosight.diagnosis.blocks import block_rows, jackknife
from heliosight.evaluation.real import RIDGES, column_groups
from heliosight.evaluation.references import Rows, ridge_references, simple_references
from heliosight.sun import Oracle
from heliosight.workflows.arms import Bench
from heliosight.workflows.config_data import SunData
from heliosight.workflows.study import Study

RANGES = 4
MEMBERS = 16
PROBED = 400


@final
@dataclass(frozen=True)
class Information:
    """What each range of frames adds to all newer ones, `(R,)` R2 and its lower bound.

    Attributes
    ----------
    explained : R2 of everything together, of which what a range adds is a part.
    floor, ceiling : R2 of daily mean log1p(ap) on the test block, mean over days 1 to 3, between
        which the best possible forecast from images and wind lies; None where no oracle knows.
    """

    value: tuple[float, ...]
    low: tuple[float, ...]
    source: str
    explained: float
    floor: Interval | None = None
    ceiling: Interval | None = None


def ranges(frames: int, count: int = RANGES) -> list[tuple[int, int]]:
    """`[begin, end)` of equal ranges of frames, oldest first."""
    edges = np.linspace(0, frames, min(count, frames) + 1).round().astype(int)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def information(bench: Bench) -> Information:
    """From the oracle of a simulated Sun, else from a ridge probe on the trial block."""
    spec = bench.config.spec(bench.system)
    frames = next(m.steps for m in spec.modalities.values() if m.kind == "images")
    data = bench.config.data
    if isinstance(data, SunData):
        return _from_oracle(bench, Oracle(data.sun), frames)
    times = bench.blocks[2]
    take = np.unique(np.linspace(0, len(times) - 1, min(PROBED, len(times))).astype(int))
    source = bench.study.windows(bench.system)
    pieces = [source.batch(part) for part in np.array_split(times[take], max(1, len(take) // 32))]
    return from_probe(Batch.join(pieces), ranges(frames))


def _from_oracle(bench: Bench, oracle: Oracle, frames: int) -> Information:
    """What frames in the middle of each range add, and the bracket of everything together."""
    asked = [27 - (frames - 1 - (a + b - 1) // 2) for a, b in ranges(frames)]
    added = oracle.added(asked)
    each = added.gains
    learn, test = (bench.study.times(bench.system, s) for s in (bench.fold.train, bench.fold.test))
    known = oracle.achievable_on(learn, test, bench.config.improve.knowable_issues, MEMBERS)
    both = [k for k in known if k.information == "both"]
    floor = Interval(float(np.mean([k.floor for k in both])), how="ridge on noise-free features")
    top = float(np.mean([k.ceiling for k in both if k.ceiling is not None]))
    error = float(np.mean([k.error for k in both]))
    about = 1.96 * error if np.isfinite(error) else None  # None: too few blocks for an error
    low, high = (None, None) if about is None else (top - about, top + about)
    ceiling = Interval(top, low, high, how="Monte Carlo of the world")
    value, lows = tuple(v for v, _ in each), tuple(v - 1.96 * e for v, e in each)
    return Information(value, lows, "the world's oracle", added.explained, floor, ceiling)


def from_probe(batch: Batch, spans: list[tuple[int, int]]) -> Information:
    """What each range adds to a ridge on the newer frames (T10's answers), held out in blocks."""
    name = next(m for m, x in batch.inputs.items() if x.ndim == 5)
    y = np.log1p(batch.target.double().numpy())
    mask, times = batch.target_mask.numpy(), batch.issue_time.numpy()
    told = answers(batch, name, Retina.learned(batch.inputs[name]))
    constant = probes.errors(np.zeros((len(y), 0)), y, mask, times).sum(1)
    newer, found = constant, []
    for begin, _ in reversed(spans):
        left = probes.errors(told.steps(slice(begin, None)).features(), y, mask, times).sum(1)
        terms = np.stack([newer - left, constant], 1)
        found.append(jackknife(terms, block_rows(times, 27.0), _gained))
        newer = left
    value = tuple(e.value for e in reversed(found))
    low = tuple(float(e.interval().low or 0.0) for e in reversed(found))
    return Information(value, low, "a ridge probe", max(0.0, sum(value)))


def _gained(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1e-12))


def references(study: Study) -> list[Predictions]:
    """Every reference on the study's folds: simple ones, and ridges on the series it has."""
    ap, wind = study.series("geomagnetic"), study.series("solar_wind")
    holes: SeriesTable | None = None
    if study.has_series("coronal_holes"):
        holes = study.series("coronal_holes")
    rows = Rows.of(ap, study.folds)
    parts = column_groups(ap, wind, holes, rows.issue_time)
    systems = {name: groups for name, groups in RIDGES.items() if set(groups) <= set(parts)}
    simple = simple_references(ap, rows)
    return [*simple.predictions, *ridge_references(rows, parts, systems).predictions]

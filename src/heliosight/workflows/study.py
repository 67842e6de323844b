"""A run's data cut into folds and windows: what training, scoring and examining share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from heliosight.core.clock import DAY, to_seconds
from heliosight.core.errors import ConfigError
from heliosight.core.files import digest
from heliosight.core.folds import Fold
from heliosight.core.tables import Moments, SeriesTable
from heliosight.data.moments import moments
from heliosight.data.splits import folds_hash, save_folds, walk_forward, within
from heliosight.data.store import Store
from heliosight.data.windows import Windows
from heliosight.models import Forecaster, build_forecaster
from heliosight.workflows.run import Run
from heliosight.workflows.store import store_of
from heliosight.zoo.faults import plant


@dataclass(frozen=True)
class Study:
    """One run's store with its folds."""

    run: Run
    store: Store
    folds: tuple[Fold, ...]

    def windows(self, system: str) -> Windows:
        """Windows with the modalities of one system."""
        return Windows(self.store.tables, self.run.config.spec(system))

    def times(self, system: str, span: tuple[int, int]) -> np.ndarray:
        """Issue times `(N,)` of a span at the config's stride, complete targets only."""
        windows = self.windows(system)
        return windows.issue_times(*span, self.run.config.split.stride_hours)

    def moments(self, system: str, fold: Fold) -> dict[str, Moments]:
        """Training moments of every modality, and of log1p(ap) as `target`."""
        windows = self.windows(system)
        times = within(self.times(system, fold.train), fold.train)
        found = moments(windows, times)
        ap = self.series("geomagnetic")
        inside = (ap.times >= fold.train[0]) & (ap.times < fold.train[1])
        log_ap = np.log1p(ap.column("ap")[inside])
        found["target"] = Moments((float(np.nanmean(log_ap)),), (float(np.nanstd(log_ap)),))
        return found

    def series(self, name: str) -> SeriesTable:
        """A series table of the store."""
        table = self.store.tables.get(name)
        if not isinstance(table, SeriesTable):
            raise ConfigError(
                "the store has the series a stage needs", f"no {name!r}", where="data"
            )
        return table

    def fold_number(self, asked: int, where: str) -> int:
        """The fold asked for, -1 being the last; one that does not exist is refused."""
        if not -len(self.folds) <= asked < len(self.folds):
            raise ConfigError(
                "a fold is one of the split's",
                str(asked),
                f"There are {len(self.folds)}, counted from 0; -1 is the last.",
                where,
            )
        return asked % len(self.folds)

    def has_series(self, name: str) -> bool:
        """True when the store has that series table."""
        return isinstance(self.store.tables.get(name), SeriesTable)

    def untrained(
        self, system: str, fold: Fold, known: Mapping[str, Moments] | None = None
    ) -> Forecaster:
        """A forecaster of the config with fresh weights of the run's seed.

        known : its moments, where they have been computed already.
        """
        config = self.run.config
        chosen = {k: v for k, v in config.model.encoders.items() if k in config.systems[system]}
        model = replace(config.model, encoders=chosen)
        spec, moments = config.spec(system), known or self.moments(system, fold)
        built = build_forecaster(model, spec, moments, config.seed)
        plant(built, [f for f in config.faults if f.branch in config.systems[system]])
        return built

    @cached_property
    def split_hash(self) -> str:
        """Hash of the folds."""
        return folds_hash(self.folds)

    @cached_property
    def key(self) -> str:
        """What every later record depends on: data and split."""
        return digest([self.store.hash, self.split_hash, self.run.config.split.stride_hours])


def study_of(run: Run) -> Study:
    """Build or reuse the store, cut the folds, and keep the split beside it as a hashed file."""
    store = store_of(run)
    folds = folds_of(run, store)
    run.folder.mkdir(parents=True, exist_ok=True)
    save_folds(run.folder / "split.json", folds)
    return Study(run, store, folds)


def folds_of(run: Run, store: Store) -> tuple[Fold, ...]:
    """Walk-forward folds of the config over the store's target."""
    split = run.config.split
    target = store.tables["geomagnetic"]
    first = to_seconds(split.first) if split.first else int(target.times[0]) + 60 * DAY
    last = to_seconds(split.end) if split.end else int(target.times[-1]) - 3 * DAY
    if not split.test_starts:
        raise ConfigError("a split names its test blocks", "none", where="split.test_starts")
    starts = [to_seconds(text) for text in split.test_starts]
    blocks = list(zip(starts, [*starts[1:], last], strict=True))
    return walk_forward(first, last, blocks, split.buffer_days, split.validation_share)

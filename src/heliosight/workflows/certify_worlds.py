"""The certificate's worlds: one simulated Sun a spectrum, kept as a store, and planted laws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from heliosight.core import records
from heliosight.core.batch import Batch
from heliosight.core.clock import DAY, HOUR
from heliosight.core.files import digest, is_sealed
from heliosight.core.tables import Moments, SeriesTable, Table
from heliosight.data.moments import moments
from heliosight.data.store import load_store, save_store
from heliosight.data.windows import Windows
from heliosight.sun import SunConfig, simulate
from heliosight.zoo.cases import SPANS
from heliosight.zoo.recipes import law_of
from heliosight.zoo.worlds import SPECTRA, Law, drivers_of, planted_tables, specification

# Shares of a world's time: a whole cycle is learned from, minimum and maximum
TRAIN, VALIDATION, TEST = (0.0, 0.67), (0.685, 0.725), (0.744, 1.0)
QUICK_YEARS, QUICK_PHASE = 2, 0.19  # a short Sun at minimum would show hardly a hole
QUICK_SEED = 12  # a Sun whose two years show enough to learn from in seconds
VALIDATION_HOURS, TEST_HOURS = 12, 24


@dataclass(frozen=True)
class World:
    """One world cut into training, validation and test issue times [UTC s]."""

    windows: Windows
    tables: dict[str, Table]
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    law: Law

    def span(self, number: int) -> np.ndarray:
        """Daily issue times of one of the test spans."""
        return np.array_split(self.test, SPANS)[number]

    def moments(self) -> dict[str, Moments]:
        """Training moments of the inputs, and of log1p(ap) as `target`."""
        found = moments(self.windows, self.train)
        ap = self.tables["geomagnetic"]
        assert isinstance(ap, SeriesTable)
        inside = (ap.times >= self.train[0]) & (ap.times <= self.train[-1])
        y = np.log1p(ap.column("ap")[inside])
        return found | {"target": Moments((float(y.mean()),), (float(y.std()),))}

    def drivers(self, issue_times: np.ndarray) -> dict[str, np.ndarray]:
        """`(N, L)` what of each modality was planted in the windows of issue times."""
        lead = self.windows.spec.lead_hours * HOUR
        valid = issue_times[:, None] + lead * np.arange(self.windows.spec.leads)
        return drivers_of(self.tables, self.law, valid)

    def batch(self, issue_times: np.ndarray, days: float = 0.0) -> Batch:
        """Windows; with `days` their images are that much too old."""
        if not days:
            return self.windows.batch(issue_times)
        cadence = self.windows.spec.modalities["images"].cadence_hours
        shift = np.full(len(issue_times), round(24 * days / cadence))
        return self.windows.batch(issue_times, shift)


def sun_of(spectrum: str, quick: bool) -> SunConfig:
    """The Sun of a spectrum; a quick one is shorter, not at minimum, and its frames are quieter.

    From noisy frames a model learns too little in a few seconds to be healthy.
    """
    sun = SPECTRA[spectrum].sun
    if not quick:
        return sun
    end = f"{int(sun.start[:4]) + QUICK_YEARS}{sun.start[4:]}"
    quiet = {"noise": 1.0, "image_noise": 1.0, "seed": QUICK_SEED}
    return replace(sun, end=end, cycle_phase=QUICK_PHASE, **quiet)  # type: ignore[arg-type]


def keep_sun(folder: Path, spectrum: str, quick: bool) -> Path:
    """Simulate a spectrum's Sun into a store unless it is there; returns its folder."""
    sun = sun_of(spectrum, quick)
    place = folder / f"sun_{spectrum}_{digest(_plain(sun))[:12]}"
    if not is_sealed(place):
        tables = dict(simulate(sun).tables)
        kept = {name: tables[name] for name in ("images", "solar_wind")}
        made = records.provenance("", sun.seed, place.name, {}, simulated=True)
        save_store(place, kept, place.name, {"sun": f"seed {sun.seed}"}, {}, (), made)
    return place


def _plain(sun: SunConfig) -> dict[str, object]:
    return dict(vars(sun))


@cache
def world(store: Path, spectrum: str, law: str, copy: float = 0.0) -> World:
    """A world of a spectrum, planted once per process."""
    chosen = law_of(spectrum, law, copy)
    observed = dict(load_store(store, check_hashes=False).tables)
    tables = planted_tables(observed, chosen, SPECTRA[spectrum].sun.seed)
    windows = Windows(tables, specification(chosen))
    times = tables["geomagnetic"].times
    first, last = int(times[0]) + 30 * DAY, int(times[-1]) - 2 * DAY

    def cut(part: tuple[float, float], hours: int) -> np.ndarray:
        low, high = (int(first + share * (last - first)) for share in part)
        return windows.issue_times(low, high, hours)

    return World(
        windows, tables, cut(TRAIN, 6), cut(VALIDATION, VALIDATION_HOURS), cut(TEST, TEST_HOURS),
        chosen,
    )  # fmt: skip

"""Who caused what: the simulated Sun run again without one of its structures.

The oracle is built from the same dials as the data and is a separate object: nothing that it
knows is in `SimulatedSun`, and nothing that trains may hold one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from heliosight.core.clock import HOUR, to_text
from heliosight.core.errors import DataError
from heliosight.core.tables import SeriesTable
from heliosight.sun.added import Added, added_by_frames
from heliosight.sun.config import SunConfig
from heliosight.sun.footprint import Footprints, footprints
from heliosight.sun.information import Knowable, achievable, knowable_on
from heliosight.sun.sent import Sent, sent_by_frame
from heliosight.sun.structures import Structure
from heliosight.sun.world import (
    DRIVE_KEY,
    STATIC_KEY,
    World,
    build_world,
    coloured_noise,
    reach_back,
    run_index,
    run_wind,
)

LEADS = tuple(range(24))
AHEAD = 12  # hours run past a window, for what is right behind it


@dataclass(frozen=True)
class Truth:
    """What the structures in a window of frames do to the forecast's target.

    Attributes
    ----------
    values : `(C, T, H, W)` float32 attribution [ap, 2 nT], mean over the leads. A structure's
        effect is spread over the pixels that show it, by its contrast over the channel's spread;
        so `values.sum()` is the sum of the effects of all visible structures.
    effects : by structure `(L,)`, ap with it minus ap without it.
    masks : by structure `(T, H, W)` bool, where it shows in any channel.
    unseen : sum of the mean effects of structures that no frame of the window shows.
    interaction : mean effect of removing all, less the sum of the single effects.
    frame_times : `(T,)` UTC seconds; a time before the run starts has an empty frame.
    """

    values: np.ndarray
    effects: Mapping[str, np.ndarray]
    masks: Mapping[str, np.ndarray]
    unseen: float
    interaction: float
    frame_times: np.ndarray

    @property
    def per_frame(self) -> np.ndarray:
        """`(T,)` attribution of each frame [ap]."""
        return self.values.sum(axis=(0, 2, 3))

    @property
    def per_channel(self) -> np.ndarray:
        """`(C,)` attribution of each channel [ap]."""
        return self.values.sum(axis=(1, 2, 3))


@final
class Oracle:
    """Knows the causes of one simulated Sun.

    Effects are interventions: everything runs again without the structure, with the same random
    draws everywhere else. `snap=True` takes ap on its 28 levels, else before rounding.
    """

    def __init__(self, config: SunConfig, drive: SeriesTable | None = None) -> None:
        self.config = config
        self._world = build_world(config, drive)
        self._noise = coloured_noise(self._world)

    def structures(self) -> tuple[Structure, ...]:
        """Every planted structure that lives in the run, in order of birth."""
        return self._world.structures

    def names(self) -> tuple[str, ...]:
        """Names that can be removed: structures, or the one source that stands for all holes."""
        if self._world.drive is None and not self.config.static:
            return tuple(s.key for s in self._world.structures)
        only = DRIVE_KEY if self._world.drive is not None else STATIC_KEY
        return (only, *(s.key for s in self._world.structures if s.kind == "region"))

    def times(self) -> np.ndarray:
        """`(N,)` starts of the run's 3-hour intervals, UTC seconds."""
        return np.arange(self.config.start_second, self.config.stop_second, 3 * HOUR)

    def effect(self, structure: str, snap: bool = True) -> np.ndarray:
        """`(N,)` ap with the structure minus ap without it, at `times()`."""
        return self.removing((structure,), snap)

    def removing(self, structures: Collection[str], snap: bool = True) -> np.ndarray:
        """`(N,)` joint effect of several structures on ap, at `times()`."""
        begin, end = self.config.start_second // HOUR, self.config.stop_second // HOUR
        removed = self._known(structures)
        return self._ap(begin, end, (), snap) - self._ap(begin, end, removed, snap)

    def ap(self, without: Collection[str] = (), snap: bool = True) -> np.ndarray:
        """`(N,)` ap of the whole run without some structures, at `times()`."""
        begin, end = self.config.start_second // HOUR, self.config.stop_second // HOUR
        return self._ap(begin, end, self._known(without), snap)

    def truth(
        self,
        issue_time: int,
        leads: Sequence[int] = LEADS,
        frames: int = 28,
        snap: bool = False,
    ) -> Truth:
        """Attribution of one window: frames that end at or before `issue_time` [UTC s].

        Raises
        ------
        DataError : the leads leave the run, or the issue time is off the 3-hour grid.
        """
        hour = self._issue_hour(issue_time, leads)
        span = (hour + 3 * min(leads), hour + 3 * max(leads) + 3)
        rows = np.asarray(leads) - min(leads)
        whole = self._ap(*span, (), snap)
        effects = {
            key: (whole - self._ap(*span, {key}, snap))[rows] for key in self._candidates(*span)
        }
        nothing = self._ap(*span, set(self.names()), snap)
        total = float((whole - nothing)[rows].mean())
        seen = footprints(self._world, self._frame_times(issue_time, frames), list(effects))
        return _truth(effects, seen, total)

    def sent(
        self, issue_time: int, leads: Sequence[int] = LEADS, frames: int = 28, snap: bool = False
    ) -> Sent:
        """Which frame's wind arrives in the leads, see `sent`; holes only, no CME.

        Raises
        ------
        DataError : the holes are driven by a series, or as `truth`.
        """
        if self._world.drive is not None:
            raise DataError(
                "wind is taken out frame by frame where holes are planted",
                "holes driven by a series",
                "Use a simulated Sun without a drive.",
            )
        hour = self._issue_hour(issue_time, leads)
        span = (hour + 3 * min(leads), hour + 3 * max(leads) + 3)
        rows = np.asarray(leads) - min(leads)
        times = self._frame_times(issue_time, frames)
        return sent_by_frame(
            self._world, times, lambda world: float(self._run(world, *span, (), snap)[rows].mean())
        )

    def achievable(
        self, issues: int = 80, members: int = 32, frames: Sequence[int] = (0, 14, 27)
    ) -> list[Knowable]:
        """How much of daily mean log1p(ap) is knowable, see `information.achievable`."""
        return achievable(self._world, self._noise, issues, members, frames)

    def achievable_on(
        self, learn: np.ndarray, test: np.ndarray, issues: int, members: int
    ) -> list[Knowable]:
        """The same on a block of issue times [UTC s], learned on those of the past."""
        past, block = np.asarray(learn) // HOUR, np.asarray(test) // HOUR
        return knowable_on(self._world, self._noise, past, block, issues, members)

    def added(self, frames: Sequence[int]) -> Added:
        """What each frame adds to the wind and all newer ones, see `added.added_by_frames`."""
        return added_by_frames(self._world, self._noise, frames)

    def _ap(self, begin: int, end: int, without: Collection[str], snap: bool) -> np.ndarray:
        """ap of [begin, end) hours from a run just long enough for every cause that acts there."""
        return self._run(self._world, begin, end, without, snap)

    def _run(
        self, world: World, begin: int, end: int, without: Collection[str], snap: bool
    ) -> np.ndarray:
        from_hour = max(world.first, begin - reach_back(self.config))
        to_hour = min(world.last, end + AHEAD)
        wind = run_wind(world, from_hour, to_hour, without, self._noise)
        ap = run_index(world, from_hour, wind, self._noise)["ap" if snap else "ap_raw"]
        return ap[(begin - from_hour) // 3 : (end - from_hour) // 3]

    def _known(self, structures: Collection[str]) -> set[str]:
        known = set(self.names())
        for key in structures:
            if key not in known:
                raise DataError(
                    "a structure to remove exists", repr(key), "List them with Oracle.names()."
                )
        return set(structures)

    def _candidates(self, begin: int, end: int) -> list[str]:
        """Names whose source or CME can act in [begin, end): all others have no effect there."""
        early = begin - reach_back(self.config)
        acting = {e.key for e in self._world.events if early < e.arrival < end}
        for key, (start, values, _) in self._world.sources.items():
            inside = values[max(early - start, 0) : max(end - start, 0)]
            if inside.any():
                acting.add(key)
        acting |= {DRIVE_KEY, STATIC_KEY}
        return [key for key in self.names() if key in acting]

    def _issue_hour(self, issue_time: int, leads: Sequence[int]) -> int:
        inside = self.config.start_second <= issue_time + 3 * HOUR * min(leads) and (
            issue_time + 3 * HOUR * (max(leads) + 1) <= self.config.stop_second
        )
        if issue_time % (3 * HOUR) or not inside:
            raise DataError(
                "an issue time lies on the 3-hour grid and its leads inside the run",
                to_text(issue_time),
                f"The run is {self.config.start} to {self.config.end}.",
            )
        return int(issue_time) // HOUR

    def _frame_times(self, issue_time: int, frames: int) -> np.ndarray:
        step = self.config.image_cadence_hours * HOUR
        newest = (issue_time - self.config.start_second) // step
        return self.config.start_second + step * np.arange(newest - frames + 1, newest + 1)


def _truth(effects: Mapping[str, np.ndarray], seen: Footprints, total: float) -> Truth:
    values = np.zeros(seen.shape, dtype=np.float32)
    unseen, single = 0.0, 0.0
    masks = {}
    for key, effect in effects.items():
        mean = float(effect.mean())
        single += mean
        share = seen.share(key)
        masks[key] = seen.mask(key)
        if share is None:
            unseen += mean
        else:
            values += np.float32(mean) * share
    return Truth(values, effects, masks, unseen, total - single, seen.times)

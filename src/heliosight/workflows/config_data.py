"""Where a run's data come from, and which moments a config may name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from heliosight.core.clock import to_seconds
from heliosight.core.errors import ConfigError
from heliosight.core.spec import ModalitySpec
from heliosight.core.variables import IMAGE_CHANNELS, STEP
from heliosight.data.latency import CUTOFF_MINUTES, Known
from heliosight.sun import SunConfig


@dataclass(frozen=True)
class SunData:
    """A simulated Sun: images, wind and index.

    Attributes
    ----------
    band : the frames show an equatorial band whose area follows this Sun's own daily coronal-hole
        area, as those of `driven` follow the real one: a world to learn from before that.
    """

    type: Literal["sun"] = "sun"
    sun: SunConfig = field(default_factory=SunConfig)
    band: bool = False


@dataclass(frozen=True)
class ArchiveData:
    """Files of the archives on disk: OMNI2, Kp/ap, coronal-hole area, and images if there are any.

    Attributes
    ----------
    root : folder that holds `omni2/`, `kp_ap/` and `coronal_holes/`.
    first_year, last_year : inclusive.
    images : folder with one sub-folder of PNG or FITS frames per channel; empty for none.
    size, image_cadence_hours : of the frames in the store.
    latency, cutoff_minutes : when values count as known; see `data/latency.py`.
    """

    type: Literal["archives"] = "archives"
    root: str = "../shared/data"
    images: str = ""
    size: int = 64
    image_cadence_hours: int = 6
    first_year: int = 2011
    last_year: int = 2022
    latency: dict[str, float] = field(default_factory=dict)
    cutoff_minutes: float = CUTOFF_MINUTES

    def __post_init__(self) -> None:
        Known(self.latency, self.cutoff_minutes)


@dataclass(frozen=True)
class DrivenData:
    """Real wind and ap; images of a simulated Sun whose coronal-hole area follows the real one."""

    type: Literal["driven"] = "driven"
    archives: ArchiveData = field(default_factory=ArchiveData)
    sun: SunConfig = field(default_factory=SunConfig)


@dataclass(frozen=True)
class EventData:
    """Published event files (HDF5), any number, overlapping.

    list : CSV event list; listed issue times without a file are told on the dataset card.
    latency, cutoff_minutes : when values count as known; `events` is the source's name.
    """

    type: Literal["events"] = "events"
    folder: str = ""
    list: str = ""
    latency: dict[str, float] = field(default_factory=dict)
    cutoff_minutes: float = CUTOFF_MINUTES

    def __post_init__(self) -> None:
        Known(self.latency, self.cutoff_minutes)


@dataclass(frozen=True)
class StoreData:
    """A store that was built before."""

    type: Literal["store"] = "store"
    folder: str = ""


@dataclass(frozen=True)
class FetchedData:
    """What `heliosight data fetch` left in a folder, or any folder of images laid out like it.

    Attributes
    ----------
    start, end : span [start, end), ISO 8601; empty for all there is.
    at : only what was retrieved by then; empty for everything.
    channels : of images; empty for none.
    size, image_cadence_hours : of the frames in the store.
    degradation : folder of `degrad_193.csv` and so on, or a table that aiapy reads; empty leaves
        AIA as it dims.
    ignore_quality : bits of QUALITY that do not make an image bad.
    workers : processes of this machine.
    shard : `i/n` builds the share of one of n machines and no store; empty builds all.
    latency : hours after which a source's values count as known, by source, in place of those in
        `data/latency.py`. cutoff_minutes : from a 3-hour mark to the making of its forecast.
    """

    type: Literal["fetched"] = "fetched"
    folder: str = "archives"
    start: str = ""
    end: str = ""
    at: str = ""
    channels: tuple[str, ...] = IMAGE_CHANNELS
    size: int = 64
    image_cadence_hours: int = 6
    degradation: str = ""
    ignore_quality: int = 0
    workers: int = 2
    shard: str = ""
    latency: dict[str, float] = field(default_factory=dict)
    cutoff_minutes: float = CUTOFF_MINUTES

    def __post_init__(self) -> None:
        Known(self.latency, self.cutoff_minutes)
        for name in ("start", "end", "at"):
            if text := getattr(self, name):
                require_moment(text, f"data.{name}")
        if self.image_cadence_hours < 1 or 24 % self.image_cadence_hours:
            raise ConfigError(
                "images are a divisor of 24 hours apart", str(self.image_cadence_hours),
                where="data.image_cadence_hours",
            )  # fmt: skip
        if not 8 <= self.size <= 4096 or not 1 <= self.workers <= 64:
            raise ConfigError(
                "frames are 8 to 4096 pixels, workers 1 to 64", f"{self.size}, {self.workers}",
                where="data",
            )  # fmt: skip


DataConfig = SunData | ArchiveData | DrivenData | EventData | StoreData | FetchedData


def require_finite(value: Any, where: str) -> None:
    """Refuse NaN and infinity anywhere in a plain config: YAML can say both."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            require_finite(inner, f"{where}.{key}".lstrip("."))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            require_finite(inner, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError("a number is finite", repr(value), where=where)


def require_steps(modality: ModalitySpec, where: str) -> None:
    """Refuse an input without a step, a spacing or a pixel."""
    least = {"steps": 1, "cadence_hours": 1, "size": 1, "lag_hours": 0}
    for name, low in least.items():
        if getattr(modality, name) < low:
            raise ConfigError(
                f"{name} is {low} or more", repr(getattr(modality, name)), where=f"{where}.{name}"
            )


def require_moment(text: str, where: str) -> int:
    """UTC seconds of an ISO 8601 text."""
    try:
        return to_seconds(text)
    except ValueError as error:
        raise ConfigError("a time is ISO 8601", repr(text), where=where) from error


def require_time(text: str, where: str) -> None:
    """Refuse what is no time on the 3-hour grid."""
    seconds = require_moment(text, where)
    if seconds % STEP:
        raise ConfigError("an issue time lies on the 3-hour grid", repr(text), where=where)

"""Published event files.

Layout (HDF5, one file per issue time T): `omni/<variable>` `(steps,)` every 3 h from `t_start`,
`sdo/<channel>` `(frames, 1, H, W)` or `(frames, H, W)` uint8 every 6 h from `t_start`; attributes
`t_target` (T), `t_start`, `t_end`. Neighbouring events overlap: one continuous table holds each
stamp once.

The 28 frames of a file run from T - 7 d to T - 6 h, so a specification that repeats its windows
gives its images `lag_hours=6`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np

from heliosight.core.clock import HOUR, to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.core.progress import track
from heliosight.core.tables import MISSING, ImageTable, Table
from heliosight.core.variables import IMAGE_CHANNELS, STEP
from heliosight.data.assemble import require_file, series
from heliosight.data.omni2 import FILLS, kp_from_tenths
from heliosight.data.quality import bad_frames

FRAME_STEP = 6 * HOUR
# Names of the published study and the vocabulary's; a vocabulary name is accepted as it is.
OMNI_NAMES = {
    "bx_gse_gsm_nt": "bx_gse",
    "by_gsm_nt": "by_gsm",
    "bz_gsm_nt": "bz_gsm",
    "b_magnitude_of_avg_field_vector_nt": "b_total",
    "plasma_flow_speed_km_s": "speed",
    "proton_density_n_cm3": "density",
    "proton_temperature_k": "temperature",
    "kp_index": "kp",
    "ap_index_nt": "ap",
    "dst_index_nt": "dst",
    "f10_7_index_sfu": "f107",
    "sunspot_number_r": "sunspot_number",
}
_INDICES = ("kp", "ap")
_KNOWN = {**{name: name for name in FILLS}, **OMNI_NAMES}


@final
@dataclass(frozen=True)
class Events:
    """What many event files hold together.

    Attributes
    ----------
    tables : "solar_wind", "geomagnetic" and "images", those that the files have.
    issue_times : `(E,)` T of every file, ascending.
    conflicts : one line per stamp and variable on which overlapping files disagree; the value of
        the file given first was kept.
    """

    tables: dict[str, Table]
    issue_times: np.ndarray
    conflicts: tuple[str, ...]


@dataclass
class _Gathered:
    """Values by stamp while files are read one after another."""

    series: dict[str, dict[int, float]] = field(default_factory=dict)
    images: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)

    def add_series(self, name: str, start: int, values: np.ndarray, path: Path) -> None:
        known = self.series.setdefault(name, {})
        for i, value in enumerate(values.tolist()):
            stamp = start + i * STEP
            old = known.get(stamp, np.nan)
            if np.isnan(old):
                known[stamp] = value
            elif not np.isnan(value) and abs(old - value) > 1e-4 * max(abs(old), 1.0):
                self.conflicts.append(
                    f"{name} at {to_text(stamp)}: {old:g} kept, {value:g} in {path.name}"
                )

    def add_images(self, name: str, start: int, frames: np.ndarray, path: Path) -> None:
        known = self.images.setdefault(name, {})
        for i, frame in enumerate(frames):
            stamp = start + i * FRAME_STEP
            if stamp not in known:
                known[stamp] = frame
            elif not np.array_equal(known[stamp], frame):
                self.conflicts.append(
                    f"{name} at {to_text(stamp)}: another frame in {path.name}, the first kept"
                )


def read_events(paths: Iterable[Path | str]) -> Events:
    """Continuous tables of event files that overlap in time.

    Raises
    ------
    DataError : not HDF5 or cut off, no `omni` or `sdo` group, a dataset where a group belongs or
        the reverse, an unknown variable or channel, another shape, a missing or unreadable
        time attribute, steps that do not fit [t_start, t_end), a stamp off the 3-hour grid, two
        files of one issue time.
    """
    files = [require_file(Path(path)) for path in paths]
    if not files:
        raise DataError("reading needs at least one event file", "none", "Give *.h5 files.")
    gathered = _Gathered()
    issues: dict[int, Path] = {}
    for path in track(files, "reading events", len(files)):
        issue = _read_file(path, gathered)
        if issue in issues:
            raise DataError(
                "every event file has its own issue time",
                f"{to_text(issue)} is also in {issues[issue].name}",
                "Remove one of them.",
                str(path),
            )
        issues[issue] = path
    tables = {**_series_tables(gathered.series), **_image_tables(gathered.images, files[0])}
    return Events(tables, np.array(sorted(issues), dtype=np.int64), tuple(gathered.conflicts))


def _read_file(path: Path, gathered: _Gathered) -> int:
    try:
        with h5py.File(path, "r") as file:
            return _read_groups(file, path, gathered)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise DataError(
            "an event file is a whole HDF5 file",
            f"{error}".split("\n")[0],
            "Check that the file is what its name says, or make it again.",
            str(path),
        ) from error


def _read_groups(file: Any, path: Path, gathered: _Gathered) -> int:
    start, issue, end = (_moment(file, key, path) for key in ("t_start", "t_target", "t_end"))
    if start % STEP or not start < issue <= end:
        raise DataError(
            "t_start lies on the 3-hour grid and before t_target, t_end not before it",
            f"{to_text(start)}, {to_text(issue)}, {to_text(end)}",
            where=str(path),
        )
    if "omni" not in file and "sdo" not in file:
        raise DataError("an event file has a group omni or sdo", f"{sorted(file)}", where=str(path))
    for key, values in _datasets(file, "omni", path).items():
        name, clean = _variable(key, values, path, (end - start) // STEP)
        gathered.add_series(name, start, clean, path)
    for key, frames in _datasets(file, "sdo", path).items():
        gathered.add_images(key, start, _frames(key, frames, path), path)
    return issue


def _datasets(file: Any, name: str, path: Path) -> dict[str, Any]:
    """The datasets of one group by name; empty when the file has no such group."""
    if name not in file:
        return {}
    if not isinstance(file[name], h5py.Group):
        raise DataError(
            f"{name} is a group of datasets",
            type(file[name]).__name__.lower(),
            "The file is of another layout.",
            str(path),
        )
    members = dict(file[name].items())
    for key, member in members.items():
        if not isinstance(member, h5py.Dataset):
            raise DataError(
                f"{name} holds datasets alone",
                f"{key!r} is {'a broken link' if member is None else 'a group'}",
                "The file is of another layout.",
                f"{path} [{name}/{key}]",
            )
    return members


def _moment(file: Any, key: str, path: Path) -> int:
    raw = file.attrs.get(key)
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        return to_seconds(text) if isinstance(text, str) else int(text)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"attribute {key} is an ISO 8601 time or UTC seconds",
            repr(raw),
            "Write t_target, t_start and t_end into the file.",
            str(path),
        ) from error


def _variable(key: str, dataset: Any, path: Path, steps: int) -> tuple[str, np.ndarray]:
    """Vocabulary name and `(steps,)` values, NaN where filled."""
    place = f"{path} [omni/{key}]"
    if key not in _KNOWN:
        raise DataError(
            "an omni variable is known", repr(key), f"Known: {', '.join(_KNOWN)}.", place
        )
    values = np.asarray(dataset[()])
    if values.dtype.kind not in "uif" or values.ndim != 1 or len(values) not in (steps, steps + 1):
        raise DataError(
            f"an omni variable is ({steps},) numbers, one every 3 h from t_start to t_end",
            f"{values.dtype} {values.shape}",
            "The file is truncated or of another layout.",
            place,
        )
    name = _KNOWN[key]
    filled = _is_fill(values, FILLS[name])
    values = np.where(filled, np.nan, values.astype(np.float64))
    # The published kp_index is OMNI2's word 39: ten times Kp.
    return name, kp_from_tenths(values) if key == "kp_index" else values


def _is_fill(values: np.ndarray, fills: tuple[float, ...]) -> np.ndarray:
    """`(steps,)` bool: a fill as the file's own type rounds it (999.9 is 999.900024 in float32).

    The tolerance takes fills that were float32 before they were written as float64.
    """
    found = np.zeros(values.shape, dtype=bool)
    for fill in fills:
        found |= np.isclose(values.astype(np.float64), fill, rtol=1e-6, atol=0.0)
        if values.dtype.kind == "f":
            with np.errstate(over="ignore"):
                found |= values == values.dtype.type(fill)
    return found


def _frames(key: str, dataset: Any, path: Path) -> np.ndarray:
    """`(frames, H, W)` uint8."""
    place = f"{path} [sdo/{key}]"
    if key not in IMAGE_CHANNELS:
        raise DataError(
            "an sdo channel is known", repr(key), f"Known: {', '.join(IMAGE_CHANNELS)}.", place
        )
    frames = np.asarray(dataset[()])
    flat = frames[:, 0] if frames.ndim == 4 and frames.shape[1] == 1 else frames
    if flat.ndim != 3 or flat.dtype != np.uint8 or flat.shape[1] != flat.shape[2]:
        raise DataError(
            "an sdo channel is (frames, 1, H, W) or (frames, H, W) uint8, square",
            f"{frames.dtype} {frames.shape}",
            "The file is of another layout.",
            place,
        )
    return flat


def _series_tables(values: Mapping[str, Mapping[int, float]]) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    # as in the archives' OMNI, the indices are inputs beside the wind as well as the target
    wind = [name for name in values if name not in _INDICES]
    groups = {
        "solar_wind": [*wind, *(name for name in _INDICES if wind and name in values)],
        "geomagnetic": [name for name in _INDICES if name in values],
    }
    for table, names in groups.items():
        if not names:
            continue
        stamps = sorted({stamp for name in names for stamp in values[name]})
        columns = {
            name: np.array([values[name].get(stamp, np.nan) for stamp in stamps]) for name in names
        }
        tables[table] = series(table, np.array(stamps, dtype=np.int64), STEP, columns)
    return tables


def _image_tables(images: Mapping[str, Mapping[int, np.ndarray]], first: Path) -> dict[str, Table]:
    if not images:
        return {}
    channels = tuple(name for name in IMAGE_CHANNELS if name in images)
    shapes = {frame.shape for name in channels for frame in images[name].values()}
    if len(shapes) > 1:
        raise DataError(
            "all frames have one size",
            f"{sorted(shapes)}",
            "Read files of one size at a time.",
            str(first.parent),
        )
    stamps = sorted({stamp for name in channels for stamp in images[name]})
    frames = np.zeros((len(stamps), len(channels), *shapes.pop()), dtype=np.uint8)
    flags = np.full(frames.shape[:2], MISSING, dtype=np.uint8)
    for i, stamp in enumerate(stamps):
        for c, name in enumerate(channels):
            if stamp in images[name]:
                frames[i, c], flags[i, c] = images[name][stamp], 0
    flags |= np.where(flags & MISSING, 0, bad_frames(frames)).astype(np.uint8)
    times = np.array(stamps, dtype=np.int64)
    return {"images": ImageTable("images", times, FRAME_STEP, channels, frames, flags)}

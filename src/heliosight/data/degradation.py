"""How much of its first sensitivity AIA still has, day by day.

Source: curves made with aiapy from the SDO calibration tables (Boerner et al. 2014,
doi:10.1007/s11207-013-0452-z), or such a table itself, read by aiapy (extra `solar`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from heliosight.core.clock import DAY, to_seconds, to_text
from heliosight.core.errors import DataError
from heliosight.data.assemble import check_rising, read_text, require_file

Throughput = Callable[[str, int], float]


@final
@dataclass(frozen=True)
class Curve:
    """Throughput `(N,)` relative to launch at UTC seconds `(N,)`."""

    times: np.ndarray
    throughput: np.ndarray

    def at(self, time: int) -> float:
        """The throughput of a moment, between days linearly.

        Raises
        ------
        DataError : more than a day beyond the curve's ends.
        """
        if not self.times[0] - DAY <= time <= self.times[-1] + DAY:
            raise DataError(
                "a degradation curve covers the frames",
                f"{to_text(time)}; it ends {to_text(int(self.times[-1]))}",
                "Give a newer curve, or build without correction: data.degradation=''.",
            )
        return float(np.interp(time, self.times, self.throughput))


def read_curve(path: Path | str) -> Curve:
    """A curve `"2010-05-01T12:00:00.000",0.998` a line.

    Raises
    ------
    DataError : an unreadable line, times that do not rise, a throughput outside (0, 1.5].
    """
    path = Path(path)
    rows = [line.rsplit(",", 1) for line in read_text(path, "a degradation curve").splitlines()]
    try:
        times = np.array([to_seconds(row[0].strip().strip('"')) for row in rows])
        values = np.array([float(row[1]) for row in rows])
    except (ValueError, IndexError) as error:
        raise DataError(
            "a line is a time and a throughput", str(error)[:80], "Fetch it again.", str(path)
        ) from error
    check_rising(times, lambda i: f"line {i + 1}", str(path))
    if not np.all((values > 0) & (values <= 1.5)):
        raise DataError(
            "a throughput is a share of that at launch", f"{values.min():g} to {values.max():g}",
            "Another quantity?", str(path),
        )  # fmt: skip
    return Curve(times, values)


def throughput_of(place: Path | str, channels: tuple[str, ...]) -> Throughput:
    """A function of channel and time from a folder of curves, or from a table that aiapy reads.

    Parameters
    ----------
    place : folder with `degrad_193.csv` and so on, or an `aia_V*_response_table.txt`.
    channels : those that will be asked for; HMI is not among what degrades here.

    Raises
    ------
    DataError : nothing there; a table without aiapy.
    """
    waves = {name: int(name.removeprefix("aia_")) for name in channels if name.startswith("aia_")}
    if Path(place).is_file():
        from heliosight.data.aiapy_door import aiapy_throughput

        return aiapy_throughput(Path(place), waves)
    curves = {
        name: read_curve(require_file(Path(place) / f"degrad_{wave}.csv"))
        for name, wave in waves.items()
    }
    return lambda channel, time: curves[channel].at(time)

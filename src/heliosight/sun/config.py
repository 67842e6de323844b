"""The dials of the simulated Sun: each one is a healthy or an ill world for a later stage."""

from __future__ import annotations

from dataclasses import dataclass

from heliosight.core.clock import HOUR, to_seconds
from heliosight.core.errors import ConfigError

_SHARES = ("image_information", "redundancy", "missing", "bad_frames", "cycle_phase")
_SCALES = ("noise", "image_noise", "texture", "cme_share", "hole_share")


@dataclass(frozen=True)
class SunConfig:
    """What to simulate.

    Attributes
    ----------
    start, end : ISO 8601, UTC; whole hours that the 3-hour grid meets; `end` is exclusive.
    seed : names every random stream.
    size : pixels on a side of the square frame.
    image_cadence_hours : spacing of the frames; divides a day.
    image_information : share of the structures that the frames really show; the others are
        hidden and replaced by as many decoys that cause nothing (0..1).
    redundancy : how far upstream the wind is measured, as a share of 72 h: at 1 the wind table
        holds three days ahead what the images could tell (0..1). Above 0 the wind table is
        NOT causal: it is a monitor that cannot exist, a world for testing redundancy.
    memory_hours : e-folding memory of the magnetosphere [h] (0..240).
    noise : scale of what no structure causes in wind and index, 1 is realistic (0..10); the
        background polarity is left alone.
    image_noise : scale of the frames' pixel noise, 1 is realistic (0..10).
    texture : scale of the quiet Sun's network and haze in the EUV frames, 1 is realistic (0..10).
    cme_share : scale of the CME rate, 1 is realistic (0..10).
    hole_share : scale of the coronal holes' effect on the wind, 1 is realistic (0..10).
    static : the source does not rotate: one hole at a fixed place, whose size follows what the
        rotating Sun would have sent.
    missing, bad_frames : share of absent and of badly exposed frames (0..1).
    cycle_phase : phase of the 11-year cycle at `start`, 0 is minimum (0..1).
    """

    start: str = "2011-01-01"
    end: str = "2023-01-01"
    seed: int = 0
    size: int = 64
    image_cadence_hours: int = 6
    image_information: float = 1.0
    redundancy: float = 0.0
    memory_hours: float = 2.0
    noise: float = 1.0
    image_noise: float = 1.0
    texture: float = 1.0
    cme_share: float = 1.0
    hole_share: float = 1.0
    static: bool = False
    missing: float = 0.002
    bad_frames: float = 0.003
    cycle_phase: float = 0.19

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, with the rule."""
        self._check_span()
        if self.image_cadence_hours <= 0 or 24 % self.image_cadence_hours:
            raise ConfigError(
                "an image cadence divides a day",
                f"{self.image_cadence_hours} h",
                "Use 1, 2, 3, 4, 6, 8, 12 or 24.",
                "image_cadence_hours",
            )
        if not 16 <= self.size <= 1024:
            raise ConfigError("a frame has 16 to 1024 pixels a side", str(self.size), where="size")
        for name in _SHARES:
            self._check_range(name, 1.0)
        for name in _SCALES:
            self._check_range(name, 10.0)
        self._check_range("memory_hours", 240.0)

    def _check_span(self) -> None:
        for name in ("start", "end"):
            if self._seconds(name) % (3 * HOUR):
                raise ConfigError(
                    "start and end lie on the 3-hour grid", getattr(self, name), where=name
                )
        if self.stop_second <= self.start_second:
            raise ConfigError(
                "the end comes after the start", f"{self.start} to {self.end}", where="end"
            )

    def _seconds(self, name: str) -> int:
        try:
            return to_seconds(getattr(self, name))
        except ValueError as error:
            raise ConfigError(
                "a time is ISO 8601 text", repr(getattr(self, name)), where=name
            ) from error

    def _check_range(self, name: str, high: float) -> None:
        if not 0 <= getattr(self, name) <= high:
            raise ConfigError(
                f"this dial lies between 0 and {high:g}", repr(getattr(self, name)), where=name
            )

    @property
    def start_second(self) -> int:
        """First moment, UTC seconds."""
        return self._seconds("start")

    @property
    def stop_second(self) -> int:
        """First moment after the last, UTC seconds."""
        return self._seconds("end")

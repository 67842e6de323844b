"""How thorough a diagnosis is, and the effects it cares about, fixed before it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from heliosight.core.errors import ConfigError

Level = Literal["quick", "standard", "full"]
Scale = Literal["log", "ap"]


@dataclass(frozen=True)
class DiagnosisConfig:
    """Settings of a diagnosis.

    Attributes
    ----------
    level : `quick` runs the exact checks and the output checks, `standard` adds use, channels,
        frames, memory and fusion, `full` adds T16, draws four times the shifts and twice the
        subset.
    checks : identifiers to run, empty for all of the level.
    windows : at most this many, spread evenly over the issue times given.
    exact_windows : windows of the exact checks.
    shifts : circular time shifts of a replaced modality.
    subset : windows of the frame-by-frame and crossing measurements.
    block_days : length of the blocks along time [d]; a solar rotation.
    min_blocks, min_effective : abstain below this many blocks or effective samples.
    level_of_test : size of every test, and of the false discovery control in a family.
    smallest_use : a share of forecast variance below which an input counts as unused.
    smallest_gain : a share of target variance below which skill counts as unchanged.
    smallest_miss : a share of target variance that a probe must gain beside the forecast before
        the forecast is said to miss something; what a healthy model of the certificate may leave.
    detectable : a planted signal of this share of target variance must have been found before
        "the data do not hold it" may be said.
    scale : forecasts and observations are compared as log1p(ap) or as ap.
    chunk : windows a forward.
    explained : windows that an explainer is asked about (T22-T24).
    probed : at most this many windows for T10's probes, where a source offers more of the data.
    """

    level: Level = "standard"
    checks: tuple[str, ...] = ()
    windows: int = 512
    exact_windows: int = 4
    shifts: int = 16
    subset: int = 32
    block_days: float = 27.0
    min_blocks: int = 8
    min_effective: float = 50.0
    level_of_test: float = 0.05
    smallest_use: float = 0.01
    smallest_gain: float = 0.01
    smallest_miss: float = 0.03
    detectable: float = 0.05
    scale: Scale = "log"
    chunk: int = 16
    explained: int = 24
    probed: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (
            "windows",
            "exact_windows",
            "shifts",
            "subset",
            "chunk",
            "min_blocks",
            "explained",
            "probed",
        )
        for name in counts:
            if getattr(self, name) < 2:
                raise ConfigError("a count is at least 2", str(getattr(self, name)), where=name)
        shares = ("level_of_test", "smallest_use", "smallest_gain", "smallest_miss", "detectable")
        for name in shares:
            if not 0 < getattr(self, name) < 0.5:
                raise ConfigError(
                    "a share lies between 0 and 0.5", str(getattr(self, name)), where=name
                )
        if not self.block_days > 0:
            raise ConfigError("a block has a length", f"{self.block_days} d", where="block_days")

    @property
    def shift_count(self) -> int:
        """Shifts that are drawn at this level."""
        return self.shifts * (4 if self.level == "full" else 1)

    @property
    def subset_count(self) -> int:
        """Windows of a subset at this level."""
        return self.subset * (2 if self.level == "full" else 1)

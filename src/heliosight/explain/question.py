"""What is asked of a method: which target of which window, compared with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

from heliosight.core.batch import Batch
from heliosight.core.errors import ConfigError
from heliosight.explain.attribution import Attribution
from heliosight.explain.baselines import WORDS, baseline_named
from heliosight.explain.evaluator import Evaluator
from heliosight.explain.holes import ACTIVE_REGIONS, HOLES, RegionConfig

METHOD_NAMES = (
    "grad_cam",
    "grad_cam_plus_plus",
    "hires_cam",
    "integrated_gradients",
    "expected_gradients",
    "gradient_x_input",
    "smooth_grad",
    "occlusion",
)
LEAST_NULLS = 19
FILLS = ("disc_median", "rotation_earlier", "rotation_later", "phase_scrambled")


@final
@dataclass(frozen=True)
class ExplainConfig:
    """How a window is explained.

    Attributes
    ----------
    target : named function of the forecast, see `targets`.
    methods : which methods, in the order of the result.
    baseline : what gradients methods compare with, a name of `baselines.WORDS`.
    layers : parts whose calls Grad-CAM reads; empty takes the last cell of each image modality.
    steps : integrated-gradient steps n; the gap is reported at n and 2n.
    samples : draws of expected gradients and SmoothGrad.
    noise : SmoothGrad's noise as a share of each channel's or variable's spread.
    fill : what occlusion puts in place of a patch.
    patch, patch_frames : occlusion's patch in pixels and frames.
    series_steps : occlusion's span of solar-wind steps.
    chunk : windows computed at once.
    nulls : random maps the faithfulness check compares with; 19 is the fewest that can reach 0.05.
    importance_windows, donors : windows and replacements of the importance profiles; 0 windows
        leaves them out.
    quick : leave out the checks that repeat a method on another network or input.
    """

    target: str = "mean_ap_day1"
    methods: tuple[str, ...] = METHOD_NAMES
    baseline: str = "disc_median"
    layers: tuple[str, ...] = ()
    steps: int = 16
    samples: int = 16
    noise: float = 0.1
    fill: str = "disc_median"
    patch: int = 16
    patch_frames: int = 7
    series_steps: int = 8
    chunk: int = 4
    nulls: int = 19
    importance_windows: int = 8
    donors: int = 2
    quick: bool = False
    seed: int = 0
    holes: RegionConfig = field(default_factory=lambda: HOLES)
    active_regions: RegionConfig = field(default_factory=lambda: ACTIVE_REGIONS)

    def __post_init__(self) -> None:
        unknown = [name for name in self.methods if name not in METHOD_NAMES]
        if unknown or not self.methods:
            raise ConfigError(
                "explanations come from known methods, at least one",
                ", ".join(unknown) or "none",
                f"Known: {', '.join(METHOD_NAMES)}.",
                "explain.method.methods",
            )
        if self.baseline not in WORDS:
            baseline_named(self.baseline)
        if self.fill not in FILLS:
            raise ConfigError(
                "occlusion fills a patch with something physical",
                repr(self.fill),
                f"Known: {', '.join(FILLS)}.",
                "explain.method.fill",
            )
        counts = ("steps", "samples", "patch", "patch_frames", "series_steps", "chunk", "donors")
        small = [name for name in counts if getattr(self, name) < 1]
        small += [name for name in ("importance_windows",) if getattr(self, name) < 0]
        small += [name for name in ("nulls",) if getattr(self, name) < LEAST_NULLS]
        if small or not 0 < self.noise < 10:
            raise ConfigError(
                f"counts and sizes are at least 1, nulls {LEAST_NULLS}, noise within 0 and 10",
                ", ".join(f"{name} {getattr(self, name)}" for name in small) or f"{self.noise}",
                where="explain",
            )


@final
@dataclass(frozen=True)
class Question:
    """One window's question.

    Attributes
    ----------
    evaluator : target and subject; batch : the window, floating inputs; context : other windows.
    part, modality : the recurrent part Grad-CAM reads and the images it sees, empty without one.
    """

    evaluator: Evaluator
    batch: Batch
    context: Batch | None
    config: ExplainConfig
    part: str = ""
    modality: str = ""


Method = Callable[[Question], Attribution]

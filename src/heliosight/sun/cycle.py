"""The 11-year cycle: how many structures appear, and at which latitude."""

from __future__ import annotations

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.sun.config import SunConfig

CYCLE_HOURS = 11.0 * 365.25 * 24


def phase(config: SunConfig, hours: np.ndarray | float) -> np.ndarray:
    """Cycle phase 0..1 at hours since 1970, 0 is minimum, any shape."""
    since = np.asarray(hours, dtype=np.float64) - config.start_second / HOUR
    return (config.cycle_phase + since / CYCLE_HOURS) % 1.0


def activity(at: np.ndarray | float) -> np.ndarray:
    """Relative sunspot activity 0..1: sin^2(pi phase), maximum in the middle."""
    return np.sin(np.pi * np.asarray(at)) ** 2


def hole_activity(at: np.ndarray | float) -> np.ndarray:
    """Relative number of low-latitude coronal holes 0..1: most in the declining phase.

    A Gaussian about phase 0.68 on a floor; it follows the yearly mean wind speed 2011-2022.
    """
    distance = (np.asarray(at) - 0.68 + 0.5) % 1.0 - 0.5
    return 0.40 + 0.60 * np.exp(-0.5 * (distance / 0.17) ** 2)


def spot_latitude(at: np.ndarray | float) -> np.ndarray:
    """Mean unsigned emergence latitude [deg], drifting equatorward.

    28 exp(-t / 90 months) deg, t since minimum (Hathaway 2011, Solar Physics 273, 221).
    """
    return 28.0 * np.exp(-np.asarray(at) * 11 * 12 / 90.0)

"""The Kp and ap scales and the NOAA storm classes built on them.

Source: Bartels' 28-step table as published by GFZ (Matzka et al. 2021, doi:10.1029/2020SW002641);
storm classes by NOAA SWPC, where G1 begins at Kp = 5- (ap >= 39).
ap is unitless: two nT a step at 50 degrees of latitude.
"""

from __future__ import annotations

import numpy as np

AP_LEVELS = np.array(
    [0, 2, 3, 4, 5, 6, 7, 9, 12, 15, 18, 22, 27, 32, 39, 48, 56, 67, 80, 94, 111, 132, 154, 179,
     207, 236, 300, 400],
    dtype=np.float64,
)  # fmt: skip
KP_LEVELS = np.arange(28) / 3.0
KP_NAMES = tuple(f"{round(k / 3)}{'o+-'[k % 3]}" for k in range(28))
# Storm classes as the smallest ap that belongs to them.
STORM_AP = {"G1": 39.0, "G2": 67.0, "G3": 111.0, "G4": 179.0, "G5": 400.0}
STORM_KP = {"G1": "5-", "G2": "6-", "G3": "7-", "G4": "8-", "G5": "9o"}
EVENT_CLASSES = ("G1", "G2", "G3")


def ap_of_kp(kp: np.ndarray) -> np.ndarray:
    """ap of Kp given in decimal thirds (2.667 is 3-), any shape; NaN stays NaN."""
    kp = np.asarray(kp, dtype=np.float64)
    step = np.rint(3 * np.nan_to_num(kp)).astype(int).clip(0, 27)
    return np.where(np.isnan(kp), np.nan, AP_LEVELS[step])


def kp_step_of_ap(ap: np.ndarray) -> np.ndarray:
    """Nearest of the 28 steps (0..27) to each ap, measured in log1p(ap), any shape."""
    levels = np.log1p(AP_LEVELS)
    between = (levels[1:] + levels[:-1]) / 2
    return np.searchsorted(between, np.log1p(np.asarray(ap, dtype=np.float64)))


def kp_of_ap(ap: np.ndarray) -> np.ndarray:
    """Kp in decimal thirds of the nearest step to each ap; NaN stays NaN."""
    ap = np.asarray(ap, dtype=np.float64)
    return np.where(np.isnan(ap), np.nan, KP_LEVELS[kp_step_of_ap(np.nan_to_num(ap))])


def snap_ap(ap: np.ndarray) -> np.ndarray:
    """The nearest level of the real ap scale."""
    return AP_LEVELS[kp_step_of_ap(ap)]


def storm_threshold(storm: str) -> float:
    """The continuous ap above which a value belongs to the class.

    ap has 28 levels, so a continuous forecast is compared with the midpoint between the class's
    smallest level and the level below: G1 (ap >= 39, level below 32) gives 35.5.
    """
    level = STORM_AP[storm]
    below = AP_LEVELS[np.searchsorted(AP_LEVELS, level) - 1]
    return float((level + below) / 2)

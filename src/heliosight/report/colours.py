"""Colours with a meaning: storm classes as NOAA prints them, signed attribution, lines.

The storm colours are those of NOAA SWPC's scales and of the GFZ Kp plots. Green to red cannot be
told apart by everybody, so figures print the class and the level beside the colour.
"""

from __future__ import annotations

import numpy as np

from heliosight.core.geomagnetic import STORM_AP

NOAA = {
    "G0": "#92d050",
    "G1": "#f6eb14",
    "G2": "#ffc800",
    "G3": "#ff9600",
    "G4": "#ff0000",
    "G5": "#c80000",
}
# Orange raises the forecast, blue lowers it: told apart by every kind of colour vision.
RAISES, LOWERS = (255, 125, 0), (0, 140, 255)
MOST_OPAQUE = 215  # of 255: the image still shows under the strongest attribution
# Okabe and Ito's colours (Color Universal Design, 2008), without yellow, which fades on white.
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555", "#8c564b")
DASHES = ("", "6 3", "2 2", "8 3 2 3", "1 3", "10 4", "4 1", "3 3")


def storm_class(ap: float) -> str:
    """`G0` .. `G5` of an ap value on the real ap scale."""
    reached = [name for name, least in STORM_AP.items() if ap >= least]
    return reached[-1] if reached else "G0"


def lightened(colour: str, strength: float) -> str:
    """A `#rrggbb` mixed with white: 1 is the colour itself, 0 white."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    red, green, blue = (round(255 - (255 - part) * strength) for part in parts)
    return hex_colour((red, green, blue))


def hex_colour(rgb: tuple[int, int, int]) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def signed_overlay(values: np.ndarray, scale: float) -> np.ndarray:
    """RGBA uint8 `(..., 4)` of signed values: hue is the sign, opacity |value| / scale.

    Zero is fully transparent; beyond `scale` the colour saturates. One scale serves every frame
    and channel of an explanation, so that two frames can be compared.
    """
    strength = np.clip(np.abs(values) / scale, 0.0, 1.0) if scale > 0 else np.zeros(values.shape)
    colour = np.where((values >= 0)[..., None], np.array(RAISES), np.array(LOWERS))
    # 64 steps of opacity cannot be told from 256 by eye and halve the file.
    alpha = np.rint(strength * 63) / 63 * MOST_OPAQUE
    return np.concatenate([colour, alpha[..., None]], axis=-1).round().astype(np.uint8)


def common_scale(values: np.ndarray, coverage: float = 0.999) -> float:
    """One colour scale for all frames and channels: the |value| that `coverage` do not exceed."""
    size = np.abs(values[np.isfinite(values)])
    if size.size == 0 or size.max() == 0:
        return 0.0
    scale = float(np.quantile(size, coverage))
    return scale if scale > 0 else float(size.max())

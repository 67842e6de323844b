"""Wind variability that no structure causes: autoregressions driven by blocks of white noise."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from heliosight.core.seeding import numpy_stream

BLOCK_HOURS = 720
# name: (e-folding time [h], standard deviation); "slow" and "fast" parts of one field add up.
PROCESSES = {
    "source": (46.0, 46.0),  # speed of the source [km/s]
    "speed": (5.0, 9.0),  # at the Earth [km/s]
    "density": (14.0, 0.40),  # log
    "temperature": (10.0, 0.45),  # log
    "field": (20.0, 0.28),  # log
    "bx_fast": (1.6, 0.45),  # direction of the field, in units of its spiral part
    "by_fast": (1.6, 0.45),
    "bz_fast": (1.6, 0.50),
    "bx_slow": (10.0, 0.40),
    "by_slow": (10.0, 0.40),
    "bz_slow": (10.0, 0.32),
    "kp": (4.0, 0.60),  # Kp that no wind explains
    "sector": (180.0, 1.0),  # background polarity
}
NAMES = tuple(PROCESSES)
AT_THE_SUN = ("source", "sector")  # these travel; the others act where they are measured


def white(seed: int, first: int, last: int, suns: str = "wind") -> np.ndarray:
    """`(hours, processes)` standard normal draws of [first, last); blocks counted from 1970."""
    blocks = range(first // BLOCK_HOURS, (last - 1) // BLOCK_HOURS + 1)
    drawn = [
        numpy_stream(seed, suns, block).standard_normal((BLOCK_HOURS, len(NAMES)))
        for block in blocks
    ]
    offset = first - blocks[0] * BLOCK_HOURS
    return np.concatenate(drawn)[offset : offset + last - first]


def coloured(draws: np.ndarray) -> dict[str, np.ndarray]:
    """First-order autoregressions `(..., hours)` of white draws `(..., hours, processes)`.

    x_t = k x_{t-1} + s sqrt(1 - k^2) e_t with k = exp(-1 h / tau); x starts from a stationary
    draw, so its variance is s^2 from the first hour.
    """
    series = {}
    for column, (name, (memory, size)) in enumerate(PROCESSES.items()):
        keep = np.exp(-1.0 / memory)
        kicks = draws[..., column] * size * np.sqrt(1 - keep**2)
        kicks[..., 0] /= np.sqrt(1 - keep**2)
        series[name] = lfilter([1.0], [1.0, -keep], kicks, axis=-1)
    return series

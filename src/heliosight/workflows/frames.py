"""A forecaster shown real frames whose dates are unknown, in place of its store's images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from heliosight.core.clock import HOUR
from heliosight.core.errors import ConfigError
from heliosight.core.spec import ForecastSpec
from heliosight.core.tables import Tables
from heliosight.data.npz_frames import frame_count, read_npz
from heliosight.data.windows import Windows

NOTE = "real frames of unknown date beside the store's own solar wind: looks, not forecasts"


def with_frames(
    tables: Tables, spec: ForecastSpec, path: str, issue: int
) -> tuple[Windows, np.ndarray]:
    """Windows whose newest frame at `issue` is the file's last, and the issue times it allows.

    Returns
    -------
    The windows, and `(N,)` issue times 3 h apart, the last at `issue`, with every frame there.
    """
    images = {m.table: m for m in spec.modalities.values() if m.kind == "images"}
    if len(images) != 1:
        raise ConfigError(
            "real frames take the place of one image modality", f"{len(images)}", where="frames"
        )
    table, modality = next(iter(images.items()))
    cadence = modality.cadence_hours * HOUR
    count = frame_count(Path(path), modality.variables[0])
    times = issue - cadence * np.arange(count)[::-1]
    frames = read_npz(Path(path), times, modality.variables, modality.size, cadence, table)
    spare = count - modality.steps
    if spare < 0:
        raise ConfigError(
            f"a stack of frames fills a window of {modality.steps}", str(count), where="frames"
        )
    issues = issue - 3 * HOUR * np.arange(spare * cadence // (3 * HOUR) + 1)[::-1]
    return Windows({**tables, table: frames}, spec), issues.astype(np.int64)

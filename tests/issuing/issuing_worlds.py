"""A made-up forecast as it is issued."""

import numpy as np

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.issued import STATUSES, IssuedArrays, IssuedForecast
from heliosight.core.records import Provenance

ISSUE = to_seconds("2015-03-17T00:00:00Z")
LEVELS = (0.05, 0.5, 0.95)
REFERENCES = ("climatology", "damped")


def issued(n=1, key="c" * 64, withheld=False):
    init = ISSUE + 10800 * np.arange(n)
    rng = np.random.default_rng(0)
    q = np.sort(rng.uniform(2, 90, (n, 24, 3)), -1).astype(np.float32)
    if withheld:
        q[0] = np.nan
    arrays = IssuedArrays(
        init, init[:, None] + 10800 * np.arange(24), q, q[..., 1],
        rng.uniform(0, 1, (n, 3, 5)).astype(np.float32),
        np.stack([q, q], 1), np.stack([q[..., 1]] * 2, 1),
        rng.uniform(0, 1, (n, 2, 3, 5)).astype(np.float32),
        np.array([[1.0, np.nan]] * n, np.float32), np.zeros((n, 2), np.int16),
        np.full(n, 2 if withheld else 0, np.int8),
    )  # fmt: skip
    record = IssuedForecast(
        Provenance("heliosight forecast", key=key, simulated=True),
        tuple(to_text(t) for t in init), "2026-01-01T00:00:00Z", system="full", levels=LEVELS,
        storms=("G1", "G2", "G3", "G4", "G5"), references=REFERENCES,
        input_names=("wind.speed", "wind.ap"), answers=("damped" if withheld else "network",) * n,
        statuses=(STATUSES[2 if withheld else 0],) * n, reasons=("",) * n,
    )  # fmt: skip
    return record, arrays

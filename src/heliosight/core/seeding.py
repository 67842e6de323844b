"""Random streams named by what they are for, so that one draw never shifts another."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def stream_seed(seed: int, *names: object) -> int:
    """A 63-bit seed for the stream called `names` under a run's seed."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_stream(seed: int, *names: object) -> np.random.Generator:
    """A NumPy generator for one named stream."""
    return np.random.default_rng(stream_seed(seed, *names))


def torch_stream(seed: int, *names: object) -> torch.Generator:
    """A torch CPU generator for one named stream."""
    return torch.Generator().manual_seed(stream_seed(seed, *names))

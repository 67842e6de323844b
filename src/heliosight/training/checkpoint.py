"""Checkpoints: where a run stands, written whole, read without pickle, refused when foreign.

Random draws come from streams named by (seed, epoch, step), so the position is all the random
state there is, and a checkpoint of two processes continues in one.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from heliosight.core import config as configs
from heliosight.core.arrays import BROKEN
from heliosight.core.errors import RecordError
from heliosight.core.files import digest, write_bytes
from heliosight.core.ports import WindowSource
from heliosight.training.config import TrainingConfig
from heliosight.training.weights import require_same_shapes, shapes_of

CHECKPOINT, BEST = "checkpoint.pt", "best.safetensors"
FORMAT = 1


@dataclass
class Position:
    """Where a run stands; the only thing in this room that changes.

    Attributes
    ----------
    stage, stage_epoch : the stage and the epochs done in it; epoch : epochs done in all.
    step : optimiser steps done in the running epoch.
    best, best_epoch, stale : lowest validation loss of the stage, its epoch, epochs since.
    sums : running totals of the epoch's record.
    log_bytes : length of the log when the checkpoint was written.
    done : nothing is left to do.
    """

    stage: int = 0
    stage_epoch: int = 0
    epoch: int = 0
    step: int = 0
    best: float = float("inf")
    best_epoch: int = 0
    stale: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    log_bytes: int = 0
    seconds: float = 0.0
    done: bool = False

    def next_stage(self) -> None:
        """Begin the stage after this one; its loss may be another, so best is counted anew."""
        self.stage, self.stage_epoch = self.stage + 1, 0
        self.best, self.stale = float("inf"), 0


@dataclass(frozen=True)
class Identity:
    """What a checkpoint belongs to, as digests."""

    config: str
    split: str
    data: str


def identity(
    config: TrainingConfig,
    train_times: np.ndarray,
    validation_times: np.ndarray,
    source: WindowSource,
    data_hash: str,
) -> Identity:
    """Digests of config, split and data; the data's covers a few windows beside `data_hash`.

    Where it runs and how often it saves may change between start and resumption.
    """
    settings = configs.dump(replace(config, device="auto", checkpoint_steps=0))
    split = [np.asarray(t, "int64").tolist() for t in (train_times, validation_times)]
    ends = train_times[[0, len(train_times) // 2, -1]]
    return Identity(digest(settings), digest(split), digest([data_hash, _probe(source, ends)]))


def _probe(source: WindowSource, times: np.ndarray) -> str:
    """Digest of some windows' inputs and targets."""
    batch = source.batch(times)
    tensors = [*batch.inputs.values(), *batch.observed.values(), batch.target, batch.target_mask]
    return digest([t.to(torch.float64).sum((-1,)).tolist() for t in tensors])


def write_checkpoint(
    path: Path, model: nn.Module, optimiser: Any, position: Position, owner: Identity
) -> None:
    """Everything a run needs to go on, in one file that is whole or absent."""
    content = {
        "format": FORMAT,
        "owner": asdict(owner),
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "position": asdict(position),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def read_checkpoint(path: Path, model: nn.Module, owner: Identity) -> dict[str, Any]:
    """The content of a checkpoint of this very run.

    Raises
    ------
    RecordError : broken, no file, of another format, architecture, config, split or data.
    """
    if not path.is_file():  # opening a pipe would wait for ever
        raise RecordError("a training goes on from a file", "none", "Start anew.", str(path))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found, saved = content["format"], dict(content["owner"])
        shapes, _ = shapes_of(dict(content["model"])), Position(**content["position"])
        content["optimiser"]["state"]
    except (*BROKEN, AttributeError, IndexError, pickle.UnpicklingError) as error:
        do = "Restore it, or delete it to start anew."
        raise RecordError("a checkpoint is whole", type(error).__name__, do, str(path)) from None
    if found != FORMAT:
        raise RecordError(f"a checkpoint has format {FORMAT}", str(found), "", str(path))
    require_same_shapes(shapes, shapes_of(model.state_dict()), str(path))
    foreign = [f.name for f in fields(owner) if saved.get(f.name) != getattr(owner, f.name)]
    if foreign:
        raise RecordError(
            "a checkpoint continues the same config, split and data",
            f"another {' and '.join(foreign)}",
            "Use another folder, or start anew with resume=False.",
            str(path),
        )
    return content

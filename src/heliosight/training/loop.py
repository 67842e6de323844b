"""The training loop, whole: an epoch is steps, a validation, a decision, a checkpoint."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heliosight.core.ports import WindowSource
from heliosight.core.progress import Bar, bar
from heliosight.training.checkpoint import BEST
from heliosight.training.config import TrainingConfig
from heliosight.training.groups import train_only
from heliosight.training.journal import LOG
from heliosight.training.protocol import Trainable
from heliosight.training.run import Run, Times, evenly
from heliosight.training.step import require_finite, summed, take_step
from heliosight.training.views import feature_views
from heliosight.training.weights import load_weights


@dataclass(frozen=True)
class TrainResult:
    """What came out; the model holds the weights of `best_epoch`.

    Attributes
    ----------
    epochs : epochs run, early stopping included. best_epoch : counted from 1 over all stages.
    validation_loss : of the last stage's best epoch.
    parameters : number of parameters. seconds : spent training, over all resumptions.
    weights : safetensors of the best epoch. log : JSON lines, see `journal.read_log`.
    """

    epochs: int
    best_epoch: int
    validation_loss: float
    parameters: int
    seconds: float
    weights: Path
    log: Path


def train(
    model: Trainable,
    source: WindowSource,
    train_times: np.ndarray,
    validation_times: np.ndarray,
    config: TrainingConfig,
    folder: Path,
    resume: bool = True,
    *,
    data_hash: str = "",
    teacher: WindowSource | None = None,
) -> TrainResult:
    """Train `model` on windows issued at `train_times`, choosing by those of `validation_times`.

    Killed at any moment and started again with the same arguments, it goes on from the last
    checkpoint and, on a CPU, ends with the very same weights. Under torchrun each process takes
    its share (see `distributed.torchrun_group`).

    Parameters
    ----------
    train_times, validation_times : `(N,)` int64 UTC seconds.
    folder : takes the checkpoint, the best weights and the log.
    data_hash : of the store; a checkpoint made with another one is refused.
    teacher : series windows (`lessons.teacher_spec`) for heads that speak at every frame or name
        coronal-hole areas; it is never an input.

    Raises
    ------
    ConfigError : a group, stage or switch that does not fit the model or the device.
    SpecError : model, windows or blocks disagree.
    RecordError : the folder's checkpoint is broken or belongs to another run.
    TrainingStopped : a value that is not finite; the last checkpoint is intact.
    """
    times = Times(
        np.asarray(train_times, np.int64),
        evenly(np.asarray(validation_times, np.int64), config.validation_windows),
    )
    run = Run(model, source, times, config, folder, data_hash, teacher)
    run.open_journal(resume)
    devices = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(devices), bar("training", run.all_steps) as progress:
        progress.advance(run.steps_done)
        while not run.position.done:
            _epoch(run, progress)
    run.team.wait()
    load_weights(run.model, folder / BEST)
    return _result(run)


def _epoch(run: Run, progress: Bar) -> None:
    """Every step not done yet, then validation, then what follows from it."""
    size, order = run.config.step_windows, run.order()
    if run.position.step == 0 and run.position.stage_epoch == 0:
        run.journal.write("stage", epoch=run.position.epoch + 1, name=run.stage.name)
    started, first = time.monotonic(), run.position.step
    while run.position.step < run.epoch_steps:
        here = run.position.step * size
        loss = take_step(run, order[here : here + size])
        run.position.step += 1
        best = f" best {run.position.best:.4f}" if math.isfinite(run.position.best) else ""
        progress.advance(1, f"{run.stage.name} loss {loss:.4f}{best}")
        every = run.config.checkpoint_steps
        if every and run.position.step % every == 0 and run.position.step < run.epoch_steps:
            run.save()
    windows = run.epoch_windows - first * size
    rate = windows / max(time.monotonic() - started, 1e-9)
    _conclude(run, _validate(run), rate)
    run.save()


@torch.no_grad()
def _validate(run: Run) -> dict[str, Any]:
    """The stage's loss on the validation block: whole windows, no augmentation."""
    run.model.train(False)
    times, size = run.times.validation, run.config.batch_size
    parts: Counter[str] = Counter()
    total = torch.zeros(2, dtype=run.dtype, device=run.device)
    views: dict[str, Any] = {}
    for start in range(0, len(times), size):
        mine = times[start : start + size][run.team.share]
        if len(mine):
            batch = run.source.batch(mine).to(run.device, run.dtype)
            with run.autocast():
                output = run.model(batch)
            sums = run.objective.sums(output, batch, run.speed(batch), run.lesson(batch, output))
            parts.update({n: float(x) for n, x in sums.items()})
            total += run.objective.weights(batch)
            views = views or feature_views(output.features, run.source.spec)
    run.team.add(total)
    tensors = {n: torch.tensor(x, dtype=torch.float64) for n, x in summed(run, parts).items()}
    divided = run.objective.divided(tensors, total.double().cpu())
    train_only(run.model, run.trained)
    found = {n: float(x) for n, x in divided.items()}
    require_finite(run, sum(found.values()), {})
    return {"loss": sum(found.values()), "parts": found, "features": views}


def _conclude(run: Run, validation: dict[str, Any], rate: float) -> None:
    """Log the epoch, keep the best, and move on: to the next epoch, stage or the end."""
    p, loss = run.position, validation["loss"]
    p.epoch, p.stage_epoch, p.step = p.epoch + 1, p.stage_epoch + 1, 0
    better = loss < p.best - run.config.stopping.margin
    _note_epoch(run, validation, rate, better)
    p.sums = {}
    if better:
        p.best, p.best_epoch, p.stale = loss, p.epoch, 0
        run.save_best()
    else:
        p.stale += 1
    patience = run.config.stopping.patience
    if p.stage_epoch < run.stage.epochs and (patience is None or p.stale < patience):
        return
    if p.stage + 1 < len(run.config.plan):
        p.next_stage()
        run.enter_stage()
    else:
        p.done = True


def _note_epoch(run: Run, validation: dict[str, Any], rate: float, better: bool) -> None:
    p = run.position
    steps = p.sums["steps"]
    shares = {k.split("/")[1]: x / steps for k, x in p.sums.items() if k.startswith("clipped/")}
    run.journal.write(
        "epoch",
        epoch=p.epoch,
        stage=run.stage.name,
        loss=p.sums["loss"] / steps,
        validation_loss=validation["loss"],
        validation_parts=validation["parts"],
        better=better,
        clipped_share=shares,
        frames=run.config.curriculum.frames(p.epoch - 1),
        windows_per_second=rate,
        **validation["features"],
    )


def _result(run: Run) -> TrainResult:
    p = run.position
    return TrainResult(
        epochs=p.epoch,
        best_epoch=p.best_epoch,
        validation_loss=p.best,
        parameters=sum(x.numel() for x in run.model.parameters()),
        seconds=p.seconds,
        weights=run.folder / BEST,
        log=run.folder / LOG,
    )

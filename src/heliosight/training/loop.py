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
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.clock import to_text
from heliosight.core.errors import ConfigError, TrainingStopped
from heliosight.core.ports import WindowSource
from heliosight.core.progress import Bar, bar
from heliosight.core.seeding import stream_seed
from heliosight.training.checkpoint import BEST
from heliosight.training.config import TrainingConfig
from heliosight.training.groups import clip, schedule, set_rates, train_only
from heliosight.training.journal import LOG
from heliosight.training.protocol import Trainable
from heliosight.training.run import Run, Times
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

    Raises
    ------
    ConfigError : a group, stage or switch that does not fit the model or the device.
    SpecError : model, windows or blocks disagree.
    RecordError : the folder's checkpoint is broken or belongs to another run.
    TrainingStopped : a value that is not finite; the last checkpoint is intact.
    """
    times = Times(np.asarray(train_times, np.int64), np.asarray(validation_times, np.int64))
    run = Run(model, source, times, config, folder, data_hash)
    run.open_journal(resume)
    devices = [run.device] if run.device.type == "cuda" else []
    steps = run.epoch_steps * sum(s.epochs for s in config.plan)
    with torch.random.fork_rng(devices), bar("training", steps) as progress:
        progress.advance(run.position.epoch * run.epoch_steps + run.position.step)
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
        loss = _step(run, order[here : here + size])
        run.position.step += 1
        progress.advance(1, f"{run.stage.name} loss {loss:.4f} best {run.position.best:.4f}")
        every = run.config.checkpoint_steps
        if every and run.position.step % every == 0 and run.position.step < run.epoch_steps:
            run.save()
    windows = (run.epoch_steps - first) * size
    rate = windows / max(time.monotonic() - started, 1e-9)
    _conclude(run, _validate(run), rate)
    run.save()


def _step(run: Run, times: np.ndarray) -> float:
    """One optimiser step over `times`; returns its loss."""
    size, position = run.config.batch_size, run.position
    batches = [run.load(times[i : i + size], i) for i in range(0, len(times), size)]
    total = _normalisers(run, batches)
    run.optimiser.zero_grad(set_to_none=True)
    parts: Counter[str] = Counter()
    for place, batch in enumerate(batches):
        if batch is not None:
            where = (position.epoch, position.step, place, run.team.rank)
            torch.manual_seed(stream_seed(run.config.seed, "forward", *where))
            parts.update(_backward(run, batch, total))
    run.team.add_gradients([p for g in run.trained for p in run.groups[g].values()])
    parts = _summed(run, parts)
    loss = sum(parts.values())
    norms, clipped = clip(run.groups, run.config.clipping)
    _require_finite(run, loss, norms)
    done = position.stage_epoch * run.epoch_steps + position.step
    share = schedule(done, run.stage.epochs * run.epoch_steps, run.config.optimiser)
    rates = set_rates(run.optimiser, share)
    run.optimiser.step()
    _note_step(run, loss, parts, rates, norms, clipped)
    return loss


def _backward(run: Run, batch: Batch, total: Tensor) -> dict[str, float]:
    """Add the gradient of this batch's share of the step's loss; returns the loss's parts."""
    with run.autocast():
        output = run.forward(batch)
    parts = run.objective.divided(run.objective.sums(output, batch, run.speed(batch)), total)
    loss = torch.stack(list(parts.values())).sum() if parts else total[0]
    if not loss.requires_grad:
        raise ConfigError(
            "a stage's loss reaches the groups it trains",
            f"groups {', '.join(run.trained)}, loss parts {', '.join(parts) or 'none'}",
            "Give the model auxiliary heads, or the stage a main_weight.",
            f"stage {run.stage.name}",
        )
    loss.backward()
    return {name: float(x.detach()) for name, x in parts.items()}


def _normalisers(run: Run, batches: list[Batch | None]) -> Tensor:
    """Lead weight and windows of the whole step over all processes, `(2,)`.

    A batch with a value that is not finite stops every process.
    """
    held = [b for b in batches if b is not None]
    problems = [text for text in map(_fault, held) if text]
    total = torch.zeros(3, dtype=run.dtype, device=run.device)
    for batch in held:
        total[:2] += run.objective.weights(batch)
    total[2] = len(problems)
    run.team.add(total)
    if total[2] > 0:
        raise TrainingStopped(
            "every value of a batch is finite",
            problems[0] if problems else "another process's batch",
            "Mend the data; the same command goes on from the last checkpoint.",
            _place(run),
        )
    return total[:2]


def _fault(batch: Batch) -> str:
    """The first modality and issue time with a value that is not finite, or nothing."""
    named = {**batch.inputs, "target": batch.target}
    for name, x in named.items():
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            row = int((~torch.isfinite(x)).flatten(1).any(1).nonzero()[0])
            return f"{name} of the window issued {to_text(int(batch.issue_time[row]))}"
    return ""


def _require_finite(run: Run, loss: float, norms: dict[str, float]) -> None:
    bad = [f"gradient norm of {n}" for n, x in norms.items() if not math.isfinite(x)]
    bad = bad if math.isfinite(loss) else ["loss", *bad]
    if bad:
        raise TrainingStopped(
            "loss and gradients are finite",
            ", ".join(bad),
            "Lower the learning rate or the clipping limit; the last checkpoint is intact.",
            _place(run),
        )


def _place(run: Run) -> str:
    p = run.position
    return f"stage {run.stage.name}, epoch {p.epoch + 1}, step {p.step + 1}"


def _summed(run: Run, parts: Counter[str]) -> Counter[str]:
    """Loss parts over all processes; one that had no windows adds zeros."""
    names = run.objective.names
    values = torch.tensor([parts[n] for n in names], dtype=torch.float64, device=run.device)
    summed = zip(names, run.team.add(values).tolist(), strict=True)
    return Counter({name: x for name, x in summed if x})


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
            sums = run.objective.sums(output, batch, run.speed(batch))
            parts.update({n: float(x) for n, x in sums.items()})
            total += run.objective.weights(batch)
            views = views or feature_views(output.features, run.source.spec)
    run.team.add(total)
    tensors = {n: torch.tensor(x, dtype=torch.float64) for n, x in _summed(run, parts).items()}
    divided = run.objective.divided(tensors, total.double().cpu())
    train_only(run.model, run.trained)
    found = {n: float(x) for n, x in divided.items()}
    _require_finite(run, sum(found.values()), {})
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


def _note_step(
    run: Run,
    loss: float,
    parts: Counter[str],
    rates: dict[str, float],
    norms: dict[str, float],
    clipped: dict[str, bool],
) -> None:
    p, sums = run.position, Counter(run.position.sums)
    sums.update({"loss": loss, "steps": 1, **{f"clipped/{n}": int(x) for n, x in clipped.items()}})
    p.sums = dict(sums)
    run.journal.write(
        "step",
        epoch=p.epoch + 1,
        step=p.step + 1,
        loss=loss,
        parts=dict(parts),
        rates=rates,
        gradient_norms=norms,
        clipped=clipped,
    )


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

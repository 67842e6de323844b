"""One optimiser step: draw, forward, sum over processes, check, clip, move, note."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import torch
from torch import Tensor

from heliosight.core.batch import Batch
from heliosight.core.clock import to_text
from heliosight.core.errors import ConfigError, TrainingStopped
from heliosight.core.seeding import stream_seed
from heliosight.training.groups import clip, schedule, set_rates
from heliosight.training.run import Run


def take_step(run: Run, times: np.ndarray) -> float:
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
    parts = summed(run, parts)
    loss = sum(parts.values())
    norms, clipped = clip(run.groups, run.config.clipping)
    require_finite(run, loss, norms)
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
    sums = run.objective.sums(output, batch, run.speed(batch), run.lesson(batch, output))
    parts = run.objective.divided(sums, total)
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


def require_finite(run: Run, loss: float, norms: dict[str, float]) -> None:
    """Raise `TrainingStopped` when the loss or a gradient norm is not finite."""
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


def summed(run: Run, parts: Counter[str]) -> Counter[str]:
    """Loss parts over all processes; one that had no windows adds zeros."""
    names = run.objective.names
    values = torch.tensor([parts[n] for n in names], dtype=torch.float64, device=run.device)
    summed = zip(names, run.team.add(values).tolist(), strict=True)
    return Counter({name: x for name, x in summed if x})


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

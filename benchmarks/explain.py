"""Explanations side by side: same numbers, interleaved rounds, medians of CPU time.

    python benchmarks/explain.py [--shape full|patch4|tiny] [--rounds N] [--repeats N]

Ratios above 1 are faster than the plain way. Three comparisons on a ConvLSTM forecaster, one
window, textbook cells:

- `grad_cam`: the published loop (one forward and one backward with weight gradients per frame,
  the same map every time) against all frames' maps from one backward;
- `temporal_importance`: one full forward per replaced frame against remembered prefix calls;
- `integrated_gradients`: one forward and one backward with weight gradients per step against
  input gradients in chunks.

The published loop and the plain gradient loop repeat one identical computation; `--repeats` of
them are timed and scaled to the number of frames or steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.progress import bar
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.explain.evaluator import Evaluator, expand
from heliosight.explain.gradcam import cam, states_of
from heliosight.explain.gradients import integrated_gradients
from heliosight.explain.question import ExplainConfig, Question
from heliosight.explain.replay import remembered_calls
from heliosight.explain.targets import target_named
from heliosight.models.convlstm import ConvLSTM
from heliosight.subject import wrap

# channels, hidden, layers, side of the map, frames
SHAPES = {"full": (3, 64, 2, 64, 28), "patch4": (16, 16, 1, 16, 28), "tiny": (3, 8, 2, 16, 8)}
STEPS = 4


class Forecaster(nn.Module):
    """ConvLSTM, mean of the last hidden state, linear head."""

    def __init__(self, channels: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.stack = ConvLSTM(channels, hidden, layers)
        self.head = nn.Linear(hidden, 24)

    def forward(self, batch: Batch) -> Tensor:
        """Forecast `(B, L)`."""
        images = batch.inputs["images"] / 50
        return self.head(self.stack(images.transpose(1, 2)).hidden[:, -1].mean((2, 3)))


class Bench:
    """One forecaster, one window, and the ways to explain it."""

    def __init__(self, shape: str, repeats: int) -> None:
        channels, hidden, layers, side, self.frames = SHAPES[shape]
        torch.manual_seed(0)
        net = Forecaster(channels, hidden, layers).eval()
        names = tuple(f"c{k}" for k in range(channels))
        spec = ForecastSpec(
            {"images": ModalitySpec("images", "images", names, self.frames, 6, 0, side)}
        )
        self.cell = net.stack.cells[-1]
        self.subject = wrap(
            net, spec, parts={f"cell.images.{k}": c for k, c in enumerate(net.stack.cells)}
        )
        self.part = f"cell.images.{layers - 1}"
        self.target = target_named("mean_ap", spec)
        self.batch, self.other = (
            window(channels, self.frames, side),
            window(channels, self.frames, side),
        )
        self.repeats = repeats
        self.chunk = 1 if shape == "full" else 7

    def published_grad_cam(self) -> Tensor:
        """The published loop: hooks that keep one call, every frame anew."""
        kept: dict[str, Tensor] = {}
        handles = [
            self.cell.register_forward_hook(lambda *a: kept.update(h=a[2][0])),
            self.cell.register_full_backward_hook(lambda *a: kept.update(g=a[2][0])),
        ]
        for _ in range(self.repeats):
            self.subject.module.zero_grad()
            self.target.value(self.subject, self.batch).sum().backward()
        for handle in handles:
            handle.remove()
        return (kept["g"].mean((2, 3), keepdim=True) * kept["h"]).sum(1).detach()

    def grad_cam(self) -> Tensor:
        """All frames' maps from one backward."""
        states = states_of(self.subject, self.part, self.target, self.batch)
        return cam(states.hidden, states.hidden_gradient)

    def full_importance(self) -> Tensor:
        """One full forward per replaced frame."""
        evaluator = Evaluator(self.subject, self.target, 1)
        return torch.cat([evaluator.values(self.replaced(t)) for t in range(self.frames)])

    def importance(self) -> Tensor:
        """The same with remembered prefix calls, in chunks where batching pays."""
        evaluator = Evaluator(self.subject, self.target, self.chunk)
        many = Batch.join([self.replaced(t) for t in range(self.frames)])
        with remembered_calls(self.subject, self.batch):
            return evaluator.values(many)

    def replaced(self, frame: int) -> Batch:
        """The window with one frame of the other."""
        one = expand(self.batch, 1)
        one.inputs["images"][:, :, frame] = self.other.inputs["images"][:, :, frame]
        return one

    def plain_gradients(self) -> Tensor:
        """One forward and backward per step, weight gradients included."""
        for k in range(self.repeats):
            x = (self.batch.inputs["images"] * (k + 0.5) / self.repeats).requires_grad_()
            self.subject.module.zero_grad()
            self.target.value(self.subject, self.batch.with_inputs({"images": x})).sum().backward()
        return x.grad

    def gradients(self) -> Tensor:
        """Our integrated gradients; 2 STEPS + 1 points."""
        config = ExplainConfig(target="mean_ap", steps=STEPS, baseline="black")
        evaluator = Evaluator(self.subject, self.target, self.chunk)
        return integrated_gradients(Question(evaluator, self.batch, None, config)).parts["images"]


def window(channels: int, frames: int, side: int) -> Batch:
    """One random window."""
    images = 100 * torch.rand(1, channels, frames, side, side)
    seen = torch.ones(images.shape[:3], dtype=torch.bool)
    unknown = torch.zeros(1, 24)
    return Batch(
        {"images": images}, {"images": seen}, torch.zeros(1).long(), unknown, unknown.bool()
    )


def seconds(way: Callable[[], Tensor]) -> float:
    """CPU time of one run."""
    start = time.process_time()
    way()
    return time.process_time() - start


def measure(bench: Bench, rounds: int) -> dict[str, float]:
    """Medians of the ratios of plain to ours, each round interleaved."""
    points = 2 * STEPS + 1
    pairs = {
        "grad_cam": (bench.published_grad_cam, bench.grad_cam, bench.frames / bench.repeats),
        "temporal_importance": (bench.full_importance, bench.importance, 1.0),
        "integrated_gradients": (bench.plain_gradients, bench.gradients, points / bench.repeats),
    }
    ratios: dict[str, list[float]] = {name: [] for name in pairs}
    with bar("rounds", rounds * len(pairs)) as running:
        for _ in range(rounds):
            for name, (plain, ours, scale) in pairs.items():
                ratios[name].append(scale * seconds(plain) / seconds(ours))
                running.advance(1, name)
    return {name: round(statistics.median(values), 2) for name, values in ratios.items()}


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shape", choices=SHAPES, default="patch4")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Full backward hook")
    bench = Bench(args.shape, args.repeats)
    torch.testing.assert_close(bench.importance(), bench.full_importance(), rtol=1e-5, atol=1e-6)
    print(json.dumps({"shape": args.shape, "rounds": args.rounds, **measure(bench, args.rounds)}))


if __name__ == "__main__":
    main()

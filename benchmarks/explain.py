"""Explanations side by side: same numbers, interleaved rounds, medians of CPU time.

    python benchmarks/explain.py [--shape full|patch4|default|tiny] [--rounds N] [--repeats N]

Ratios above 1 are faster than the plain way, which always runs on textbook cells; ours run on the
package's cells, with `--textbook` on textbook cells too, which leaves what the methods alone bring.
Comparisons on one window of a ConvLSTM forecaster (`default`: the package's own default one):

- `grad_cam`: the published loop (one forward and one backward with weight gradients per frame,
  the same map every time) against all frames' maps from one backward;
- `temporal_importance`: one full forward per replaced frame against remembered prefix calls;
- `occlusion`: one full forward per space-time patch against the same;
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
from heliosight.core.tables import Moments
from heliosight.explain.evaluator import Evaluator, expand, floating
from heliosight.explain.gradcam import cam, states_of
from heliosight.explain.gradients import integrated_gradients
from heliosight.explain.occlusion import occlusion, patches, replaced, replacement
from heliosight.explain.question import ExplainConfig, Question
from heliosight.explain.replay import remembered_calls
from heliosight.explain.targets import target_named
from heliosight.models import ForecasterConfig, build_forecaster
from heliosight.models.convlstm import ConvLSTM, ConvLSTMCell
from heliosight.subject import wrap

# channels, hidden, layers, side of the map, frames
SHAPES = {
    "full": (3, 64, 2, 64, 28),
    "patch4": (16, 16, 1, 16, 28),
    "default": (3, 16, 1, 64, 28),
    "tiny": (3, 8, 2, 16, 8),
}
STEPS = 4
TARGET = Moments((2.0,), (0.5,))  # of log1p(ap)


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


def forecaster(shape: str, spec: ForecastSpec) -> nn.Module:
    """The network of a shape in evaluation mode, random weights."""
    channels, hidden, layers = SHAPES[shape][:3]
    torch.manual_seed(0)
    if shape != "default":
        return Forecaster(channels, hidden, layers).eval()
    moments = {"images": Moments((50.0,) * channels, (30.0,) * channels), "target": TARGET}
    return build_forecaster(ForecasterConfig(), spec, moments, 0).eval()


class Bench:
    """One forecaster, one window, and the ways to explain it."""

    def __init__(self, shape: str, repeats: int, textbook: bool, replace: int = 28) -> None:
        channels, _, layers, side, self.frames = SHAPES[shape]
        names = tuple(f"c{k}" for k in range(channels))
        images = ModalitySpec("images", "images", names, self.frames, 6, 0, side)
        spec = ForecastSpec({"images": images})
        net = forecaster(shape, spec)
        self.cells = [m for m in net.modules() if isinstance(m, ConvLSTMCell)]
        self.subject = wrap(
            net, spec, parts={f"cell.images.{k}": c for k, c in enumerate(self.cells)}
        )
        self.part = f"cell.images.{layers - 1}"
        self.target = target_named("mean_ap", spec)
        self.batch, self.other = (
            window(channels, self.frames, side),
            window(channels, self.frames, side),
        )
        self.repeats, self.textbook = repeats, textbook
        self.places = torch.linspace(0, self.frames - 1, min(replace, self.frames)).long().tolist()
        self.chunk = 1 if shape == "full" else 4
        settings = {"steps": STEPS, "baseline": "black", "patch": side // 2, "chunk": self.chunk}
        self.config = ExplainConfig(target="mean_ap", **settings)

    def plainly(self, way: Callable[[], Tensor]) -> Tensor:
        """A way on textbook cells."""
        return self._run(way, False)

    def ours(self, way: Callable[[], Tensor]) -> Tensor:
        """A way on the package's cells, unless textbook cells were asked for."""
        return self._run(way, not self.textbook)

    def _run(self, way: Callable[[], Tensor], accelerate: bool) -> Tensor:
        for cell in self.cells:
            cell.accelerate = accelerate
        return way()

    def question(self, chunk: int) -> Question:
        """What is asked of a method, in chunks of so many windows."""
        evaluator = Evaluator(self.subject, self.target, chunk)
        return Question(evaluator, floating(self.batch), None, self.config, self.part, "images")

    def published_grad_cam(self) -> Tensor:
        """The published loop: hooks that keep one call, every frame anew."""
        kept: dict[str, Tensor] = {}
        handles = [
            self.cells[-1].register_forward_hook(lambda *a: kept.update(h=a[2][0])),
            self.cells[-1].register_full_backward_hook(lambda *a: kept.update(g=a[2][0])),
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
        return torch.cat([evaluator.values(self.replaced(t)) for t in self.places])

    def importance(self) -> Tensor:
        """The same with remembered prefix calls, in chunks where batching pays."""
        evaluator = Evaluator(self.subject, self.target, self.chunk)
        many = Batch.join([self.replaced(t) for t in self.places])
        with remembered_calls(self.subject, self.batch):
            return evaluator.values(many)

    def full_occlusion(self) -> Tensor:
        """One full forward per patch."""
        question = self.question(1)
        other = replacement(question)
        groups = [[patch] for patch in patches(question)]
        return torch.cat(
            [question.evaluator.values(replaced(self.batch, other, g)) for g in groups]
        )

    def occlusion(self) -> Tensor:
        """Our occlusion maps."""
        return occlusion(self.question(self.chunk)).parts["images"]

    def replaced(self, frame: int) -> Batch:
        """The window with one frame of the other."""
        one = expand(self.batch, 1)
        one.inputs["images"][:, :, frame] = self.other.inputs["images"][:, :, frame]
        return one

    def plain_gradients(self) -> Tensor:
        """One forward and backward per step, weight gradients included."""
        for k in range(self.repeats):
            x = (self.batch.inputs["images"] * ((k + 0.5) / self.repeats)).requires_grad_()
            self.subject.module.zero_grad()
            self.target.value(self.subject, self.batch.with_inputs({"images": x})).sum().backward()
        return x.grad

    def gradients(self) -> Tensor:
        """Our integrated gradients; 2 STEPS + 1 points."""
        return integrated_gradients(self.question(self.chunk)).parts["images"]


def window(channels: int, frames: int, side: int) -> Batch:
    """One random window, in bytes as frames come."""
    images = torch.randint(0, 100, (1, channels, frames, side, side), dtype=torch.uint8)
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


def measure(bench: Bench, rounds: int, only: list[str]) -> dict[str, float]:
    """Medians of the ratios of plain to ours, each round interleaved; `only` some of them."""
    points = 2 * STEPS + 1
    pairs = {
        "grad_cam": (bench.published_grad_cam, bench.grad_cam, bench.frames / bench.repeats),
        "temporal_importance": (bench.full_importance, bench.importance, 1.0),
        "occlusion": (bench.full_occlusion, bench.occlusion, 1.0),
        "integrated_gradients": (bench.plain_gradients, bench.gradients, points / bench.repeats),
    }
    pairs = {name: pair for name, pair in pairs.items() if not only or name in only}
    ratios: dict[str, list[float]] = {name: [] for name in pairs}
    with bar("rounds", rounds * len(pairs)) as running:
        for _ in range(rounds):
            for name, (plain, ours, scale) in pairs.items():
                slow = seconds(lambda way=plain: bench.plainly(way))
                fast = seconds(lambda way=ours: bench.ours(way))
                ratios[name].append(scale * slow / fast)
                running.advance(1, name)
    return {name: round(statistics.median(values), 2) for name, values in ratios.items()}


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shape", choices=SHAPES, default="patch4")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--textbook", action="store_true")
    parser.add_argument("--replace", type=int, default=28, help="frames replaced, evenly spaced")
    parser.add_argument("--only", nargs="*", default=[], help="some of the comparisons")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Full backward hook")
    bench = Bench(args.shape, args.repeats, args.textbook, args.replace)
    if not args.only or "temporal_importance" in args.only:
        same = bench.plainly(bench.full_importance)
        torch.testing.assert_close(bench.ours(bench.importance), same, rtol=1e-4, atol=1e-5)
    told = {"shape": args.shape, "rounds": args.rounds, "textbook": args.textbook}
    print(json.dumps({**told, **measure(bench, args.rounds, args.only)}))


if __name__ == "__main__":
    main()

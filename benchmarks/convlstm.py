"""ConvLSTM loops side by side: same numbers out, interleaved rounds, medians of CPU time.

    python benchmarks/convlstm.py [--shape full|patch4|patch8] [--batch N] [--rounds N]

Ratios above 1 are faster than the textbook loop. Variants: `textbook` convolves input and state
apart in every step (Shi et al. 2015, eq. 3, as written); `ours` is `models.convlstm`, one
convolution over [x, h]; `hoisted` convolves all frames' inputs at once before the loop;
`channels_last` is ours in that memory format; `stacked` is ours with all pointwise gates through
one sigmoid.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from heliosight.core.progress import bar
from heliosight.models.convlstm import ConvLSTM, ConvLSTMCell

# channels, hidden, layers, side of the map
SHAPES = {"full": (3, 64, 2, 64), "patch4": (16, 16, 1, 16), "patch8": (16, 16, 1, 8)}
FRAMES = 28
Loop = Callable[[ConvLSTM, Tensor], Tensor]


def gates(z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The next `(h, c)` from gate sums `(B, 4 F, H, W)`."""
    i, f, g, o = z.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def stacked_gates(z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The same with tanh(g) = 2 sigmoid(2 g) - 1, so that one sigmoid covers all gates."""
    n = c.shape[1]
    double = torch.ones(1, 4 * n, 1, 1, dtype=z.dtype)
    double[:, 2 * n : 3 * n] = 2
    i, f, g, o = torch.sigmoid(z * double).chunk(4, 1)
    c = f * c + i * (2 * g - 1)
    return o * torch.tanh(c), c


def layer_by_layer(model: ConvLSTM, x: Tensor, run: Callable[..., list[Tensor]]) -> Tensor:
    """Run `run(cell, frames)` through the layers; frames is a list of `(B, C, H, W)`."""
    frames = list(x.unbind(1))
    for cell in model.cells:
        frames = run(cell, frames)
    return torch.stack(frames, 1)


def textbook(model: ConvLSTM, x: Tensor) -> Tensor:
    """Input and state convolved apart, in every step."""

    def run(cell: ConvLSTMCell, frames: list[Tensor]) -> list[Tensor]:
        n, pad = cell.channels, cell.gates.kernel_size[0] // 2
        w_x, w_h = cell.gates.weight[:, :n], cell.gates.weight[:, n:]
        (h, c), out = cell.start(frames[0]), []
        for frame in frames:
            z = F.conv2d(frame, w_x, cell.gates.bias, padding=pad) + F.conv2d(h, w_h, padding=pad)
            h, c = gates(z, c)
            out.append(h)
        return out

    return layer_by_layer(model, x, run)


def hoisted(model: ConvLSTM, x: Tensor) -> Tensor:
    """The inputs of all frames convolved at once, before the loop."""

    def run(cell: ConvLSTMCell, frames: list[Tensor]) -> list[Tensor]:
        n, pad = cell.channels, cell.gates.kernel_size[0] // 2
        w_x, w_h = cell.gates.weight[:, :n], cell.gates.weight[:, n:]
        (h, c), out = cell.start(frames[0]), []
        inputs = F.conv2d(torch.cat(frames), w_x, cell.gates.bias, padding=pad)
        for z in inputs.chunk(len(frames)):
            h, c = gates(z + F.conv2d(h, w_h, padding=pad), c)
            out.append(h)
        return out

    return layer_by_layer(model, x, run)


def stacked(model: ConvLSTM, x: Tensor) -> Tensor:
    """One convolution a step, one sigmoid for all gates."""

    def run(cell: ConvLSTMCell, frames: list[Tensor]) -> list[Tensor]:
        (h, c), out = cell.start(frames[0]), []
        for frame in frames:
            h, c = stacked_gates(cell.gates(torch.cat([frame, h], 1)), c)
            out.append(h)
        return out

    return layer_by_layer(model, x, run)


def ours(model: ConvLSTM, x: Tensor) -> Tensor:
    """The project's own loop."""
    return model(x).hidden


def channels_last(model: ConvLSTM, x: Tensor) -> Tensor:
    """The project's own loop with channels last in memory."""
    shape = x.shape
    flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return model(flat.unflatten(0, shape[:2])).hidden


VARIANTS: dict[str, Loop] = {
    "textbook": textbook,
    "ours": ours,
    "hoisted": hoisted,
    "stacked": stacked,
    "channels_last": channels_last,
}


def timed(loop: Loop, model: ConvLSTM, x: Tensor, train: bool) -> float:
    """CPU seconds of one forward, or of one forward and backward."""
    start = time.process_time()
    with torch.set_grad_enabled(train):
        out = loop(model, x)
    if train:
        out.square().mean().backward()
    return time.process_time() - start


def same_numbers(model: ConvLSTM, x: Tensor) -> float:
    """Largest difference of any variant to the textbook loop, relative to its largest value."""
    with torch.no_grad():
        wanted = textbook(model, x)
        apart = [(loop(model, x) - wanted).abs().max() for loop in VARIANTS.values()]
    return float(torch.stack(apart).max() / wanted.abs().max())


def compare(shape: str, batch: int, rounds: int, train: bool) -> dict[str, float]:
    """Median over rounds of each variant's speed relative to the textbook loop."""
    channels, hidden, layers, side = SHAPES[shape]
    torch.manual_seed(0)
    model = ConvLSTM(channels, hidden, layers)
    x = torch.randn(batch, FRAMES, channels, side, side, requires_grad=train)
    ratios: dict[str, list[float]] = {name: [] for name in VARIANTS}
    seconds: list[float] = []
    label = f"{shape} B={batch} {'training' if train else 'forward'}"
    with bar(label, (rounds + 1) * len(VARIANTS)) as running:
        for k in range(rounds + 1):
            found = {}
            for name, loop in VARIANTS.items():
                found[name] = timed(loop, model, x, train)
                running.advance()
            if k:  # the first round warms up
                seconds.append(found["textbook"])
                for name, value in found.items():
                    ratios[name].append(found["textbook"] / value)
    medians = {name: round(statistics.median(r), 2) for name, r in ratios.items()}
    return {"textbook_seconds": round(statistics.median(seconds), 4), **medians}


def main() -> None:
    """Print one JSON line per shape, batch and direction."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    for shape in wanted.shape or list(SHAPES):
        batch = wanted.batch or (1 if shape == "full" else 32)
        channels, hidden, layers, side = SHAPES[shape]
        torch.manual_seed(0)
        apart = same_numbers(
            ConvLSTM(channels, hidden, layers), torch.randn(1, 4, channels, side, side)
        )
        for train in (False, True):
            row: dict[str, Any] = {"shape": shape, "batch": batch, "training": train}
            row |= compare(shape, batch, wanted.rounds, train)
            print(json.dumps({**row, "difference": float(f"{apart:.1e}")}))


if __name__ == "__main__":
    main()

"""ConvLSTM loops side by side: same numbers out, interleaved rounds, medians of CPU time.

    python benchmarks/convlstm.py [--shape full|patch4|patch8] [--batch N] [--rounds N] [--tried]

Ratios above 1 are faster than the textbook loop. Opponents are written here in the manner of five
kinds of public implementations: `textbook` convolves input and state apart in every step (Shi et
al. 2015, eq. 3, as written); `concatenated` runs one convolution over [x, h], layer after layer;
`eight` has a convolution for every weight of eq. 3 and peepholes; `preallocated` goes frame by
frame, with peepholes, into an output that exists beforehand; `group_norm` normalises the gate sums
and so computes other numbers at nearly the same cost. `ours` is `models.convlstm` as shipped,
`ours_torch` the same with `accelerate` off. With --tried also what did not pay: `hoisted`
convolves all frames' inputs at once before the loop; `channels_last` is ours in plain torch in that
memory format; `stacked` has all pointwise gates through one sigmoid. `best_public` is the fastest
opponent of a round, and `ours_over_best` the ratio of ours to it, taken within the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def concatenated(model: ConvLSTM, x: Tensor) -> Tensor:
    """One convolution over [x, h] in every step, layer after layer."""

    def run(cell: ConvLSTMCell, frames: list[Tensor]) -> list[Tensor]:
        (h, c), out = cell.start(frames[0]), []
        for frame in frames:
            h, c = gates(cell.gates(torch.cat([frame, h], 1)), c)
            out.append(h)
        return out

    return layer_by_layer(model, x, run)


def eight(model: ConvLSTM, x: Tensor) -> Tensor:
    """A convolution for every weight of eq. 3, and peepholes (here zero) element by element."""

    def run(cell: ConvLSTMCell, frames: list[Tensor]) -> list[Tensor]:
        n, pad = cell.channels, cell.gates.kernel_size[0] // 2
        parts = list(zip(cell.gates.weight.chunk(4), cell.gates.bias.chunk(4), strict=True))
        (h, c), out = cell.start(frames[0]), []
        none = torch.zeros_like(c[:1])
        for frame in frames:
            i, f, g, o = (
                F.conv2d(frame, w[:, :n], b, padding=pad) + F.conv2d(h, w[:, n:], padding=pad)
                for w, b in parts
            )
            i, f = torch.sigmoid(i + none * c), torch.sigmoid(f + none * c)
            c = f * c + i * torch.tanh(g)
            h = torch.sigmoid(o + none * c) * torch.tanh(c)
            out.append(h)
        return out

    return layer_by_layer(model, x, run)


def preallocated(model: ConvLSTM, x: Tensor) -> Tensor:
    """Layer after layer into an output made beforehand, with peepholes (here zero)."""
    for cell in model.cells:
        (h, c), out = cell.start(x[:, 0]), x.new_zeros(*x.shape[:2], cell.hidden, *x.shape[3:])
        none = torch.zeros_like(c[:1])
        for t in range(x.shape[1]):
            i, f, g, o = cell.gates(torch.cat([x[:, t], h], 1)).chunk(4, 1)
            i, f = torch.sigmoid(i + none * c), torch.sigmoid(f + none * c)
            c = f * c + i * torch.tanh(g)
            h = torch.sigmoid(o + none * c) * torch.tanh(c)
            out[:, t] = h
        x = out
    return x


def group_norm(model: ConvLSTM, x: Tensor) -> Tensor:
    """One convolution a step whose sums are normalised: other numbers, nearly the same cost."""

    def run(cell: ConvLSTMCell, frames: list[Tensor]) -> list[Tensor]:
        (h, c), out = cell.start(frames[0]), []
        for frame in frames:
            z = F.group_norm(cell.gates(torch.cat([frame, h], 1)), 4)
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
    """The project's own loop as it is shipped."""
    return model(x).hidden


@contextmanager
def plain_torch(model: ConvLSTM) -> Iterator[None]:
    """The project's own loop without its compiled kernel."""
    for cell in model.cells:
        cell.accelerate = False
    try:
        yield
    finally:
        for cell in model.cells:
            cell.accelerate = True


def ours_torch(model: ConvLSTM, x: Tensor) -> Tensor:
    """The project's own loop in plain torch."""
    with plain_torch(model):
        return model(x).hidden


def channels_last(model: ConvLSTM, x: Tensor) -> Tensor:
    """The same with channels last in memory."""
    shape = x.shape
    flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return ours_torch(model, flat.unflatten(0, shape[:2]))


OTHER_NUMBERS = "group_norm"
PUBLIC: dict[str, Loop] = {
    "textbook": textbook,
    "concatenated": concatenated,
    "eight": eight,
    "preallocated": preallocated,
    OTHER_NUMBERS: group_norm,
}
OURS: dict[str, Loop] = {"ours": ours, "ours_torch": ours_torch}
TRIED: dict[str, Loop] = {
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


def same_numbers(loops: dict[str, Loop], model: ConvLSTM, x: Tensor) -> float:
    """Largest difference of any variant to the textbook loop, relative to its largest value."""
    with torch.no_grad():
        wanted = textbook(model, x)
        apart = [
            (loop(model, x) - wanted).abs().max()
            for name, loop in loops.items()
            if name != OTHER_NUMBERS
        ]
    return float(torch.stack(apart).max() / wanted.abs().max())


def compare(
    loops: dict[str, Loop], shape: str, batch: int, rounds: int, train: bool
) -> dict[str, float]:
    """Medians over rounds of each variant's speed relative to the textbook loop."""
    channels, hidden, layers, side = SHAPES[shape]
    torch.manual_seed(0)
    model = ConvLSTM(channels, hidden, layers)
    x = torch.randn(batch, FRAMES, channels, side, side, requires_grad=train)
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    label = f"{shape} B={batch} {'training' if train else 'forward'}"
    with bar(label, (rounds + 1) * len(loops)) as running:
        for k in range(rounds + 1):
            for name, loop in loops.items():
                found = timed(loop, model, x, train)
                running.advance()
                if k:  # the first round warms up
                    seconds[name].append(found)
    slow = seconds["textbook"]
    best = [min(each) for each in zip(*(seconds[name] for name in PUBLIC), strict=True)]
    row = {"textbook_seconds": round(statistics.median(slow), 4)}
    row |= {name: _ratio(slow, found) for name, found in seconds.items()}
    return {
        **row,
        "best_public": _ratio(slow, best),
        "ours_over_best": _ratio(best, seconds["ours"]),
    }


def _ratio(slow: list[float], fast: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 2)


def main() -> None:
    """Print one JSON line per shape, batch and direction."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tried", action="store_true", help="also what did not pay")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    loops = {**PUBLIC, **OURS, **(TRIED if wanted.tried else {})}
    for shape in wanted.shape or list(SHAPES):
        batch = wanted.batch or (1 if shape == "full" else 32)
        channels, hidden, layers, side = SHAPES[shape]
        torch.manual_seed(0)
        apart = same_numbers(
            loops, ConvLSTM(channels, hidden, layers), torch.randn(1, 4, channels, side, side)
        )
        for train in (False, True):
            row: dict[str, Any] = {"shape": shape, "batch": batch, "training": train}
            row |= compare(loops, shape, batch, wanted.rounds, train)
            print(json.dumps({**row, "difference": float(f"{apart:.1e}")}), flush=True)


if __name__ == "__main__":
    main()

"""A training step at full resolution on a GPU against the eager float32 textbook loop.

    python benchmarks/gpu.py [--batch 64] [--rounds 10]

One run, interleaved, medians of device time over (B, 3, 28, 64, 64), hidden 64, kernel 3, 2 layers,
forward, loss, backward. Variants: `textbook` is eager float32 with TF32 on; `ours` is
`models.convlstm` eager in float32; `bf16` under autocast; `bf16 compiled` with
`torch.compile(mode="reduce-overhead")`, which captures CUDA graphs. Also printed: the share of the
measured bf16 matmul peak, and the number of host synchronisations inside the frame loop (0 is
asked; counted by the driver's own warnings). Without a GPU it says so and ends with status 2.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import warnings
from collections.abc import Callable

import torch
from convlstm import FRAMES, textbook
from torch import Tensor

from heliosight.core.progress import bar
from heliosight.models.convlstm import ConvLSTM

CHANNELS, HIDDEN, LAYERS, SIDE = 3, 64, 2, 64
Step = Callable[[], None]


def flops(batch: int) -> float:
    """Of the convolutions of one training step: forward, and twice that backward."""
    pixels = batch * FRAMES * SIDE * SIDE
    forward = sum(2 * 9 * pixels * 4 * HIDDEN * (below + HIDDEN) for below in (CHANNELS, HIDDEN))
    return 3.0 * forward


def steps(batch: int) -> dict[str, Step]:
    """One training step by variant, all from the same weights and input."""
    torch.manual_seed(0)
    model = ConvLSTM(CHANNELS, HIDDEN, LAYERS).cuda()
    x = torch.randn(batch, FRAMES, CHANNELS, SIDE, SIDE, device="cuda")
    compiled = torch.compile(model, mode="reduce-overhead")

    def learn(run: Callable[[Tensor], Tensor], half: bool) -> Step:
        def step() -> None:
            model.zero_grad(set_to_none=True)
            with torch.autocast("cuda", torch.bfloat16, enabled=half):
                loss = run(x).float().square().mean()
            loss.backward()

        return step

    return {
        "textbook": learn(lambda v: textbook(model, v), half=False),
        "ours": learn(lambda v: model(v).hidden, half=False),
        "bf16": learn(lambda v: model(v).hidden, half=True),
        "bf16 compiled": learn(lambda v: compiled(v).hidden, half=True),
    }


def seconds(step: Step) -> float:
    """Device seconds of one call."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    step()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3


def matmul_peak(side: int = 8192, rounds: int = 10) -> float:
    """FLOP/s of a large bf16 matrix product, the best of some rounds."""
    a = torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
    return max(2.0 * side**3 / seconds(lambda: a @ a) for _ in range(rounds))


def host_waits(step: Step) -> int:
    """Host synchronisations during one step, as torch reports them."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(w.message) for w in caught)


def measure(batch: int, rounds: int) -> list[dict[str, object]]:
    """A record a variant."""
    variants, spent = steps(batch), {}
    with bar("steps", (rounds + 3) * len(variants)) as running:
        for k in range(rounds + 3):  # three rounds warm up, compile and capture graphs
            for name, step in variants.items():
                found = seconds(step)
                running.advance(note=name)
                if k >= 3:
                    spent.setdefault(name, []).append(found)
    peak, slow = matmul_peak(), spent["textbook"]
    return [
        {
            "variant": name,
            "ms": round(1e3 * statistics.median(found), 2),
            "times_textbook": round(
                statistics.median(a / b for a, b in zip(slow, found, strict=True)), 2
            ),
            "share_of_matmul_peak": round(flops(batch) / statistics.median(found) / peak, 3),
            "host_waits": host_waits(variants[name]),
        }
        for name, found in spent.items()
    ]


def numerics() -> float:
    """Largest difference of ours to the textbook loop on the GPU, TF32 off, relative."""
    torch.manual_seed(0)
    model = ConvLSTM(CHANNELS, 8, LAYERS).cuda()
    x = torch.randn(1, 6, CHANNELS, 16, 16, device="cuda")
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        wanted = textbook(model, x)
        return float((model(x).hidden - wanted).abs().max() / wanted.abs().max())


def main() -> int:
    """Print one JSON line a variant."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    wanted = parser.parse_args()
    if not torch.cuda.is_available():
        sys.stderr.write(
            "benchmarks/gpu.py needs a CUDA GPU. Found: none. Nothing was measured; the CPU's "
            "numbers come from benchmarks/convlstm.py.\n"
        )
        return 2
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    print(json.dumps({"device": torch.cuda.get_device_name(), "difference": numerics()}))
    for record in measure(wanted.batch, wanted.rounds):
        print(json.dumps(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The ConvLSTM: gates that are convolutions, a state `(h, c)` carried from frame to frame.

Source: Shi et al. 2015 (NeurIPS 28), eq. 3; chrono initialisation: Tallec & Ollivier 2018 (ICLR),
section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from heliosight.core.errors import SpecError
from heliosight.models import winograd
from heliosight.models.gates import State, next_state

ForgetBias = Literal["chrono", "one", "zero"]


@final
@dataclass(frozen=True)
class ConvLSTMOutput:
    """What a run over T frames leaves.

    Attributes
    ----------
    hidden : `(B, T, F, H, W)` hidden state of the last layer after every frame.
    state : `(h, c)` of every layer after the last frame, each `(B, F, H, W)`.
    trace : the same after every frame, T long; empty unless it was asked for.
    """

    hidden: Tensor
    state: tuple[State, ...]
    trace: tuple[tuple[State, ...], ...] = ()


@final
class ConvLSTMCell(nn.Module):
    """One step of eq. 3; called once a frame as `cell(x, (h, c)) -> (h, c)`.

    Gates in the order input, forget, candidate, output, from one convolution over [x, h].

    Parameters
    ----------
    channels, hidden : channels of x and of h.
    kernel : odd side of the convolution; the map keeps its size.
    peephole_size : (H, W) when the gates also see c, element by element; else None.
    accelerate : use `winograd` where it may run; the numbers agree to rounding.

    Attributes
    ----------
    packed : transformed weights while a sequence runs, during which the weights stand still.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        kernel: int = 3,
        peephole_size: tuple[int, int] | None = None,
        accelerate: bool = True,
    ) -> None:
        super().__init__()
        self.channels, self.hidden = channels, hidden
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, kernel, padding=kernel // 2)
        self.peepholes: nn.Parameter | None = None
        if peephole_size is not None:
            self.peepholes = nn.Parameter(torch.zeros(3, hidden, *peephole_size))
        self.accelerate = accelerate
        self.packed: winograd.Packed | None = None

    def forward(self, x: Tensor, state: State) -> State:
        """The next `(h, c)`, `(B, F, H, W)` each, from x `(B, C, H, W)` and the last."""
        if self.accelerate and winograd.usable(x, state, self.gates, self.peepholes):
            return winograd.step(x, state, self.gates, self.peepholes, self.packed)
        h, c = state
        return next_state(self.gates(torch.cat([x, h], 1)), c, self.peepholes)

    def start(self, x: Tensor) -> State:
        """The state before the first frame: zeros."""
        zero = x.new_zeros(x.shape[0], self.hidden, *x.shape[-2:])
        return zero, zero

    @torch.no_grad()
    def reset_forget_bias(self, kind: ForgetBias, memory: int) -> None:
        """Set how long the cell remembers before it has learned anything.

        `chrono` draws b_f = log u, u ~ U(1, memory - 1), and b_i = -b_f, so that the units' time
        constants spread up to `memory` frames; `one` and `zero` are constants.
        """
        bias, n = self.gates.bias, self.hidden
        bias[: 2 * n].zero_()
        if kind == "chrono":
            bias[n : 2 * n].uniform_(1.0, max(memory - 1.0, 1.0)).log_()
            bias[:n] = -bias[n : 2 * n]
        elif kind == "one":
            bias[n : 2 * n] = 1.0


@final
class ConvLSTM(nn.Module):
    """Layers of cells over frames; the state is carried and may come from an earlier run.

    Parameters
    ----------
    channels, hidden, layers, kernel : sizes; every layer has `hidden` channels.
    forget_bias, memory : see `ConvLSTMCell.reset_forget_bias`.
    peephole_size : (H, W) for peepholes, else None.
    accelerate : see `ConvLSTMCell`.

    Attributes
    ----------
    checkpoint_frames : recompute this many frames at a time in backward, 0 for never.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        layers: int = 1,
        kernel: int = 3,
        forget_bias: ForgetBias = "chrono",
        memory: int = 28,
        peephole_size: tuple[int, int] | None = None,
        accelerate: bool = True,
    ) -> None:
        super().__init__()
        inputs = [channels] + [hidden] * (layers - 1)
        self.cells = nn.ModuleList(
            ConvLSTMCell(n, hidden, kernel, peephole_size, accelerate) for n in inputs
        )
        self.checkpoint_frames = 0
        for cell in self.cells:
            cell.reset_forget_bias(forget_bias, memory)

    def forward(
        self, x: Tensor, state: tuple[State, ...] | None = None, trace: bool = False
    ) -> ConvLSTMOutput:
        """Run over x `(B, T, C, H, W)`, from zeros or from a saved `state` of every layer.

        Raises
        ------
        SpecError : the state does not have one `(h, c)` a layer.
        """
        if state is None:
            state = tuple(cell.start(x[:, 0]) for cell in self.cells)
        if len(state) != len(self.cells):
            raise SpecError(
                "a saved state has one (h, c) a layer", f"{len(state)} for {len(self.cells)} layers"
            )
        hidden: list[Tensor] = []
        kept: list[tuple[State, ...]] = []
        for piece in x.split(self.checkpoint_frames or x.shape[1], 1):
            states = self._piece(piece, state)
            state = states[-1]
            hidden += [s[-1][0] for s in states]
            kept += states if trace else []
        return ConvLSTMOutput(torch.stack(hidden, 1), state, tuple(kept))

    def _piece(self, x: Tensor, state: tuple[State, ...]) -> list[tuple[State, ...]]:
        if self.checkpoint_frames and torch.is_grad_enabled():
            return list(checkpoint(self._run, x, state, use_reentrant=False))
        return self._run(x, state)

    def _run(self, x: Tensor, state: tuple[State, ...]) -> list[tuple[State, ...]]:
        """States of every layer after every frame of a piece."""
        states = []
        with _weights_stand_still(self.cells):
            for frame in x.unbind(1):
                below, following = frame, []
                for cell, before in zip(self.cells, state, strict=True):
                    following.append(cell(below, before))
                    below = following[-1][0]
                state = tuple(following)
                states.append(state)
        return states


@contextmanager
def _weights_stand_still(cells: Iterable[nn.Module]) -> Iterator[None]:
    """Within it, what depends on the cells' weights alone is computed once."""
    own = [cell for cell in cells if isinstance(cell, ConvLSTMCell)]
    for cell in own:
        cell.packed = winograd.Packed()
    try:
        yield
    finally:
        for cell in own:
            cell.packed = None

"""The gates of a ConvLSTM in plain torch: from gate sums and the old cell state to the new state.

Source: Shi et al. 2015 (NeurIPS 28), eq. 3.
"""

from __future__ import annotations

import torch
from torch import Tensor

State = tuple[Tensor, Tensor]


def next_state(z: Tensor, c: Tensor, peepholes: Tensor | None) -> State:
    """The next `(h, c)`, `(B, F, H, W)` each.

    Parameters
    ----------
    z : `(B, 4 F, H, W)` sums of the gates input, forget, candidate, output.
    c : the old cell state.
    peepholes : `(3, F, H, W)` weights of c in input, forget and output gate.
    """
    i, f, g, o = z.chunk(4, 1)
    if peepholes is not None:
        i, f = i + peepholes[0] * c, f + peepholes[1] * c
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    if peepholes is not None:
        o = o + peepholes[2] * c
    return torch.sigmoid(o) * torch.tanh(c), c

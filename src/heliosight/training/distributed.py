"""Several processes that together do what one would: shares, sums, gathered rows.

Gradients are summed in one flat exchange after the last micro-batch. Losses are sums over a
normaliser known beforehand, so world sizes agree to rounding; nothing is averaged over ranks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """One process among its peers; alone it is rank 0 of 1."""

    rank: int = 0
    world: int = 1

    @property
    def share(self) -> slice:
        """The rows of a batch that are this process's."""
        return slice(self.rank, None, self.world)

    @property
    def leads(self) -> bool:
        """True for the one process that writes files."""
        return self.rank == 0

    def add(self, x: Tensor) -> Tensor:
        """The sum over processes, in place."""
        if self.world > 1:
            dist.all_reduce(x)
        return x

    def wait(self) -> None:
        """Until every process has come here."""
        if self.world > 1:
            dist.barrier()

    def share_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Every process takes rank 0's values over."""
        for x in tensors if self.world > 1 else ():
            dist.broadcast(x.detach(), 0)

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Sum gradients over processes; a parameter nobody used keeps no gradient."""
        if self.world == 1 or not parameters:
            return
        used = parameters[0].new_tensor([float(p.grad is not None) for p in parameters])
        zeros = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self.add(torch.cat([g.reshape(-1) for g in zeros]))
        pieces = flat.split([p.numel() for p in parameters])
        for p, piece, count in zip(parameters, pieces, self.add(used).tolist(), strict=True):
            p.grad = piece.view_as(p).clone() if count else None

    def gather(self, rows: np.ndarray, total: int) -> np.ndarray:
        """All `total` rows in order from each process's own `rows[rank::world]`."""
        if self.world == 1:
            return rows
        most = -(-total // self.world)
        padded = torch.zeros((most, *rows.shape[1:]), dtype=torch.float64)
        padded[: len(rows)] = torch.as_tensor(rows, dtype=torch.float64)
        pieces = [torch.zeros_like(padded) for _ in range(self.world)]
        dist.all_gather(pieces, padded)
        joined = torch.stack(pieces, dim=1).flatten(0, 1)[:total]
        return joined.numpy().astype(rows.dtype)


def current_team() -> Team:
    """The team of this process's group, or a team of one."""
    if dist.is_available() and dist.is_initialized():
        return Team(dist.get_rank(), dist.get_world_size())
    return Team()


@contextmanager
def torchrun_group() -> Iterator[Team]:
    """A gloo process group for the block when torchrun started several processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield current_team()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield current_team()
    finally:
        dist.destroy_process_group()

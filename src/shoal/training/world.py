"""The processes that train a model together (``torchrun``), and what they exchange.

A single process is a world of size 1, and then nothing here uses ``torch.distributed``.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

# A process that ends closes its connections, so the others fail at once. This is for one that
# hangs, and longer than the first process may take to validate while the others wait.
PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class World:
    """The processes that train one model together.

    Parameters
    ----------
    rank : int
        Number of this process, from 0 on.
    size : int
        Number of processes.
    """

    rank: int = 0
    size: int = 1

    @staticmethod
    def join(device: torch.device) -> World:
        """Join the processes that ``torchrun`` started; without it, return a world of size 1."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return World()
        if not distributed.is_initialized():
            distributed.init_process_group(
                "nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE
            )
            # without this, its threads sometimes abort a process at exit
            atexit.register(distributed.destroy_process_group)
        return World(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process validates, writes and reports."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return the slice of a batch of `count` rows that this process takes."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def alike(self, parameters: Iterable[torch.Tensor]) -> None:
        """Copy the first process's parameters to all processes."""
        if self.size > 1:
            for p in parameters:
                distributed.broadcast(p.data, 0)

    def add_up(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace gradients by their sums over all processes, in one exchange."""
        if self.size == 1:
            return
        every = list(parameters)
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in every]
        flat = torch.cat([g.to_dense().reshape(-1) for g in grads])
        distributed.all_reduce(flat)
        for p, g, part in zip(every, grads, flat.split([p.numel() for p in every]), strict=True):
            # sparse again, so that the optimiser leaves rows without a gradient unchanged
            p.grad = part.view_as(p).to_sparse(1) if g.is_sparse else part.view_as(p)

    def total(self, value: float) -> float:
        """Return the sum of a number over all processes."""
        return self._exchange(value, all_of_them=True)

    def from_first(self, value: float) -> float:
        """Return the first process's number, in every process."""
        return self._exchange(value, all_of_them=False)

    def _exchange(self, value: float, *, all_of_them: bool) -> float:
        if self.size == 1:
            return value
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        shared = torch.tensor(value, dtype=torch.float64, device=device)
        if all_of_them:
            distributed.all_reduce(shared)
        else:
            distributed.broadcast(shared, 0)
        return float(shared)

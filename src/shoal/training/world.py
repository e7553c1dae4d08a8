"""The processes that train a model together (``torchrun``), and what they exchange.

A single process is a world of size 1, and then nothing here uses ``torch.distributed``.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from shoal.run import n_processes

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
    divided : bool
        Whether each process holds a part of the weights and takes every batch whole. Otherwise each
        holds all weights and takes a part of every batch.
    """

    rank: int = 0
    size: int = 1
    divided: bool = False

    @staticmethod
    def join(device: torch.device, *, divided: bool = False) -> World:
        """Join the processes that ``torchrun`` started; without it, return a world of size 1."""
        if n_processes() == 1:
            return World()
        if not distributed.is_initialized():
            distributed.init_process_group(
                "nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE
            )
            # without this, its threads sometimes abort a process at exit
            atexit.register(distributed.destroy_process_group)
        return World(distributed.get_rank(), distributed.get_world_size(), divided)

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    @property
    def takes_part(self) -> bool:
        """Whether this process is needed to validate, and for a checkpoint."""
        return self.first or self.divided

    @property
    def noise(self) -> int:
        """The number by which random numbers of a batch differ between processes."""
        return 0 if self.divided else self.rank

    def share(self, count: int) -> tuple[slice, float]:
        """Return which of the `count` rows of a batch this process takes, and their weight."""
        if self.divided:
            return slice(0, count), 1.0
        if count < self.size:  # so few that each takes all
            return slice(0, count), 1 / self.size
        rows = slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)
        return rows, (rows.stop - rows.start) / count

    def alike(self, parameters: Iterable[torch.Tensor]) -> None:
        """Copy the first process's parameters to all processes."""
        if self.size > 1 and not self.divided:
            for p in parameters:
                distributed.broadcast(p.data, 0)

    def add_up(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace gradients by their sums over all processes, in one exchange."""
        if self.size == 1 or self.divided:
            return
        every = list(parameters)
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in every]
        flat = torch.cat([g.to_dense().reshape(-1) for g in grads])
        distributed.all_reduce(flat)
        for p, g, part in zip(every, grads, flat.split([p.numel() for p in every]), strict=True):
            # sparse again, so that the optimiser leaves rows without a gradient unchanged
            p.grad = part.view_as(p).to_sparse(1) if g.is_sparse else part.view_as(p)

    def loss(self, value: float) -> float:
        """Return a loss over whole batches from this process's part of it."""
        return value if self.divided else self.total(value)

    def total(self, value: float) -> float:
        """Return the sum of a number over all processes."""
        return self._exchange(value, distributed.ReduceOp.SUM)

    def least(self, value: int) -> int:
        """Return the smallest of the numbers of all processes."""
        return int(self._exchange(float(value), distributed.ReduceOp.MIN))

    def from_first(self, value: float) -> float:
        """Return the first process's number, in every process."""
        return self._exchange(value, None)

    def _exchange(self, value: float, reduce: Any) -> float:
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=exchange_device())
        if reduce is not None:
            distributed.all_reduce(shared, reduce)
        else:
            distributed.broadcast(shared, 0)
        return float(shared)


def exchange_device() -> str:
    """Where tensors have to be that processes exchange."""
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


def use_own_gpu(device: torch.device) -> None:
    """Let "cuda" mean a GPU of its own in each process of a machine, as ``torchrun`` numbers them.

    Ray Train does so by itself, before a process is here.
    """
    alone = "LOCAL_RANK" not in os.environ or distributed.is_initialized()
    if device.type == "cuda" and device.index is None and not alone:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())

"""Matrices with a row for each item whose rows are divided among the processes of a training.

Each process holds a range of the rows and what the optimiser keeps of them, and takes every batch
whole. It multiplies the entries of a batch that belong to its rows, and only the sums of such
products are exchanged, B × k and k × k numbers for a step: no row of the matrix, no gradient. Every
process then computes the same loss, whose derivative by its own rows needs no exchange. So training
is equal to that in one process, but for the order of sums. In one process, nothing is exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed, nn

from shoal.data.interactions import CSR, csr
from shoal.kernels import topk
from shoal.kernels.arrays import Bool, Float, Int
from shoal.run import n_processes, process_number
from shoal.training.batches import Batch, wide
from shoal.training.divergence import all_finite
from shoal.training.world import exchange_device

_DRAWN = 2**14  # rows drawn at a time, a multiple of 16 so that the numbers are those of one draw
_SENT = 2**24  # numbers of a matrix sent at a time

Matrix = TypeVar("Matrix", Float, CSR)


@dataclass(frozen=True)
class Rows:
    """The rows that this process holds: all of them, unless several processes train together.

    Parameters
    ----------
    n : int
        Number of rows in all processes together.
    number, processes : int
        Which process this is, from 0 on, and how many there are.
    """

    n: int
    number: int = 0
    processes: int = 1

    @property
    def first(self) -> int:
        """The first row of this process."""
        return self.n * self.number // self.processes

    @property
    def last(self) -> int:
        """The first row that is no longer one of this process."""
        return self.n * (self.number + 1) // self.processes

    @property
    def count(self) -> int:
        """How many rows this process holds."""
        return self.last - self.first

    def own(self, batch: Batch) -> Batch:
        """The entries of a batch in columns of this process, counted from its first one on."""
        if self.processes == 1:
            return batch
        there = (batch.columns >= self.first) & (batch.columns < self.last)
        rows = batch.rows[there]
        counts = torch.bincount(rows, minlength=len(batch))
        return replace(
            batch,
            indptr=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
            rows=rows,
            columns=batch.columns[there] - self.first,
            values=batch.values[there],
            n=self.count,
        )

    def own_items(self, items: torch.Tensor) -> torch.Tensor:
        """Those of some items whose rows this process holds, counted from its first one on."""
        return items[(items >= self.first) & (items < self.last)] - self.first

    def total(self, *parts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The sums of tensors over all processes; a gradient goes back to each part unchanged."""
        if self.processes == 1:
            return parts
        sums: tuple[torch.Tensor, ...] = _Sum.apply(*parts)
        return sums


class _Sum(torch.autograd.Function):
    """Sums over processes, in one exchange, of which all make the same loss."""

    @staticmethod
    def forward(ctx: Any, *parts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.types = [part.dtype for part in parts]
        flat = torch.cat([wide(part).reshape(-1) for part in parts])
        distributed.all_reduce(flat)
        sums = flat.split([part.numel() for part in parts])
        return tuple(s.reshape(p.shape).clone() for s, p in zip(sums, parts, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(g.to(t) for g, t in zip(gradients, ctx.types, strict=True))


class ItemRows(nn.ParameterDict):
    """A network that is one matrix, ``A``, of which each process holds its `rows`.

    The numbers are those of ``scale * torch.randn(n, k)``, whatever the number of processes.

    Parameters
    ----------
    n, k : int
        Shape of the matrix in all processes together.
    scale : float
        Standard deviation of its first values.
    """

    def __init__(self, n: int, k: int, scale: float) -> None:
        self.rows = Rows(n, process_number(), n_processes())
        own = torch.empty(self.rows.count, k)
        for begin in range(0, max(n - _DRAWN // 2, 1), _DRAWN):
            end = n if n - begin <= 3 * _DRAWN // 2 else begin + _DRAWN
            drawn = torch.randn(end - begin, k)
            low, high = max(begin, self.rows.first), min(end, self.rows.last)
            if low < high:
                own[low - self.rows.first : high - self.rows.first] = drawn[
                    low - begin : high - begin
                ]
        super().__init__({"A": nn.Parameter(own.mul_(scale))})


def best_items(
    network: nn.Module, scores: Float, k: int, histories: CSR, allowed: Bool
) -> Int | None:
    """The k best items of each row among those of all processes; None if a score is not finite.

    Parameters
    ----------
    network : Module
    scores : (m, n) float32
        Of the columns that this process holds, if the network is divided; they are overwritten.
    k : int
    histories : CSR array (m, n)
        What must not be chosen.
    allowed : (n,) bool
        What may be chosen at all.
    """
    rows = getattr(network, "rows", None) or Rows(histories.shape[1])
    if rows.processes > 1:
        histories, allowed = histories[:, rows.first : rows.last], allowed[rows.first : rows.last]
    finite = all_finite(scores)
    seen = histories.indptr.astype(np.int64), histories.indices.astype(np.int32)
    items, best = topk.best(scores, k, *seen, allowed)
    if rows.processes == 1:
        return items if finite else None
    if not finite:
        best[:] = np.nan  # nothing else says so to the other processes
    items[items >= 0] += rows.first
    every = [np.hstack(_from_all(part)) for part in (items, best)]
    if np.isnan(every[1]).any():
        return None
    none = np.zeros(len(scores) + 1, np.int64), np.empty(0, np.int32)
    places, _ = topk.best(every[1], k, *none, np.ones(every[1].shape[1], np.bool_))
    return np.where(places >= 0, np.take_along_axis(every[0], np.maximum(places, 0), 1), -1)


def whole(own: Matrix, rows: Rows, only_first: bool) -> Matrix | None:
    """All rows of a matrix, from those of every process.

    Parameters
    ----------
    own : (rows of this process, k) array or CSR array
    rows : Rows
    only_first : bool
        Whether only the first process gets them; the others then get None.

    Returns
    -------
    array or CSR array (n, k), or None
    """
    if rows.processes == 1:
        return own
    each = [replace(rows, number=number) for number in range(rows.processes)]
    counts = [part.count for part in each]
    if isinstance(own, np.ndarray):
        return _joined(own, counts, rows, only_first)
    lengths = _joined(np.diff(own.indptr), counts, rows, only_first)
    counts = [int(part[0]) for part in _from_all(np.array([own.nnz]))]
    data, indices = (_joined(a, counts, rows, only_first) for a in (own.data, own.indices))
    if lengths is None:
        return None
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return csr(data, indices, indptr, own.shape[1])


def _joined(own: Any, counts: list[int], rows: Rows, only_first: bool) -> Any:
    """The arrays of all processes, one after the other, or None where nothing is received."""
    receives = rows.number == 0 or not only_first
    out = np.empty((sum(counts), *own.shape[1:]), own.dtype) if receives else None
    device = exchange_device()
    at_once, done = max(1, _SENT // max(1, own[:1].size)), 0
    for source, count in enumerate(counts):
        for begin in range(0, count, at_once):
            end = min(begin + at_once, count)
            if source == rows.number:
                part = torch.from_numpy(np.ascontiguousarray(own[begin:end])).to(device)
            else:
                shape = (end - begin, *own.shape[1:])
                part = torch.empty(shape, dtype=torch.from_numpy(own[:0]).dtype, device=device)
            if not only_first:
                distributed.broadcast(part, source)
            elif source == rows.number != 0:
                distributed.send(part, 0)
            elif rows.number == 0 != source:
                distributed.recv(part, source)
            if out is not None:
                out[done + begin : done + end] = part.cpu().numpy()
        done += count
    return out


def _from_all(own: Any) -> list[Any]:
    """An array of each process, all of the same shape."""
    part = torch.from_numpy(np.ascontiguousarray(own)).to(exchange_device())
    every = [torch.empty_like(part) for _ in range(distributed.get_world_size())]
    distributed.all_gather(every, part)
    return [theirs.cpu().numpy() for theirs in every]

"""Sparse batches: rows of a CSR matrix as tensors, never made dense."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from shoal.data.interactions import CSR


@dataclass(frozen=True)
class Batch:
    """B rows of a sparse matrix with n columns and e entries.

    Parameters
    ----------
    users : (B,) int64
        Row numbers in the whole matrix; −1 for rows that are not of it.
    indptr : (B + 1,) int64
    rows, columns : (e,) int64
        Of each entry; `rows` counts within the batch, ascending.
    values : (e,) float32
    n : int
    """

    users: torch.Tensor
    indptr: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    values: torch.Tensor
    n: int

    @staticmethod
    def of(matrix: CSR, users: np.ndarray | None, device: torch.device) -> Batch:
        """Rows `users` of a matrix, or all of them as rows of nobody in particular."""
        part = matrix if users is None else matrix[users]
        if users is None:
            users = np.full(part.shape[0], -1, np.int64)
        indptr = torch.from_numpy(part.indptr.astype(np.int64))
        rows = torch.repeat_interleave(torch.arange(len(users)), indptr.diff())
        columns = torch.from_numpy(part.indices.astype(np.int64))
        values = torch.from_numpy(part.data.astype(np.float32))
        own = torch.from_numpy(users)
        u, p, r, c, v = (t.to(device) for t in (own, indptr, rows, columns, values))
        return Batch(u, p, r, c, v, part.shape[1])

    def __len__(self) -> int:
        return len(self.users)

    @property
    def counts(self) -> torch.Tensor:
        """(B,) float32: entries of each row."""
        return self.indptr.diff().to(torch.float32)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """(B,): sums of `values` (e,) over each row's entries, in float32 at least."""
        values = wide(values)
        out = torch.zeros(len(self), device=values.device, dtype=values.dtype)
        return out.index_add(0, self.rows, values)

    def normalised(self) -> Batch:
        """Each row divided by its length ‖x‖₂; empty rows stay empty."""
        lengths = self.sum(self.values**2).sqrt().clamp_min(1e-12)
        return replace(self, values=self.values / lengths[self.rows])

    def corrupted(self, p: float, generator: torch.Generator, *, scaled: bool = True) -> Batch:
        """Entries set to 0 with probability p, the others divided by 1 − p if `scaled`."""
        if p == 0:
            return self
        draw = torch.rand(self.values.shape, generator=generator, device=self.values.device)
        kept = (draw >= p).to(self.values.dtype)
        return replace(self, values=self.values * (kept / (1 - p) if scaled and p < 1 else kept))

    def halves(self, generator: torch.Generator) -> tuple[Batch, Batch]:
        """Each row cut in two at random: (given, wanted), both of 2·B rows.

        Row u is given one half, ⌈c/2⌉ of its c entries, and wants the other; row B + u is given
        that other half and wants the first. So no entry is both given and wanted.
        """
        rows = len(self)
        draw = torch.rand(self.values.shape, generator=generator, device=self.values.device)
        order = draw.argsort()
        order = order[self.rows[order].argsort(stable=True)]
        counts = self.indptr.diff()
        place = torch.arange(len(order), device=order.device) - self.indptr[:-1][self.rows]
        first = place < ((counts + 1) // 2)[self.rows]
        parts = [order[first], order[~first]]

        def joined(a: torch.Tensor, b: torch.Tensor) -> Batch:
            at = torch.cat([a, b])
            of = torch.cat([self.rows[a], self.rows[b] + rows])
            sizes = torch.zeros(2 * rows + 1, dtype=torch.int64, device=of.device)
            indptr = sizes.index_add(0, of + 1, torch.ones_like(of)).cumsum(0)
            return Batch(
                self.users.repeat(2), indptr, of, self.columns[at], self.values[at], self.n
            )

        return joined(parts[0], parts[1]), joined(parts[1], parts[0])

    def at(self, dense: torch.Tensor) -> torch.Tensor:
        """(e,): the values of a dense (B, n) tensor at the entries."""
        return dense[self.rows, self.columns]


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 where it is in less: sums are never made in 16 bits."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor

"""Sparse batches: some rows of a CSR matrix as tensors, without a dense copy."""

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
        Row numbers in the training matrix; −1 for rows that are not part of it.
    indptr : (B + 1,) int64
        The entries of row b are numbers indptr[b] … indptr[b + 1] − 1.
    rows, columns : (e,) int64
        Row and column of each entry; `rows` counts within the batch and ascends.
    values : (e,) float32
        Value of each entry.
    n : int
        Number of columns.
    """

    users: torch.Tensor
    indptr: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    values: torch.Tensor
    n: int

    @staticmethod
    def of(matrix: CSR, users: np.ndarray | None, device: torch.device) -> Batch:
        """Make a batch of the rows `users` of a matrix; None takes all rows, with users −1."""
        part = matrix if users is None else matrix[users]
        if users is None:
            users = np.full(part.shape[0], -1, np.int64)
        indptr = torch.from_numpy(part.indptr.astype(np.int64))
        rows = torch.repeat_interleave(torch.arange(len(users)), indptr.diff())
        columns = torch.from_numpy(part.indices.astype(np.int64))
        values = torch.from_numpy(part.data.astype(np.float32))
        numbers = torch.from_numpy(users)
        u, p, r, c, v = (t.to(device) for t in (numbers, indptr, rows, columns, values))
        return Batch(u, p, r, c, v, part.shape[1])

    def __len__(self) -> int:
        return len(self.users)

    @property
    def counts(self) -> torch.Tensor:
        """Number of entries of each row, (B,) float32."""
        return self.indptr.diff().to(torch.float32)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sums of `values` (e,) over each row's entries, (B,), in float32 or wider."""
        values = wide(values)
        out = torch.zeros(len(self), device=values.device, dtype=values.dtype)
        return out.index_add(0, self.rows, values)

    def normalised(self) -> Batch:
        """Return the batch with each row divided by its norm ‖x‖₂; empty rows stay empty."""
        lengths = self.sum(self.values**2).sqrt().clamp_min(1e-12)
        return replace(self, values=self.values / lengths[self.rows])

    def corrupted(self, p: float, generator: torch.Generator, *, scaled: bool = True) -> Batch:
        """Return the batch with entries set to 0 with probability p, others divided by 1 − p.

        The division is left out if not `scaled`.
        """
        if p == 0:
            return self
        draw = torch.rand(self.values.shape, generator=generator, device=self.values.device)
        kept = (draw >= p).to(self.values.dtype)
        return replace(self, values=self.values * (kept / (1 - p) if scaled and p < 1 else kept))

    def halves(self, generator: torch.Generator) -> tuple[Batch, Batch]:
        """Cut each row in two at random, and return two batches (inputs, targets) of 2·B rows.

        Row b of `inputs` has one half, ⌈c/2⌉ of the c entries of row b, and row b of `targets` the
        other half; rows B + b have the same halves exchanged. So no entry is input and target.
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
            entries = torch.cat([a, b])
            new_rows = torch.cat([self.rows[a], self.rows[b] + rows])
            sizes = torch.zeros(2 * rows + 1, dtype=torch.int64, device=new_rows.device)
            indptr = sizes.index_add(0, new_rows + 1, torch.ones_like(new_rows)).cumsum(0)
            columns, values = self.columns[entries], self.values[entries]
            return Batch(self.users.repeat(2), indptr, new_rows, columns, values, self.n)

        return joined(parts[0], parts[1]), joined(parts[1], parts[0])

    def at(self, dense: torch.Tensor) -> torch.Tensor:
        """Return the values of a dense (B, n) tensor at the entries of the batch, (e,)."""
        return dense[self.rows, self.columns]


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """Return a 16-bit tensor as float32, any other unchanged: sums are never made in 16 bits."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor

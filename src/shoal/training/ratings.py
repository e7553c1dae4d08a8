"""Losses over observed ratings only, and a deep network for ratings."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import selu

from shoal.kernels import linear, pairs
from shoal.kernels.gram import column_index
from shoal.training.batches import Batch, wide
from shoal.training.layers import SparseLinear, dense, dropped


class _AtEntries(torch.autograd.Function):
    """C·Wᵀ at the entries of a batch, (e,), by the kernels of `shoal.kernels` (CPU, float32)."""

    @staticmethod
    def forward(ctx: Any, code: torch.Tensor, weight: torch.Tensor, batch: Batch) -> torch.Tensor:
        ctx.save_for_backward(code, weight)
        ctx.batch = batch
        rows, columns = batch.rows.numpy(), batch.columns.numpy()
        C, W = code.detach().contiguous().numpy(), weight.detach().contiguous().numpy()
        return torch.from_numpy(pairs.products(rows, columns, C, W))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        code, weight = ctx.saved_tensors
        batch, g = ctx.batch, grads[0].contiguous().numpy()
        indptr, columns = batch.indptr.numpy(), batch.columns.numpy().astype(np.int32)
        # the gradient by C·Wᵀ is a sparse (B, n) matrix with the values g at the entries
        to_code = linear.sparse_times_dense(indptr, columns, g, weight.detach().numpy())
        starts, rows, places = column_index(indptr, columns, batch.n)
        to_weight = linear.sparse_times_dense(starts, rows, g[places], code.detach().numpy())
        return torch.from_numpy(to_code), torch.from_numpy(to_weight), None


def at_entries(code: torch.Tensor, output: nn.Linear, batch: Batch) -> torch.Tensor:
    """Return code·Wᵀ + b of an output layer at the entries of the batch, (e,).

    On a CPU only the entries are computed; an accelerator makes all (B, n) and selects them.

    Parameters
    ----------
    code : (B, d)
        Input of the output layer.
    output : Linear
        The output layer, from d to n.
    batch : Batch
    """
    if code.device.type != "cpu" or {code.dtype, output.weight.dtype} != {torch.float32}:
        return batch.at(wide(output(code)))
    picked = _AtEntries.apply(code, output.weight, batch)
    return picked + output.bias.index_select(0, batch.columns)


def squared_errors(predicted: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return Σ (x − predicted)² over the entries of the batch; `predicted` is (e,)."""
    return ((predicted - batch.values) ** 2).sum()


def masked_mean_square(predicted: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return Σ (x − predicted)² / number of entries, over the whole batch."""
    return squared_errors(predicted, batch) / max(len(batch.values), 1)


class Mirrored(nn.Module):
    """Network n → w₁ → … → w_d → … → w₁ → n with SELU after each layer but the last.

    Parameters
    ----------
    n : int
        Number of items.
    widths : list of int
        w₁ … w_d; the last is the width of the code.
    """

    def __init__(self, n: int, widths: list[int]) -> None:
        super().__init__()
        steps = list(pairwise(widths))
        self.encode = SparseLinear(n, widths[0])
        self.down = nn.ModuleList(dense(a, b) for a, b in steps)
        self.up = nn.ModuleList(dense(b, a) for a, b in reversed(steps))
        self.decode = dense(widths[0], n)

    def below_output(
        self, rows: Batch | torch.Tensor, dropout: float, generator: torch.Generator | None
    ) -> torch.Tensor:
        """Return the last hidden layer, (B, w₁), for sparse or dense rows.

        Units of the code are dropped with probability `dropout`; without a generator none are.
        """
        x = selu(self.encode(rows))
        for layer in self.down:
            x = selu(layer(x))
        x = x if generator is None else dropped(x, dropout, generator)
        for layer in self.up:
            x = selu(layer(x))
        return x

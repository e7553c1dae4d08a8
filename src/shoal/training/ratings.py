"""Losses over the ratings that are there, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from shoal.kernels import linear, pairs
from shoal.kernels.gram import column_index
from shoal.training.batches import Batch, wide


class _AtEntries(torch.autograd.Function):
    """(C·Wᵀ) at the entries of a batch, by shoal's own kernels (CPU, float32)."""

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
        # the gradient by the product is sparse: G with g at the entries
        to_code = linear.sparse_times_dense(indptr, columns, g, weight.detach().numpy())
        starts, rows, places = column_index(indptr, columns, batch.n)
        to_weight = linear.sparse_times_dense(starts, rows, g[places], code.detach().numpy())
        return torch.from_numpy(to_code), torch.from_numpy(to_weight), None


def at_entries(code: torch.Tensor, output: nn.Linear, batch: Batch) -> torch.Tensor:
    """(e,): code·Wᵀ + b of an output layer, at the entries of the batch.

    Parameters
    ----------
    code : (B, d)
    output : layer from d to n
    batch : Batch
        On a CPU nothing is computed elsewhere; an accelerator makes the whole (B, n) and gathers.
    """
    if code.device.type != "cpu" or {code.dtype, output.weight.dtype} != {torch.float32}:
        return batch.at(wide(output(code)))
    picked = _AtEntries.apply(code, output.weight, batch)  # type: ignore[no-untyped-call]
    return picked + output.bias.index_select(0, batch.columns)


def squared_errors(predicted: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Σ (x − predicted)² over the entries of the batch; `predicted` is (e,)."""
    return ((predicted - batch.values) ** 2).sum()


def masked_mean_square(predicted: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Σ (x − predicted)² / number of entries: one denominator for the whole batch."""
    return squared_errors(predicted, batch) / max(len(batch.values), 1)


def dropped(x: torch.Tensor, p: float, generator: torch.Generator) -> torch.Tensor:
    """Each number set to 0 with probability p, the others divided by 1 − p."""
    if p == 0:
        return x
    draw = torch.rand(x.shape, generator=generator, device=x.device)
    return x * (draw >= p).to(x.dtype) / (1 - p)

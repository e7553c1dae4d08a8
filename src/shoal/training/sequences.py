"""Rows as sequences: their steps, what follows each step, and a recurrent layer over them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from shoal.training.batches import Batch, wide
from shoal.training.layers import multinomial

ENTRIES = 2**14  # of histories, read at once
LOGITS = {"cpu": 2**20, "cuda": 2**26}  # numbers in one piece of the output; on a CPU: its cache


def in_order(batch: Batch) -> Batch:
    """Sort each row's entries by their values, earliest first; equal ones stay as they are."""
    order = batch.values.argsort(stable=True)
    order = order[batch.rows[order].argsort(stable=True)]
    return replace(batch, columns=batch.columns[order], values=batch.values[order])


def between(batch: Batch, begin: int, end: int) -> Batch:
    """Rows begin … end − 1 of a batch."""
    indptr = batch.indptr[begin : end + 1]
    where = slice(int(indptr[0]), int(indptr[-1]))
    entries = (batch.rows[where] - begin, batch.columns[where], batch.values[where])
    return Batch(batch.users[begin:end], indptr - indptr[0], *entries, batch.n)


@dataclass(frozen=True)
class Steps:
    """The S steps of a batch's rows, in the order of a packed sequence.

    All first steps, all second ones, … Nothing is padded: within a step, long rows stand first, and
    rows that are over are absent.

    Parameters
    ----------
    at : (S,) int64
        The entry of the batch that each step reads.
    rows : (S,) int64
        The row that it belongs to.
    counts : (B,) int64
        Steps of each row.
    sizes : list of int
        How many rows have a first step, a second, …
    """

    at: torch.Tensor
    rows: torch.Tensor
    counts: torch.Tensor
    sizes: list[int]

    @staticmethod
    def of(batch: Batch, leave: int = 0) -> Steps:
        """Every entry is a step, but for the last `leave` of each row."""
        counts = (batch.indptr.diff() - leave).clamp_min(0)
        rank = counts.argsort(descending=True, stable=True).argsort()
        place = torch.arange(len(batch.rows), device=counts.device) - batch.indptr[batch.rows]
        at = (place < counts[batch.rows]).nonzero()[:, 0]
        at = at[(place[at] * len(batch) + rank[batch.rows[at]]).argsort()]
        return Steps(at, batch.rows[at], counts, place[at].bincount().tolist())

    def following(self, batch: Batch, k: int) -> Batch:
        """The next k entries after each step, fewer at a row's end, each with value 1: (S, n)."""
        left = batch.indptr[self.rows + 1] - 1 - self.at
        indptr = functional.pad(left.clamp_max(k).cumsum(0), (1, 0))
        rows = torch.repeat_interleave(indptr.diff())
        within = torch.arange(len(rows), device=rows.device) - indptr[rows]
        columns = batch.columns[self.at[rows] + 1 + within]
        values = torch.ones(len(rows), device=rows.device)
        return Batch(torch.full_like(self.at, -1), indptr, rows, columns, values, batch.n)


def last_states(gru: nn.GRU, embed: nn.Embedding, batch: Batch) -> torch.Tensor:
    """(B, h): the state of a GRU after all of each row's entries; 0 for an empty row.

    Entries are read in the order of their values, about `ENTRIES` of the batch at a time.
    """
    found, begin = [], 0
    groups = torch.unique_consecutive(batch.indptr[:-1] // ENTRIES, return_counts=True)[1]
    for size in groups.tolist():
        part = in_order(between(batch, begin, begin + size))
        steps = Steps.of(part)
        out = states(gru, embed(part.columns[steps.at]), steps.sizes)
        last = steps.at == part.indptr[steps.rows + 1] - 1
        none = out.new_zeros(size, gru.hidden_size)
        found.append(none.index_copy(0, steps.rows[last], out[last]))
        begin += size
    return torch.cat(found)


def states(gru: nn.GRU, x: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """(S, h): the state of a one-layer GRU after each step; x is (S, d), in the order of `Steps`.

    torch's own layer is used but for gradients on a CPU. There it sums a gradient as large as the
    weights at every step, which took ten times as long as the forward pass.
    """
    if not len(x):
        return x.new_zeros(0, gru.hidden_size)
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        packed, _ = gru(PackedSequence(x, torch.tensor(sizes)))
        own: torch.Tensor = packed.data
        return own
    inputs = wide(functional.linear(x, gru.weight_ih_l0, gru.bias_ih_l0))
    found: torch.Tensor = _Recurrence.apply(inputs, gru.weight_hh_l0, gru.bias_hh_l0, sizes)
    return found


class _Recurrence(torch.autograd.Function):
    """The recurrent part of a GRU (Cho et al., 2014; the variant of torch and cuDNN).

    r, z = σ(a + W h + b), n = tanh(a_n + r ⊙ (W_n h + b_n)), h' = n + z ⊙ (h − n). In the backward
    pass, the gradient of what enters the gates is that of h' times factors that are known
    beforehand, and the gradient of W is one product over all steps.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, sizes: list[int]
    ) -> torch.Tensor:
        h = weight.shape[1]
        gates = inputs.new_empty(len(inputs), 2 * h)  # r, z
        candidates, inner, out = (inputs.new_empty(len(inputs), h) for _ in range(3))
        state = inputs.new_zeros(sizes[0], h)
        W_gates, W_inner = weight[: 2 * h].T, weight[2 * h :].T
        parts = (inputs[:, : 2 * h], inputs[:, 2 * h :], gates, candidates, inner, out)
        for a, a_n, g, n, i, o in zip(*(p.split(sizes) for p in parts), strict=True):
            state = state[: len(o)]
            torch.addmm(bias[: 2 * h], state, W_gates, out=g).add_(a).sigmoid_()
            torch.addmm(bias[2 * h :], state, W_inner, out=i)
            torch.addcmul(a_n, g[:, :h], i, out=n).tanh_()
            state = torch.lerp(n, state, g[:, h:], out=o)
        ctx.save_for_backward(weight, gates, candidates, inner, out)
        ctx.sizes = sizes
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        weight, gates, n, inner, out = ctx.saved_tensors
        sizes, h = ctx.sizes, weight.shape[1]
        r, z = gates[:, :h], gates[:, h:]
        places = torch.tensor(sizes)
        at = torch.arange(sizes[0], len(out)) - places[:-1].repeat_interleave(places[1:])
        before = torch.cat([out.new_zeros(sizes[0], h), out[at]])  # the state that a step finds
        to_n = (1 - z) * (1 - n**2)
        factors = torch.stack(
            [to_n * inner * r * (1 - r), (before - n) * z * (1 - z), to_n * r], 1
        )  # (S, 3, h)
        of_state, of_gates = grads[0].clone(), torch.empty_like(factors)
        carried = out[:0]
        parts = [p.split(sizes)[::-1] for p in (of_state, of_gates, factors, z)]
        for d, d_gates, f, kept in zip(*parts, strict=True):
            d[: len(carried)] += carried
            torch.mul(d[:, None], f, out=d_gates)
            carried = torch.addmm(d * kept, d_gates.flatten(1), weight)
        flat = of_gates.flatten(1)  # (S, 3h)
        of_inputs = torch.cat([flat[:, : 2 * h], of_state * to_n], 1)
        return of_inputs, flat.T @ before, flat.sum(0), None


def decoded_multinomial(
    code: torch.Tensor, decode: nn.Linear, batch: Batch, share: torch.Tensor
) -> torch.Tensor:
    """Σ_s share_s · −Σ_i x_si log softmax(decode(code_s))_i, a scalar.

    The logits are made, and their gradient taken, some rows at a time: of the (S, n) numbers at
    most `LOGITS` (on a CPU 4 MB) are there at once, three times over.

    Parameters
    ----------
    code : (S, d)
    decode : layer from d to n
    batch : Batch
        S rows.
    share : (S,)
    """
    loss: torch.Tensor = _Decoded.apply(code, decode.weight, decode.bias, batch, share)
    return loss


class _Decoded(torch.autograd.Function):
    """The output layer and its loss; gradients are made with the loss, piece by piece."""

    @staticmethod
    def forward(
        ctx: Any,
        code: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        batch: Batch,
        share: torch.Tensor,
    ) -> torch.Tensor:
        size = max(1, LOGITS.get(code.device.type, LOGITS["cuda"]) // batch.n)
        W, b = (t.detach().requires_grad_() for t in (weight, bias))
        found = [torch.zeros_like(t) for t in (code, weight, bias)]
        total = wide(code).new_zeros(())
        for begin in range(0, len(code), size):
            end = min(begin + size, len(code))
            leaf = code[begin:end].detach().requires_grad_()
            with torch.enable_grad():
                logits = functional.linear(leaf, W, b)
                losses = multinomial(logits, between(batch, begin, end))
                loss = losses @ share[begin:end].to(losses.dtype)
            parts = torch.autograd.grad(loss, (leaf, W, b))
            found[0][begin:end] = parts[0]
            found[1] += parts[1]
            found[2] += parts[2]
            total += loss.detach()
        ctx.save_for_backward(*found)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return *(grads[0] * t for t in ctx.saved_tensors), None, None

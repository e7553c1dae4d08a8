"""Rows as sequences: their steps, the items after each step, and a recurrent layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from shoal.training.batches import Batch, wide
from shoal.training.layers import multinomial

ENTRIES = 2**14  # entries of histories that are read at once
LOGITS = {"cpu": 2**20, "cuda": 2**26}  # logits made at once; on a CPU they fit its cache


def in_order(batch: Batch) -> Batch:
    """Sort each row's entries by their values, earliest first; equal values keep their order."""
    order = batch.values.argsort(stable=True)
    order = order[batch.rows[order].argsort(stable=True)]
    return replace(batch, columns=batch.columns[order], values=batch.values[order])


def between(batch: Batch, begin: int, end: int) -> Batch:
    """Return the rows begin … end − 1 of a batch."""
    indptr = batch.indptr[begin : end + 1]
    part = slice(int(indptr[0]), int(indptr[-1]))
    entries = (batch.rows[part] - begin, batch.columns[part], batch.values[part])
    return Batch(batch.users[begin:end], indptr - indptr[0], *entries, batch.n)


@dataclass(frozen=True)
class Steps:
    """The S steps of a batch's rows, in the order of a packed sequence.

    First come the first steps of all rows, then the second steps, and so on. Nothing is padded:
    within a step, longer rows come first, and rows that have ended are absent.

    Parameters
    ----------
    at : (S,) int64
        Number of the batch's entry that each step reads.
    rows : (S,) int64
        Row of each step.
    counts : (B,) int64
        Number of steps of each row.
    sizes : list of int
        Number of rows that have a first step, a second step, and so on.
    """

    at: torch.Tensor
    rows: torch.Tensor
    counts: torch.Tensor
    sizes: list[int]

    @staticmethod
    def of(batch: Batch, leave: int = 0) -> Steps:
        """Make a step of every entry except the last `leave` of each row."""
        counts = (batch.indptr.diff() - leave).clamp_min(0)
        rank = counts.argsort(descending=True, stable=True).argsort()
        place = torch.arange(len(batch.rows), device=counts.device) - batch.indptr[batch.rows]
        at = (place < counts[batch.rows]).nonzero()[:, 0]
        at = at[(place[at] * len(batch) + rank[batch.rows[at]]).argsort()]
        return Steps(at, batch.rows[at], counts, place[at].bincount().tolist())

    def following(self, batch: Batch, k: int) -> Batch:
        """Return the next k items after each step, as a batch of S rows with values 1.

        Near the end of a row there are fewer than k.
        """
        remaining = batch.indptr[self.rows + 1] - 1 - self.at
        indptr = functional.pad(remaining.clamp_max(k).cumsum(0), (1, 0))
        rows = torch.repeat_interleave(indptr.diff())
        within = torch.arange(len(rows), device=rows.device) - indptr[rows]
        columns = batch.columns[self.at[rows] + 1 + within]
        values = torch.ones(len(rows), device=rows.device)
        return Batch(torch.full_like(self.at, -1), indptr, rows, columns, values, batch.n)


def last_states(gru: nn.GRU, embed: nn.Embedding, batch: Batch) -> torch.Tensor:
    """Return the state of a GRU after all entries of each row, (B, h); 0 for an empty row.

    Entries are read in the order of their values, about `ENTRIES` of the batch at a time.
    """
    parts, begin = [], 0
    groups = torch.unique_consecutive(batch.indptr[:-1] // ENTRIES, return_counts=True)[1]
    for size in groups.tolist():
        group = in_order(between(batch, begin, begin + size))
        steps = Steps.of(group)
        out = states(gru, embed(group.columns[steps.at]), steps.sizes)
        last = steps.at == group.indptr[steps.rows + 1] - 1
        zeros = out.new_zeros(size, gru.hidden_size)
        parts.append(zeros.index_copy(0, steps.rows[last], out[last]))
        begin += size
    return torch.cat(parts)


def states(gru: nn.GRU, x: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Return the state of a one-layer GRU after each step, (S, h).

    x is (S, d), in the order of `Steps`, and `sizes` is theirs. torch's own layer is used, except
    for gradients on a CPU: there torch sums a gradient as large as the weights at every step, which
    took ten times as long as the forward pass.
    """
    if not len(x):
        return x.new_zeros(0, gru.hidden_size)
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        packed, _ = gru(PackedSequence(x, torch.tensor(sizes)))
        data: torch.Tensor = packed.data
        return data
    inputs = wide(functional.linear(x, gru.weight_ih_l0, gru.bias_ih_l0))
    out: torch.Tensor = _Recurrence.apply(inputs, gru.weight_hh_l0, gru.bias_hh_l0, sizes)
    return out


class _Recurrence(torch.autograd.Function):
    """The recurrent part of a GRU (Cho et al., 2014; the variant of torch and cuDNN).

    r, z = σ(a + W h + b), n = tanh(a_n + r ⊙ (W_n h + b_n)), h' = n + z ⊙ (h − n). a are the
    inputs of the gates. In the backward pass, the gradient by a is that by h' times factors that
    are computed for all steps at once, and the gradient by W is one product over all steps.
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
        n_rows = torch.tensor(sizes)
        previous = torch.arange(sizes[0], len(out)) - n_rows[:-1].repeat_interleave(n_rows[1:])
        before = torch.cat([out.new_zeros(sizes[0], h), out[previous]])  # state before each step
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
    """Return Σ_s share_s · −Σ_i x_si log softmax(decode(code_s))_i, a scalar.

    The logits (S, n) are made, and their gradient taken, some rows at a time: at most `LOGITS` of
    them (on a CPU 4 MB) exist at once, in three copies.

    Parameters
    ----------
    code : (S, d)
        Input of the output layer.
    decode : Linear
        The output layer, from d to n.
    batch : Batch
        The targets x, S rows.
    share : (S,)
        Weight of each row.
    """
    loss: torch.Tensor = _Decoded.apply(code, decode.weight, decode.bias, batch, share)
    return loss


class _Decoded(torch.autograd.Function):
    """The output layer and its loss; the forward pass makes the gradients too, piece by piece."""

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
        gradients = [torch.zeros_like(t) for t in (code, weight, bias)]
        total = wide(code).new_zeros(())
        for begin in range(0, len(code), size):
            end = min(begin + size, len(code))
            leaf = code[begin:end].detach().requires_grad_()
            with torch.enable_grad():
                logits = functional.linear(leaf, W, b)
                losses = multinomial(logits, between(batch, begin, end))
                loss = losses @ share[begin:end].to(losses.dtype)
            parts = torch.autograd.grad(loss, (leaf, W, b))
            gradients[0][begin:end] = parts[0]
            gradients[1] += parts[1]
            gradients[2] += parts[2]
            total += loss.detach()
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return *(grads[0] * t for t in ctx.saved_tensors), None, None

"""The recurrence and the loss in pieces, against torch's own and small changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import PackedSequence

from shoal.training import layers, sequences
from shoal.training.batches import Batch
from shoal.training.sequences import Steps

Array = NDArray[np.float64]
CPU = torch.device("cpu")


def batch_of(rows: Sequence[Sequence[int]], n: int) -> Batch:
    places = np.zeros((len(rows), n), np.float32)
    for u, row in enumerate(rows):
        places[u, list(row)] = np.arange(1, len(row) + 1)
    return sequences.in_order(Batch.of(sp.csr_array(places), None, CPU))


def test_steps_and_what_follows_them_on_a_toy() -> None:
    """Rows c b e, (nothing), and a d c b e, with k = 2."""
    a, b, c, d, e = range(5)
    batch = batch_of([[c, b, e], [], [a, d, c, b, e]], 5)
    assert batch.columns.tolist() == [c, b, e, a, d, c, b, e]
    steps = Steps.of(batch, leave=1)
    assert steps.sizes == [2, 2, 1, 1]
    assert steps.counts.tolist() == [2, 0, 4]
    assert steps.rows.tolist() == [2, 0, 2, 0, 2, 2]  # the long row first
    assert batch.columns[steps.at].tolist() == [a, c, d, b, c, b]
    wanted = steps.following(batch, 2)
    found = [wanted.columns[wanted.rows == s].tolist() for s in range(6)]
    assert found == [[d, c], [b, e], [c, b], [e], [b, e], [e]]
    assert wanted.indptr.tolist() == [0, 2, 4, 6, 7, 9, 10]
    assert wanted.values.tolist() == [1.0] * 10


SIZES = [3, 3, 2, 1, 1]


def test_the_gru_and_its_gradients_are_torchs() -> None:
    torch.manual_seed(0)
    gru = torch.nn.GRU(5, 4).double()
    x = torch.randn(10, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(10, 4, dtype=torch.float64)
    mine = sequences.states(gru, x, SIZES)
    theirs = gru(PackedSequence(x, torch.tensor(SIZES)))[0].data
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-14)
    of = [x, *gru.parameters()]
    for a, b in zip(
        torch.autograd.grad((mine * weight).sum(), of),
        torch.autograd.grad((theirs * weight).sum(), of),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


def test_the_gradient_of_the_recurrence_is_that_of_small_changes() -> None:
    torch.manual_seed(1)
    inputs, weight, bias = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((10, 9), (9, 3), (9,))
    )
    assert torch.autograd.gradcheck(
        lambda *given: sequences._Recurrence.apply(*given, SIZES), (inputs, weight, bias)
    )


@pytest.mark.parametrize("logits", [14, 2**20])
def test_the_loss_in_pieces_is_the_loss_at_once(
    logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sequences.LOGITS, "cpu", logits)  # 14: two rows of seven at a time
    torch.manual_seed(2)
    decode = torch.nn.Linear(3, 7).double()
    code = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    batch = batch_of([[1, 4], [2], [], [0, 6, 3], [5]], 7)
    share = torch.rand(5, dtype=torch.float64)
    mine = sequences.decoded_multinomial(code, decode, batch, share)
    theirs = (layers.multinomial(decode(code), batch) * share).sum()
    torch.testing.assert_close(mine, theirs)
    of = [code, *decode.parameters()]
    for a, b in zip(
        torch.autograd.grad(3 * mine, of), torch.autograd.grad(3 * theirs, of), strict=True
    ):
        torch.testing.assert_close(a, b)

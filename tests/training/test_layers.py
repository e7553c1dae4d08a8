"""Losses and layers against torch's own distributions, dense products, and loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import distributions
from torch.autograd import gradcheck

from shoal.training import layers
from shoal.training.batches import Batch

CPU = torch.device("cpu")


def counts(m: int = 6, n: int = 9, seed: int = 0) -> sp.csr_array:
    """A few small numbers, and one empty row."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 4, (m, n)) * (rng.random((m, n)) < 0.4)
    dense[2] = 0
    return sp.csr_array(dense.astype(np.float32))


def batch_of(matrix: sp.csr_array) -> Batch:
    return Batch.of(matrix, None, CPU)


def in_double(batch: Batch) -> Batch:
    tensors = (batch.users, batch.indptr, batch.rows, batch.columns, batch.values.double())
    return Batch(*tensors, n=batch.n)


def logits(matrix: sp.csr_array, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(matrix.shape, generator=generator, dtype=torch.float64, requires_grad=True)


# -- batches --------------------------------------------------------------------------------


def test_a_batch_is_its_rows() -> None:
    X = counts()
    batch = Batch.of(X, np.array([4, 0]), CPU)
    dense = torch.zeros(2, 9)
    dense[batch.rows, batch.columns] = batch.values
    np.testing.assert_array_equal(dense.numpy(), X.toarray()[[4, 0]])
    assert batch.users.tolist() == [4, 0]
    assert batch.counts.tolist() == np.diff(X.indptr)[[4, 0]].tolist()


def test_normalised_rows_have_length_one_and_empty_ones_none() -> None:
    X = counts()
    batch = batch_of(X).normalised()
    lengths = batch.sum(batch.values**2).sqrt()
    there = np.diff(X.indptr) > 0
    assert 0 < there.sum() < len(there)
    np.testing.assert_allclose(lengths.numpy(), there, atol=1e-6)


@pytest.mark.parametrize(("p", "scaled"), [(0.25, True), (0.25, False), (1.0, True)])
def test_corruption_hides_that_share(p: float, scaled: bool) -> None:
    X = sp.csr_array(np.full((50, 400), 2, np.float32))
    values = batch_of(X).corrupted(p, torch.Generator().manual_seed(0), scaled=scaled).values
    kept = values[values > 0]
    assert abs(len(kept) / len(values) - (1 - p)) < 0.01
    np.testing.assert_allclose(kept.numpy(), 2 / (1 - p) if scaled and p < 1 else 2.0, rtol=1e-6)


# -- the sparse product ---------------------------------------------------------------------


def test_the_sparse_product_and_its_gradient_are_those_of_the_dense_one() -> None:
    X = counts(40, 30)
    weight = torch.randn(30, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    other = weight.detach().clone().requires_grad_()
    mine = layers.sparse_product(batch_of(X), weight)
    theirs = torch.from_numpy(X.toarray()) @ other
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)
    (mine**2).sum().backward()
    (theirs**2).sum().backward()
    torch.testing.assert_close(weight.grad, other.grad, rtol=1e-5, atol=1e-5)


# -- losses against what others wrote -------------------------------------------------------


def test_multinomial_is_that_of_torch_but_for_its_constant() -> None:
    X = counts()
    scores = logits(X)
    mine = layers.multinomial(scores, in_double(batch_of(X)))
    for u, row in enumerate(X.toarray()):
        total = int(row.sum())
        theirs = distributions.Multinomial(total, logits=scores[u]).log_prob(
            torch.tensor(row).double()
        )
        constant = math.lgamma(total + 1) - sum(math.lgamma(x + 1) for x in row)
        assert mine[u].item() == pytest.approx(constant - theirs.item(), abs=1e-9)


def test_kl_is_that_of_torch() -> None:
    X = counts()
    mean, log_variance = logits(X, 2), logits(X, 3)
    theirs = distributions.kl_divergence(
        distributions.Normal(mean, (0.5 * log_variance).exp()), distributions.Normal(0.0, 1.0)
    ).sum(dim=1)
    torch.testing.assert_close(layers.kl_to_normal(mean, log_variance), theirs)


def test_samples_have_the_mean_and_deviation_asked_for() -> None:
    mean, log_variance = torch.full((40_000, 1), 3.0), torch.full((40_000, 1), math.log(4.0))
    drawn = layers.sample_normal(mean, log_variance, torch.Generator().manual_seed(0))
    assert abs(float(drawn.mean()) - 3) < 0.05
    assert abs(float(drawn.std()) - 2) < 0.05


def by_hand(kind: str, scores: Any, X: Any, weight: Any) -> list[float]:
    out = []
    for u in range(len(X)):
        total = 0.0
        for i, x in enumerate(X[u]):
            s = scores[u][i]
            if kind == "square":
                total += (s - x) ** 2 if x else weight[u] * s**2
            else:
                p = 1 / (1 + math.exp(-s))
                total += -math.log(p) if x else -weight[u] * math.log(1 - p)
        out.append(total)
    return out


@pytest.mark.parametrize("kind", ["square", "logistic"])
def test_weighted_losses_are_those_of_two_loops(kind: str) -> None:
    X = counts()
    X.data[:] = 1
    scores, weight = logits(X), torch.rand(6, dtype=torch.float64)
    loss = layers.weighted_squares if kind == "square" else layers.weighted_logistic
    mine = loss(scores, in_double(batch_of(X)), weight)
    expected = by_hand(kind, scores.tolist(), X.toarray().tolist(), weight.tolist())
    np.testing.assert_allclose(mine.detach().numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", ["square", "logistic"])
def test_sampling_has_the_expectation_of_the_weights(kind: str) -> None:
    X = counts(seed=5)
    X.data[:] = 1
    batch = batch_of(X)
    generator = torch.Generator().manual_seed(0)
    code = torch.randn(6, 4, generator=generator)
    decode = layers.dense(4, 9)
    weight = 5 * batch.counts / (9 - batch.counts)
    loss = layers.weighted_squares if kind == "square" else layers.weighted_logistic
    with torch.no_grad():
        expected = loss(decode(code), batch, weight)
        draws = [
            layers.sampled(code, decode, batch, 5, generator, kind).numpy() for _ in range(4_000)
        ]
    np.testing.assert_allclose(np.mean(draws, axis=0), expected.numpy(), rtol=0.02, atol=1e-6)


def test_what_is_sampled_is_never_in_the_history() -> None:
    X = counts(30, 12, seed=3)
    batch = batch_of(X)
    rows = torch.arange(30).repeat(50)
    columns = layers.unobserved(rows, batch, torch.Generator().manual_seed(0))
    assert (X.toarray()[rows.numpy(), columns.numpy()] == 0).all()


# -- gradients ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["multinomial", "squares", "logistic"])
def test_gradients_of_losses_are_those_of_finite_differences(name: str) -> None:
    X = counts()
    batch, weight = in_double(batch_of(X)), torch.rand(6, dtype=torch.float64)

    def loss(scores: torch.Tensor) -> torch.Tensor:
        if name == "multinomial":
            return layers.multinomial(scores, batch)
        kind = layers.weighted_squares if name == "squares" else layers.weighted_logistic
        return kind(scores, batch, weight)

    assert gradcheck(loss, (logits(X),))


def test_gradients_of_the_kl_and_of_the_sampled_loss() -> None:
    X = counts()
    assert gradcheck(layers.kl_to_normal, (logits(X, 2), logits(X, 3)))
    decode = layers.dense(4, 9).double()
    code = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)

    def loss(code: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)  # the same draws every time
        return layers.sampled(code, decode, in_double(batch_of(X)), 3, generator, "logistic")

    assert gradcheck(loss, (code,))

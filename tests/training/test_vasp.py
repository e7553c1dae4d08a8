"""NEASE, FLVAE, products: the focal loss against a naive one, halves, and what a product is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import shoal
from shoal.errors import DataError, ModelError
from shoal.models.ease import EASE
from shoal.models.flvae import FLVAE
from shoal.models.nease import NEASE
from shoal.models.product import Product
from shoal.models.registry import create
from shoal.models.vasp import VASP
from shoal.run import Run
from shoal.testing.contract import from_dense
from shoal.training.blocks import ZeroDiagonal, nadam
from shoal.training.focal import focal
from shoal.training.learner import Clock

from .test_layers import batch_of, counts
from .test_priors import circles

ONE = Run(threads=1)
TINY: dict[str, Any] = {"hidden": 16, "factors": 4, "depth": 2, "decoder_depth": 1}
SHORT: dict[str, Any] = {"n_epochs": 30, "batch_size": 20, "lr": 0.01}
SMALL_PRODUCT = "flvae(hidden=16;factors=4;depth=2;decoder_depth=1)+nease(loss=focal)"


def ones() -> sp.csr_array:
    X = counts()
    X.data[:] = 1
    return X


# -- the focal loss -------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0), (0.4, 1.0), (0.25, 1.5)])
@pytest.mark.parametrize("factors", [1, 3])
def test_focal_and_product_loss_are_the_naive_ones(
    alpha: float, gamma: float, factors: int
) -> None:
    """As the formula says, in float64 and with probabilities that do not round to 0 or 1."""
    X = ones()
    generator = torch.Generator().manual_seed(0)
    shape = (factors, *X.shape)
    logits = (4 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
    p = logits.sigmoid().prod(dim=0)
    y = torch.from_numpy(X.toarray()).double()
    naive = -alpha * (1 - p) ** gamma * p.log() * y
    naive = naive - (1 - alpha) * p**gamma * (1 - p).log() * (1 - y)
    weights = torch.rand(len(y), generator=generator, dtype=torch.float64)
    expected = torch.autograd.grad((naive.sum(dim=1) * weights).sum(), logits)[0]
    log_p = torch.nn.functional.logsigmoid(logits).sum(dim=0)
    found = focal(log_p, batch_of(X), alpha, gamma)
    torch.testing.assert_close(found, naive.sum(dim=1))
    torch.testing.assert_close(torch.autograd.grad((found * weights).sum(), logits)[0], expected)


@pytest.mark.parametrize("logit", [-200.0, -80.0, -20.0, 20.0, 60.0])
def test_extreme_logits_are_exact_in_float32(logit: float) -> None:
    """Against log(1 + eˣ) in float64: γ = 0 and α = ½ are half the logistic loss."""
    X = sp.csr_array(np.array([[1, 0]], np.float32))
    a = torch.full((1, 2), logit, requires_grad=True)
    found = focal(torch.nn.functional.logsigmoid(a), batch_of(X), 0.5, 0.0)
    found.sum().backward()
    positive, negative = np.logaddexp(0, -logit), np.logaddexp(0, logit)
    assert found.item() == pytest.approx(0.5 * (positive + negative), rel=1e-6)
    assert a.grad is not None
    slopes = 0.5 * np.exp([-negative, -positive]) * [-1, 1]  # −σ(−a)/2 and σ(a)/2
    np.testing.assert_allclose(a.grad.numpy()[0], slopes, rtol=1e-5, atol=1e-30)


def test_the_focal_loss_stays_finite_where_a_product_saturates() -> None:
    X = sp.csr_array(np.array([[1, 0, 0]], np.float32))
    for value in (-1e4, -200.0, 0.0, 60.0, 1e4):
        a = torch.full((1, 3), value, requires_grad=True)
        loss = focal(2 * torch.nn.functional.logsigmoid(a), batch_of(X), 0.25, 2.0)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert a.grad is not None
        assert torch.isfinite(a.grad).all()
        if value == 60:  # wrong, and sure: the push downwards must not vanish
            assert a.grad[0, 1] > 0.1


# -- halves ---------------------------------------------------------------------------------


def test_no_item_is_given_and_wanted_and_none_is_lost() -> None:
    X = sp.csr_array((np.random.default_rng(0).random((50, 30)) < 0.3).astype(np.float32))
    X = sp.csr_array(np.vstack([X.toarray(), np.zeros((1, 30)), np.eye(1, 30)]).astype(np.float32))
    given, wanted = batch_of(X).halves(torch.Generator().manual_seed(0))
    dense = []
    for part in (given, wanted):
        assert len(part) == 2 * X.shape[0]
        assert torch.equal(part.indptr, torch.searchsorted(part.rows, torch.arange(len(part) + 1)))
        rows = np.zeros((len(part), 30), int)
        np.add.at(rows, (part.rows.numpy(), part.columns.numpy()), 1)
        dense.append(rows)
    a, b = dense
    assert not (a & b).any()
    np.testing.assert_array_equal(a + b, np.vstack([X.toarray()] * 2))
    m = X.shape[0]
    np.testing.assert_array_equal(a[:m], b[m:])
    sizes = X.toarray().sum(axis=1)
    np.testing.assert_array_equal(a[:m].sum(axis=1), np.ceil(sizes / 2))
    again, _ = batch_of(X).halves(torch.Generator().manual_seed(1))
    assert not torch.equal(given.columns, again.columns)


# -- NEASE ----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 3])
def test_an_item_says_nothing_of_itself(k: int) -> None:
    layer = ZeroDiagonal(9, k)
    X = counts()
    W = (layer.A @ layer.B.T if k else layer.W).detach().numpy().copy()
    np.fill_diagonal(W, 0)
    found = layer(batch_of(X))
    np.testing.assert_allclose(found.detach().numpy(), X.toarray() @ W, rtol=1e-4, atol=1e-5)
    rows = np.array([0, 4, 8], np.int32)
    np.testing.assert_allclose(layer.column(rows, 4), W[rows, 4], rtol=1e-5, atol=1e-6)
    weights = [layer.A, layer.B] if k else [layer.W]
    slopes = torch.autograd.grad((found**2).sum(), weights)
    other = [w.detach().clone().requires_grad_() for w in weights]
    whole = other[0] @ other[1].T if k else other[0]
    dense = torch.from_numpy(X.toarray()) @ (whole * (1 - torch.eye(9)))
    for mine, theirs in zip(slopes, torch.autograd.grad((dense**2).sum(), other), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", ["cosine", "square", "focal"])
def test_nease_s_losses_by_hand(loss: Any) -> None:
    X = ones()
    model = NEASE(loss=loss)
    network: Any = model._build(*X.shape)
    found = model._loss(network, batch_of(X), Clock(), torch.Generator())
    x = X.toarray().astype(np.float64)
    W = network.W.detach().numpy().astype(np.float64)
    np.fill_diagonal(W, 0)
    s = x @ W
    if loss == "cosine":
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(s, axis=1)
        each = 1 - (x * s).sum(axis=1) / np.maximum(lengths, 1e-12)
    elif loss == "square":
        each = ((x - s) ** 2).sum(axis=1)
    else:
        p = 1 / (1 + np.exp(-s))
        each = -(0.25 * x * (1 - p) ** 2 * np.log(p) + 0.75 * (1 - x) * p**2 * np.log(1 - p))
        each = each.sum(axis=1)
    assert found.item() == pytest.approx(each.mean(), rel=1e-4)


def test_nease_starts_at_ease_and_the_square_loss_takes_it_to_least_squares() -> None:
    log = from_dense(circles())
    ease = EASE(l2=5.0).fit(log)
    start = NEASE(start="ease", l2=5.0, n_epochs=1, lr=1e-12).fit(log, run=ONE)
    np.testing.assert_allclose(start.score(log.matrix), ease.score(log.matrix), atol=1e-4)
    whole = NEASE(start="ease", l2=5.0, factors=12, n_epochs=1, lr=1e-12).fit(log, run=ONE)
    np.testing.assert_allclose(whole.score(log.matrix), ease.score(log.matrix), atol=1e-3)
    # ‖X − XW‖² with diag W = 0, column by column, by scipy's least squares
    X = circles().astype(np.float64)
    best = np.zeros((12, 12))
    for j in range(12):
        others = [i for i in range(12) if i != j]
        best[others, j] = np.linalg.lstsq(X[:, others], X[:, j], rcond=None)[0]
    learned = NEASE(loss="square", lr=0.02, n_epochs=500, batch_size=60).fit(log, run=ONE)
    found, least = (((X - S) ** 2).sum() for S in (learned.score(log.matrix), X @ best))
    assert least * (1 - 1e-6) <= found <= least * 1.01


def test_the_diagonal_stays_zero_through_training() -> None:
    model = NEASE(**SHORT).fit(from_dense(circles()), run=ONE)
    assert not model.state()["W"].diagonal().any()


def test_nease_explains_its_scores() -> None:
    log = from_dense(circles())
    model = NEASE(**SHORT).fit(log, run=ONE)
    row = log.matrix[[0]]
    history = row.indices.astype(np.int32)
    parts = model.contributions(history, np.ones(len(history), np.float32), 3)
    assert parts.sum() == pytest.approx(model.score(row)[0, 3], abs=1e-5)


def test_the_rate_falls_at_the_epochs_that_are_named() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    schedule = nadam([parameter], 1.0, ((50, 0.2), (70, 0.02))).schedule
    assert schedule is not None
    assert [schedule(e) for e in (0, 49, 50, 69, 70, 89)] == [1, 1, 0.2, 0.2, 0.02, 0.02]


# -- products -------------------------------------------------------------------------------


def test_a_product_of_one_is_its_member() -> None:
    log = from_dense(circles())
    member = FLVAE(**TINY, **SHORT).fit(log, run=ONE)
    product = Product([FLVAE(**TINY, **SHORT)], **SHORT).fit(log, run=ONE)
    np.testing.assert_array_equal(product.score(log.matrix), member.score(log.matrix))
    alone = Product([FLVAE(**TINY, **SHORT)], mode="ensemble").fit(log, run=ONE)
    np.testing.assert_array_equal(alone.score(log.matrix), member.score(log.matrix))
    linear = NEASE(loss="focal", **SHORT).fit(log, run=ONE)
    of_linear = np.log(1 / (1 + np.exp(-linear.score(log.matrix))))
    found = Product.of(linear).score(log.matrix)
    np.testing.assert_allclose(found, of_linear, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["joint", "alternating", "ensemble"])
def test_a_product_multiplies(mode: Any, tmp_path: Any) -> None:
    log = from_dense(circles())
    model = VASP(parts=SMALL_PRODUCT, mode=mode, **SHORT).fit(log, run=ONE)
    deep, linear = model.members
    p = np.exp(deep.score(log.matrix)) / (1 + np.exp(-linear.score(log.matrix)))
    np.testing.assert_allclose(np.exp(model.score(log.matrix)), p, rtol=1e-4)
    kept = shoal.load(shoal.save(model, tmp_path / "m"))
    np.testing.assert_array_equal(kept.score(log.matrix), model.score(log.matrix))
    assert [m.name for m in kept.members] == ["flvae", "nease"]  # type: ignore[attr-defined]
    for mine, theirs in zip(kept.members, model.members, strict=True):  # type: ignore[attr-defined]
        np.testing.assert_array_equal(mine.score(log.matrix), theirs.score(log.matrix))
    if mode != "ensemble":
        found = model.score(from_dense(np.eye(12, dtype=np.float32)).matrix)
        same = (np.arange(12)[:, None] % 2) == (np.arange(12)[None, :] % 2)
        off = ~np.eye(12, dtype=bool)
        assert found[same & off].mean() > found[~same].mean()


def test_in_a_member_s_turn_the_others_stand_still() -> None:
    log = from_dense(circles())
    model = Product(SMALL_PRODUCT, mode="alternating", n_epochs=1, lr=0.01)
    network: Any = model._build(log.n_users, log.n_items)
    first, second = model._phases(network)
    assert (first.name, second.name) == ("0", "1")
    batch = batch_of(log.matrix.astype(np.float32))
    model._loss(network, batch, Clock(phase="1"), torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is None for p in network[0].parameters())
    assert all(p.grad is not None for p in network[1].parameters())


def test_any_fitted_models_can_be_multiplied_but_of_the_same_items() -> None:
    log = from_dense(circles())
    ease, nease = EASE(l2=5.0).fit(log), NEASE(**SHORT).fit(log, run=ONE)
    both = Product.of(ease, nease)
    expected = -sum(np.logaddexp(0, -m.score(log.matrix)) for m in (ease, nease))
    np.testing.assert_allclose(both.score(log.matrix), expected, rtol=1e-5, atol=1e-6)
    assert shoal.recommend(both, log.items.take([0, 2]), k=3)
    fewer = EASE(l2=5.0).fit(from_dense(circles(n=10)))
    with pytest.raises(DataError, match="knows 12 items and ease 10"):
        Product.of(nease, fewer)


def test_members_are_written_as_they_are_read() -> None:
    model = Product([FLVAE(hidden=8, gamma=1.5), NEASE(loss="focal"), EASE()], mode="ensemble")
    assert model.parts == "flvae(hidden=8;gamma=1.5)+nease(loss=focal)+ease"
    again = create("product", {"parts": model.parts, "mode": "ensemble"})
    assert isinstance(again, Product)
    assert [m.model_dump() for m in again.members] == [m.model_dump() for m in model.members]
    assert VASP(preset="paper").members[0].hidden == 4096  # type: ignore[attr-defined]
    assert VASP().members[0] is not VASP().members[0]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("flvae+nosuch", "no model is called 'nosuch'"),
        ("flvae(hidden)", r"write name or name\(parameter=value"),
        ("flvae(hiden=3)", "no hyper-parameter 'hiden'"),
        ("flvae+", "member ''"),
        ("flvae+ease", "ease cannot be trained together with others: use mode=ensemble"),
        ("flvae+deeprec", "deeprec cannot be a member"),
    ],
)
def test_members_that_cannot_be(parts: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Product(parts)


def test_the_best_epochs_of_an_ensemble_are_its_members() -> None:
    log = from_dense(circles())
    parts = shoal.split(log, "strong", validation=10, test=5)
    members = [FLVAE(**TINY, **SHORT), NEASE(loss="focal", **SHORT)]
    model = Product(members, mode="ensemble")
    for member in model.members:
        type(member).metric = "ndcg@5"
    try:
        model.fit(parts.train, parts.validation, ONE)
    finally:
        for member in model.members:
            type(member).metric = "ndcg@100"
    found = model.until_best()
    for mine, theirs in zip(found.members, model.members, strict=True):
        assert mine.n_epochs == theirs.facts["best_epoch"]  # type: ignore[attr-defined]
        assert not mine.fitted

"""RVAE: its loss against loops over pairs, its scores, and what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

import shoal
from shoal.models.rvae import RVAE
from shoal.run import Run
from shoal.testing.contract import from_dense
from shoal.training import layers
from shoal.training.batches import Batch
from shoal.training.learner import Clock

Array = NDArray[np.float64]
SMALL: dict[str, Any] = {"embedding": 5, "hidden": 7, "factors": 3, "lr": 0.01}
X = np.array(
    [[1, 1, 0, 0, 1, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]], np.float32
)
BATCH = Batch.of(sp.csr_array(X), None, torch.device("cpu"))


def network_of(model: RVAE, n: int = 6) -> tuple[Any, dict[str, Array]]:
    """A network with weights that are not small, and the same weights as arrays."""
    torch.manual_seed(0)
    network = model._build(4, n).double()
    for tensor in network.parameters():
        torch.nn.init.normal_(tensor, std=0.7)
    return network, {name: t.detach().numpy() for name, t in network.state_dict().items()}


def code(
    w: dict[str, Array], history: list[int], item: int, model: RVAE
) -> tuple[Array, Array, Array]:
    """Hidden layer, mean and log-variance for a history and an item, by the formula."""
    p = w["user.weight"][history].mean(axis=0) if history else np.zeros(model.embedding)
    pair = np.concatenate([p, w["item.weight"][item]])
    h = np.maximum(w["encode.weight"] @ pair + w["encode.bias"], 0)
    moments = w["moments.weight"] @ h + w["moments.bias"]
    return h, moments[: model.factors], moments[model.factors :]


@pytest.mark.parametrize("negatives", [1, 3])
def test_the_loss_is_that_of_loops_over_the_pairs(
    monkeypatch: pytest.MonkeyPatch, negatives: int
) -> None:
    model = RVAE(**SMALL, negatives=negatives, beta=0.3)
    network, w = network_of(model)
    entries = [(u, i) for u, i in zip(*np.nonzero(X), strict=True)]
    drawn = [[3, 0, 1, 4, 5, 2], [5, 3, 3, 0, 3, 0], [3, 5, 2, 5, 4, 1]][:negatives]
    chosen = torch.tensor(drawn).flatten()
    noise = torch.randn(len(entries) * (negatives + 1), 3, dtype=torch.float64)
    monkeypatch.setattr(layers, "unobserved", lambda *_: chosen)
    monkeypatch.setattr(layers, "sample_normal", lambda mean, s, _: mean + noise * (0.5 * s).exp())
    loss = float(model._loss(network, BATCH, Clock(), torch.Generator()).detach())

    def score_and_kl(history: list[int], item: int, eps: Array) -> tuple[float, float]:
        _, mean, s = code(w, history, item, model)
        kl = 0.5 * float((np.exp(s) + mean**2 - 1 - s).sum())
        return float(w["score.weight"][0] @ (mean + eps * np.exp(s / 2))), kl

    expected, e = 0.0, len(entries)
    for number, (u, i) in enumerate(entries):
        others = [j for j in np.flatnonzero(X[u]).tolist() if j != i]
        up, kl_up = score_and_kl(others, i, noise[number].numpy())
        for block, items in enumerate(drawn, 1):
            down, kl_down = score_and_kl(others, items[number], noise[block * e + number].numpy())
            expected += np.log1p(np.exp(down - up)) + 0.3 * (kl_up + kl_down)
    assert loss == pytest.approx(expected / 4, rel=1e-6)


def test_an_item_says_nothing_of_itself_whatever_its_value() -> None:
    """Where only one of two items has a vector p that is not 0, its value must not matter to it."""
    model = RVAE(**SMALL)
    losses = []
    for value in (1.0, 3.0):
        network, _ = network_of(model)
        with torch.no_grad():
            network["user"].weight[1] = 0
            network["moments"].weight[model.factors :] = 0  # no noise
            network["moments"].bias[model.factors :] = -60
        X = np.array([[value, 1, 0, 0, 0, 0]], np.float32)
        batch = Batch.of(sp.csr_array(X), None, torch.device("cpu"))
        generator = torch.Generator().manual_seed(0)
        of_pair = []
        for column in (0, 1):  # the gradient for q of an item is that of its own pair
            network.zero_grad()
            model._loss(network, batch, Clock(), generator.manual_seed(0)).backward()
            of_pair.append(network["item"].weight.grad[column].numpy().copy())
        losses.append(of_pair)
    np.testing.assert_allclose(losses[0][0], losses[1][0])
    assert np.abs(losses[0][1] - losses[1][1]).max() > 1e-6  # for the other one it does


def test_scores_are_those_of_the_mean_up_to_a_constant() -> None:
    model = RVAE(**SMALL)
    network, w = network_of(model)
    found = model._scores(network, BATCH).detach().numpy()
    constant = w["score.weight"][0] @ w["moments.bias"][:3]
    for u in range(4):
        history = np.flatnonzero(X[u]).tolist()
        means = [code(w, history, i, model)[1] for i in range(6)]
        expected = [float(w["score.weight"][0] @ mean) for mean in means]
        np.testing.assert_allclose(found[u] + constant, expected, rtol=1e-5)


def test_scores_do_not_depend_on_how_many_are_computed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = RVAE(**SMALL)
    network, _ = network_of(model)
    whole = model._scores(network, BATCH)
    monkeypatch.setattr("shoal.models.rvae.AT_ONCE", 1)
    assert torch.allclose(model._scores(network, BATCH), whole)


def test_two_groups_of_users_and_items_are_told_apart() -> None:
    """Popularity cannot do it: every item has as many users."""
    rng = np.random.default_rng(0)
    group = np.arange(80) % 2
    dense = (rng.random((80, 20)) < 0.5) & (np.arange(20) % 2 == group[:, None])
    model = RVAE(embedding=8, hidden=16, factors=4, lr=0.01, n_epochs=30, patience=0)
    model.fit(from_dense(dense.astype(np.float32)), None, Run(seed=0, threads=1))
    histories = np.zeros((2, 20), np.float32)
    histories[0, [0, 2, 4]] = histories[1, [1, 3, 5]] = 1
    scores = model.score(sp.csr_array(histories))
    assert scores[0, 6::2].min() > scores[0, 7::2].max()
    assert scores[1, 7::2].min() > scores[1, 6::2].max()


def test_a_history_of_all_items_and_one_of_a_single_item_can_be_learned() -> None:
    dense = np.ones((3, 5), np.float32)
    dense[1, 1:] = 0
    model = shoal.RVAE(**SMALL, n_epochs=2, patience=0)
    model.fit(from_dense(dense), None, Run(seed=0, threads=1))
    assert np.isfinite(model.score(sp.csr_array(np.eye(5, dtype=np.float32)))).all()

"""SVAE: what follows each step, the loss against loops, and that the order of time is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

import shoal
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.errors import DataError, HistoryError
from shoal.models.svae import SVAE
from shoal.run import Run, Silent, Step
from shoal.splitting.held_out import HeldOut
from shoal.testing.contract import from_dense
from shoal.training import sequences
from shoal.training.learner import Clock
from shoal.training.sequences import Steps

from .test_sequences import batch_of

Array = NDArray[np.float64]
CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "embedding": 12, "state_size": 16, "hidden": 12, "factors": 6, "batch_size": 8, "lr": 0.01,
}  # fmt: skip
ONE = Run(threads=1)


def log_of(lists: Sequence[Sequence[int]], n: int) -> Interactions:
    """Users 1, 2, … with items 100, 101, …, each list in order of time."""
    users = np.repeat(np.arange(len(lists), dtype=np.int32), [len(each) for each in lists])
    return Interactions.from_codes(
        Ids(pl.Series(range(1, len(lists) + 1), dtype=pl.Int64), "int"),
        Ids(pl.Series(range(100, 100 + n), dtype=pl.Int64), "int"),
        users,
        np.array([i for each in lists for i in each], np.int32),
        times=np.array([10 * t for each in lists for t in range(len(each))]),
    )


def chain(n: int = 12, m: int = 60, length: int = 6) -> list[list[int]]:
    """Walks around a circle: 5 more than the last item (modulo n) comes next."""
    starts = np.random.default_rng(0).integers(0, n, m)
    return [[int(s + 5 * t) % n for t in range(length)] for s in starts]


# -- the order ------------------------------------------------------------------------------


def test_places_count_each_users_time_from_one() -> None:
    log = log_of([[4, 0, 2], [1], [], [3, 1]], 5)
    expected = [[2, 0, 3, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 2, 0, 1, 0]]
    np.testing.assert_array_equal(log.in_order.toarray(), expected)
    np.testing.assert_array_equal(SVAE().histories(log).toarray(), expected)
    np.testing.assert_array_equal(shoal.EASE().histories(log).toarray(), log.matrix.toarray())


def test_equal_times_keep_the_order_of_the_items() -> None:
    log = from_dense(np.ones((1, 4)))
    log = shoal.Interactions(
        log.users, log.items, log.indptr, log.indices, times=np.array([5, 3, 3, 1])
    )
    assert log.places.tolist() == [4, 2, 3, 1]


def test_values_and_times_of_one_user_alone() -> None:
    log = log_of([[4, 0, 2], [1], [], [3, 1]], 5)
    for code in range(4):
        one = log.only_user(code)
        assert one.users.take([0]) == [code + 1]
        np.testing.assert_array_equal(one.in_order.toarray(), log.in_order.toarray()[[code]])


# -- the loss, in loops ---------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def step(w: dict[str, Array], x: Array, h: Array) -> Array:
    """Cho et al., 2014, with the reset gate behind the product, gate by gate."""
    size = len(h)
    of_x = w["gru.weight_ih_l0"] @ x + w["gru.bias_ih_l0"]
    of_h = w["gru.weight_hh_l0"] @ h + w["gru.bias_hh_l0"]
    reset = sigmoid(of_x[:size] + of_h[:size])
    update = sigmoid(of_x[size : 2 * size] + of_h[size : 2 * size])
    new = np.tanh(of_x[2 * size :] + reset * of_h[2 * size :])
    return (1 - update) * new + update * h


def weights(network: torch.nn.Module) -> dict[str, Array]:
    return {n: t.detach().double().numpy() for n, t in network.state_dict().items()}


def moments(w: dict[str, Array], h: Array) -> tuple[Array, Array]:
    x = np.tanh(w["moments.0.weight"] @ h + w["moments.0.bias"])
    both = w["moments.2.weight"] @ x + w["moments.2.bias"]
    return both[: len(both) // 2], both[len(both) // 2 :]


def logits_of(w: dict[str, Array], z: Array) -> Array:
    x = np.tanh(w["widen.0.weight"] @ z + w["widen.0.bias"])
    return w["decode.weight"] @ x + w["decode.bias"]


ROWS = [[3, 1, 4, 0, 5, 2], [2, 6], [5], [], [6, 0, 3]]


def losses_of(model: SVAE, network: Any, rows: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return model._loss(network, batch_of(ROWS, 7), Clock(rows=rows), generator)


@pytest.mark.parametrize("k", [1, 4])
def test_the_loss_is_that_of_loops(k: int) -> None:
    model = SVAE(**SMALL, next_items=k, beta=0.5, anneal=1000)
    torch.manual_seed(3)
    network = model._build(5, 7).double()
    w = weights(network)
    order = Steps.of(batch_of(ROWS, 7), leave=1)
    noise = torch.empty(len(order.at), 6, dtype=torch.float64)
    noise.normal_(generator=torch.Generator().manual_seed(7))
    total = 0.0
    for u, row in enumerate(ROWS):
        draws = noise[order.rows == u].numpy()
        h, kl, loss = np.zeros(16), [], 0.0
        for t in range(len(row) - 1):
            h = step(w, w["embed.weight"][row[t]], h)
            mean, log_variance = moments(w, h)
            kl.append(0.5 * np.sum(np.exp(log_variance) + mean**2 - 1 - log_variance))
            a = logits_of(w, mean + draws[t] * np.exp(log_variance / 2))
            for i in row[t + 1 : t + 1 + k]:
                loss -= a[i] - np.log(np.exp(a).sum())
        if len(row) > 1:
            total += loss / min(k, len(row) - 1) + 0.3 * np.mean(kl)
    assert losses_of(model, network, 300).item() == pytest.approx(total / len(ROWS), rel=1e-9)


def test_the_weight_of_the_kl_term_rises_to_its_cap() -> None:
    model = SVAE(**SMALL, beta=0.2, anneal=1000)
    torch.manual_seed(3)
    network = model._build(5, 7).double()
    at = [losses_of(model, network, rows).item() for rows in (0, 100, 200, 5000)]
    assert at[1] - at[0] > 0
    assert at[2] - at[1] == pytest.approx(at[1] - at[0])
    assert at[2] == at[3]


def test_the_gradient_of_the_loss_is_that_of_small_changes() -> None:
    model = SVAE(**SMALL)
    torch.manual_seed(4)
    network = model._build(5, 7).double()
    losses_of(model, network, 20_000).backward()
    rng = np.random.default_rng(0)
    for name, p in network.named_parameters():
        assert p.grad is not None
        for at in rng.integers(0, p.numel(), 5):
            old, found = p.data.view(-1)[at].item(), []
            for change in (1e-5, -1e-5):
                p.data.view(-1)[at] = old + change
                found.append(losses_of(model, network, 20_000).item())
            p.data.view(-1)[at] = old
            slope = (found[0] - found[1]) / 2e-5
            assert p.grad.view(-1)[at].item() == pytest.approx(slope, rel=1e-5, abs=1e-8), name


def test_scores_are_the_logits_after_the_last_item() -> None:
    model = SVAE(**SMALL, n_epochs=2).fit(log_of(chain(), 12), run=ONE)
    w = weights(model._network)
    rows = [[3, 8, 1], [], [7]]
    places = np.zeros((3, 12), np.float32)
    for u, row in enumerate(rows):
        places[u, row] = np.arange(1, len(row) + 1)
    scores = model.score(sp.csr_array(places))
    for u, row in enumerate(rows):
        h = np.zeros(16)
        for i in row:
            h = step(w, w["embed.weight"][i], h)
        np.testing.assert_allclose(scores[u], logits_of(w, moments(w, h)[0]), atol=1e-5)


def test_scores_do_not_depend_on_how_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(chain(), 12)
    model = SVAE(**SMALL, n_epochs=1).fit(log, run=ONE)
    whole = model.score(model.histories(log))
    monkeypatch.setattr(sequences, "ENTRIES", 20)
    np.testing.assert_allclose(model.score(model.histories(log)), whole, atol=1e-6)


# -- the model ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def walker() -> shoal.Recommender:
    return SVAE(**SMALL, n_epochs=60, next_items=1, beta=0).fit(log_of(chain(), 12), run=ONE)


def test_it_learns_what_comes_next(walker: shoal.Recommender) -> None:
    """Each walk is met from every start; a bag of items does not tell which one was the last."""
    for last in range(12):
        before = [(last - 5 * t) % 12 for t in (2, 1, 0)]
        best = shoal.recommend(walker, [100 + i for i in before], 1).items
        assert best == [100 + (last + 5) % 12]


def test_the_order_of_a_list_is_that_of_time(walker: shoal.Recommender) -> None:
    assert shoal.recommend(walker, [100, 105, 110], 1).items == [103]
    assert shoal.recommend(walker, [110, 100, 105], 1, exclude_seen=False).items == [110]
    one, two = ([r.score for r in shoal.recommend(walker, h, 3)] for h in ([100, 105], [105, 100]))
    assert one != two
    again = shoal.recommend(walker, [110, 100, 105, 110], 1)  # what came twice, came last
    assert again.items == [103]


def test_a_log_is_read_by_its_times(walker: shoal.Recommender) -> None:
    log = log_of([[0, 5, 10], [10, 5, 3]], 12)
    one = shoal.recommend(walker, log, 12, user=1, exclude_seen=False)
    assert one.items[0] == 103
    table = shoal.recommend_all(walker, log, 12, exclude_seen=False)
    assert table.filter(pl.col("user") == 1)["item"].to_list() == one.items
    assert log.history_of(2) == [110, 105, 103]


def test_weights_are_refused(walker: shoal.Recommender) -> None:
    with pytest.raises(HistoryError, match=r"not weights.*oldest first"):
        shoal.recommend(walker, {100: 2.0, 105: 1.0}, 1)
    same = shoal.recommend(walker, {100: 1.0, 105: 1.0, 110: 1.0}, 1)
    assert same.items == [103]


def test_a_log_without_times_is_refused_with_the_way_out(walker: shoal.Recommender) -> None:
    log = from_dense(np.eye(12)[:, ::-1] + np.eye(12))
    advice = r"svae reads .* order of time.* no times.*--columns time="
    with pytest.raises(DataError, match=advice):
        SVAE(**SMALL).fit(log)
    with pytest.raises(DataError, match=advice):
        shoal.recommend_all(walker, log, 1)
    with pytest.raises(DataError, match=advice):
        shoal.evaluate(walker, HeldOut(log, log, log.item_counts, "toy"), "ndcg@5")
    with pytest.raises(DataError, match=r"no times.*--columns time="):
        _ = log.places


def test_histories_of_one_item_and_none_are_safe_in_training() -> None:
    short = log_of([[1], [2], [], [3]], 5)
    model = SVAE(**SMALL, n_epochs=2).fit(short, run=ONE)
    assert model.curve[-1]["loss"] == 0
    assert np.isfinite(model.score(model.histories(short))).all()
    mixed = log_of([[1], [2, 4, 0], [], [3], [0, 2]], 5)
    state = SVAE(**SMALL | {"batch_size": 2}, n_epochs=3).fit(mixed, run=ONE).state()
    assert all(np.isfinite(array).all() for array in state.values())


def test_validation_and_evaluation_read_the_same_order() -> None:
    split = shoal.split(log_of(chain(m=80, length=7), 12), "leave-last")
    model = SVAE(**SMALL, n_epochs=8).fit(split.train, split.validation, ONE)
    assert split.validation is not None
    again = shoal.evaluate(model, split.validation, "ndcg@12")["ndcg@12"]
    assert again == pytest.approx(model.facts["validation_ndcg@100"])
    assert again > 0.5


def test_a_training_that_was_interrupted_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    log = log_of(chain(), 12)
    whole = SVAE(**SMALL, n_epochs=4).fit(log, run=ONE)

    class Deadly(Silent):
        @contextmanager
        def step(self, label: str, total: float | None = None) -> Iterator[Step]:
            with super().step(label, total) as quiet:
                left = iter(range(20))  # until a batch of the third epoch, of 8 each

                class Mortal:
                    def advance(self, amount: float = 1) -> None:
                        next(left)

                    note = quiet.note

                yield Mortal()

    with pytest.raises(StopIteration):
        SVAE(**SMALL, n_epochs=4).fit(
            log, run=Run(threads=1, checkpoint=tmp_path, progress=Deadly())
        )
    assert list(tmp_path.iterdir())
    rest = SVAE(**SMALL, n_epochs=4).fit(log, run=Run(threads=1, checkpoint=tmp_path))
    assert [r["loss"] for r in rest.curve] == [r["loss"] for r in whole.curve]
    for name, array in whole.state().items():
        np.testing.assert_array_equal(rest.state()[name], array, err_msg=name)


def test_saved_and_loaded_it_gives_the_same_lists(
    walker: shoal.Recommender, tmp_path: Path
) -> None:
    shoal.save(walker, tmp_path / "svae")
    loaded = shoal.load(tmp_path / "svae")
    log = log_of(chain(), 12)
    np.testing.assert_array_equal(
        loaded.score(loaded.histories(log)), walker.score(walker.histories(log))
    )


def test_in_bfloat16_it_learns_too() -> None:
    log = log_of(chain(), 12)
    model = SVAE(**SMALL, n_epochs=3).fit(log, run=Run(threads=1, precision="bfloat16"))
    plain = SVAE(**SMALL, n_epochs=3).fit(log, run=ONE)
    losses = [[r["loss"] for r in m.curve] for m in (model, plain)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.03)


def test_the_memory_that_is_needed_counts_users_of_a_batch_and_parameters() -> None:
    small, large = (SVAE(batch_size=b).bytes_to_fit(Size(1000, 500, 100_000)) for b in (8, 64))
    assert large > 2 * small
    parameters = sum(p.numel() for p in SVAE()._build(1, 50).parameters())
    assert SVAE().n_parameters(1, 50) == parameters

"""Closed-form models whose matrix is in tiles: fits, lists, model folders, on both executors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import shoal
from shoal.base.blocked import BlockedWeights
from shoal.base.closed_form import ClosedForm
from shoal.base.packed import PackedModel
from shoal.cluster import tiled
from shoal.cluster.local import LocalExecutor
from shoal.cluster.sharded import ShardedLog
from shoal.cluster.spread import SpreadWeights
from shoal.cluster.tiles import edges_of
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError, ModelError
from shoal.executor import Executor
from shoal.inference import ranking
from shoal.kernels.arrays import Float
from shoal.run import Run
from shoal.testing import toys
from tests.cluster.killing import kills

N = 100
BUDGET = 30_000  # bytes: too few for 100 × 100 numbers, so that tiles have 32 rows
ONE = Run(threads=1)


def log_of(*, valued: bool = False, m: int = 300, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    dense = (rng.random((m, N)) < rng.beta(0.7, 4, (m, 1))).astype(np.float32)
    dense[np.arange(N), np.arange(N)] = 1
    return toys.from_dense(dense * rng.uniform(0.5, 4, dense.shape) if valued else dense)


def fitted(model: ClosedForm, log: Interactions, executor: Executor) -> ClosedForm:
    fresh = type(model)(**model.model_dump())
    run = Run(executor=executor, memory=BUDGET)
    fresh.fit(log, run=run)
    assert isinstance(fresh._weights, SpreadWeights)
    assert fresh._weights.edges == (0, 32, 64, 96, 100)
    return fresh


class Machine(LocalExecutor):
    """A machine with the memory for 50 × 50 numbers."""

    @property
    def memory_of_a_machine(self) -> int:
        return 4 * 50**2


@pytest.mark.parametrize("memory", [None, 10**12])
def test_tiles_are_for_what_the_largest_machine_cannot_hold_whatever_the_budget(
    memory: int | None,
) -> None:
    run = Run(memory=memory)
    assert tiled.chosen(Machine(threads=1), shoal.EASE(), log_of().size, run)
    assert not tiled.chosen(LocalExecutor(threads=1), shoal.EASE(), log_of().size, run)


MODELS = [
    shoal.EASE(l2=3),
    shoal.LAE(l2=3),
    shoal.DLAE(l2=3, dropout=0.3),
    shoal.EDLAE(l2=3, dropout=0.3, alpha=0.4),
    shoal.RLAE(l2=3, xi=0.2),
    shoal.RDLAE(l2=3, xi=0.2, dropout=0.3, alpha=0.3, beta=0.5),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_fit_in_tiles_is_a_fit_here_to_rounding(model: ClosedForm) -> None:
    log, executor = log_of(), LocalExecutor(threads=1)
    here = type(model)(**model.model_dump()).fit(log, run=ONE)
    there = fitted(model, log, executor)
    assert there.weights == pytest.approx(here.weights, abs=2e-6)
    assert there.facts["residual"] < 1e-4
    if model.name == "ease":
        assert not np.diag(there.weights).any()
        assert there.facts["negative_weights"] == here.facts["negative_weights"]
    assert there.fingerprint == here.fingerprint
    assert there.item_counts is not None
    assert np.array_equal(there.item_counts, log.item_counts)
    for array in ("squares", "probe", "probe_product"):
        assert np.array_equal(there.state()[array], here.state()[array])


def test_lists_of_a_model_in_tiles_are_not_made_from_a_copy_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, executor = log_of(m=300), LocalExecutor(threads=1)
    here, there = shoal.EASE(l2=3).fit(log, run=ONE), fitted(shoal.EASE(l2=3), log, executor)
    assert not PackedModel.can_hold(there)
    assert PackedModel.can_hold(here)
    monkeypatch.setattr(ranking, "_BLOCK_USERS", 50)  # so many blocks that tasks would do them
    lists = shoal.recommend_all(there, log, 10, run=Run(executor=executor))
    assert lists.equals(shoal.recommend_all(there, log, 10, run=ONE))
    scores = shoal.recommend_all(here, log, 10, run=ONE)["score"]
    assert lists["score"].to_numpy() == pytest.approx(scores.to_numpy(), abs=1e-4)


def test_a_fit_by_an_executor_forgets_the_index_of_the_one_before() -> None:
    log, executor = log_of(), LocalExecutor(threads=1)
    model = shoal.EASE(l2=3).fit(log, run=ONE)

    def old_index(*_: object) -> None:
        raise AssertionError("the index of the model before was searched")

    model.search_with(old_index)
    model.fit(log, run=Run(executor=executor, memory=BUDGET))
    shoal.recommend_all(model, log, 5, run=ONE)


def test_a_log_in_shards_with_values(executor: Executor) -> None:
    log, model = log_of(valued=True), shoal.EASE(l2=3)
    here = shoal.EASE(l2=3).fit(log, run=ONE)
    run = Run(executor=executor, memory=BUDGET)
    executor.fit(model, ShardedLog.of(log, executor, 3), None, run)
    assert model.weights == pytest.approx(here.weights, abs=2e-6)


def test_executors_give_the_same_bits_and_lists(two_nodes: object) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    log = log_of()
    models = [fitted(shoal.EASE(l2=3), log, e) for e in (LocalExecutor(1), RayExecutor())]
    assert np.array_equal(models[0].weights, models[1].weights)
    lists = [shoal.recommend_all(model, log, 7, run=ONE) for model in models]
    assert lists[0].equals(lists[1])


def blocks_of(weights: SpreadWeights) -> BlockedWeights:
    blocks: list[Float] = [np.asarray(block) for block in weights.state().values()]
    return BlockedWeights(blocks)


@pytest.mark.parametrize("in_one_pass", [False, True])
def test_lists_are_those_of_the_same_blocks_here(
    executor: Executor, in_one_pass: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in (SpreadWeights, BlockedWeights):
        monkeypatch.setattr(form, "ranks_in_one_pass", lambda self, x: in_one_pass)
    log = log_of()
    many = fitted(shoal.EDLAE(l2=3, dropout=0.2, alpha=0.3), log, executor)
    weights = many._weights
    assert isinstance(weights, SpreadWeights)
    one = blocks_of(weights)
    assert np.array_equal(weights.score(log.matrix), one.score(log.matrix))
    lists = shoal.recommend_all(many, log, 9, run=ONE)
    many._weights = one
    assert lists.equals(shoal.recommend_all(many, log, 9, run=ONE))


def test_equal_scores_are_dealt_out_as_on_one_machine(executor: Executor) -> None:
    # P of whole numbers: many scores are equal
    rng = np.random.default_rng(4)
    P = rng.integers(-2, 3, (N, N)).astype(np.float32)
    P = np.triu(P) + np.triu(P, 1).T
    edges = edges_of(N, 32)
    tiles = {
        (i, j): executor.put(P[edges[i] : edges[i + 1], edges[j] : edges[j + 1]].copy())
        for i in range(4)
        for j in range(i, 4)
    }
    ones = np.ones(N)
    weights = SpreadWeights.of(executor, tiles, edges, np.diag(P).astype(float), ones, ones)
    assert np.array_equal(weights.matrix(), np.eye(N, dtype=np.float32) - P)
    log = log_of()
    model = shoal.EASE(l2=3).fit(log, run=ONE)
    model._weights = weights
    lists = shoal.recommend_all(model, log, 9, run=ONE)
    dense = model.with_weights(np.eye(N, dtype=np.float32) - P)
    assert lists.equals(shoal.recommend_all(dense, log, 9, run=ONE))
    off = weights.matrix()[~np.eye(N, dtype=bool)]
    assert weights.facts() == {"negative_weights": pytest.approx((off < 0).mean())}


def test_reasons_and_single_columns(executor: Executor) -> None:
    log = log_of()
    many = fitted(shoal.RDLAE(l2=3, xi=0.1, dropout=0.3, alpha=0.3), log, executor)
    weights = many._weights
    assert isinstance(weights, SpreadWeights)
    B = many.weights
    items = np.array([99, 0, 31, 32, 70], np.int32)
    for item in (0, 31, 32, 99):
        assert np.array_equal(weights.column(item), B[:, item])
    assert np.array_equal(weights.among(items), B[np.ix_(items, items)])
    history = [log.items.take([3])[0], log.items.take([60])[0]]
    reasons = shoal.recommend(many, history, 5, because=True, run=ONE)
    here = shoal.recommend(many.with_weights(B), history, 5, because=True, run=ONE)
    assert list(reasons) == list(here)


def test_workers_write_the_blocks_of_a_model_folder(executor: Executor, tmp_path: Path) -> None:
    log = log_of()
    model = fitted(shoal.EASE(l2=3), log, executor)
    folder = shoal.save(model, tmp_path / "m", metrics={"a": 1})
    assert sorted(p.name for p in folder.iterdir()) == [
        *(f"arrays-{number:05}.safetensors" for number in range(4)),
        "arrays.safetensors",
        "items.parquet",
        "manifest.json",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    for mapped in (False, True):
        loaded = shoal.load(folder, mapped=mapped)
        assert np.array_equal(loaded.weights, model.weights)
        assert loaded.facts == model.facts
        assert shoal.recommend_all(loaded, log, 5).equals(shoal.recommend_all(model, log, 5))


def test_nothing_is_left_where_a_block_cannot_be_written(
    executor: Executor, tmp_path: Path
) -> None:
    model = fitted(shoal.EASE(l2=3), log_of(), executor)
    (block,) = list(model._fitted_weights.state().values())[:1]
    written = block.begin_writing(
        tmp_path / "nowhere" / "arrays-00000.safetensors", "weights.00000"
    )
    with pytest.raises(ArtifactError, match="name a folder that all machines share"):
        written()
    weights = model._weights
    assert isinstance(weights, SpreadWeights)
    weights.vectors[0][40] = np.inf  # one column
    weights._kept.clear()
    with pytest.raises(ArtifactError, match=r"weights\.00001' holds a number that is NaN"):
        shoal.save(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_float64_where_float32_is_not_accurate_enough(executor: Executor) -> None:
    log = log_of(m=400)
    dense = log.matrix.toarray()
    dense[:, 1] = dense[:, 0]  # two items of the same users
    log = toys.from_dense(dense)
    model = fitted(shoal.EASE(l2=1e-5), log, executor)
    X = dense.astype(np.float64)
    P = np.linalg.inv(X.T @ X + 1e-5 * np.eye(N))
    expected = np.eye(N) - P / np.diag(P)
    assert model.weights == pytest.approx(expected, abs=1e-3)
    with pytest.raises(ModelError, match="even in float64"):
        fitted(shoal.EASE(l2=1e-14), log, executor)


@pytest.mark.timeout(240)
def test_a_fit_and_its_folder_survive_kills(two_nodes: object, tmp_path: Path) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    log = log_of()
    here = fitted(shoal.EASE(l2=3), log, LocalExecutor(1))
    expected = shoal.save(here, tmp_path / "here")
    killed: list[str] = []
    for seed in range(10):
        with kills(seed, times=min(2, 4 - len(killed)), within=0.5) as now:
            folder = shoal.save(fitted(shoal.EASE(l2=3), log, RayExecutor()), tmp_path / "there")
        killed += now
        for file in expected.glob("arrays*"):
            assert (folder / file.name).read_bytes() == file.read_bytes()
        assert len(list(folder.iterdir())) == len(list(expected.iterdir()))
        if len(killed) == 4:
            break
    assert len(killed) == 4

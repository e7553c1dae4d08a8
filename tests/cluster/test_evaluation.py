"""Lists and metrics of held-out users, block by block on workers: the numbers of one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.base.recommender import Recommender
from shoal.errors import MemoryBudgetError
from shoal.evaluation.evaluate import Evaluation, evaluate
from shoal.executor import Executor
from shoal.inference import ranking
from shoal.inference.everyone import recommend_all
from shoal.models.blend import Blend
from shoal.models.mrf import MRF
from shoal.models.popularity import Popularity
from shoal.models.spectral import SpectralEASE
from shoal.run import Run
from shoal.splitting.held_out import Split
from shoal.testing import toys
from tests.cluster.killing import kills

METRICS = "ndcg@20,recall@5,mrr@10:tail,coverage@10,novelty@10"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 16 users, so that few users are many blocks."""
    monkeypatch.setattr(ranking, "_BLOCK_USERS", 16)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many blocks were given to an executor by each call."""
    counts: list[int] = []
    original = ranking._by_tasks

    def counting(executor: Executor, shared: Any, parts: Any) -> Iterator[Any]:
        counts.append(len(parts.blocks))
        return original(executor, shared, parts)

    monkeypatch.setattr(ranking, "_by_tasks", counting)
    return counts


def split_of(n_items: int = 90, n_users: int = 700) -> Split:
    rng = np.random.default_rng(5)
    taste = rng.normal(size=(n_users, 4)) @ rng.normal(size=(4, n_items))
    taste += rng.normal(size=taste.shape)
    log = toys.from_dense((taste > np.linspace(0.5, 4, n_items)).astype(float))
    return shoal.split(log, test=0.3, validation=0.1, seed=2)


def same_evaluation(one: Evaluation, other: Evaluation) -> None:
    assert one.scores == other.scores
    assert one.per_user.keys() == other.per_user.keys()
    for name, values in one.per_user.items():
        np.testing.assert_array_equal(other.per_user[name], values)


MODELS = {
    "sparse": lambda: MRF(neighbours=9),
    "dense": lambda: shoal.EASE(l2=5),
    "factors": lambda: SpectralEASE(factors=7),
    "two models": lambda: Blend(parts="ease(l2=5)+item-knn(k=5)", metric="ndcg@20"),
    "no model": Popularity,
}


@pytest.mark.parametrize("name", MODELS)
def test_an_evaluation_by_blocks_has_the_bits_of_one_here(
    name: str, executor: Executor, tasks: list[int]
) -> None:
    parts = split_of()
    model = MODELS[name]().fit(parts.train, parts.validation, Run(threads=1))
    here = evaluate(model, parts.test, METRICS, Run(threads=1))
    assert not tasks
    there = evaluate(model, parts.test, METRICS, Run(threads=1, executor=executor))
    assert tasks == [-(-parts.test.n_users // 16)]
    same_evaluation(here, there)


def test_shifts_candidates_and_what_was_seen_reach_the_workers(
    executor: Executor, tasks: list[int]
) -> None:
    parts = split_of()
    model = MRF(neighbours=9).fit(parts.train, run=Run(threads=1))
    shifts = np.linspace(-2, 2, model.n_items)
    rules: dict[str, Any] = {"steer": shifts, "exclude": [0, 3], "seen": parts.test.target}
    history = parts.test.history
    here = recommend_all(model, history, 6, **rules, run=Run(threads=1))
    there = recommend_all(model, history, 6, **rules, run=Run(threads=1, executor=executor))
    assert tasks
    assert here.equals(there)


def evaluated_here(model: Recommender, parts: Split, tasks: list[int]) -> bool:
    from shoal.cluster.local import LocalExecutor

    run = Run(threads=1, executor=LocalExecutor(threads=1))
    evaluate(model, parts.test, "ndcg@10", run)
    return not tasks


def test_few_users_are_ranked_here(tasks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    parts = split_of()
    model = MRF(neighbours=9).fit(parts.train, run=Run(threads=1))
    monkeypatch.setattr(ranking, "_BLOCK_USERS", -(-parts.test.n_users // 3))
    assert evaluated_here(model, parts, tasks)


def test_a_model_with_more_numbers_than_scores_stays_here(tasks: list[int]) -> None:
    parts = split_of(n_items=150, n_users=400)
    dense = shoal.EASE(l2=5).fit(parts.train, run=Run(threads=1))
    assert parts.test.n_users < 150
    assert evaluated_here(dense, parts, tasks)
    sparse = MRF(neighbours=9).fit(parts.train, run=Run(threads=1))
    assert not evaluated_here(sparse, parts, tasks)


def test_a_model_for_which_the_machines_have_no_room_stays_here(
    tasks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise MemoryBudgetError("too small")

    monkeypatch.setattr("shoal.cluster.local.LocalExecutor.check_room", refuse)
    parts = split_of()
    assert evaluated_here(MRF(neighbours=9).fit(parts.train, run=Run(threads=1)), parts, tasks)


def test_an_index_is_searched_here(tasks: list[int]) -> None:
    parts = split_of()
    model = SpectralEASE(factors=7).fit(parts.train, run=Run(threads=1))
    model.search_with(lambda block, k, seen, allowed, exact: exact(block, k, seen, allowed))
    assert evaluated_here(model, parts, tasks)


@pytest.mark.timeout(240)
def test_killed_workers_change_nothing(two_nodes: object) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    parts = split_of(n_users=3000)
    model = MRF(neighbours=40).fit(parts.train, run=Run(threads=1))
    here = evaluate(model, parts.test, METRICS, Run(threads=1))
    n_killed = 0
    for seed in range(5):
        run = Run(threads=1, executor=RayExecutor())
        with kills(seed, times=2, within=0.2, task="lists_of_block") as killed:
            there = evaluate(model, parts.test, METRICS, run)
        same_evaluation(here, there)
        n_killed += len(killed)
    assert n_killed >= 5

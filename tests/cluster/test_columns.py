"""Models that are fitted column by column: the same bits however the columns are divided."""

from __future__ import annotations

import numpy as np
import pytest

from shoal.base import by_columns
from shoal.base.by_columns import ranges_of
from shoal.base.recommender import Recommender
from shoal.cluster.local import LocalExecutor
from shoal.cluster.sharded import ShardedLog
from shoal.data.interactions import Interactions
from shoal.errors import MemoryBudgetError, ModelError
from shoal.executor import Executor
from shoal.models.item_knn import ItemKNN
from shoal.models.mrf import MRF
from shoal.models.slim import SLIM
from shoal.run import Run
from shoal.testing import toys
from tests.cluster.killing import kills

MODELS = {
    "slim": lambda: SLIM(l1=0.5, l2=5),
    "slim of neighbours": lambda: SLIM(l1=0.5, l2=5, neighbours=12),
    "slim without the Gram matrix": lambda: SLIM(l1=0.5, l2=5, neighbours=7),
    "mrf": lambda: MRF(neighbours=15, max_neighbours=40),
    "item-knn": lambda: ItemKNN(k=9),
}
NO_ROOM = 241_000  # bytes: enough for lists of 7 neighbours, too few for XᵀX of 120 items


@pytest.fixture(autouse=True)
def many_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of little work, so that 120 items are many of them."""
    monkeypatch.setattr(by_columns, "WORK_OF_A_RANGE", 40_000)


def log_of(n_items: int = 120, *, valued: bool) -> Interactions:
    """Tastes in five directions, popular items first; ratings between 0.5 and 3 if `valued`."""
    rng = np.random.default_rng(11)
    taste = rng.normal(size=(400, 5)) @ rng.normal(size=(5, n_items))
    taste += rng.normal(size=taste.shape)
    dense = (taste > np.linspace(0, 4, n_items)).astype(float)
    return toys.from_dense(dense * rng.uniform(0.5, 3, dense.shape) if valued else dense)


def memory_for(name: str) -> int | None:
    return NO_ROOM if name.endswith("without the Gram matrix") else None


def same_model(one: Recommender, other: Recommender) -> None:
    for name, array in one.state().items():
        np.testing.assert_array_equal(other.state()[name], array)
    assert one.facts == other.facts
    assert one.items == other.items
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("valued", [False, True], ids=["binary", "valued"])
@pytest.mark.parametrize("name", MODELS)
def test_a_fit_by_ranges_has_the_bits_of_a_fit_here(
    name: str, valued: bool, executor: Executor
) -> None:
    log, memory = log_of(valued=valued), memory_for(name)
    here = MODELS[name]().fit(log, run=Run(threads=1, memory=memory))
    there = MODELS[name]().fit(log, run=Run(threads=1, memory=memory, executor=executor))
    same_model(here, there)


@pytest.mark.parametrize("name", MODELS)
def test_a_log_divided_by_user_gives_the_bits_of_a_fit_here(name: str, executor: Executor) -> None:
    log, memory = log_of(valued=False), memory_for(name)
    here = MODELS[name]().fit(log, run=Run(threads=1, memory=memory))
    sharded = ShardedLog.of(log, executor, n_shards=5)
    there = MODELS[name]().fit(sharded, run=Run(threads=1, memory=memory, executor=executor))
    same_model(here, there)


def test_ratings_divided_by_user_differ_by_rounding_where_products_are_added_up(
    two_nodes: object,
) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    log = log_of(valued=True)
    here = SLIM(l1=0.5, l2=5, tolerance=1e-9).fit(log, run=Run(threads=1))
    found = []
    for executor in (LocalExecutor(threads=1), RayExecutor()):
        sharded = ShardedLog.of(log, executor, n_shards=5)
        model = SLIM(l1=0.5, l2=5, tolerance=1e-9)
        found.append(model.fit(sharded, run=Run(threads=1, executor=executor)))
    same_model(*found)
    assert abs(found[0].weights - here.weights).max() < 1e-4


def test_a_model_too_large_for_all_machines_is_refused_before_any_work(executor: Executor) -> None:
    log = log_of(valued=False)
    with pytest.raises(MemoryBudgetError, match="the machine with the most memory"):
        SLIM().fit(log, run=Run(threads=1, memory=1000, executor=executor))


def test_a_fitted_model_owns_its_arrays(executor: Executor) -> None:
    """They must outlive the cluster."""
    model = MRF(neighbours=5).fit(log_of(valued=False), run=Run(threads=1, executor=executor))
    assert all(array.flags.writeable for array in model.state().values())


def test_an_error_of_the_data_is_that_of_a_fit_here(executor: Executor) -> None:
    with pytest.raises(ModelError, match="less than one neighbour"):
        MRF(density=1e-4).fit(log_of(valued=False), run=Run(threads=1, executor=executor))


@pytest.mark.parametrize("n", [1, 2, 7, 500])
def test_ranges_follow_each_other_and_share_the_work(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_columns, "WORK_OF_A_RANGE", 10.0)
    work = np.random.default_rng(n).uniform(0.5, 1.5, n)
    ranges = ranges_of(work)
    assert [begin for begin, _ in ranges] == [0, *(end for _, end in ranges)][:-1]
    assert ranges[-1][1] == n
    assert all(begin < end for begin, end in ranges)
    assert max(work[begin:end].sum() for begin, end in ranges) < 10 + 2 * 1.5


def test_one_heavy_column_is_a_range_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_columns, "WORK_OF_A_RANGE", 10.0)
    work = np.ones(30)
    work[12] = 1000
    ranges = ranges_of(work)
    heavy = next(r for r in ranges if r[0] <= 12 < r[1])
    assert heavy[1] == 13


def test_no_columns_are_no_ranges() -> None:
    assert ranges_of(np.empty(0)) == []


@pytest.mark.timeout(300)
def test_killed_workers_change_nothing(two_nodes: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    monkeypatch.setattr(by_columns, "WORK_OF_A_RANGE", 200_000)
    log, n_killed = log_of(n_items=250, valued=True), 0
    for seed, name in enumerate(["mrf", "slim", "slim of neighbours", "mrf"]):
        here = MODELS[name]().fit(log, run=Run(threads=1))
        with kills(seed, times=3, within=0.5) as killed:
            there = MODELS[name]().fit(log, run=Run(threads=1, executor=RayExecutor()))
        same_model(here, there)
        n_killed += len(killed)
    assert n_killed >= 6

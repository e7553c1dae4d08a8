"""Closed-form models fitted over shards: the weights of a local fit, on one machine and several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import shoal
from shoal.base.closed_form import ClosedForm
from shoal.cluster import closed_form, gram
from shoal.cluster.local import LocalExecutor
from shoal.cluster.sharded import ShardedLog
from shoal.data.interactions import Interactions
from shoal.errors import DataError, MemoryBudgetError, ModelError
from shoal.executor import Executor
from shoal.run import Run
from shoal.testing import toys
from tests.cluster.killing import kills

MODELS = [
    shoal.EASE(l2=3),
    shoal.LAE(l2=3),
    shoal.DLAE(l2=3, dropout=0.3),
    shoal.EDLAE(l2=3, dropout=0.3),
    shoal.RLAE(l2=3, xi=0.2),
    shoal.RDLAE(l2=3, xi=0.2, dropout=0.3, alpha=0.3),
    shoal.PrunedEASE(l2=3, keep=5),
]


def log_of(*, valued: bool = False, m: int = 150, n: int = 40, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    dense = (rng.random((m, n)) < rng.beta(0.7, 3, (m, 1))).astype(np.float32)
    dense[np.arange(n), np.arange(n)] = 1
    return toys.from_dense(dense * rng.uniform(0.5, 4, dense.shape) if valued else dense)


@pytest.fixture(autouse=True)
def several_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "SMALLEST_BAND", 12)


def fitted(
    model: ClosedForm, log: Interactions, executor: Executor, n_shards: int = 4
) -> ClosedForm:
    fresh = type(model)(**model.model_dump())
    executor.fit(fresh, ShardedLog.of(log, executor, n_shards), None, Run(executor=executor))
    return fresh


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_binary_log_gives_the_bits_of_a_local_fit(model: ClosedForm, executor: Executor) -> None:
    log = log_of()
    here = type(model)(**model.model_dump()).fit(log, run=Run(threads=1))
    there = fitted(model, log, executor)
    assert here.state().keys() == there.state().keys()
    for name, array in here.state().items():
        np.testing.assert_array_equal(there.state()[name], array)
    assert there.facts == pytest.approx(here.facts)
    assert there.fingerprint == here.fingerprint


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_values_and_weights_of_users_give_a_local_fit_to_rounding(
    beta: float, executor: Executor
) -> None:
    log, model = log_of(valued=beta == 0), shoal.RDLAE(l2=3, dropout=0.2, beta=beta)
    here = type(model)(**model.model_dump()).fit(log, run=Run(threads=1))
    there = fitted(model, log, executor)
    np.testing.assert_allclose(there.state()["weights"], here.state()["weights"], atol=1e-5)
    same = fitted(model, log, LocalExecutor(threads=1))
    np.testing.assert_array_equal(there.state()["weights"], same.state()["weights"])


def test_a_log_that_is_here_is_divided_as_well(executor: Executor) -> None:
    log = log_of()
    there = shoal.EASE(l2=3).fit(log, run=Run(executor=executor))
    here = shoal.EASE(l2=3).fit(log, run=Run(threads=1))
    np.testing.assert_array_equal(there.state()["weights"], here.state()["weights"])
    assert there.items.take([0, 1]) == log.items.take([0, 1])


def test_a_model_can_be_updated_later(executor: Executor) -> None:
    log = log_of()
    new = log_of(m=40, seed=1)
    updated = fitted(shoal.EASE(l2=3), log, executor).update(new)
    X = np.vstack([log.matrix.toarray(), new.matrix.toarray()]).astype(np.float64)
    P = np.linalg.inv(X.T @ X + 3 * np.eye(40))
    B = np.eye(40) - P / P.diagonal()
    np.testing.assert_allclose(updated.state()["weights"], B, atol=1e-4)


def test_what_needs_the_whole_log_is_fitted_on_one_machine(executor: Executor) -> None:
    log, model = log_of(), shoal.LowPassRDLAE(l2=3, factors=4)
    here = shoal.LowPassRDLAE(l2=3, factors=4).fit(log, run=Run(threads=1))
    there = fitted(model, log, executor)
    np.testing.assert_allclose(there.state()["weights"], here.state()["weights"], atol=1e-5)


def test_an_inverse_that_needs_float64_gets_it(executor: Executor) -> None:
    dense = np.tile(log_of().matrix.toarray(), (1, 2))  # every item twice
    log = toys.from_dense(dense)
    here = shoal.EASE(l2=1e-6).fit(log, run=Run(threads=1))
    there = fitted(shoal.EASE(l2=1e-6), log, executor)
    np.testing.assert_array_equal(there.state()["weights"], here.state()["weights"])


def test_values_that_are_no_weights_are_refused_with_their_user_and_item(
    executor: Executor,
) -> None:
    log = log_of(valued=True)
    values = log.values.copy()
    values[-1] = -2
    user, item = log.users.take([log.n_users - 1])[0], log.items.take([int(log.indices[-1])])[0]
    with pytest.raises(DataError, match=rf"-2\.0 of user {user!r} and item {item!r}"):
        fitted(shoal.EASE(), replace(log, values=values), executor)


def test_a_matrix_that_no_machine_can_hold_is_refused_before_the_work(executor: Executor) -> None:
    log = log_of()
    run = Run(executor=executor, memory=5_000)
    # the weights of others are left where they are, in tiles; these are chosen in whole columns
    with pytest.raises(MemoryBudgetError, match=r"pruned-ease on 40 items needs .*5\.0 kB"):
        executor.fit(shoal.PrunedEASE(), ShardedLog.of(log, executor, 4), None, run)
    solving = closed_form.bytes_to_solve(log.size)
    run = Run(executor=executor, memory=solving + 40_000)  # 40 of 40 weights are 58 kB in sorting
    with pytest.raises(MemoryBudgetError, match=r"pruned-ease on 40 items needs"):
        executor.fit(shoal.PrunedEASE(keep=40), ShardedLog.of(log, executor, 4), None, run)
    executor.fit(shoal.PrunedEASE(keep=5), ShardedLog.of(log, executor, 4), None, run)


@pytest.mark.timeout(300)
def test_whatever_is_killed_the_weights_are_those_of_a_local_fit(
    two_nodes: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    monkeypatch.setattr(gram, "LARGEST_CHUNK", 20_000)
    monkeypatch.setattr(gram, "FAN_IN", 3)
    monkeypatch.setattr(gram, "SMALLEST_BAND", 100)
    log = log_of(m=3_000, n=600)
    assert len(gram.Plan.of(ShardedLog.of(log, LocalExecutor(), 12), (0, 600)).chunks) > 3
    here = shoal.EASE(l2=3).fit(log, run=Run(threads=1)).state()
    killed: list[str] = []
    for seed in range(20):  # the solver first, then whatever is at work
        times, task = (8 - len(killed), "") if seed else (2, "_solved")
        with kills(seed, times=times, within=0.5, task=task) as now:
            there = fitted(shoal.EASE(l2=3), log, RayExecutor(), 12).state()
        killed += now
        for name, array in here.items():
            np.testing.assert_array_equal(there[name], array)
        if len(killed) == 8:
            break
    assert len(killed) == 8


def test_a_device_is_refused_before_the_work(executor: Executor) -> None:
    with pytest.raises(ModelError, match="leave the device out"):
        shoal.EASE().fit(log_of(), run=Run(executor=executor, device="cuda"))

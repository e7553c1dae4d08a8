"""Comparisons whose cells are tasks: the same values for each user as here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import shoal
from shoal.errors import ShoalError
from shoal.executor import Executor
from shoal.experiments.comparison.compare import Comparison, compare
from shoal.run import Run
from shoal.testing import from_dense


@pytest.fixture(scope="module")
def log() -> shoal.Interactions:
    rng = np.random.default_rng(3)
    taste, kinds = rng.random((150, 3)) ** 3, rng.random((3, 40)) ** 3
    chance = taste @ kinds
    return from_dense((rng.random((150, 40)) < 0.7 * chance / chance.max()).astype(float))


def compared(log: shoal.Interactions, executor: Executor | None, **more: Any) -> Comparison:
    run = Run(threads=1, executor=executor)
    return compare(
        lambda seed: shoal.split(log, "strong", seed=seed, test=0.3, validation=0.2),
        ["popularity", "ease", "item-knn", "svae"],
        metrics=["ndcg@10", "recall@5"], seeds=2, run=run, **more,
    )  # fmt: skip


def values(comparison: Comparison) -> dict[tuple[str, int], Any]:
    return {
        (cell.label, cell.seed): {name: v.tolist() for name, v in cell.evaluation.per_user.items()}
        for entry in comparison.entries
        for cell in entry.cells
    }


def test_values_of_users_are_those_of_a_comparison_here(
    log: shoal.Interactions, executor: Executor
) -> None:
    here, there = (compared(log, one, keep_models=True) for one in (None, executor))
    assert len(values(here)) == 6
    assert values(there) == values(here)
    assert [e.label for e in there.entries] == [e.label for e in here.entries]
    assert there.refused == here.refused
    assert "svae" in there.refused, "the log has no times"
    weights = [each.models["ease"].state()["weights"] for each in (here, there)]
    assert np.array_equal(*weights)


def test_tuned_models_are_those_that_are_tuned_here(
    log: shoal.Interactions, executor: Executor
) -> None:
    more: dict[str, Any] = {"trials": 3, "sampler": "random", "settings": {"ease": {"alpha": 0.0}}}
    here, there = compared(log, None, **more), compared(log, executor, **more)
    assert [cell.settings for e in there.entries for cell in e.cells] == [
        cell.settings for e in here.entries for cell in e.cells
    ]
    assert values(there) == values(here)


def test_no_model_that_can_be_fitted_is_an_error(
    log: shoal.Interactions, executor: Executor
) -> None:
    parts = shoal.split(log, "strong", test=0.3)
    with pytest.raises(ShoalError, match="order of time"):
        compare(parts, ["svae"], metrics=["ndcg@10"], run=Run(threads=1, executor=executor))

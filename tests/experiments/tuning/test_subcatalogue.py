"""A search on a part of the catalogue: what the part holds, and how ridges are scaled to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import shoal
from shoal.data.interactions import Interactions
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.subcatalogue import Part, to_confirm
from shoal.experiments.tuning.trials import Trial
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing.contract import from_dense


def log(n_users: int = 120, n_items: int = 30, seed: int = 3) -> Interactions:
    rng = np.random.default_rng(seed)
    popularity = rng.permutation(np.linspace(0.05, 0.6, n_items))
    return from_dense((rng.random((n_users, n_items)) < popularity).astype(float))


def problem(name: str = "rdlae", **fixed: Any) -> Problem:
    parts = shoal.split(log(), "strong", test=0.2, validation=0.2)
    return Problem.of(
        by_name(name), parts.train, parts.validation, fixed=fixed, metric="ndcg@5",
        run=Run(threads=1),
    )  # fmt: skip


def test_the_part_has_the_most_popular_items_and_whoever_touched_them() -> None:
    whole = problem()
    part = Part.of(whole, 8)
    X = whole.train.matrix.toarray()
    popular = set(np.argsort(-X.sum(0), kind="stable")[:8].tolist())
    assert set(part.chosen.tolist()) == popular
    few = X[:, part.chosen]
    np.testing.assert_array_equal(part.problem.train.matrix.toarray(), few[few.any(1)])
    assert list(part.problem.train.items.series) == list(
        whole.train.items.subset(part.chosen).series
    )
    history, target = (
        held_out.matrix.toarray()[:, part.chosen]
        for held_out in (whole.validation.history, whole.validation.target)
    )
    both = history.any(1) & target.any(1)
    validation = part.problem.validation
    np.testing.assert_array_equal(validation.history.matrix.toarray(), history[both])
    np.testing.assert_array_equal(validation.target.matrix.toarray(), target[both])
    np.testing.assert_array_equal(validation.train_counts, few.sum(0))


def test_candidates_vectors_and_the_item_table_come_along() -> None:
    whole = problem()
    n = whole.train.n_items
    candidates = np.arange(n) % 2 == 0
    vectors = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    titles = [f"item {number}" for number in range(n)]
    train = replace(whole.train, item_vectors=vectors)
    train = train.with_item_table(pl.DataFrame({"item": train.items.series, "title": titles}))
    validation = replace(whole.validation, candidates=candidates)
    part = Part.of(replace(whole, train=train, validation=validation), 8)
    assert part.problem.validation.candidates is not None
    np.testing.assert_array_equal(part.problem.validation.candidates, candidates[part.chosen])
    assert part.problem.train.item_vectors is not None
    np.testing.assert_array_equal(part.problem.train.item_vectors, vectors[part.chosen])
    assert part.problem.train.item_table is not None
    assert part.problem.train.item_table["title"].to_list() == [titles[j] for j in part.chosen]


def damped_gram(X: np.ndarray, beta: float) -> np.ndarray:
    weights = np.maximum(X.sum(1), 1) ** -beta
    return np.asarray(X.T @ (weights[:, None] * X))


def test_ridges_are_scaled_by_how_much_smaller_the_gram_matrix_is() -> None:
    part = Part.of(problem(), 8)
    X = part.whole.matrix.toarray()
    of_whole = damped_gram(X, 0.7)[np.ix_(part.chosen, part.chosen)]
    of_part = damped_gram(X[:, part.chosen], 0.7)
    ratio = np.trace(of_whole) / np.trace(of_part)
    assert ratio < 1  # the histories are shorter in the part, so each weighs more there
    settings = {"l2": 50.0, "beta": 0.7, "dropout": 0.2}
    fitted = part.for_part(settings)
    assert fitted["l2"] == pytest.approx(50 / ratio)
    assert {n: fitted[n] for n in ("beta", "dropout")} == {"beta": 0.7, "dropout": 0.2}
    assert part.for_part({"l2": 50.0}) == {"l2": 50.0}  # β = 0: the same block of XᵀX
    assert part.for_part({"beta": 0.7})["l2"] == pytest.approx(500 / ratio)  # the default


def test_the_part_is_fitted_as_if_its_gram_matrix_had_the_size_of_the_whole() -> None:
    part = Part.of(problem("ease"), 8)
    X = part.problem.train.matrix.toarray().astype(float)
    P = np.linalg.inv(part.scale(0.6) * damped_gram(X, 0.6) + 40.0 * np.eye(8))
    B = np.eye(8) - P / np.diag(P)  # EASE, Steck 2019
    fitted = by_name("ease")(**part.for_part({"l2": 40.0, "beta": 0.6}))
    fitted.fit(part.problem.train, run=Run(threads=1))
    scores = fitted.score(sp.csr_array(np.eye(8, dtype=np.float32)))
    np.testing.assert_allclose(scores, B, atol=1e-4)


def test_a_model_without_beta_keeps_its_ridges() -> None:
    part = Part.of(problem("mrf"), 8)
    assert part.for_part({"l2": 50.0}) == {"l2": 50.0}


def test_the_best_are_confirmed_with_those_that_share_their_inverse() -> None:
    def trial(score: float, **settings: float) -> Trial:
        return Trial({"l2": 1.0, "beta": 0.0, "xi": 0.0} | settings, score, state="pruned")

    trials = (
        trial(0.5, xi=0.1), trial(0.9, l2=2.0), trial(0.7, xi=0.3), trial(0.8, l2=3.0),
        trial(0.1, l2=4.0), trial(0.6, l2=2.0, xi=0.5), trial(-np.inf, l2=5.0),
    )  # fmt: skip
    chosen = to_confirm(by_name("rlae"), trials, 3)
    assert [(settings["l2"], settings["xi"]) for settings in chosen] == [
        (2.0, 0.0), (2.0, 0.5), (3.0, 0.0), (1.0, 0.3), (1.0, 0.1),
    ]  # fmt: skip
    assert len(to_confirm(by_name("mrf"), trials, 3)) == 3  # which share nothing

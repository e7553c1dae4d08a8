"""A search on a part of the catalogue: what the part holds, and how ridges are scaled to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import shoal
from shoal.base.ranges import Choices
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError
from shoal.experiments.tuning import subcatalogue
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.search import search, search_family
from shoal.experiments.tuning.subcatalogue import Part, minutes_of_part, pays, to_confirm
from shoal.experiments.tuning.trials import Budget, Searched, Trial
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing.contract import from_dense


def log(n_users: int = 120, n_items: int = 30, seed: int = 3) -> Interactions:
    rng = np.random.default_rng(seed)
    popularity = rng.permutation(np.linspace(0.05, 0.6, n_items))
    return from_dense((rng.random((n_users, n_items)) < popularity).astype(float))


def problem(name: str = "rdlae", **given: Any) -> Problem:
    parts = shoal.split(log(), "strong", test=0.2, validation=0.2)
    return Problem.of(
        by_name(name), parts.train, parts.validation, metric="ndcg@5", run=Run(threads=1), **given
    )


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


def test_ridges_are_scaled_by_how_much_smaller_the_gram_matrix_of_the_whole_is() -> None:
    part = Part.of(problem(), 8)
    X = part.whole.train.matrix.toarray()
    of_whole = damped_gram(X, 0.7)[np.ix_(part.chosen, part.chosen)]
    of_part = damped_gram(X[:, part.chosen], 0.7)
    ratio = np.trace(of_whole) / np.trace(of_part)
    assert ratio < 0.95  # the histories are shorter in the part, so each weighs more there
    moved = part.for_whole({"l2": 50.0, "beta": 0.7, "dropout": 0.2})
    assert moved.pop("l2") == pytest.approx(50 * ratio, rel=0.005)  # it has three digits
    assert moved == {"beta": 0.7, "dropout": 0.2}
    assert part.for_whole({"l2": 50.0, "beta": 0.0})["l2"] == 50.0  # the same block of XᵀX


def test_a_part_is_a_whole_whose_gram_matrix_has_another_size() -> None:
    """EASE of the part, fitted by shoal, is EASE of r(β)·XᵀDX with the ridge for the whole."""
    part = Part.of(problem("ease"), 8)
    X = part.problem.train.matrix.toarray().astype(float)
    settings = {"l2": 40.0, "beta": 0.6}
    ridge = 40.0 * part.scale(0.6)
    assert part.for_whole(settings)["l2"] == pytest.approx(ridge, rel=0.005)
    P = np.linalg.inv(part.scale(0.6) * damped_gram(X, 0.6) + ridge * np.eye(8))
    B = np.eye(8) - P / np.diag(P)  # Steck, WWW 2019
    fitted = by_name("ease")(**settings).fit(part.problem.train, run=Run(threads=1))
    scores = fitted.score(sp.csr_array(np.eye(8, dtype=np.float32)))
    np.testing.assert_allclose(scores, B, atol=1e-4)


def test_scaled_ridges_stay_in_the_space() -> None:
    damped = {"l2": 10.0, "beta": 0.9}
    assert Part.of(problem("ease"), 8).for_whole(damped)["l2"] == 10.0  # the lower end
    few = problem("ease", space={"l2": Choices((9.0, 50.0))})
    assert Part.of(few, 8).for_whole(damped)["l2"] == 9.0
    fixed = problem("ease", fixed={"l2": 10.0})
    assert Part.of(fixed, 8).for_whole(damped)["l2"] == 10.0


def test_a_model_without_beta_keeps_its_ridges() -> None:
    assert Part.of(problem("slim"), 8).for_whole({"l2": 50.0}) == {"l2": 50.0}


def test_the_best_are_confirmed_with_those_that_share_their_inverse() -> None:
    rlae = problem("rlae")

    def trial(score: float, **settings: float) -> Trial:
        return Trial(rlae.all_settings(settings), score, state="pruned")

    trials = (
        trial(0.5, l2=1.0, xi=0.1), trial(0.9, l2=2.0), trial(0.7, l2=1.0, xi=0.3),
        trial(0.8, l2=3.0), trial(0.1, l2=4.0), trial(0.6, l2=2.0, xi=0.5),
        trial(-np.inf, l2=5.0),
    )  # fmt: skip
    groups = to_confirm(rlae, trials, 3)
    assert [[(s["l2"], s["xi"]) for s in group] for group in groups] == [
        [(2.0, rlae.all_settings({})["xi"]), (2.0, 0.5)],  # the best
        [(500.0, rlae.all_settings({})["xi"])],  # the defaults
        [(3.0, rlae.all_settings({})["xi"])],
        [(1.0, 0.3), (1.0, 0.1)],
    ]
    best_has_it = to_confirm(rlae, (trial(0.9, xi=0.7), *trials[:1]), 3)
    assert [len(group) for group in best_has_it] == [2, 1]  # the defaults and ξ = 0.7 share one


@pytest.mark.parametrize(
    ("name", "n_items", "first"),
    [
        ("rdlae", 8_000, True),
        ("rdlae", 7_999, False),
        ("slim", 8_000, True),
        ("mult-vae", 8_000, False),  # stops early instead
        ("mrf", 8_000, False),  # sparse: its cost grows with the log
        ("popularity", 8_000, False),
    ],
)
def test_who_searches_a_part_first(name: str, n_items: int, first: bool) -> None:
    one = problem("ease")
    large = _Large(np.arange(0, 40_000, 4), n_items)
    assert pays(replace(one, kind=by_name(name), train=large)) is first  # type: ignore[arg-type]


class _Large:
    """What `pays` reads of a log: 9,999 users with four items each."""

    def __init__(self, indptr: np.ndarray, n_items: int) -> None:
        self.indptr, self.n_items = indptr, n_items
        self.size = Size(len(indptr) - 1, n_items, int(indptr[-1]))


# -- the search -----------------------------------------------------------------------------


@pytest.fixture
def small_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subcatalogue, "THRESHOLD", 20)
    monkeypatch.setattr(subcatalogue, "ITEMS", 10)


@pytest.mark.usefixtures("small_threshold")
@pytest.mark.parametrize("name", ["rdlae", "low-pass-rdlae", "slim"])
def test_the_whole_decides(name: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    whole = problem(name)
    file = tmp_path / "study.sqlite"

    told: list[Trial] = []

    def searched() -> Searched:
        return search(
            name, whole.train, whole.validation, budget=Budget(6), metric="ndcg@5",
            storage=file, run=Run(threads=1), seen=told.extend,
        )  # fmt: skip

    found = searched()
    assert [t.to_dict() for t in told] == [t.to_dict() for t in found.trials]
    tried = [t for t in found.trials if t.state == "pruned"]
    complete = [t for t in found.trials if t.state == "complete"]
    assert len(tried) >= 6
    assert {t.source.partition(", on the ")[2] for t in tried} == {"10 most popular items"}
    assert found.best in complete
    assert found.best.score == max(t.score for t in complete)
    # every score that may decide is that of a fit of the whole, made here once more
    for trial in complete:
        model = by_name(name)(**trial.settings).fit(whole.train, run=Run(threads=1))
        score = shoal.evaluate(model, whole.validation, "ndcg@5")["ndcg@5"]
        assert trial.score == pytest.approx(score, abs=1e-6)
    defaults = by_name(name)().model_dump()
    assert [t.source for t in complete if t.settings == defaults] == ["default"]
    best_of_part = max(tried, key=lambda t: t.score)
    assert best_of_part.settings in [t.settings for t in complete]
    assert any("most popular of" in note for note in found.notes)
    again = searched()  # goes on with its two studies, and has nothing left to do
    assert [t.to_dict() for t in again.trials] == [t.to_dict() for t in found.trials]


@pytest.mark.usefixtures("small_threshold")
def test_a_family_searches_one_part_and_each_model_is_confirmed() -> None:
    whole = problem()
    found = search_family(
        ["ease", "rdlae"], whole.train, whole.validation, budget=Budget(4), metric="ndcg@5",
        sampler="random", run=Run(threads=1),
    )  # fmt: skip
    for name, searched in found.items():
        complete = [t for t in searched.trials if t.state == "complete"]
        assert searched.best in complete
        model = by_name(name)(**searched.best.settings).fit(whole.train, run=Run(threads=1))
        score = shoal.evaluate(model, whole.validation, "ndcg@5")["ndcg@5"]
        assert searched.best.score == pytest.approx(score, abs=1e-6)
        assert by_name(name)().model_dump() in [t.settings for t in complete]
    assert found["rdlae"].best.score >= found["ease"].best.score  # which it contains


@pytest.mark.usefixtures("small_threshold")
def test_without_a_part_each_trial_is_one_of_the_whole() -> None:
    whole = problem()
    found = search(
        "rdlae", whole.train, whole.validation, budget=Budget(2), metric="ndcg@5",
        sampler="random", popular_first=False, run=Run(threads=1),
    )  # fmt: skip
    assert {t.state for t in found.trials} == {"complete"}


@pytest.mark.usefixtures("small_threshold")
def test_when_the_minutes_are_over_the_best_and_the_defaults_are_fitted_still() -> None:
    whole = problem("slim")
    found = search(
        "slim", whole.train, whole.validation, budget=Budget(None, 1e-6), metric="ndcg@5",
        sampler="random", run=Run(threads=1),
    )  # fmt: skip
    complete = [t for t in found.trials if t.state == "complete"]
    assert [t.source for t in complete] == ["default"]  # the only one that the part had time for


def test_a_tenth_to_a_half_of_the_minutes_is_for_the_part() -> None:
    small = problem()  # a fit takes milliseconds
    assert minutes_of_part(small, None) is None
    assert minutes_of_part(small, 10) == 5
    assert minutes_of_part(small, 1e-9) == pytest.approx(1e-10)


@pytest.mark.usefixtures("small_threshold")
def test_a_whole_that_does_not_fit_the_memory_is_refused_before_the_part_is_searched() -> None:
    whole, tried = problem(), []
    with pytest.raises(MemoryBudgetError, match="30 items needs"):
        search(
            "rdlae", whole.train, whole.validation, budget=Budget(2), metric="ndcg@5",
            sampler="random", run=Run(threads=1, memory=4 * 20**2), seen=tried.extend,
        )  # fmt: skip
    assert not tried

"""Low-pass RDLAE against its formula in dense NumPy, and what its settings share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.base import low_pass
from shoal.base.common_inverse import CommonInverse
from shoal.base.ranges import Choices, Range
from shoal.data.interactions import CSR, Interactions
from shoal.errors import MemoryBudgetError, ModelError
from shoal.experiments.tuning import Budget, search, search_family, subcatalogue
from shoal.experiments.tuning.inner_scores import inner_scores
from shoal.experiments.tuning.problem import Problem
from shoal.kernels import spd, svd
from shoal.models.low_pass_rdlae import LowPassRDLAE
from shoal.models.rdlae import RDLAE
from shoal.run import Run
from shoal.testing import from_dense
from tests.models import filter_helpers
from tests.models.filter_helpers import Matrix

ONE = Run(threads=1)


def table() -> Matrix:
    """150 users, 30 items; the last item and two users are empty."""
    return filter_helpers.table(150, seed=4, most=0.5, least=0.05)


def by_formula(X: Matrix, **settings: Any) -> Matrix:
    """W by a plain inverse, and ζ·Π_b."""
    counts, lengths = X.sum(axis=0), X.sum(axis=1)
    p, xi = settings["dropout"], settings["xi"]
    ridge = settings["l2"] + p / (1 - p) * counts
    G = X.T @ np.diag(np.maximum(lengths, 1) ** -settings["beta"]) @ X
    P = np.linalg.inv(G + np.diag(ridge))
    mu = np.maximum((1 - xi) / np.diag(P) - ridge, 0)
    c = np.maximum(counts, 1) ** settings["alpha"]
    W = np.diag(c) @ (np.eye(len(c)) - P @ np.diag(ridge + mu)) @ np.diag(1 / c)
    low = filter_helpers.low_pass(X, settings["factors"], settings["b"])
    return np.asarray(W + settings["zeta"] * low)


SETTINGS: list[dict[str, Any]] = [
    {"xi": 0.0, "alpha": 0.1, "beta": 1.0, "zeta": 0.1, "b": 0.5, "factors": 8},
    {"xi": 0.2, "alpha": 0.5, "beta": 0.7, "zeta": 0.4, "b": 0.3, "factors": 3},
    {"xi": 1.0, "alpha": 0.0, "beta": 0.0, "zeta": 2.0, "b": 0.0, "factors": 29},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_its_matrix_is_the_formula(settings: dict[str, Any]) -> None:
    settings = {"l2": 3.0, "dropout": 0.4} | settings
    model = LowPassRDLAE(**settings).fit(from_dense(table()), run=ONE)
    expected = by_formula(table(), **settings)
    np.testing.assert_allclose(model.weights, expected, atol=3e-5 * np.abs(expected).max())
    x = (np.random.default_rng(1).random((40, 30)) < 0.2).astype(np.float32)
    np.testing.assert_allclose(model.score(CSR(x)), x @ expected, rtol=1e-4, atol=1e-4)


def test_without_weight_it_is_rdlae() -> None:
    settings = {"l2": 30.0, "dropout": 0.4, "xi": 0.2, "alpha": 0.2, "beta": 0.5}
    log = from_dense(table())
    ours = LowPassRDLAE(zeta=0, **settings).fit(log, run=ONE)
    theirs = RDLAE(**settings).fit(log, run=ONE)
    np.testing.assert_array_equal(ours.weights, theirs.weights)


def test_two_groups_by_hand() -> None:
    """Two groups that share nothing, each with all its items: V is constant within a group.

    Each item of a group of 6 then gets ζ/6 from each item of the same group (b = 0, S = 11ᵀ/6),
    and nothing from the other group.
    """
    X = np.kron(np.eye(2), np.ones((5, 6)))
    log = from_dense(X)
    with_filter = LowPassRDLAE(zeta=0.6, b=0, factors=5).fit(log, run=ONE)
    without = LowPassRDLAE(zeta=0).fit(log, run=ONE)
    added = np.asarray(with_filter.weights) - np.asarray(without.weights)
    np.testing.assert_allclose(added, np.kron(np.eye(2), np.full((6, 6), 0.1)), atol=1e-6)


def test_contributions_add_up_to_the_score_and_a_folder_gives_the_same(tmp_path: Path) -> None:
    log = from_dense(table())
    model = LowPassRDLAE(l2=5, factors=6, zeta=0.5).fit(log, run=ONE)
    history = np.array([1, 4, 11], np.int32)
    weights = np.array([1, 2, 0.5], np.float32)
    x = np.zeros((1, 30), np.float32)
    x[0, history] = weights
    scores = model.score(CSR(x))[0]
    for item in (0, 4, 20, 29):
        parts = model.contributions(history, weights, item)
        assert parts.sum() == pytest.approx(scores[item], abs=1e-5)
    shoal.save(model, tmp_path / "model")
    again = shoal.load(tmp_path / "model")
    assert json.loads(again.model_dump_json()) == json.loads(model.model_dump_json())
    np.testing.assert_array_equal(again.score(log.matrix), model.score(log.matrix))
    with pytest.raises(ModelError, match="fit it again"):
        again.update(log, run=ONE)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many matrices were inverted, and how many singular value decompositions were made."""
    calls = {"inverse": 0, "svd": 0}
    invert, decompose = spd.invert_upper, svd.top_singular

    def inverting(*arguments: Any) -> None:
        calls["inverse"] += 1
        invert(*arguments)

    def decomposing(*arguments: Any, **more: Any) -> Any:
        calls["svd"] += 1
        return decompose(*arguments, **more)

    monkeypatch.setattr(spd, "invert_upper", inverting)
    monkeypatch.setattr(svd, "top_singular", decomposing)
    return calls


GRID = [
    {"xi": xi, "alpha": alpha, "zeta": zeta, "b": b, "factors": k}
    for xi in (0, 0.3)
    for alpha in (0, 0.3)
    for zeta in (0, 0.2)
    for b in (0.5, 0.3)
    for k in (4, 12)
]


def test_a_grid_has_one_inverse_and_one_svd(counted: dict[str, int]) -> None:
    log = from_dense(table())
    x = log.matrix[:60]
    fitted = 0
    for index, model in LowPassRDLAE.fit_grid(GRID, log, run=ONE):
        fitted += 1
        scores, item = model.score(x), index % 30
        column = model.column(item)
        state = model.state()["weights"]
        before = dict(counted)
        alone = LowPassRDLAE(**GRID[index]).fit(log, run=ONE)
        counted |= before
        assert model.facts.keys() == alone.facts.keys()
        np.testing.assert_allclose(scores, alone.score(x), atol=1e-4)
        np.testing.assert_allclose(column, alone.column(item), atol=1e-5)
        np.testing.assert_allclose(state, alone.weights, atol=1e-5)
    assert fitted == len(GRID)
    assert counted == {"inverse": 1, "svd": 1}


def test_one_inverse_and_one_svd_give_the_scores_of_all_settings(counted: dict[str, int]) -> None:
    log = from_dense(table())
    inverse = CommonInverse.of(LowPassRDLAE(), log, ONE)
    assert inverse is not None
    inverse.vectors.of_rank(12)
    scalings = [inverse.scaling(LowPassRDLAE(**settings)) for settings in GRID]
    assert len({s.key for s in scalings}) == len(GRID) * 5 // 8  # without ζ, b and k do not count
    x = log.matrix[:60]
    unseen = x.toarray() == 0
    found = {i: scores.copy() for i, scores in inverse.scores_of_unseen(x, scalings)}
    assert counted == {"inverse": 1, "svd": 1}
    assert sorted(found) == list(range(len(GRID)))
    for index, settings in enumerate(GRID):
        alone = LowPassRDLAE(**settings).fit(log, run=ONE).score(x)
        np.testing.assert_allclose(found[index][unseen], alone[unseen], atol=1e-4)


def validated() -> tuple[Interactions, Any]:
    """Users with tastes in a few directions, so that settings differ in their scores."""
    rng = np.random.default_rng(6)
    chance = (rng.random((300, 4)) ** 3) @ (rng.random((4, 30)) ** 3)
    log = from_dense((rng.random((300, 30)) < 0.7 * chance / chance.max()).astype(float))
    parts = shoal.split(log, "strong", test=0.2, validation=0.3)
    return parts.train, parts.validation


def test_the_tuner_makes_one_svd_for_all_inverses(counted: dict[str, int]) -> None:
    train, validation = validated()
    found = search("low-pass-rdlae", train, validation, budget=Budget(3), metric="ndcg@10", run=ONE)
    asked = {tuple(t.settings[n] for n in ("l2", "dropout", "beta")) for t in found.trials}
    assert counted == {"inverse": len(asked), "svd": 1}
    assert len(found.trials) > 20 * len(asked)
    assert len({trial.settings["factors"] for trial in found.trials}) > 2
    model = LowPassRDLAE(**found.best.settings).fit(train, run=ONE)
    score = shoal.evaluate(model, validation, "ndcg@10", ONE)["ndcg@10"]
    assert found.best.score == pytest.approx(score, abs=2e-3)


def test_it_is_searched_with_its_family_and_not_below_it(counted: dict[str, int]) -> None:
    train, validation = validated()
    kinds = ["rdlae", "low-pass-rdlae"]
    found = search_family(kinds, train, validation, budget=Budget(3), metric="ndcg@10", run=ONE)
    assert counted["svd"] == 1
    assert counted["inverse"] <= 6
    assert found["low-pass-rdlae"].best.score >= found["rdlae"].best.score
    assert any(trial.settings["zeta"] == 0 for trial in found["low-pass-rdlae"].trials)


def test_a_search_on_a_part_makes_one_svd_there_and_one_of_the_whole(
    counted: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subcatalogue, "THRESHOLD", 20)
    monkeypatch.setattr(subcatalogue, "ITEMS", 12)
    train, validation = validated()
    found = search("low-pass-rdlae", train, validation, budget=Budget(2), metric="ndcg@10", run=ONE)
    assert counted["svd"] == 2
    complete = {t.settings["factors"] for t in found.trials if t.state == "complete"}
    assert len(complete) > 1


def test_a_metric_of_all_lists_together_is_scored_by_fits(counted: dict[str, int]) -> None:
    train, validation = validated()
    problem = Problem.of(
        LowPassRDLAE, train, validation, space={"zeta": Range(0, 0.4), "factors": Choices((4, 8))},
        metric="coverage@5", run=ONE,
    )  # fmt: skip
    settings = [{"zeta": 0.3, "factors": k} for k in (4, 8)]
    inverse = CommonInverse.of(LowPassRDLAE(), train, ONE)
    scores = inner_scores(inverse, [problem] * 2, settings, {})
    assert counted == {"inverse": 2, "svd": 1}
    for one, score in zip(settings, scores, strict=True):
        model = LowPassRDLAE(**one).fit(train, run=ONE)
        assert shoal.evaluate(model, validation, "coverage@5", ONE)["coverage@5"] == pytest.approx(
            score, abs=0.04
        )


def test_memory_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("it should not come to this")

    monkeypatch.setattr(low_pass, "singular_vectors", fail)
    log = from_dense(table())
    model = LowPassRDLAE(factors=20)
    budget = RDLAE().bytes_to_fit(log.size) + 100
    with pytest.raises(MemoryBudgetError):
        model.fit(log, run=Run(threads=1, memory=budget))

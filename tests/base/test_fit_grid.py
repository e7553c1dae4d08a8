"""One inverse for a whole grid: the same models, with the inversions counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import shoal
from shoal.data.interactions import Interactions
from shoal.kernels import spd
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing import from_dense
from shoal.testing.checks import assert_same_lists

ONE = Run(threads=1)


@pytest.fixture
def log() -> Interactions:
    rng = np.random.default_rng(5)
    return from_dense((rng.random((120, 30)) < rng.uniform(0.05, 0.4, 30)).astype(float))


@pytest.fixture
def inversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all matrices inverted."""
    counted: list[int] = []
    original = spd.invert_upper

    def counting(matrix: Any, *rest: Any) -> None:
        counted.append(len(matrix))
        original(matrix, *rest)

    monkeypatch.setattr(spd, "invert_upper", counting)
    return counted


XI = [{"l2": 20, "dropout": 0.2, "xi": x} for x in (0, 0.1, 0.2, 0.3, 0.5, 0.9, 1)]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("rdlae", XI, 1),
        ("rlae", [{"l2": v, "xi": x} for x in (0.1, 0.4) for v in (5, 50)], 2),
        ("edlae", [{"dropout": p, "alpha": a} for a in (0, 0.3) for p in (0.1, 0.5)], 2),
        ("ease", [{"l2": 9}, {"l2": 9, "alpha": 0.4}, {"l2": 9, "nonnegative": True}], 2),
        ("ease", [{"l2": 9, "beta": 0.1}, {"l2": 9, "beta": 0.5}], 2),
        ("lae", [{"l2": 9}], 1),
    ],
)
def test_models_that_share_a_matrix_share_its_inverse(
    log: Interactions,
    inversions: list[int],
    name: str,
    settings: list[dict[str, Any]],
    expected: int,
) -> None:
    kind = by_name(name)
    histories = log.matrix[:25]
    found = {}
    for at, model in kind.fit_grid(settings, log, run=ONE):
        found[at] = (model.score(histories), model.state()["weights"], model.facts, model)
    assert len(inversions) == expected
    assert sorted(found) == list(range(len(settings)))
    for at, one in enumerate(settings):
        alone = kind(**one).fit(log, run=ONE)
        scores, weights, facts, model = found[at]
        assert model.model_dump() == alone.model_dump()
        np.testing.assert_allclose(scores, alone.score(histories), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(weights, alone.state()["weights"], rtol=1e-4, atol=1e-6)
        assert facts["negative_weights"] == alone.facts["negative_weights"]
        assert model.items == log.items


def test_a_model_that_shares_recommends_and_explains(log: Interactions) -> None:
    for at, model in by_name("rlae").fit_grid([{"xi": 0.1}, {"xi": 0.2}], log, run=ONE):
        alone = by_name("rlae")(xi=[0.1, 0.2][at]).fit(log, run=ONE)
        history = log.items.take([1, 2, 7])
        mine = shoal.recommend(model, history, 5, because=True)
        own = shoal.recommend(alone, history, 5)
        lists = [(r.items, [row.score for row in r]) for r in (mine, own)]
        assert_same_lists(*lists[0], *lists[1])
        for row in mine:
            assert sum(w.contribution for w in row.because) == pytest.approx(row.score, rel=1e-4)


@pytest.mark.parametrize("settings", [{"alpha": 0.3}, {"xi": 0.1, "beta": 0.5}])
def test_a_shared_matrix_is_ranked_as_one_of_its_own(
    log: Interactions, settings: dict[str, float]
) -> None:
    """In one pass over P, without B; the histories are long enough for that."""
    x = log.matrix
    assert x.nnz >= 4 * log.n_items
    seen = x.indptr.astype(np.int64), x.indices.astype(np.int32)
    allowed = np.arange(log.n_items) % 5 > 0
    kind = by_name("rlae")
    for at, model in kind.fit_grid([settings, settings | {"xi": 0.4}], log, run=ONE):
        alone = kind(**[settings, settings | {"xi": 0.4}][at]).fit(log, run=ONE)
        items, scores = model.rank(x, 7, seen, allowed)
        expected = alone.rank(x, 7, seen, allowed)
        assert_same_lists(items, scores, *expected)
        nobody = np.zeros_like(seen[0]), seen[1][:0]
        found = model.rank(x, log.n_items, nobody, np.ones_like(allowed))  # histories too
        expected = alone.rank(x, log.n_items, nobody, np.ones_like(allowed))
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-6)


def test_the_tuner_uses_it(log: Interactions, inversions: list[int]) -> None:
    split = shoal.split(log, "strong", test=0.2, validation=0.2)
    grid = {"xi": [0.1, 0.2, 0.3], "dropout": [0.2, 0.4]}
    found = shoal.tune("rdlae", split.train, split.validation, grid=grid, metric="ndcg@10")
    assert len(inversions) == 2 + 1  # one for each dropout, and the final fit
    asked = [(x, p) for x in grid["xi"] for p in grid["dropout"]]
    assert [(t.settings["xi"], t.settings["dropout"]) for t in found.trials] == asked
    assert found.best == max(found.trials, key=lambda t: t.score)
    assert found.model.model_dump() == found.best.settings
    assert split.validation is not None
    again = shoal.evaluate(found.model, split.validation, "ndcg@10")["ndcg@10"]
    assert again == pytest.approx(found.best.score, rel=1e-6)

"""`two-stage`: the lists of brute force, and the ranker's where all items are candidates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.errors import ModelError
from shoal.inference.index import build_index, digest
from shoal.inference.warmup import warm_up
from shoal.models.two_stage import TwoStage
from shoal.run import Run
from shoal.testing import RecommenderContract
from shoal.testing.checks import random_dense, rows_of
from shoal.testing.contract import N_ITEMS, from_dense

ONE = Run(threads=1)
RETRIEVER = "spectral-ease(factors=4;l2=5)"


class TestAllAreCandidates(RecommenderContract):
    """With as many candidates as items, the contract holds to the letter."""

    def model(self) -> TwoStage:
        return TwoStage(retriever=RETRIEVER, ranker="ease(l2=5)", candidates=N_ITEMS)


class TestFewCandidates(RecommenderContract):
    """Items that were not retrieved stand below, so their scores are not those of the ranker."""

    def model(self) -> TwoStage:
        return TwoStage(retriever=RETRIEVER, ranker="rdlae(l2=5)", candidates=9)

    def test_contributions_add_up_to_the_score(self) -> None:
        """With what an item loses by not being a candidate, where it is none."""
        model, rows = self._fitted(), self.histories()
        scores = model.score(rows)
        n_outside = 0
        for u in range(rows.shape[0]):
            row = rows[[u]]
            for item in range(N_ITEMS):
                parts = model.contributions(row.indices, row.data, item)
                evidence = model.evidence(row.indices, row.data, item)
                n_outside += bool(evidence)
                total = float(parts.sum()) + evidence.get("not being a candidate", 0.0)
                assert total == pytest.approx(float(scores[u, item]), rel=1e-4, abs=1e-5)
                if evidence:
                    assert sum(evidence.values()) == pytest.approx(float(scores[u, item]), rel=1e-4)
        assert n_outside > 0

    def test_lists_are_those_of_the_scores(self) -> None:
        """Where all that is known is allowed; rules change what the candidates are."""
        model, rows = self._fitted(), self.histories()
        seen = rows.indptr.astype(np.int64), rows.indices.astype(np.int32)
        items, best = model.rank(rows, N_ITEMS, seen, model.known_items)
        scores = model.score(rows)
        for u in range(rows.shape[0]):
            chosen = items[u][items[u] >= 0]
            free = model.known_items.copy()
            free[rows[[u]].indices] = False
            assert sorted(chosen.tolist()) == np.flatnonzero(free).tolist()
            np.testing.assert_allclose(
                best[u, : chosen.size], scores[u, chosen], rtol=1e-4, atol=1e-5
            )
            assert (np.diff(best[u, : chosen.size]) <= 0).all()


# -- brute force ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> shoal.Interactions:
    return from_dense(random_dense(80, seed=3))


@pytest.fixture(scope="module")
def histories() -> CSR:
    return rows_of(random_dense(40, seed=4))


def fitted(data: shoal.Interactions, **settings: Any) -> TwoStage:
    return TwoStage(**settings).fit(data, run=ONE)


def barred(histories: CSR) -> Any:
    return histories.indptr.astype(np.int64), histories.indices.astype(np.int32)


def oracle(model: TwoStage, row: CSR, k: int, allowed: np.ndarray, n_candidates: int) -> list[int]:
    """Sort by the retriever, cut, sort by the ranker: in float64 by plain numpy."""
    retriever, ranker = model.stages
    V = retriever.vectors().astype(np.float64)
    near = V @ retriever.user_vectors(row)[0].astype(np.float64)
    scores = ranker.score(row)[0]
    free = [i for i in range(len(V)) if allowed[i] and i not in row.indices]
    by_vector = sorted(free, key=lambda i: -near[i])
    candidates, rest = by_vector[:n_candidates], by_vector[n_candidates:]
    return [*sorted(candidates, key=lambda i: -scores[i]), *rest][:k]


@pytest.mark.parametrize("ranker", ["ease(l2=5)", "spectral-ease(factors=6;l2=3)", "item-knn(k=9)"])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("n_candidates", [4, 9])
def test_lists_are_those_of_brute_force(
    data: shoal.Interactions, histories: CSR, ranker: str, every: int, n_candidates: int
) -> None:
    model = fitted(data, retriever=RETRIEVER, ranker=ranker, candidates=n_candidates)
    allowed = model.known_items & (np.arange(N_ITEMS) % every == 0)
    items, scores = model.rank(histories, 8, barred(histories), allowed)
    ranker_scores = model.stages[1].score(histories)
    for u in range(histories.shape[0]):
        expected = oracle(model, histories[[u]], 8, allowed, n_candidates)
        got = items[u][items[u] >= 0].tolist()
        assert len(got) == len(expected)
        n_ranked = min(n_candidates, len(expected))
        # equal scores of item-knn may stand in any order
        row = ranker_scores[u]
        np.testing.assert_allclose(
            row[got[:n_ranked]], row[expected[:n_ranked]], rtol=1e-5, atol=1e-6
        )
        assert got[n_ranked:] == expected[n_ranked:]
        assert (np.diff(scores[u, : len(got)]) <= 0).all()


def test_with_all_candidates_it_is_the_ranker(data: shoal.Interactions, histories: CSR) -> None:
    model = fitted(data, retriever=RETRIEVER, ranker="ease(l2=5)", candidates=N_ITEMS)
    alone = shoal.EASE(l2=5).fit(data, run=ONE)
    assert model.explains
    for k in (5, N_ITEMS):
        ours = model.rank(histories, k, barred(histories), model.known_items)
        theirs = alone.rank(histories, k, barred(histories), alone.known_items)
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)
    np.testing.assert_allclose(
        model.score(histories)[:, model.known_items],
        alone.score(histories)[:, model.known_items],
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip


def test_items_of_the_history_may_be_listed(data: shoal.Interactions, histories: CSR) -> None:
    model = fitted(data, retriever=RETRIEVER, ranker="ease(l2=5)", candidates=5)
    row = histories[[0]]
    nothing = np.zeros(2, np.int64), np.empty(0, np.int32)
    items, scores = model.rank(row, N_ITEMS, nothing, model.known_items)
    own = {int(i) for i in row.indices if model.known_items[i]}
    assert own <= set(items[0].tolist())
    ranked = model.stages[1].score(row)[0]
    for item, score in zip(items[0], scores[0], strict=True):
        if int(item) in own:
            assert score == pytest.approx(ranked[item])


def test_a_history_that_has_seen_everything_gets_nothing(data: shoal.Interactions) -> None:
    model = fitted(data, retriever=RETRIEVER, ranker="ease(l2=5)", candidates=5)
    everything = rows_of(np.ones((1, N_ITEMS)))
    items, scores = model.rank(everything, 3, barred(everything), model.known_items)
    assert (items == -1).all()
    assert np.isneginf(scores).all()
    assert np.isfinite(model.score(everything)).all()


def test_filters_choose_among_the_allowed(data: shoal.Interactions) -> None:
    """Half of the catalogue is excluded, and lists are as long as ever."""
    model = fitted(data, retriever=RETRIEVER, ranker="ease(l2=5)", candidates=5)
    ids = model.items.take(np.arange(N_ITEMS))
    answer = shoal.recommend(model, [ids[0], ids[3]], 6, exclude=ids[10:])
    assert len(answer) == 6
    assert set(answer.items) <= set(ids[:10])


@pytest.mark.parametrize("k", [3, 6])
def test_evidence_is_that_of_the_list_under_rules(data: shoal.Interactions, k: int) -> None:
    """Four of the items that `only` allows are ranked, and no part says that they are not."""
    model = fitted(data, retriever=RETRIEVER, ranker="ease(l2=5)", candidates=4)
    ids = model.items.take(np.arange(N_ITEMS))
    history = [ids[0], ids[3]]
    best = shoal.recommend(model, history, N_ITEMS).items
    only = best[6:14]  # none of them is a candidate among all items
    seen = best[13:]  # and what was seen takes no place among candidates either
    found = shoal.recommend(model, history, k, only=only, seen=seen, because=True)
    assert len(found) == k
    for one in found:
        reasons = sum(reason.contribution for reason in one.because)
        total = reasons + one.evidence.get("not being a candidate", 0.0)
        assert total == pytest.approx(one.score, rel=1e-4, abs=1e-5)
        assert bool(one.evidence) == (one.rank > 4)
        if one.evidence:
            assert sum(one.evidence.values()) == pytest.approx(one.score, rel=1e-4, abs=1e-5)


# -- forms ----------------------------------------------------------------------------------


def test_stages_may_be_models_texts_or_dotted() -> None:
    by_models = TwoStage(retriever=shoal.ELSA(factors=16), ranker=shoal.EASE(l2=7), candidates=9)
    assert (by_models.retriever, by_models.ranker) == ("elsa(factors=16)", "ease(l2=7.0)")
    dotted = TwoStage(**{"retriever": "elsa(lr=0.1)", "retriever.factors": 16, "ranker.l2": 7})
    assert [
        part.model_dump()[n] for part, n in zip(dotted.stages, ("factors", "l2"), strict=True)
    ] == [16, 7]
    assert dotted.stages[0].model_dump()["lr"] == 0.1
    nested = TwoStage(ranker="product(parts=ease(l2=3)+item-knn(k=5;shrink=2);mode=ensemble)")
    assert [m.name for m in nested.stages[1].members] == ["ease", "item-knn"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"retriever": "ease"}, "ease has no item vectors to retrieve by: take one of .*elsa"),
        ({"ranker": "svae"}, "svae cannot be a member"),
        ({"ranker": "u-autorec"}, "u-autorec cannot be a member"),
        ({"ranker": "ease+elsa"}, "ranker='ease.elsa' names 2 models: name one"),
        ({"ranker": "ease(l2"}, "ranker: member"),
        ({"ranker": "ease(l2=-1)"}, "ease: l2"),
        ({"ranker": "eaes"}, "Did you mean .*ease"),
        ({"candidates": 0}, "candidates=0"),
        ({"ranker.l22": 3}, "no hyper-parameter 'l22'"),
    ],
)
def test_what_cannot_be_a_stage_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        TwoStage(**settings)


def test_an_elsa_that_retrieves_keeps_its_epochs(data: shoal.Interactions) -> None:
    model = TwoStage(retriever="elsa(factors=8;lr=0.1)", ranker="ease", candidates=8)
    assert model.chosen_by_validation == ("the number of epochs",)
    split = shoal.split(data, "strong", seed=0, test=0.2, validation=0.2)
    model.fit(split.train, split.validation, ONE)
    best = model.until_best()
    assert not best.chosen_by_validation
    assert (
        best.stages[0].model_dump()["n_epochs"]
        == model.stages[0].until_best().model_dump()["n_epochs"]
    )
    assert "retriever.epochs" in model.facts


def test_approximate_retrieval_of_everything_is_exact(
    data: shoal.Interactions, histories: CSR
) -> None:
    """An index that compares all vectors retrieves the same candidates; the ranker is the same."""
    pytest.importorskip("faiss")
    model = fitted(data, retriever=RETRIEVER, ranker="ease(l2=5)", candidates=6)
    exact = model.rank(histories, 5, barred(histories), model.known_items)
    index = build_index(model, data, kind="flat", k=10, sample=20, run=ONE)
    assert index.facts.recall == 1
    index.serve(model)
    near = model.rank(histories, 5, barred(histories), model.known_items)
    np.testing.assert_array_equal(near[0], exact[0])
    assert index.facts.vectors == digest(model.stages[0].vectors())
    with pytest.raises(ModelError, match="another model"):
        index.serve(fitted(data, retriever="spectral-ease(factors=3)", ranker="ease", candidates=6))


def test_a_service_warms_it_up(data: shoal.Interactions) -> None:
    warm_up(fitted(data, retriever=RETRIEVER, ranker="ease(l2=5)", candidates=6), ONE)


def test_a_folder_serves_all_that_is_asked(data: shoal.Interactions, tmp_path: Path) -> None:
    model = fitted(data, retriever=RETRIEVER, ranker="ease(l2=5)", candidates=6)
    shoal.save(model, tmp_path / "m")
    loaded: Recommender = shoal.load(tmp_path / "m")
    ids = loaded.items.take([0, 3, 5])
    assert shoal.recommend(loaded, ids, 5).items == shoal.recommend(model, ids, 5).items
    because = shoal.recommend(loaded, ids, 5, because=True)
    assert because[0].because
    assert len(shoal.similar(loaded, ids[0], 4)) == 4
    explained = shoal.explain(loaded, ids, because[0].item)
    assert sum(r.contribution for r in explained.contributions) == pytest.approx(
        explained.score, rel=1e-4, abs=1e-5
    )
    assert explained.rank == 1

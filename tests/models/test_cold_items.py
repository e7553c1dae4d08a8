"""Items that nobody has: scored by their vectors, marked, and added without a fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.base.semantic import SemanticRecommender, VectorRecommender
from shoal.data.interactions import Interactions
from shoal.errors import DataError, ModelError
from shoal.inference.recommend import recommend
from shoal.models.add_ease import AddEASE
from shoal.models.cease import CEASE
from shoal.models.ease import EASE
from shoal.models.ease_text import EASEText
from shoal.models.l3ae import L3AE
from shoal.models.text_similarity import TextSimilarity
from shoal.run import Run
from shoal.testing import from_dense

from .vector_helpers import COLD, NEITHER, Matrix, ease, log_of, table, unit, vectors

MODELS: dict[str, VectorRecommender] = {
    "l3ae": L3AE(l2=5, text=8, text_l2=2),
    "l3ae, all from the log": L3AE(l2=5, text=8, text_l2=2, cold="log"),
    "l3ae, bounded, as the log has it": L3AE(
        l2=5, text=8, text_l2=2, xi=0.3, dropout=0.2, alpha=0.3, beta=0.4, cold="log"
    ),
    "l3ae, bounded and damped": L3AE(
        l2=5, text=8, text_l2=2, xi=0.3, dropout=0.2, alpha=0.3, beta=0.4
    ),
    "l3ae, no pull": L3AE(l2=5, text=0),
    "cease": CEASE(l2=5, text=2, normalise=False),
    "add-ease": AddEASE(l2=5, text=0.3, text_l2=0.5),
    "add-ease, text alone": AddEASE(l2=5, text=1, text_l2=0.5),
    "ease-text": EASEText(text_l2=0.5),
    "text-similarity": TextSimilarity(),
}


def again(model: VectorRecommender) -> VectorRecommender:
    return type(model)(**model.model_dump())


def without(log: Interactions, gone: list[int]) -> Interactions:
    """The log of a catalogue that lacks items which nobody has."""
    assert not log.item_counts[gone].any()
    assert log.item_vectors is not None
    return log.onto_items(log.items.subset(np.setdiff1d(np.arange(log.n_items), gone)))


def weights(model: VectorRecommender) -> Matrix:
    return model.score(from_dense(np.eye(model.n_items)).matrix).astype(float)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("gone", [[COLD], [COLD, NEITHER, 12, 13]])
def test_adding_items_gives_what_a_fit_gives(name: str, gone: list[int]) -> None:
    """One item in the middle of the ids, and several, one of them without a text."""
    X = np.hstack([table(), np.zeros((50, 2))])
    log = log_of(X, np.vstack([vectors(), vectors(14)[12:]]))
    whole = again(MODELS[name]).fit(log, run=Run(threads=1))
    small = again(MODELS[name]).fit(without(log, gone), run=Run(threads=1))
    before = weights(small)
    ids = log.items.take(gone)
    assert log.item_vectors is not None
    larger = small.add_items(ids[::-1], log.item_vectors[gone][::-1])
    assert larger.items == whole.items
    np.testing.assert_array_equal(larger.cold_items, whole.cold_items)
    np.testing.assert_allclose(weights(larger), weights(whole), atol=5e-6)
    np.testing.assert_array_equal(weights(small), before)  # is as it was
    # one after the other, and back from a state
    for item, at in zip(ids, gone, strict=True):
        restored = again(small)
        restored.restore({n: a.copy() for n, a in small.state().items()})
        restored.restore_catalogue(small.items, small.item_table, small.fingerprint, small.facts)
        small = restored.add_items([item], log.item_vectors[[at]])
    np.testing.assert_allclose(weights(small), weights(whole), atol=5e-6)


def test_the_column_of_a_new_item_is_its_regression_on_the_known_texts() -> None:
    """C's column is ridge regression of f on F, B's λ_E·P times that; B's row is λ_E/λ of C's."""
    X, V = table(), vectors()
    log = without(log_of(X, V), [COLD])
    small = L3AE(l2=5, text=8, text_l2=2, cold="log").fit(log, run=Run(threads=1))
    larger = small.add_items([100 + COLD], V[[COLD]])
    assert isinstance(larger, SemanticRecommender)
    B = np.asarray(larger.weights)
    rest = np.arange(12) != COLD
    F, f = unit(V)[rest], unit(V)[COLD]
    c = np.linalg.solve(F @ F.T + 2 * np.eye(11), F @ f)
    P = np.linalg.inv(X[:, rest].T @ X[:, rest] + 5 * np.eye(11))
    np.testing.assert_allclose(B[rest, COLD], 8 * P @ c, atol=1e-6)
    C = ease(unit(V) @ unit(V).T, 2)
    np.testing.assert_allclose(B[COLD, rest], 8 / 5 * C[COLD, rest], atol=1e-6)
    by_text = L3AE(l2=5, text=8, text_l2=2).fit(log, run=Run(threads=1))
    B = np.asarray(by_text.add_items([100 + COLD], V[[COLD]]).weights)  # type: ignore[attr-defined]
    np.testing.assert_allclose(
        B[rest, COLD], 8 / 5 * F @ np.linalg.solve(F.T @ F + 2 * np.eye(5), f), atol=1e-6
    )


@pytest.mark.parametrize("kind", [EASEText(), L3AE()])
def test_what_cannot_be_added_is_refused(kind: VectorRecommender) -> None:
    model = again(kind).fit(log_of(table(), vectors()), run=Run(threads=1))
    with pytest.raises(DataError, match="item 105 is in the model already"):
        model.add_items([200, 105], np.ones((2, 5)))
    with pytest.raises(DataError, match="have 4 numbers, those of the model 5"):
        model.add_items([200], np.ones((1, 4)))
    with pytest.raises(DataError, match="item 200 has more than one vector"):
        model.add_items([200, 200], np.ones((2, 5)))
    with pytest.raises(DataError, match=r"NaN or infinite.* item 201"):
        model.add_items([200, 201], [[1] * 5, [np.nan] * 5])
    with pytest.raises(DataError, match="'x' is no id like those"):
        model.add_items(["x"], np.ones((1, 5)))
    with pytest.raises(ModelError, match="ease takes new items by a fit only"):
        EASE().fit(from_dense(table())).add_items([200], np.ones((1, 5)))


def test_cold_items_are_marked_and_bring_their_titles(tmp_path: Path) -> None:
    X, V = table(), vectors()
    titles = pl.DataFrame({"item": range(100, 112), "title": [f"T{i}" for i in range(12)]})
    model = L3AE(l2=5, text=8, text_l2=2).fit(log_of(X, V).with_item_table(titles))
    larger = model.add_items([300], V[[0]], pl.DataFrame({"item": [300], "title": ["New"]}))
    shoal.save(larger, tmp_path / "m")
    for one in (larger, shoal.load(tmp_path / "m")):
        found = {r.item: r for r in recommend(one, [100], 12)}
        assert found[300].cold
        assert found[300].attributes["title"] == "New"
        assert found[100 + COLD].cold
        assert not found[101].cold
        assert found[300].rank < found[100 + COLD].rank  # its text is that of the history
    assert "(cold item)" in str(recommend(larger, [100], 12))
    assert recommend(larger, [300], 1)[0].item != 300


def test_adding_to_text_ids_keeps_them_text() -> None:
    log = log_of(table(), vectors())
    named = from_dense(table(), items=[f"i{k:02}" for k in range(12)])
    model = TextSimilarity().fit(named.with_vectors(named.items, log.item_vectors))
    larger = model.add_items(["i05x"], np.ones((1, 5)))
    assert larger.items.take([5, 6]) == ["i05", "i05x"]


@pytest.mark.parametrize(
    "name",
    ["l3ae", "l3ae, bounded and damped", "l3ae, bounded, as the log has it", "add-ease"],
)
def test_evidence_is_what_the_formula_says(name: str) -> None:
    """Behaviour and text add up to the score, and the text's part is λ_E·x·P·C (α·x·C)."""
    X, V, model = table(), vectors(), MODELS[name]
    log = log_of(X, V)
    fitted = again(model).fit(log, run=Run(threads=1))
    F = unit(V)
    text_l2 = model.model_dump()["text_l2"]
    C = ease(F @ F.T, text_l2)
    if isinstance(model, L3AE):
        users = np.maximum((X > 0).sum(axis=1), 1.0) ** -model.beta
        ridge = 5 + model.dropout / (1 - model.dropout) * X.sum(axis=0)
        P = np.linalg.inv(X.T @ (users[:, None] * X) + np.diag(ridge))
        c = np.maximum(X.sum(axis=0), 1) ** model.alpha
        text = 8 * P @ C
        if model.cold == "text":
            text[:, [COLD, NEITHER]] = 8 / 5 * C[:, [COLD, NEITHER]]
        text *= c[:, None] / c
    else:
        text = 0.3 * C
    row = from_dense(np.array([[2.0, 0, 1, 0, 0, 3, 1, 0, 0, 0, 0, 0]])).matrix
    scores = fitted.score(row)[0]
    for item in range(12):  # those of the history, too
        found = fitted.evidence(row.indices, row.data, item)
        assert found["behaviour"] + found["text"] == pytest.approx(scores[item], abs=1e-6)
        assert found["text"] == pytest.approx(row.data @ text[row.indices, item], abs=1e-5)


def test_a_cold_item_has_its_score_from_text_alone() -> None:
    model = L3AE(l2=5, text=8, text_l2=2).fit(log_of(table(), vectors()), run=Run(threads=1))
    (found,) = recommend(model, [100, 102], 1, only=[100 + COLD], because=2)
    assert found.evidence["behaviour"] == pytest.approx(0, abs=1e-6)
    assert found.evidence["text"] == pytest.approx(found.score, abs=1e-6)
    assert len(found.because) == 2
    assert f"text {found.evidence['text']:+.4f}" in str(recommend(model, [100, 102], 8, because=1))
    assert recommend(model, [100, 102], 1)[0].evidence == {}  # not asked for

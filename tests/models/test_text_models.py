"""CEASE, Add-EASE, EASE on text and text similarity, each against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from shoal.base.recommender import Recommender
from shoal.models.add_ease import AddEASE
from shoal.models.cease import CEASE
from shoal.models.ease import EASE
from shoal.models.ease_text import EASEText
from shoal.models.text_similarity import TextSimilarity
from shoal.run import Run
from shoal.testing import from_dense

from .vector_helpers import Matrix, ease, log_of, table, unit, vectors

ONE = Run(threads=1)


def fitted(model: Recommender, X: Matrix, V: Matrix) -> Matrix:
    """B, whether the model keeps it or not: the scores of one-item histories."""
    return model.fit(log_of(X, V), run=ONE).score(from_dense(np.eye(len(V))).matrix).astype(float)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 4.0, 30.0])
@pytest.mark.parametrize("size", [3, 40])
def test_cease_is_ease_on_users_and_text_together(alpha: float, size: int) -> None:
    """The log's rows, and below them α·F: d users more, whose weights may be negative."""
    X, V = table(valued=True), vectors(size=size)
    rows = np.vstack([X, alpha * unit(V).T])
    B = fitted(CEASE(l2=20, text=alpha), X, V)
    np.testing.assert_allclose(B, ease(rows.T @ rows, 20.0), atol=3e-6)


def test_cease_is_ease_where_the_text_weighs_nothing() -> None:
    X, V = table(), vectors()
    there = np.asarray(EASE(l2=20).fit(from_dense(X), run=ONE).weights)
    np.testing.assert_allclose(fitted(CEASE(l2=20, text=0), X, V), there, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_add_ease_is_the_sum_of_two(alpha: float) -> None:
    X, V = table(), vectors()
    F = unit(V)
    expected = (1 - alpha) * ease(X.T @ X, 20.0) + alpha * ease(F @ F.T, 0.5)
    B = fitted(AddEASE(l2=20, text=alpha, text_l2=0.5), X, V)
    np.testing.assert_allclose(B, expected, atol=2e-6)


@pytest.mark.parametrize("normalise", [False, True])
def test_ease_on_text_does_not_look_at_the_log(normalise: bool) -> None:
    V = vectors()
    F = unit(V) if normalise else V
    for X in (table(), np.roll(table(), 1, axis=1)):
        B = fitted(EASEText(text_l2=0.7, normalise=normalise), X, V)
        np.testing.assert_allclose(B, ease(F @ F.T, 0.7), atol=3e-6)


def test_text_similarity_is_the_cosine() -> None:
    V = vectors()
    expected = cosine_similarity(V)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(fitted(TextSimilarity(), table(), V), expected, atol=1e-6)


def test_histories_add_up_with_their_weights() -> None:
    V, X = vectors(), np.array([[2.0, 0, 0.5, 0, 0, 0, 0, 1, 0, 0, 0, 0]])
    expected = cosine_similarity(V)
    np.fill_diagonal(expected, 0)
    scores = TextSimilarity().fit(log_of(table(), V)).score(from_dense(X).matrix)
    np.testing.assert_allclose(scores, X @ expected, atol=1e-6)

"""Weights from a model's items to new items that are known by their vectors alone."""

from __future__ import annotations

import numpy as np

from shoal.base.recommender import Recommender
from shoal.base.semantic import FactoredTextRecommender, SemanticRecommender, VectorRecommender
from shoal.errors import DataError, ModelError
from shoal.kernels.arrays import Float


def new_columns(model: Recommender, vectors: Float) -> Float:
    """Compute the columns of B that `add_items` would give for new items, and nothing else of it.

    That takes about n·d² operations in place of the n² of a larger model, so that a service can do
    it for a few items. A score of a new item is the history times its column.

    Parameters
    ----------
    model : Recommender
        Fitted, of those that read vectors.
    vectors : (m, d) of numbers
        From the embedder that made the vectors of the training data.

    Returns
    -------
    (n_items, m) float32

    Raises
    ------
    ModelError
        The model reads no vectors.
    DataError
        The vectors have another length, or hold numbers that are not finite.
    """
    if not isinstance(model, FactoredTextRecommender | SemanticRecommender):
        raise ModelError(
            f"{model.name} knows items by their interactions alone, so it cannot score new ones: "
            "train a model that reads texts, such as l3ae"
        )
    rows = np.ascontiguousarray(vectors, np.float32)
    if rows.ndim != 2 or rows.shape[1] != model.item_vectors.shape[1]:
        raise DataError(
            f"the new vectors have {rows.shape[-1]} numbers, those of the model "
            f"{model.item_vectors.shape[1]}: embed both with the same embedder"
        )
    if not np.isfinite(rows).all():
        raise DataError("a vector of a new item holds a number that is not finite")
    n = model.n_items
    larger = _with_vectors(model, rows)
    if isinstance(larger, FactoredTextRecommender):
        return model.item_vectors @ larger._learn()[n:].T
    assert isinstance(larger, SemanticRecommender)
    assert isinstance(model, SemanticRecommender)
    return _columns_of_semantic(model, larger, n)


def _with_vectors(model: VectorRecommender, rows: Float) -> VectorRecommender:
    """The model's settings, with the vectors of old and new items."""
    larger = type(model)(**model.model_dump())
    larger._features = np.concatenate([model.item_vectors, model._scaled(rows)])
    larger._cold = np.concatenate([model.cold_items, np.ones(len(rows), np.bool_)])
    return larger


def _columns_of_semantic(model: SemanticRecommender, larger: SemanticRecommender, n: int) -> Float:
    """A·Rᵀ for the new items; their columns of P are zero outside the diagonal."""
    larger._grow(model, np.arange(n, dtype=np.int32))
    right = larger._combine().right_factor
    if getattr(larger, "cold", "") == "text":
        left = larger.item_vectors / np.float32(larger.l2)
    else:
        left = larger._left
    c = larger._damping[:n, None].astype(np.float32)  # of new items it is 1
    return np.asarray((left[:n] * c) @ right[n:].T, np.float32)

"""What items that a person wants less of do to the scores of all others.

A score with less of some items L is the score that the same model extrapolates to:

    score(h − L) = score(h) − (score(h + L) − score(h))

What L would add to a history h is taken away from it instead. For a linear model this is the score
of a history in which the items of L have the weight −1, exactly, so that contributions go on to add
up to the score. For a model that normalises histories, or has a prior for each item, the difference
is taken at the history itself: L counts as much as the same items would as part of it, and what the
model finds of everybody (the popularity of an item) is left as it is. A model of ratings needs no
such formula: it has learned from low ratings, so the items of L get the lowest rating there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from shoal.base.rating import RatingRecommender
from shoal.base.recommender import Recommender
from shoal.base.weights import best_of_scores
from shoal.data.interactions import CSR
from shoal.errors import HistoryError, ModelError
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen
from shoal.kernels.boosts import boost
from shoal.kernels.shifts import shift


def read_less(model: Recommender, ids: Iterable[Any]) -> tuple[Int, tuple[Any, ...]]:
    """The positions of the items of a list that the model knows, and the ids of the others.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    ids : iterable of ids

    Raises
    ------
    HistoryError
        The list is one text, or holds something that is no id.
    """
    if isinstance(ids, str | bytes):
        raise HistoryError(f"less={ids!r} is one text: give a list of item ids")
    try:
        named = list(dict.fromkeys(ids))
        codes = model.items.lookup(named)
    except (TypeError, ValueError) as error:
        raise HistoryError(f"less is no list of item ids: {error}") from None
    is_known = (codes >= 0) & model.known_items[codes]
    unknown = tuple(i for i, known in zip(named, is_known.tolist(), strict=True) if not known)
    return codes[is_known], unknown


def without(row: CSR, codes: Int) -> CSR:
    """A history (1, n_items) without the items at some positions."""
    kept = ~np.isin(row.indices, codes)
    if kept.all():
        return row
    parts = row.data[kept], row.indices[kept], np.array([0, int(kept.sum())])
    return CSR(parts, shape=row.shape)


def signed(model: Recommender, row: CSR, less: Int) -> CSR | None:
    """The one history that a model scores in place of `row`, or None if it cannot be one.

    Parameters
    ----------
    model : Recommender
    row : CSR array (1, n_items)
        The history, without the items of `less`.
    less : (m,) int32
        Positions of the items of which less is wanted.

    Returns
    -------
    CSR array (1, n_items) or None
        `row` with the weight −1 for items of `less` if the model is linear, with the lowest
        training rating if it rates; None for other models, whose scores `extrapolated` computes.
    """
    if not less.size:
        return row
    if model.explains:
        return _joined(row, less, -1.0)
    if isinstance(model, RatingRecommender):
        return _joined(row, less, model.known.low)
    return None


def extrapolated(model: Recommender, row: CSR, less: Int) -> Float:
    """Scores of all items for a history with less of some items, (1, n_items) float32.

    Parameters
    ----------
    model : Recommender
        Of any kind; an `ordered` one reads the items of `less` as the newest ones.
    row : CSR array (1, n_items)
        The history, without the items of `less`.
    less : (m,) int32
    """
    scores: Float = model.score(row)
    return np.asarray(2 * scores - model.score(joined(model, row, less)), np.float32)


def joined(model: Recommender, row: CSR, less: Int) -> CSR:
    """A history (1, n_items) with the items of `less` as if they were liked, and came last."""
    newest = float(row.data.max(initial=0.0))
    weights: Any = newest + 1 + np.arange(less.size) if model.ordered else 1.0
    return _joined(row, less, weights)


def best_extrapolated(
    model: Recommender,
    row: CSR,
    less: Int,
    k: int,
    barred: Seen,
    allowed: Bool,
    factors: Float | None = None,
    shifts: Float | None = None,
) -> Ranking:
    """The k best items by `extrapolated`; the other arguments are those of `Recommender.rank`.

    Raises
    ------
    ModelError
        A score is not a number.
    """
    scores = extrapolated(model, row, less)
    if factors is not None:
        boost(scores, factors)
    if shifts is not None:
        shift(scores, shifts, barred, allowed)
    try:
        return best_of_scores(scores, k, barred, allowed)
    except FloatingPointError:
        raise ModelError(f"{model.name} gave a score that is not a number: fit it again") from None


def _joined(row: CSR, codes: Int, weights: Any) -> CSR:
    """A history with further items, none of which it has, in canonical form."""
    indices = np.concatenate([row.indices, codes]).astype(np.int32)
    values = np.broadcast_to(np.asarray(weights, np.float32), codes.shape)
    data = np.concatenate([row.data, values]).astype(np.float32)
    order = np.argsort(indices)
    parts = data[order], indices[order], np.array([0, indices.size])
    joined = CSR(parts, shape=row.shape)
    joined.has_canonical_format = True
    return joined

"""What items that a person wants less of do to the scores of all others: they can only lower them.

For a linear model each item l of the items L that are wanted less takes away what it would add:

    score(i) = score(h, i) − Σ_l max(0, contribution of l to i)

For any other model, what all of them together would add to the history h is taken away:

    score(i) = score(h, i) − max(0, score(h + L, i) − score(h, i))

The maximum matters. In EASE and its kin two items of one kind often have a negative weight, since
the one stands for the other; without the maximum, less of the one would be more of the other.
For a model that normalises histories, or has a prior for each item, the difference is taken at the
history itself: L counts as much as the same items would as part of it, and what the model finds of
everybody (the popularity of an item) is left as it is. A model of ratings needs no such formula: it
has learned from low ratings, so the items of L get the lowest rating there is.
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

_SCORES_AT_ONCE = 2**24  # 64 MB


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


def scored_row(model: Recommender, row: CSR, less: Int) -> CSR | None:
    """The one history whose scores are those with less of some items, or None if there is none.

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
        `row` if less of nothing is wanted; for a model that rates, `row` with the lowest training
        rating for items of `less`; None for other models, for which there
        is `best_lowered`.
    """
    if not less.size:
        return row
    if isinstance(model, RatingRecommender):
        return _joined(row, less, model.known.low)
    return None


def explained_row(row: CSR, less: Int) -> CSR:
    """A history (1, n_items) with the weight −1 for items of `less`, for reasons.

    What such an item would add to a score above 0 counts negatively; the rest must be left out, as
    `shoal.inference.explanations` does.
    """
    return _joined(row, less, -1.0) if less.size else row


def _taken_away(model: Recommender, row: CSR, less: Int, scores: Float) -> Float:
    """What items of `less` take away from the scores of a history, (1, n_items), at least 0."""
    if not model.explains:
        together = model.score(joined(model, row, less))
        return np.asarray(np.maximum(together - scores, 0), np.float32)
    taken = np.zeros(scores.shape, np.float32)
    at_once = max(1, _SCORES_AT_ONCE // model.n_items)
    for begin in range(0, less.size, at_once):
        codes = less[begin : begin + at_once]
        ones = np.ones(codes.size, np.float32), codes, np.arange(codes.size + 1)
        alone = model.score(CSR(ones, shape=(codes.size, model.n_items)))
        taken += np.maximum(alone, 0).sum(axis=0)
    return taken


def joined(model: Recommender, row: CSR, less: Int) -> CSR:
    """A history (1, n_items) with the items of `less` as if they were liked, and came last."""
    newest = float(row.data.max(initial=0.0))
    weights: Any = newest + 1 + np.arange(less.size) if model.ordered else 1.0
    return _joined(row, less, weights)


def best_lowered(
    model: Recommender,
    row: CSR,
    less: Int,
    k: int,
    barred: Seen,
    allowed: Bool,
    factors: Float | None = None,
    shifts: Float | None = None,
) -> Ranking:
    """The k best items for a history, which has none of `less`, with less of some items.

    The other arguments are those of `Recommender.rank`. The unit of shifts is that of the scores
    without `less`: else less of one item would make shifts towards others larger, and so lift them.

    Raises
    ------
    ModelError
        A score is not a number.
    """
    scores = model.score(row)
    low = np.asarray(scores - _taken_away(model, row, less, scores), np.float32)
    if factors is not None:
        boost(scores, factors)
        boost(low, factors)
    if shifts is not None:
        shift(low, shifts, barred, allowed, unit_from=scores)
    try:
        return best_of_scores(low, k, barred, allowed)
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

"""Recommending items that a model does not have, by vectors of their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shoal.base.new_columns import new_columns
from shoal.base.recommender import Recommender
from shoal.errors import HistoryError
from shoal.inference.explanations import attributes_of, check_reasons, strongest
from shoal.inference.history import ModelHistory
from shoal.inference.less import explained_row
from shoal.inference.recommendations import Recommendation, Recommendations
from shoal.kernels.arrays import Float
from shoal.kernels.threads import use_threads

NO_HISTORY = "new items are left out: the model knows no item of the history"


@dataclass(frozen=True)
class NewItems:
    """Items that a model does not have, ready to be ranked beside those that it has.

    Parameters
    ----------
    ids : tuple of ids
    columns : (n_items, m) float32
        The weight from each item of the model to each of the m new ones.
    attributes : tuple of dict
        What is known of each, for the lists.
    """

    ids: tuple[Any, ...]
    columns: Float
    attributes: tuple[Mapping[str, Any], ...] = field(default=())


@use_threads(1)
def new_items(
    model: Recommender,
    ids: Sequence[Any],
    vectors: Float,
    attributes: Sequence[Mapping[str, Any]] = (),
) -> NewItems:
    """Compute the weights of new items, as `add_items` does, without making a larger model.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded, of those that read texts.
    ids : (m,) ids
    vectors : (m, d) of numbers
        From the embedder that made the vectors of the training data.
    attributes : sequence of mappings, optional

    Raises
    ------
    HistoryError
        An item is in the model already, is there twice, or has a vector of zeros.
    ModelError, DataError
        As of `new_columns`.
    """
    known = [item for item, code in zip(ids, model.items.lookup(ids), strict=True) if code >= 0]
    if known:
        raise HistoryError(f"item {known[0]!r} is in the model already: it needs no text")
    if len(set(map(str, ids))) < len(ids):
        raise HistoryError("a new item is there twice")
    empty = np.flatnonzero(~np.asarray(vectors).any(axis=1))
    if empty.size:
        raise HistoryError(f"item {ids[empty[0]]!r}: the embedder knows no word of its text")
    told = tuple(attributes) or tuple({} for _ in ids)
    return NewItems(tuple(ids), new_columns(model, vectors), told)


@use_threads(1)
def with_new_items(
    model: Recommender,
    answer: Recommendations,
    history: ModelHistory,
    new: NewItems,
    k: int,
    because: bool | int = False,
) -> Recommendations:
    """Put new items into a list, each where its score belongs.

    Parameters
    ----------
    model : Recommender
    answer : Recommendations
        The k best of the model's own items.
    history : ModelHistory
        From `read_history`, the one that `answer` is for.
    new : NewItems
    k : int
    because : bool or int
        As for `recommend`.

    Returns
    -------
    Recommendations
        The k best of both. Where the model knows no item of the history, new items have no scores
        and are left out, as `notes` says.
    """
    check_reasons(model, because)
    if not history.row.nnz:
        return replace(answer, notes=(*answer.notes, NO_HISTORY))
    # models that take new items are linear
    row = explained_row(history.row, history.less)
    parts = row.data[:, None] * new.columns[row.indices]  # (history, m)
    is_less = np.isin(row.indices, history.less)
    parts[is_less] = np.minimum(parts[is_less], 0)  # they can only lower a score
    scores = parts.sum(axis=0, dtype=np.float64)
    n_reasons = row.nnz if because is True else int(because)
    ids, told = [], []
    if because:
        ids, told = model.items.take(row.indices), attributes_of(model, row.indices)
    rows = list(answer.rows)
    for j, item in enumerate(new.ids):
        reasons = strongest(ids, told, parts[:, j], n_reasons, is_less) if because else ()
        attributes = dict(new.attributes[j])
        rows.append(Recommendation(0, item, float(scores[j]), attributes, reasons, cold=True))
    rows = sorted(rows, key=lambda r: -r.score)[:k]  # stable: the model's own first among equals
    ranked = tuple(replace(r, rank=rank) for rank, r in enumerate(rows, 1))
    return replace(answer, rows=ranked, shortfall=answer.shortfall if len(ranked) < k else "")

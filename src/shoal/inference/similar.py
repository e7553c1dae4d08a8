"""The items that one item speaks for (`similar`), and those that it speaks against."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.base.linear import LinearRecommender
from shoal.base.recommender import Recommender
from shoal.data.interactions import histories
from shoal.errors import ModelError
from shoal.inference.explanations import attributes_of
from shoal.inference.filters import Boost
from shoal.inference.lookup import position_of
from shoal.inference.recommend import recommend
from shoal.inference.recommendations import Recommendation, Recommendations
from shoal.inference.rules import check_at_least_one, check_model
from shoal.kernels.threads import use_threads
from shoal.run import Run


def dissimilar(
    model: Recommender, item: Any, k: int = 10, *, run: Run | None = None
) -> Recommendations:
    """The items that the presence of one item speaks against most.

    For a linear model these are the most negative weights of its row of B, lowest first; the item
    itself is left out. EASE has many: they are what the ablation with B ≥ 0 loses (Steck, *EASE*,
    WWW 2019).

    Parameters
    ----------
    model : Recommender
        A linear one, fitted or loaded.
    item : id
        An item of the catalogue.
    k : int
        Number of items. There are fewer where fewer weights are negative; `shortfall` of the
        result then says so.
    run : Run, optional
        Threads.

    Returns
    -------
    Recommendations
        `score` is the weight.

    Raises
    ------
    HistoryError
        The item is unknown, or k out of range.
    ModelError
        The model has no weights between items: a low score of another model is relative to its
        other scores, and speaks against nothing.
    """
    check_model(model)
    if not isinstance(model, LinearRecommender):
        raise ModelError(
            f"{model.name} has no weights between items, so none that are negative: ask a linear "
            "model (ease, rdlae, …)"
        )
    code = position_of(model, item)
    check_at_least_one(k, "items")
    with use_threads(1):
        # the scores for the history of this item alone are its row of B
        weights = model.score(histories(model.items, [model.items.take([code])]))[0]
    weights[code] = 0
    negative = np.flatnonzero(weights < 0)
    codes = negative[np.argsort(weights[negative], kind="stable")[:k]].astype(np.int32)
    shortfall = ""
    if not codes.size:
        shortfall = f"this model never counts item {item!r} against others"
    elif codes.size < k:
        shortfall = f"{codes.size} instead of {k}: the other weights of {item!r} are not negative"
    columns = zip(
        model.items.take(codes), weights[codes].tolist(), attributes_of(model, codes), strict=True
    )
    rows = tuple(Recommendation(rank, *fields) for rank, fields in enumerate(columns, 1))
    return Recommendations(rows, (), shortfall)


def similar(
    model: Recommender,
    item: Any,
    k: int = 10,
    *,
    filter: str | None = None,
    boost: Boost | None = None,
    diversity: float = 0.0,
    run: Run | None = None,
) -> Recommendations:
    """The items that the presence of one item speaks for most.

    They are the recommendations for a history of this item alone. For a linear model these are
    the largest weights of its row of B.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    item : id
        An item of the catalogue.
    k : int
        Number of items.
    filter, boost, diversity
        As for `shoal.recommend`.
    run : Run, optional
        Threads, memory budget and device.

    Returns
    -------
    Recommendations

    Raises
    ------
    HistoryError
        The item is unknown or nobody had it in training, k is out of range, or a filter or a
        boost is wrong.
    ModelError
        The model gives everyone the same scores, or knows nothing that is like the item.
    """
    check_model(model)
    if not model.personal:
        raise ModelError(
            f"{model.name} recommends the same to everyone, so it knows no similar items: ask "
            "another model (item-knn, ease, …)"
        )
    code = position_of(model, item)
    answered = recommend(model, [item], k, filter=filter, boost=boost, diversity=diversity, run=run)
    # boosts make equal scores different
    if boost or (len(answered) > 1 and answered[0].score == answered[-1].score):
        _refuse_all_alike(model, code, item, run or Run())
    return answered


def _refuse_all_alike(model: Recommender, code: int, item: Any, run: Run) -> None:
    """Refuse to list items if the model finds none of them more like an item than others."""
    with use_threads(run.threads):
        scores = model.score(histories(model.items, [model.items.take([code])]))[0]
    others = model.known_items.copy()
    others[code] = False
    if np.ptp(scores[others]) == 0:
        raise ModelError(
            f"{model.name} finds no item more similar to {item!r} than others: it has learned "
            "nothing of it"
        )

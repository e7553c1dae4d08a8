"""The items that one item speaks against: the negative weights of a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.base.linear import LinearRecommender
from shoal.base.recommender import Recommender
from shoal.data.interactions import histories
from shoal.errors import HistoryError, ModelError
from shoal.inference.recommend import attributes_of, recommend
from shoal.inference.recommendations import Recommendation, Recommendations
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
    k : int
        How many; fewer only with a reason (`shortfall`), since no weight ≥ 0 is given out.
    run : Run, optional

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
    code = int(model.items.lookup([item])[0])
    if not isinstance(model, LinearRecommender):
        raise ModelError(
            f"{model.name} has no weights between items, so none that are negative: ask a linear "
            "model (ease, rdlae, …)"
        )
    if code < 0:
        raise HistoryError(f"item {item!r} is not in the model; its ids look like {model.items!r}")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise HistoryError(f"k={k}: ask for 1 or more items")
    with use_threads((run or Run()).threads):
        row = model.score(histories(model.items, [model.items.take([code])]))[0]  # of B
    row[code] = 0
    against = np.flatnonzero(row < 0)
    chosen = against[np.argsort(row[against], kind="stable")[:k]].astype(np.int32)
    shortfall = ""
    if not chosen.size:
        shortfall = f"no weight of item {item!r} is negative: {model.name} holds it against none"
    elif chosen.size < k:
        shortfall = f"{chosen.size} instead of {k}: the other weights of {item!r} are not negative"
    found = zip(model.items.take(chosen), row[chosen], attributes_of(model, chosen), strict=True)
    rows = [Recommendation(at, i, float(w), more) for at, (i, w, more) in enumerate(found, 1)]
    return Recommendations(tuple(rows), (), shortfall)


def similar(
    model: Recommender,
    item: Any,
    k: int = 10,
    *,
    run: Run | None = None,
) -> Recommendations:
    """The items that the presence of one item speaks for most: its one-item history's best.

    For a linear model these are the largest weights of its row of B.

    Raises
    ------
    HistoryError
        The item is unknown, or k out of range.
    """
    if model.items.lookup([item])[0] < 0:
        raise HistoryError(f"item {item!r} is not in the model; its ids look like {model.items!r}")
    return recommend(model, [item], k, run=run)

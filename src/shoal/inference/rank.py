"""`rank`: given items in the order of their scores for one person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.inference.history import HistoryLike, read_history
from shoal.inference.lookup import list_of_ids
from shoal.inference.recommend import answer
from shoal.inference.recommendations import Recommendations
from shoal.inference.rules import AllowedItems, Fallback, check_fallback, check_model
from shoal.run import Run


def rank(
    model: Recommender,
    history: HistoryLike,
    candidates: Iterable[Any],
    *,
    user: Any = None,
    fallback: Fallback = "popularity",
    because: bool | int = False,
    run: Run | None = None,
) -> Recommendations:
    """Put given items into the order of their scores for one person.

    Nothing is left out because the person has seen it: an application that asks for the order of
    ten products gets the order of ten products. The scores are those of `recommend`.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    history : list of item ids, mapping id → weight, or Interactions
        As for `recommend`.
    candidates : iterable of ids
        The items to be ranked; those that are named twice count once.
    user : id, optional
        A user of the log given as `history`.
    fallback : {"popularity", "none"}
        What to do where the model knows no item of the history: rank by the number of training
        users, with `fallback` of the result set, or refuse.
    because : bool or int
        Give the contribution of each history item to each score, as for `recommend`.
    run : Run, optional
        Threads, memory budget and device.

    Returns
    -------
    Recommendations
        All candidates that the model knows, best first. `unranked` lists the others: those that
        are not in the catalogue, and those that nobody had in training.

    Raises
    ------
    HistoryError
        There is no candidate, an unknown user, or reasons are asked of a model that has none; no
        known item in the history, if nothing falls back on popularity.
    """
    check_model(model)
    check_fallback(fallback)
    asked = list_of_ids(candidates, "candidates")
    codes = model.items.lookup(asked)
    mask = np.zeros(model.n_items, np.bool_)
    mask[codes[codes >= 0]] = True
    mask &= model.known_items
    read = read_history(model, history, user)
    n_ranked = int(mask.sum())
    if not n_ranked:
        return Recommendations((), read.unknown, unranked=tuple(asked))
    ranked = answer(
        model,
        read,
        n_ranked,
        AllowedItems(mask),
        exclude_seen=False,
        fallback=fallback,
        because=because,
        run=run,
    )
    present = set(model.items.lookup(ranked.items).tolist())
    left_out = [i for i, code in zip(asked, codes.tolist(), strict=True) if code not in present]
    return replace(ranked, shortfall="", unranked=tuple(left_out))

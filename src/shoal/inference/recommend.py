"""`recommend`: a model's answer to one person. `recommend_all` is in `shoal.inference.everyone`.

The steps of `recommend` stand on their own, for a program that answers many requests:
`read_history` (a history → a row), `allowed_items` (rules → a mask) and `answer` (both → a list).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions
from shoal.errors import HistoryError
from shoal.inference.diversity import diverse, pool_size
from shoal.inference.everyone import recommend_all
from shoal.inference.explanations import attributes_of, evidence_for, is_cold, reasons_for
from shoal.inference.filters import Boost
from shoal.inference.history import ModelHistory, read_history
from shoal.inference.less import best_lowered, explained_row, scored_row
from shoal.inference.ranking import barred_items, most_popular, rank_blocks
from shoal.inference.recommendations import Recommendation, Recommendations
from shoal.inference.rules import (
    AllowedItems,
    Fallback,
    allowed_items,
    check_diversity,
    check_fallback,
    check_k,
    check_model,
)
from shoal.kernels.arrays import Float, Int
from shoal.kernels.threads import use_threads
from shoal.run import Run

__all__ = ["Recommendation", "Recommendations", "answer", "recommend", "recommend_all"]


def recommend(
    model: Recommender,
    history: Sequence[Any] | Mapping[Any, float] | Interactions,
    k: int = 10,
    *,
    user: Any = None,
    exclude: Iterable[Any] = (),
    only: Iterable[Any] | None = None,
    exclude_seen: bool = True,
    seen: Iterable[Any] | Interactions | None = None,
    less: Iterable[Any] = (),
    fallback: Fallback = "popularity",
    because: bool | int = False,
    filter: str | None = None,
    boost: Boost | None = None,
    diversity: float = 0.0,
    steer: Any = None,
    run: Run | None = None,
) -> Recommendations:
    """Recommend items to one person, known to the model or not.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    history : list of item ids, mapping id → weight, or Interactions
        What the person has touched. Ids unknown to the model are listed in the result's
        `unknown` and the rest is answered. With a log, name the `user`. An `ordered` model
        reads a list as oldest first and a log by its times; it refuses weights other than 1.
    k : int
        Number of recommendations. There are never more; if there are fewer, `shortfall` of the
        result says why.
    user : id, optional
        A user of the log given as `history`.
    exclude : iterable of ids
        Never recommend these.
    only : iterable of ids, optional
        Recommend among these only.
    exclude_seen : bool
        Leave out the items of the history, and what the log holds of the user in `seen`
        (``read(…, keep_seen=True)``: what they rated below the threshold).
    seen : list of item ids, or Interactions, optional
        More items that the person has seen and is not to get. A log goes with `user`.
    less : iterable of ids
        Items of which the person wants less: what they would add to a score, had the person
        touched them, is taken away instead; no score rises (`shoal.inference.less`). They are never
        recommended.
    fallback : {"popularity", "none"}
        What to answer where the model knows no item of the history: the items with most training
        users, with `fallback` of the result set, or nothing but an error.
    because : bool or int
        Give the contribution of each history item to each score, exactly (linear models only).
        A number gives the strongest so many.
    filter : str, optional
        A condition on attributes of items, such as ``"year >= 1990 and 'Comedy' in genres"``: only
        items that fulfil it are recommended. `shoal.data.where` has the language.
    boost : str or mapping, optional
        By how much items are favoured: an expression that gives the factor of each item, such as
        ``"1 + 0.5 * (year >= 2000)"``, or a mapping of conditions to factors, such as
        ``{"in_stock": 1.2}``. All scores are multiplied before the best are chosen; a negative
        score is divided, so that a factor above 1 always favours. `score` is the boosted one.
    diversity : float
        From 0, which gives the best items, to 1, which gives items as unlike each other as
        possible, after the best one (`shoal.inference.diversity`). Lists are then no longer in the
        order of their scores.
    steer : (n_items,) array, optional
        What is added to the score of each item before the best are chosen, positive towards it,
        negative away. 1 is the distance between the person's best score and the 100th best, so it
        means the same whatever the scale of scores. ``shoal.knobs(model).shifts({"Comedy": 1.5})``
        makes it from levels of named knobs. `score` is the shifted one.
    run : Run, optional
        Threads, memory budget and device.

    Returns
    -------
    Recommendations

    Raises
    ------
    HistoryError
        k out of range, an unknown user, reasons asked of a model that has none; a filter, a
        boost or an array to steer by that is wrong; no known item in the history, if nothing falls
        back on popularity.
    """
    check_model(model)
    check_k(k, model)
    return answer(
        model,
        read_history(model, history, user, seen=seen, less=less),
        k,
        allowed_items(model, exclude, only, filter, boost, steer),
        exclude_seen=exclude_seen,
        fallback=fallback,
        because=because,
        diversity=diversity,
        run=run,
    )


@use_threads(1)  # for one history, threads would wait for each other
def answer(
    model: Recommender,
    history: ModelHistory,
    k: int,
    allowed: AllowedItems,
    *,
    exclude_seen: bool = True,
    fallback: Fallback = "popularity",
    because: bool | int = False,
    diversity: float = 0.0,
    run: Run | None = None,
) -> Recommendations:
    """Rank the allowed items for one history, and tell of each what there is to tell.

    Parameters
    ----------
    model, k, exclude_seen, fallback, because, diversity, run
        As for `recommend`.
    history : ModelHistory
        From `read_history`.
    allowed : AllowedItems
        From `allowed_items`.

    Returns
    -------
    Recommendations

    Raises
    ------
    HistoryError
        The model knows no item of the history and nothing falls back on popularity, or reasons
        are asked of a model that has none.
    """
    check_fallback(fallback)
    check_diversity(diversity, model)
    row = history.row
    if history.less.size:
        allowed = _without_less(allowed, history.less)
    seen = history.seen_row if exclude_seen else None
    barred = barred_items(row if exclude_seen else CSR(row.shape, dtype=np.float32), seen)
    pool = pool_size(model, k, diversity)
    by_popularity = row.nnz == 0 and bool(history.unknown or _finds_all_alike(model, row))
    if by_popularity:
        _refuse_no_history(model, history, fallback)
        codes, scores = _popular_items(model, row, seen, pool, allowed)
    else:
        scored = scored_row(model, row, history.less)
        if scored is None:
            rules = allowed.mask, allowed.factors, allowed.shifts
            best = best_lowered(model, row, history.less, pool, barred, *rules)
            codes, scores = _filled(*best)
            row = explained_row(row, history.less)
        else:
            row = scored
            codes, scores = _best_items(
                model, row, seen, pool, allowed, exclude_seen=exclude_seen, run=run
            )
    if diversity:
        codes, scores = diverse(model, codes, scores, k, diversity)
    shortfall = ""
    if codes.size < k:
        shortfall = _why_fewer(model, history, k, codes.size, allowed, exclude_seen=exclude_seen)
    columns = zip(
        model.items.take(codes),
        scores.tolist(),
        attributes_of(model, codes),
        reasons_for(model, row, codes, because, history.less),
        is_cold(model, codes),
        evidence_for(
            model,
            row,
            codes,
            False if by_popularity else because,
            history.less,
            seen=barred,
            allowed=allowed.mask & model.known_items,
        ),
        strict=True,
    )
    rows = tuple(Recommendation(rank, *fields) for rank, fields in enumerate(columns, 1))
    return Recommendations(
        rows,
        history.unknown,
        shortfall,
        fallback="popularity" if by_popularity else "",
        notes=allowed.notes
        + _notes_on_less(history, changes_scores=model.personal and not by_popularity),
    )


def _without_less(allowed: AllowedItems, less: Int) -> AllowedItems:
    """The rules of a request, without the items of which less is wanted."""
    mask = allowed.mask.copy()
    mask[less] = False
    return replace(allowed, mask=mask)


def _notes_on_less(history: ModelHistory, *, changes_scores: bool) -> tuple[str, ...]:
    """What a person should know of the items of which they want less; often nothing."""
    notes: tuple[str, ...] = ()
    if history.unknown_less:
        names = ", ".join(map(str, history.unknown_less[:10]))
        notes += (f"unknown, so not counted as less: {names}",)
    if history.less.size and not changes_scores:
        notes += (
            "these are the most popular items: those of which less is wanted are left out, and "
            "change nothing else",
        )
    return notes


def _best_items(
    model: Recommender,
    row: CSR,
    seen: CSR | None,
    k: int,
    allowed: AllowedItems,
    *,
    exclude_seen: bool,
    run: Run | None,
) -> tuple[Int, Float]:
    """The positions of the k best items for one history, and their scores, best first."""
    blocks = rank_blocks(
        model,
        row,
        k,
        exclude_seen=exclude_seen,
        seen=seen,
        allowed=allowed.mask,
        factors=allowed.factors,
        shifts=allowed.shifts,
        run=run,
    )
    _, items, scores = next(blocks)
    return _filled(items, scores)


def _popular_items(
    model: Recommender, row: CSR, seen: CSR | None, k: int, allowed: AllowedItems
) -> tuple[Int, Float]:
    """The positions of the k items with most training users, and their number (boosted)."""
    barred = barred_items(row, seen)
    return _filled(*most_popular(model, k, barred, allowed.mask, allowed.factors, allowed.shifts))


def _filled(items: Int, scores: Float) -> tuple[Int, Float]:
    """The one list of a block without the −1 that fill its end."""
    n_ranked = int((items[0] >= 0).sum())
    return items[0][:n_ranked], scores[0][:n_ranked]


def _finds_all_alike(model: Recommender, row: CSR) -> bool:
    """Whether a model gives all items the same score for a history."""
    scores = model.score(row)[0]
    return bool((scores == scores[0]).all())


def _refuse_no_history(model: Recommender, history: ModelHistory, fallback: Fallback) -> None:
    """Refuse a history of which the model knows nothing, if popularity is not to answer it."""
    if fallback == "popularity" and model.item_counts is not None:
        return
    if history.unknown:
        n_unknown = len(history.unknown)
        raise HistoryError(
            f"none of the {n_unknown} items of the history is known: "
            f"{', '.join(map(str, history.unknown[:5]))}. The model's ids look like {model.items!r}"
        )
    raise HistoryError(
        f"the history is empty, and {model.name} then finds all items alike: give an item, or ask "
        "the popularity model"
    )


def _why_fewer(
    model: Recommender,
    history: ModelHistory,
    k: int,
    n_ranked: int,
    allowed: AllowedItems,
    *,
    exclude_seen: bool,
) -> str:
    """Why there are fewer than k recommendations, in words."""
    n_history = int(allowed.mask[history.row.indices].sum()) if exclude_seen else 0
    text = (
        f"{n_ranked} instead of {k}: {int(allowed.mask.sum()):,} of {model.n_items:,} items are "
        f"allowed, {n_history} of them are in the history"
    )
    if exclude_seen and history.seen.size:
        others = np.setdiff1d(history.seen, history.row.indices)
        text += f", {int(allowed.mask[others].sum())} were seen beside it"
    n_unknown = int((~model.known_items).sum())
    if n_unknown:
        text += f"; {n_unknown:,} items have no training user"
    if allowed.unknown:
        text += f"; not in the catalogue: {', '.join(map(str, allowed.unknown))}"
    return text

"""`recommend` and `recommend_all`: a model's answer to one person, and to every user of a log.

The steps of `recommend` stand on their own, for a program that answers many requests:
`read_history` (a history → a row), `allowed_items` (rules → a mask) and `answer` (both → a list).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions
from shoal.errors import DataError, HistoryError
from shoal.forks import uses_polars
from shoal.inference.explanations import attributes_of, evidence_for, is_cold, reasons_for
from shoal.inference.history import ModelHistory, read_history
from shoal.inference.ranking import rank_blocks
from shoal.inference.recommendations import Recommendation, Recommendations
from shoal.inference.rules import AllowedItems, allowed_items, check_k
from shoal.kernels.arrays import Float, Int
from shoal.run import Run


def recommend(
    model: Recommender,
    history: Sequence[Any] | Mapping[Any, float] | Interactions,
    k: int = 10,
    *,
    user: Any = None,
    exclude: Iterable[Any] = (),
    only: Iterable[Any] | None = None,
    exclude_seen: bool = True,
    because: bool | int = False,
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
        Leave out the items of the history.
    because : bool or int
        Give the contribution of each history item to each score, exactly (linear models only).
        A number gives the strongest so many.
    run : Run, optional
        Threads, memory budget and device.

    Returns
    -------
    Recommendations

    Raises
    ------
    HistoryError
        k out of range, an unknown user, no known item in the history, reasons asked of a model
        that has none.
    """
    check_k(k, model)
    known = read_history(model, history, user)
    allowed = allowed_items(model, exclude, only)
    return answer(model, known, k, allowed, exclude_seen=exclude_seen, because=because, run=run)


def answer(
    model: Recommender,
    history: ModelHistory,
    k: int,
    allowed: AllowedItems,
    *,
    exclude_seen: bool = True,
    because: bool | int = False,
    run: Run | None = None,
) -> Recommendations:
    """Rank the allowed items for one history, and tell of each what there is to tell.

    Parameters
    ----------
    model, k, exclude_seen, because, run
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
        The history is empty and the model then gives all items the same score, or reasons are
        asked of a model that has none.
    """
    row = history.row
    codes, scores = _best_items(model, row, k, allowed, exclude_seen=exclude_seen, run=run)
    _refuse_equal_scores(model, row, scores)
    shortfall = ""
    if codes.size < k:
        shortfall = _why_fewer(model, row, k, codes.size, allowed, exclude_seen=exclude_seen)
    columns = zip(
        model.items.take(codes),
        scores.tolist(),
        attributes_of(model, codes),
        reasons_for(model, row, codes, because),
        is_cold(model, codes),
        evidence_for(model, row, codes, because),
        strict=True,
    )
    rows = tuple(Recommendation(rank, *fields) for rank, fields in enumerate(columns, 1))
    return Recommendations(rows, history.unknown, shortfall)


def _best_items(
    model: Recommender,
    row: CSR,
    k: int,
    allowed: AllowedItems,
    *,
    exclude_seen: bool,
    run: Run | None,
) -> tuple[Int, Float]:
    """The positions of the k best items for one history, and their scores, best first."""
    blocks = rank_blocks(model, row, k, exclude_seen=exclude_seen, allowed=allowed.mask, run=run)
    _, items, scores = next(blocks)
    n_ranked = int((items[0] >= 0).sum())  # -1 fills the end of a list that is short
    return items[0][:n_ranked], scores[0][:n_ranked]


def _refuse_equal_scores(model: Recommender, row: CSR, scores: Float) -> None:
    """Refuse to answer an empty history by the order in which items stand in the catalogue."""
    if row.nnz == 0 and scores.size > 1 and scores[0] == scores[-1]:
        raise HistoryError(
            f"the history is empty, and {model.name} then finds all items alike: give an item, or "
            "ask the popularity model"
        )


def _why_fewer(
    model: Recommender,
    row: CSR,
    k: int,
    n_ranked: int,
    allowed: AllowedItems,
    *,
    exclude_seen: bool,
) -> str:
    """Why there are fewer than k recommendations, in words."""
    n_seen = int(allowed.mask[row.indices].sum()) if exclude_seen else 0
    text = (
        f"{n_ranked} instead of {k}: {int(allowed.mask.sum()):,} of {model.n_items:,} items are "
        f"allowed, {n_seen} of them are in the history"
    )
    if allowed.unknown:
        text += f"; not in the catalogue: {', '.join(map(str, allowed.unknown))}"
    return text


def recommend_all(
    model: Recommender,
    log: Interactions,
    k: int = 10,
    *,
    exclude: Iterable[Any] = (),
    only: Iterable[Any] | None = None,
    exclude_seen: bool = True,
    run: Run | None = None,
) -> pl.DataFrame:
    """Recommend to every user of a log.

    Parameters
    ----------
    model, k, exclude, only, exclude_seen, run
        As for `recommend`.
    log : Interactions
        Histories; its users need not be known to the model. Items that the model does not know
        are left out.

    Returns
    -------
    DataFrame
        Columns user, rank, item, score; up to k rows for each user, best first. Users without
        any known item get none.

    Raises
    ------
    DataError
        The log and the model share no item.
    HistoryError
        k out of range, or rules that leave no item.
    """
    uses_polars("recommending to every user of a log")
    check_k(k, model)
    rows = model.histories(log.onto_items(model.items))
    if rows.nnz == 0:
        raise DataError(
            f"the log and the model share no item; the log's look like {log.items!r}, the model's "
            f"like {model.items!r}"
        )
    allowed = allowed_items(model, exclude, only)
    has_history = np.diff(rows.indptr) > 0
    blocks = rank_blocks(
        model,
        rows,
        k,
        exclude_seen=exclude_seen,
        allowed=allowed.mask,
        run=run,
        label="recommending",
    )
    frames = []
    for users, items, scores in blocks:
        counts = np.where(has_history[users], (items >= 0).sum(axis=1), 0)
        user_codes = np.arange(users.start, users.stop, dtype=np.uint32)
        frames.append(_as_table(model, log, user_codes, counts, items, scores))
    return pl.concat(frames)


def _as_table(
    model: Recommender, log: Interactions, user_codes: Int, counts: Int, items: Int, scores: Float
) -> pl.DataFrame:
    """The first `counts` of each user's k items as rows: user, rank, item, score."""
    k = items.shape[1]
    ranks = np.arange(1, k + 1, dtype=np.int32)
    if counts.min() == k:  # whole lists need no selection, which takes time
        ranks, codes, values = np.tile(ranks, counts.size), items.ravel(), scores.ravel()
    else:
        chosen = ranks <= counts[:, None]
        ranks = np.broadcast_to(ranks, chosen.shape)[chosen]
        codes, values = items[chosen], scores[chosen]
    return pl.DataFrame(
        {
            "user": log.users.series.gather(np.repeat(user_codes, counts)),
            "rank": ranks,
            "item": model.items.series.gather(codes.view(np.uint32)),
            "score": values,
        }
    )

"""`recommend_all`: a model's answers to every user of a log, as one table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from shoal.base.factored import FactoredRecommender
from shoal.base.linear import LinearRecommender
from shoal.base.recommender import Recommender
from shoal.data.accept import as_interactions
from shoal.data.interactions import CSR, Interactions
from shoal.errors import DataError, HistoryError
from shoal.forks import uses_polars
from shoal.inference.diversity import diverse, pool_size
from shoal.inference.explanations import check_reasons, reasons_for
from shoal.inference.filters import Boost
from shoal.inference.history import seen_by_users
from shoal.inference.ranking import barred_items, most_popular, rank_blocks
from shoal.inference.rules import (
    Fallback,
    allowed_items,
    check_diversity,
    check_fallback,
    check_k,
    check_model,
)
from shoal.kernels.arrays import Bool, Float, Int
from shoal.run import Run


def recommend_all(
    model: Recommender,
    log: Interactions,
    k: int = 10,
    *,
    exclude: Iterable[Any] = (),
    only: Iterable[Any] | None = None,
    exclude_seen: bool = True,
    seen: Interactions | None = None,
    fallback: Fallback = "popularity",
    because: bool | int = False,
    filter: str | None = None,
    boost: Boost | None = None,
    diversity: float = 0.0,
    steer: Any = None,
    part: bool = False,
    run: Run | None = None,
) -> pl.DataFrame:
    """Recommend to every user of a log.

    Parameters
    ----------
    model, k, exclude, only, exclude_seen, filter, boost, steer, run
        As for `recommend`.
    log : Interactions
        Histories; its users need not be known to the model. Items that the model does not know
        are left out. What the log holds in `seen` (``read(…, keep_seen=True)``) is not
        recommended.
    seen : Interactions, optional
        Another log of what these users have seen and are not to get.
    fallback : {"popularity", "none"}
        What users get of whose items the model knows none: the items with most training users,
        marked in the column ``fallback``, or nothing.
    diversity : float
        As for `recommend`; for linear models and those with item vectors only, as others would
        score hundreds of histories for each user.
    because : bool or int
        Add a column of reasons, as for `recommend`.
    part : bool
        Whether the log is a part of a larger one: it may have no user at all, or none of whose
        items the model knows any.

    Returns
    -------
    DataFrame
        Columns user, rank, item, score; fallback, if there can be one; because (a list of structs
        of item and contribution), if asked for. Up to k rows for each user, best first.

    Raises
    ------
    DataError
        The log and the model share no item, and nothing falls back on popularity.
    HistoryError
        k out of range, rules that leave no item, a filter or a boost that is wrong, or a diversity
        that the model cannot give everyone.
    """
    uses_polars("recommending to every user of a log")
    check_model(model)
    check_k(k, model)
    check_fallback(fallback)
    check_reasons(model, because)
    check_diversity(diversity, model)
    if diversity and not isinstance(model, LinearRecommender | FactoredRecommender):
        raise HistoryError(
            f"{model.name} would have to score hundreds of histories for each user to see which "
            "items are alike: ask for diversity for one user, or a linear model (ease, …)"
        )
    log = as_interactions(log, "recommend_all")
    rows = model.histories(log.onto_items(model.items))
    popular = fallback == "popularity" and model.item_counts is not None
    if rows.nnz == 0 and not popular and not part:
        raise DataError(
            f"the log and the model share no item; the log's look like {log.items!r}, the model's "
            f"like {model.items!r}"
        )
    allowed = allowed_items(model, exclude, only, filter, boost, steer)
    has_history = users_with_history(model, rows)
    logs = [other for other in (log.seen, seen) if other is not None] if exclude_seen else []
    also_seen = seen_by_users(model, log.users, logs)
    blocks = rank_blocks(
        model,
        rows,
        pool_size(model, k, diversity),
        exclude_seen=exclude_seen,
        seen=also_seen,
        allowed=allowed.mask,
        factors=allowed.factors,
        shifts=allowed.shifts,
        run=run,
        label="recommending",
    )
    if not log.n_users:
        nobody = np.empty((0, k), np.int32), np.empty((0, k), np.float32)
        blocks = iter([(slice(0, 0), *nobody)])
    frames = []
    for users, pool_items, pool_scores in blocks:
        items, scores = pool_items, pool_scores
        without = np.flatnonzero(~has_history[users])
        if popular and without.size:
            at = users.start + without
            nothing = CSR((without.size, model.n_items), dtype=np.float32)
            own = rows[at] if exclude_seen else nothing
            barred = barred_items(own, None if also_seen is None else also_seen[at])
            popular_items = most_popular(
                model, items.shape[1], barred, allowed.mask, allowed.factors, allowed.shifts
            )
            items[without], scores[without] = popular_items
        if diversity:
            items, scores = _diverse_lists(model, items, scores, k, diversity)
        counts = np.where(has_history[users] | popular, (items >= 0).sum(axis=1), 0)
        table = _as_table(model, log, users, counts, items, scores)
        if popular:
            by_popularity = np.repeat(~has_history[users], counts)
            table = table.with_columns(pl.Series("fallback", by_popularity))
        if because:
            reasons = _reasons(model, rows[users], counts, items, because)
            table = table.with_columns(reasons)
        frames.append(table)
    return pl.concat(frames)


def _diverse_lists(
    model: Recommender, items: Int, scores: Float, k: int, diversity: float
) -> tuple[Int, Float]:
    """The k of each list that diversity chooses, (m, k)."""
    chosen = np.full((len(items), k), -1, np.int32)
    values = np.full((len(items), k), -np.inf, np.float32)
    for row, size in enumerate((items >= 0).sum(axis=1)):
        if size:
            best = diverse(model, items[row, :size], scores[row, :size], k, diversity)
            chosen[row, : best[0].size], values[row, : best[1].size] = best
    return chosen, values


def users_with_history(model: Recommender, rows: CSR) -> Bool:
    """Which of some histories (m, n_items) hold an item that the model knows, (m,) bool."""
    known = model.known_items[rows.indices].astype(np.int64)
    n_known: Int = np.diff(np.concatenate([[0], np.cumsum(known)])[rows.indptr])
    return n_known > 0


def _as_table(
    model: Recommender, log: Interactions, users: slice, counts: Int, items: Int, scores: Float
) -> pl.DataFrame:
    """The first `counts` of each user's k items as rows: user, rank, item, score."""
    k = items.shape[1]
    user_codes = np.arange(users.start, users.stop, dtype=np.uint32)
    ranks = np.arange(1, k + 1, dtype=np.int32)
    if counts.min(initial=k) == k:  # whole lists need no selection, which takes time
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


def _reasons(
    model: Recommender, rows: CSR, counts: Int, items: Int, because: bool | int
) -> pl.Series:
    """The reasons of each recommendation of a block, as a column of lists of structs."""
    lists: list[list[dict[str, Any]]] = []
    for place, count in enumerate(counts):
        lists += [
            [{"item": r.item, "contribution": r.contribution} for r in reasons]
            for reasons in reasons_for(model, rows[[place]], items[place, :count], because)
        ]
    reason = pl.Struct({"item": model.items.series.dtype, "contribution": pl.Float64})
    return pl.Series("because", lists, pl.List(reason))

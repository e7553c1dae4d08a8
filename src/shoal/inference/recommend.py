"""From scores to recommendations: blocks of users, top-k, rules, reasons; once for all models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions, histories
from shoal.errors import DataError, HistoryError
from shoal.inference.ranking import rank_blocks
from shoal.inference.recommendations import Reason, Recommendation, Recommendations
from shoal.kernels.arrays import Bool, Int
from shoal.run import Run


def _allowed(
    model: Recommender, exclude: Iterable[Any], only: Iterable[Any] | None
) -> tuple[Bool, str]:
    """Which items rules allow, and what to say of those that are unknown."""
    for name, ids in (("exclude", exclude), ("only", only)):
        if isinstance(ids, str | bytes):
            raise HistoryError(f"{name}={ids!r} is one text: give a list of item ids")
    allowed = np.ones(model.n_items, np.bool_)
    unknown: list[Any] = []
    if only is not None:
        wanted = list(only)
        codes = model.items.lookup(wanted)
        unknown += [i for i, c in zip(wanted, codes, strict=True) if c < 0]
        allowed[:] = False
        allowed[codes[codes >= 0]] = True
        if not allowed.any():
            raise HistoryError("only=… names no item that the model knows")
    codes = model.items.lookup(list(exclude))
    allowed[codes[codes >= 0]] = False
    return allowed, f"; not in the catalogue: {', '.join(map(str, unknown))}" if unknown else ""


def _check_k(k: int, model: Recommender) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise HistoryError(f"k={k}: ask for 1 or more recommendations")
    if k > model.n_items:
        raise HistoryError(
            f"k={k} is more than the catalogue of {model.n_items:,} items: ask for at most that"
        )


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
        How many; never more, fewer only with a reason (`shortfall`).
    user : id, optional
        A user of the log given as `history`.
    exclude : iterable of ids
        Never recommend these.
    only : iterable of ids, optional
        Recommend among these only.
    exclude_seen : bool
        Leave out the items of the history.
    because : bool or int
        Give the contribution of each history item to each score, exactly (linear models only);
        a number keeps the strongest so many.
    run : Run, optional

    Returns
    -------
    Recommendations

    Raises
    ------
    HistoryError
        k out of range, an unknown user, no known item in the history, reasons asked of a model
        that has none.
    """
    _check_k(k, model)
    if isinstance(history, str | bytes):
        raise HistoryError(f"history={history!r} is one text: give a list of item ids")
    if isinstance(history, Interactions):
        if user is None:
            raise HistoryError("a log as history needs user=…; for all users use recommend_all")
        code = int(history.users.lookup([user])[0])
        if code < 0:
            raise HistoryError(f"user {user!r} is not in the log of {history.n_users:,} users")
        one = history.only_user(code)
        ids = one.items.take(one.indices)
        history = dict(zip(ids, model.histories(one).data.tolist(), strict=True))
    elif user is not None:
        raise HistoryError("user=… goes with a log, not with a list of items")
    elif model.ordered and isinstance(history, Mapping):
        if set(history.values()) - {1}:
            raise HistoryError(f"{model.name} reads order, not weights: give a list, oldest first")
        history = list(history)
    try:
        ids = list(history)
        basket = history if isinstance(history, Mapping) else ids
        given = [dict(basket) if isinstance(basket, Mapping) else basket]
        row = histories(model.items, given, ordered=model.ordered)
    except (TypeError, ValueError) as error:
        raise HistoryError(
            f"a history is a list of ids or a mapping id → weight: {error}"
        ) from None
    unknown = tuple(i for i, c in zip(ids, model.items.lookup(ids), strict=True) if c < 0)
    if ids and len(unknown) == len(ids):
        raise HistoryError(
            f"none of the {len(ids)} items of the history is known: "
            f"{', '.join(map(str, unknown[:5]))}. The model's ids look like {model.items!r}"
        )
    if not np.isfinite(row.data).all():
        raise HistoryError("a weight of the history is NaN or infinite")
    allowed, note = _allowed(model, exclude, only)
    _, items, scores = next(
        rank_blocks(model, row, k, exclude_seen=exclude_seen, allowed=allowed, run=run)
    )
    chosen = items[0][items[0] >= 0]
    if row.nnz == 0 and chosen.size > 1 and scores[0][0] == scores[0][chosen.size - 1]:
        raise HistoryError(
            f"the history is empty, and {model.name} then finds all items alike: give an item, or "
            "ask the popularity model"
        )
    shortfall = ""
    if chosen.size < k:
        candidates = int(allowed.sum())
        seen = int(allowed[row.indices].sum()) if exclude_seen else 0
        shortfall = (
            f"{chosen.size} instead of {k}: {candidates:,} of {model.n_items:,} items are allowed, "
            f"{seen} of them are in the history{note}"
        )
    reasons = _reasons(model, row, chosen, because)
    evidence = [model.evidence(row.indices, row.data, int(i)) if because else {} for i in chosen]
    cold = [False] * chosen.size if model.cold_items is None else model.cold_items[chosen].tolist()
    found = zip(
        *(model.items.take(chosen), scores[0][: chosen.size].tolist()),
        *(attributes_of(model, chosen), reasons, cold, evidence),
        strict=True,
    )
    rows = tuple(Recommendation(rank, *one) for rank, one in enumerate(found, 1))
    return Recommendations(rows, unknown, shortfall)


def attributes_of(model: Recommender, codes: Int) -> list[dict[str, Any]]:
    """The attributes of some items, one mapping each."""
    return model.item_table.drop("item")[codes].to_dicts() or [{} for _ in codes]


def _reasons(
    model: Recommender, row: CSR, chosen: Int, because: bool | int
) -> list[tuple[Reason, ...]]:
    if because is False or because == 0:
        return [() for _ in chosen]
    if because < 0:
        raise HistoryError(f"because={because}: give True, or how many reasons to keep")
    if not model.explains:
        raise HistoryError(
            f"{model.name} has no exact reasons; linear models have (ease, rdlae, item-knn, …)"
        )
    keep = row.nnz if because is True else int(because)
    ids, attributes = model.items.take(row.indices), attributes_of(model, row.indices)
    out = []
    for item in chosen:
        parts = model.contributions(row.indices, row.data, int(item))
        order = np.argsort(-np.abs(parts), kind="stable")[:keep]
        out.append(tuple(Reason(ids[at], float(parts[at]), attributes[at]) for at in order))
    return out


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
    """
    _check_k(k, model)
    rows = model.histories(log.onto_items(model.items))
    if rows.nnz == 0:
        raise DataError(
            f"the log and the model share no item; the log's look like {log.items!r}, the model's "
            f"like {model.items!r}"
        )
    allowed, _ = _allowed(model, exclude, only)
    known = np.diff(rows.indptr) > 0
    frames = []
    for where, items, scores in rank_blocks(
        model, rows, k, exclude_seen=exclude_seen, allowed=allowed, run=run, label="recommending"
    ):
        counts = np.where(known[where], (items >= 0).sum(axis=1), 0)  # lists are short at their end
        rows_of = np.repeat(np.arange(where.start, where.stop, dtype=np.uint32), counts)
        ranks = np.arange(1, k + 1, dtype=np.int32)
        if counts.min() == k:
            ranks, numbers, values = np.tile(ranks, counts.size), items.ravel(), scores.ravel()
        else:
            chosen = ranks <= counts[:, None]
            ranks = np.broadcast_to(ranks, chosen.shape)[chosen]
            numbers, values = items[chosen], scores[chosen]
        frames.append(
            pl.DataFrame(
                {
                    "user": log.users.series.gather(rows_of),
                    "rank": ranks,
                    "item": model.items.series.gather(numbers.view(np.uint32)),
                    "score": values,
                }
            )
        )
    return pl.concat(frames)

"""From the history in a request, in the user's own ids, to the row that a model scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from shoal.base.recommender import Recommender
from shoal.data.accept import as_interactions
from shoal.data.ids import Ids
from shoal.data.interactions import CSR, Interactions, rows_of, weights_of
from shoal.errors import HistoryError
from shoal.inference.less import read_less, without
from shoal.kernels.arrays import Int

# item ids; item ids with weights; or a log, of which one user is asked for
HistoryLike: TypeAlias = Sequence[Any] | Mapping[Any, float] | Interactions


@dataclass(frozen=True)
class ModelHistory:
    """A history as a model reads it.

    Parameters
    ----------
    row : CSR array (1, n_items)
        The items that the model knows, with weights (or places in time, for an `ordered` model).
    unknown : tuple of ids
        Items of the history of which the model knows nothing, in the order of the history.
    seen : (m,) int32
        Positions of items that the person has seen beside the history; they are not recommended.
    less : (m,) int32
        Positions of items of which the person wants less; `row` has none of them.
    unknown_less : tuple of ids
        Items of which the person wants less and the model knows nothing.
    """

    row: CSR
    unknown: tuple[Any, ...] = ()
    seen: Int = field(default_factory=lambda: np.empty(0, np.int32))
    less: Int = field(default_factory=lambda: np.empty(0, np.int32))
    unknown_less: tuple[Any, ...] = ()

    @property
    def seen_row(self) -> CSR | None:
        """`seen` as a row (1, n_items), or None if there is nothing."""
        if not self.seen.size:
            return None
        columns = np.unique(self.seen)
        ones = np.ones(columns.size, np.float32)
        return CSR((ones, columns, np.array([0, columns.size])), shape=self.row.shape)


def read_history(
    model: Recommender,
    history: HistoryLike,
    user: Any = None,
    *,
    seen: Iterable[Any] | Interactions | None = None,
    less: Iterable[Any] = (),
) -> ModelHistory:
    """Turn a history into one row over the model's items.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    history : list of item ids, mapping id → weight, or Interactions
        As for `shoal.recommend`.
    user : id, optional
        The user of the log, where `history` is a log.
    seen : list of item ids, or Interactions, optional
        What the person has seen beside the history; of a log, what the same user has there.
    less : iterable of ids
        Items of which the person wants less (`shoal.inference.less`). One that stands in the
        history too is taken out of it.

    Returns
    -------
    ModelHistory
        Its row is empty if the model knows no item of the history.

    Raises
    ------
    HistoryError
        No history that can be read, an unknown user, or weights that the model does not read.
    """
    read = _read_liked(model, history, user, seen)
    if isinstance(less, tuple | list) and not less:  # most requests: a look-up costs 20 µs
        return read
    codes, unknown = read_less(model, less)
    if not codes.size and not unknown:
        return read
    return replace(read, row=without(read.row, codes), less=codes, unknown_less=unknown)


def _read_liked(
    model: Recommender, history: HistoryLike, user: Any, seen: Iterable[Any] | Interactions | None
) -> ModelHistory:
    """`read_history` without items of which less is wanted."""
    if isinstance(history, str | bytes):
        raise HistoryError(f"history={history!r} is one text: give a list of item ids")
    if sp.issparse(history):
        return ModelHistory(_matrix_row(model, history), seen=_seen_codes(model, (), seen, user))
    if not isinstance(history, Interactions) and hasattr(history, "columns"):
        if user is None:
            raise HistoryError(
                "a frame as history needs user=…; for all its users use recommend_all"
            )
        history = as_interactions(history, "recommend")
    basket: Iterable[Any]
    logs: tuple[Interactions, ...] = ()
    if isinstance(history, Interactions):
        basket = _weights_of_user(model, history, user)
        logs = () if history.seen is None else (history.seen,)
    elif user is not None and not isinstance(seen, Interactions):
        raise HistoryError("user=… goes with a log, not with a list of items")
    elif model.ordered and isinstance(history, Mapping):
        basket = _ids_without_weights(model, history)
    else:
        basket = history
    ids, codes, row = _row_of(model, basket)
    if not np.isfinite(row.data).all():
        raise HistoryError("a weight of the history is NaN or infinite")
    known = model.known_items
    is_known = (codes >= 0) & known[codes]
    unknown = [i for i, there in zip(ids, is_known.tolist(), strict=True) if not there]
    if row.nnz and not known[row.indices].all():
        row = _only_known(row, known[row.indices])
    return ModelHistory(row, tuple(unknown), _seen_codes(model, logs, seen, user))


def seen_by_users(model: Recommender, users: Ids, logs: Iterable[Interactions]) -> CSR | None:
    """What the users of a log have seen in other logs, (n_users, n_items); None for no logs."""
    total: CSR | None = None
    for log in logs:
        rows = users.match(log.users)
        moved = log.onto_items(model.items)
        user_codes = rows[moved.user_codes]
        kept = user_codes >= 0
        pairs = (user_codes[kept], moved.indices[kept])
        ones = np.ones(int(kept.sum()), np.float32)
        matrix = CSR(sp.coo_array((ones, pairs), shape=(len(users), model.n_items)))
        total = matrix if total is None else CSR(total + matrix)
    return total


def _seen_codes(
    model: Recommender,
    logs: tuple[Interactions, ...],
    seen: Iterable[Any] | Interactions | None,
    user: Any,
) -> Int:
    """Positions of all that a person has seen, by logs and by a list of ids."""
    if isinstance(seen, str | bytes):
        raise HistoryError(f"seen={seen!r} is one text: give a list of item ids")
    if seen is None and not logs:
        return np.empty(0, np.int32)
    ids: list[Any] = []
    if isinstance(seen, Interactions):
        if user is None:
            raise HistoryError("a log of what was seen needs user=…")
        logs = (*logs, seen)
    elif seen is not None:
        ids += list(seen)
    for log in logs:
        code = int(log.users.lookup([user])[0])
        if code >= 0:
            ids += log.items.take(log.only_user(code).indices)
    codes = model.items.lookup(ids)
    return codes[codes >= 0]


def _matrix_row(model: Recommender, matrix: Any) -> CSR:
    """A sparse matrix of one row over the model's items."""
    if matrix.ndim != 2 or matrix.shape != (1, model.n_items):
        raise HistoryError(
            f"a matrix as history has one row over the {model.n_items:,} items of the model, and "
            f"this has the shape {matrix.shape}: read a log with shoal.read(matrix) and name the "
            "user, or use recommend_all"
        )
    row = CSR(matrix, dtype=np.float32)
    row.sum_duplicates()
    if not np.isfinite(row.data).all():
        raise HistoryError("a weight of the history is NaN or infinite")
    return row


def _only_known(row: CSR, known: Any) -> CSR:
    """The entries of one row where `known` holds."""
    kept = row.data[known], row.indices[known], np.array([0, int(known.sum())])
    return CSR(kept, shape=row.shape)


def _weights_of_user(model: Recommender, log: Interactions, user: Any) -> dict[Any, float]:
    """The items of one user of a log, with the values that the model reads of them."""
    if user is None:
        raise HistoryError("a log as history needs user=…; for all users use recommend_all")
    code = int(log.users.lookup([user])[0])
    if code < 0:
        if log.seen is not None and int(log.seen.users.lookup([user])[0]) >= 0:
            return {}  # all that this user has lies below the threshold
        raise HistoryError(f"user {user!r} is not in the log of {log.n_users:,} users")
    own = log.only_user(code)
    return dict(zip(own.items.take(own.indices), model.histories(own).data.tolist(), strict=True))


def _ids_without_weights(model: Recommender, history: Mapping[Any, float]) -> list[Any]:
    """The ids of a mapping, for a model that reads their order and no weights."""
    if set(history.values()) - {1}:
        raise HistoryError(f"{model.name} reads order, not weights: give a list, oldest first")
    return list(history)


def _row_of(model: Recommender, basket: Iterable[Any]) -> tuple[list[Any], Int, CSR]:
    """The ids of a basket, their positions (−1: unknown), and its row over the model's items."""
    try:
        items = model.items
        ids, weights = weights_of(basket, ordered=model.ordered)
        codes = items.lookup(ids)
        return ids, codes, rows_of([(codes, weights)], len(items))
    except (TypeError, ValueError) as error:
        raise HistoryError(
            f"a history is a list of ids or a mapping id → weight: {error}"
        ) from None

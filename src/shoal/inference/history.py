"""From the history in a request, in the user's own ids, to the row that a model scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions, histories
from shoal.errors import HistoryError

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
        Items of the history that the model does not know, in the order of the history.
    """

    row: CSR
    unknown: tuple[Any, ...] = ()


def read_history(model: Recommender, history: HistoryLike, user: Any = None) -> ModelHistory:
    """Turn a history into one row over the model's items.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    history : list of item ids, mapping id → weight, or Interactions
        As for `shoal.recommend`.
    user : id, optional
        The user of the log, where `history` is a log.

    Returns
    -------
    ModelHistory

    Raises
    ------
    HistoryError
        No history that can be read, an unknown user, no item that the model knows, or weights
        that the model does not read.
    """
    if isinstance(history, str | bytes):
        raise HistoryError(f"history={history!r} is one text: give a list of item ids")
    basket: Iterable[Any]
    if isinstance(history, Interactions):
        basket = _weights_of_user(model, history, user)
    elif user is not None:
        raise HistoryError("user=… goes with a log, not with a list of items")
    elif model.ordered and isinstance(history, Mapping):
        basket = _ids_without_weights(model, history)
    else:
        basket = history
    ids, row = _row_of(model, basket)
    unknown = model.items.unknown(ids)
    if ids and len(unknown) == len(ids):
        raise HistoryError(
            f"none of the {len(ids)} items of the history is known: "
            f"{', '.join(map(str, unknown[:5]))}. The model's ids look like {model.items!r}"
        )
    if not np.isfinite(row.data).all():
        raise HistoryError("a weight of the history is NaN or infinite")
    return ModelHistory(row, tuple(unknown))


def _weights_of_user(model: Recommender, log: Interactions, user: Any) -> dict[Any, float]:
    """The items of one user of a log, with the values that the model reads of them."""
    if user is None:
        raise HistoryError("a log as history needs user=…; for all users use recommend_all")
    code = int(log.users.lookup([user])[0])
    if code < 0:
        raise HistoryError(f"user {user!r} is not in the log of {log.n_users:,} users")
    own = log.only_user(code)
    return dict(zip(own.items.take(own.indices), model.histories(own).data.tolist(), strict=True))


def _ids_without_weights(model: Recommender, history: Mapping[Any, float]) -> list[Any]:
    """The ids of a mapping, for a model that reads their order and no weights."""
    if set(history.values()) - {1}:
        raise HistoryError(f"{model.name} reads order, not weights: give a list, oldest first")
    return list(history)


def _row_of(model: Recommender, basket: Iterable[Any]) -> tuple[list[Any], CSR]:
    """The ids of a basket, and its row over the model's items."""
    try:
        ids = list(basket)
        readable = dict(basket) if isinstance(basket, Mapping) else ids
        return ids, histories(model.items, [readable], ordered=model.ordered)
    except (TypeError, ValueError) as error:
        raise HistoryError(
            f"a history is a list of ids or a mapping id → weight: {error}"
        ) from None

"""`predict`: the ratings that a person would give, in the user's own ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from shoal.base.rating import as_rater
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.errors import HistoryError
from shoal.inference.explanations import attributes_of
from shoal.inference.history import ModelHistory, read_history
from shoal.inference.rules import check_model
from shoal.kernels.arrays import Int
from shoal.kernels.threads import use_threads


@dataclass(frozen=True)
class Prediction:
    """A predicted rating.

    Parameters
    ----------
    item : id
    rating : float
    cold : bool
        Whether the user or the item had no training rating.
    attributes : dict
        The item's attributes.
    """

    item: Any
    rating: float
    cold: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """Predicted ratings of one user, in the order of the items that were asked for.

    Parameters
    ----------
    user : id
        None where a history of ratings was given.
    rows : tuple of Prediction
        One for each item that was asked for.
    low, high : float
        The range of the training ratings, which no prediction leaves.
    unknown : tuple of ids
        Items of the history of ratings that the model does not know; they were left out.
    """

    user: Any
    rows: tuple[Prediction, ...]
    low: float
    high: float
    unknown: tuple[Any, ...] = ()

    @overload
    def __getitem__(self, position: int) -> Prediction: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Prediction, ...]: ...
    def __getitem__(self, position: int | slice) -> Prediction | tuple[Prediction, ...]:
        return self.rows[position]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ratings(self) -> list[float]:
        """The predicted ratings alone."""
        return [r.rating for r in self.rows]

    def __str__(self) -> str:
        return "\n".join(f"{r.item}  {r.rating:.2f}{'  (cold)' if r.cold else ''}" for r in self)


def predict(
    model: Recommender,
    user: Any,
    items: Iterable[Any],
    *,
    history: Mapping[Any, float] | None = None,
) -> Predictions:
    """Predict how a person would rate some items.

    Parameters
    ----------
    model : Recommender
        One that rates (``task == "rating"``), fitted or loaded; the training log is not needed.
    user : id
        One of the users that the model was trained on; None if there is a `history`.
    items : list of ids
        Items of the model's catalogue.
    history : mapping id → rating, optional
        The ratings that a person has given, in the training data or not. Items that the model
        does not know are listed in the result's `unknown`. Models that read the ratings of an item
        (i-autorec) cannot use it.

    Returns
    -------
    Predictions
        Within the range of the training ratings. A user or an item whose ratings were all held
        out gets the model's `cold` (by default the mean training rating) and is marked, and so
        does a person of whose history the model knows nothing.

    Raises
    ------
    HistoryError
        The user or an item is unknown, or no item was asked for; neither or both of a user and a
        history, or a history without ratings.
    ModelError
        The model ranks, is not fitted, or cannot read the ratings of a person.
    """
    check_model(model)
    rater = as_rater(model)
    known, users = rater.known, rater.users  # refuses a model that is not fitted
    assert users is not None
    if isinstance(items, str | bytes):
        raise HistoryError(f"items={items!r} is one text: give a list of item ids")
    asked = list(items)
    if not asked:
        raise HistoryError("no item was asked for: give a list of item ids")
    codes = _item_codes(model, asked)
    unknown: tuple[Any, ...] = ()
    with use_threads(1):
        if history is None:
            user_code = _user_code(users, user, model.name)
            user = users.take([user_code])[0]
            pairs = np.full(len(codes), user_code), codes
            ratings, cold = rater.rate(*pairs), rater.is_cold(*pairs)
        else:
            read = _read_ratings(model, user, history)
            unknown = read.unknown
            ratings, cold = rater.rate_for_history(read.row, codes), ~known.items[codes]
            if read.row.nnz == 0:  # the model knows nothing of the person
                ratings, cold = np.full_like(ratings, rater.default_rating), np.ones_like(cold)
    columns = zip(
        model.items.take(codes),
        ratings.tolist(),
        cold.tolist(),
        attributes_of(model, codes),
        strict=True,
    )
    rows = tuple(Prediction(*fields) for fields in columns)
    return Predictions(user, rows, known.low, known.high, unknown)


def _read_ratings(model: Recommender, user: Any, history: Any) -> ModelHistory:
    """The ratings that a person has given, as a row."""
    if user is not None:
        raise HistoryError(f"give a user ({user!r}) or a history of ratings, not both")
    if not isinstance(history, Mapping):
        raise HistoryError(
            f"history={history!r:.60} holds no ratings: give a mapping from item id to rating"
        )
    return read_history(model, history)


def _user_code(users: Ids, user: Any, model_name: str) -> int:
    """The row of a user that the model was trained on."""
    code = int(users.lookup([user])[0])
    if code < 0:
        raise HistoryError(
            f"user {user!r} is not among the {len(users):,} that {model_name} was trained on (they "
            f"look like {users!r}): train it again with their ratings"
        )
    return code


def _item_codes(model: Recommender, asked: list[Any]) -> Int:
    """The positions in the catalogue of items that must all be there."""
    unknown = model.items.unknown(asked)
    if unknown:
        raise HistoryError(
            f"{len(unknown)} of {len(asked)} items are not in the catalogue of "
            f"{model.n_items:,}: {', '.join(map(repr, unknown[:5]))}. Its ids look like "
            f"{model.items!r}; leave the others out"
        )
    return model.items.lookup(asked)

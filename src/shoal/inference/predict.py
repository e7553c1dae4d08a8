"""`predict`: the ratings that a known user would give, in the user's own ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from shoal.base.rating import as_rater
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.errors import HistoryError
from shoal.inference.explanations import attributes_of
from shoal.inference.rules import check_model
from shoal.kernels.arrays import Int


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
    rows : tuple of Prediction
        One for each item that was asked for.
    low, high : float
        The range of the training ratings, which no prediction leaves.
    """

    user: Any
    rows: tuple[Prediction, ...]
    low: float
    high: float

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


def predict(model: Recommender, user: Any, items: Iterable[Any]) -> Predictions:
    """Predict how a user would rate some items.

    Parameters
    ----------
    model : Recommender
        One that rates (``task == "rating"``), fitted or loaded; the training log is not needed.
    user : id
        One of the users that the model was trained on.
    items : list of ids
        Items of the model's catalogue.

    Returns
    -------
    Predictions
        Within the range of the training ratings. A user or an item whose ratings were all held
        out gets the model's `cold` (by default the mean training rating) and is marked.

    Raises
    ------
    HistoryError
        The user or an item is unknown, or no item was asked for.
    ModelError
        The model ranks, or is not fitted.
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
    user_code = _user_code(users, user, model.name)
    codes = _item_codes(model, asked)
    pairs = np.full(len(codes), user_code), codes
    columns = zip(
        model.items.take(codes),
        rater.rate(*pairs).tolist(),
        rater.is_cold(*pairs).tolist(),
        attributes_of(model, codes),
        strict=True,
    )
    return Predictions(
        users.take([user_code])[0],
        tuple(Prediction(*fields) for fields in columns),
        known.low,
        known.high,
    )


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

"""`predict`: the ratings that a known user would give, in the user's own ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from shoal.base.rating import as_rater
from shoal.base.recommender import Recommender
from shoal.errors import HistoryError
from shoal.inference.recommend import attributes_of


@dataclass(frozen=True)
class Prediction:
    """A predicted rating; `cold` where the user or the item had no training rating."""

    item: Any
    rating: float
    cold: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """Predicted ratings of one user, in the order of the question.

    Parameters
    ----------
    user : id
    rows : tuple of Prediction
    low, high : float
        The range of the training ratings, which no prediction leaves.
    """

    user: Any
    rows: tuple[Prediction, ...]
    low: float
    high: float

    @overload
    def __getitem__(self, at: int) -> Prediction: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Prediction, ...]: ...
    def __getitem__(self, at: int | slice) -> Prediction | tuple[Prediction, ...]:
        return self.rows[at]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ratings(self) -> list[float]:
        """The ratings alone."""
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
        Of its catalogue.

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
    rater = as_rater(model)
    known, users = rater.known, rater.users
    assert users is not None
    if isinstance(items, str | bytes):
        raise HistoryError(f"items={items!r} is one text: give a list of item ids")
    asked = list(items)
    if not asked:
        raise HistoryError("no item was asked for: give a list of item ids")
    at = int(users.lookup([user])[0])
    if at < 0:
        raise HistoryError(
            f"user {user!r} is not among the {len(users):,} that {model.name} was trained on (they "
            f"look like {users!r}): train it again with their ratings"
        )
    codes = model.items.lookup(asked)
    unknown = [i for i, c in zip(asked, codes, strict=True) if c < 0]
    if unknown:
        raise HistoryError(
            f"{len(unknown)} of {len(asked)} items are not in the catalogue of "
            f"{model.n_items:,}: {', '.join(map(repr, unknown[:5]))}. Its ids look like "
            f"{model.items!r}; leave the others out"
        )
    pairs = np.full(len(codes), at), codes
    ratings, cold = rater.rate(*pairs), rater.is_cold(*pairs)
    rows = zip(model.items.take(codes), ratings, cold, attributes_of(model, codes), strict=True)
    return Predictions(
        users.take([at])[0],
        tuple(Prediction(i, float(r), bool(c), a) for i, r, c, a in rows),
        known.low,
        known.high,
    )

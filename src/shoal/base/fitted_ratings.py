"""What a fitted rating model knows, and the check of held-out ratings against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Bool, Float

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class FittedRatings:
    """The fitted arrays of a rating model.

    Parameters
    ----------
    codes : (rows, d) float32
        Last hidden layer of each training row; rows are users, or items if the model is `by_item`.
    weight : (columns, d) float32
        W of the output layer.
    bias : (columns,) float32
        b of the output layer.
    low, high, mean : float
        Lowest, highest and mean training rating.
    users, items : (n_users,) bool, (n_items,) bool
        Which users and items have a training rating; the others are cold.
    """

    codes: Float
    weight: Float
    bias: Float
    low: float
    high: float
    mean: float
    users: Bool
    items: Bool


def check_ratings(name: str, held_out: Interactions, known: Interactions) -> None:
    """Raise an error if held-out ratings do not belong to the training data.

    Parameters
    ----------
    name : str
        Model name, for error messages.
    held_out : Interactions
        Ratings for validation or test.
    known : Interactions
        Training data.

    Raises
    ------
    DataError
        There are no ratings, one is not finite, or the users or items are others.
    """
    if held_out.values is None or len(held_out) == 0:
        raise DataError(f"{name}: the held-out part holds no ratings (split_ratings makes one)")
    if held_out.users != known.users or held_out.items != known.items:
        raise DataError(
            f"{name}: the held-out ratings are over other users or items than the training data: "
            "take both from one split_ratings(log)"
        )
    if not np.isfinite(held_out.values).all():
        raise DataError(f"{name}: a held-out rating is NaN or infinite")

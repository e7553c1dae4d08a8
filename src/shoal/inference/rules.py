"""What a request may ask for: how many items, and which ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.errors import HistoryError
from shoal.kernels.arrays import Bool


@dataclass(frozen=True)
class AllowedItems:
    """The items that the rules of a request allow.

    Parameters
    ----------
    mask : (n_items,) bool
        Whether an item may be recommended.
    unknown : tuple of ids
        Items that the rules name and the model does not know.
    """

    mask: Bool
    unknown: tuple[Any, ...] = ()


def check_k(k: int, model: Recommender) -> None:
    """Refuse a number of recommendations that cannot be given.

    Raises
    ------
    HistoryError
        k is no whole number from 1 to the size of the catalogue.
    """
    check_at_least_one(k, "recommendations")
    if k > model.n_items:
        raise HistoryError(
            f"k={k} is more than the catalogue of {model.n_items:,} items: ask for at most that"
        )


def check_at_least_one(k: int, what: str) -> None:
    """Refuse a number of `what` that is no whole number from 1 on.

    Raises
    ------
    HistoryError
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise HistoryError(f"k={k}: ask for 1 or more {what}")


def allowed_items(
    model: Recommender, exclude: Iterable[Any] = (), only: Iterable[Any] | None = None
) -> AllowedItems:
    """Apply the rules of a request to the catalogue.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    exclude : iterable of ids
        Items that may not be recommended. Those that the model does not know change nothing.
    only : iterable of ids, optional
        The only items that may be recommended; all of the catalogue, unless given.

    Returns
    -------
    AllowedItems

    Raises
    ------
    HistoryError
        A rule is one text instead of a list of ids, or `only` names no item of the catalogue.
    """
    for name, ids in (("exclude", exclude), ("only", only)):
        if isinstance(ids, str | bytes):
            raise HistoryError(f"{name}={ids!r} is one text: give a list of item ids")
    mask = np.ones(model.n_items, np.bool_)
    unknown: list[Any] = []
    if only is not None:
        ids = list(only)
        unknown = model.items.unknown(ids)
        codes = model.items.lookup(ids)
        mask[:] = False
        mask[codes[codes >= 0]] = True
        if not mask.any():
            raise HistoryError("only=… names no item that the model knows")
    codes = model.items.lookup(list(exclude))
    mask[codes[codes >= 0]] = False
    return AllowedItems(mask, tuple(unknown))

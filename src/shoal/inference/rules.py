"""What a request may ask for: how many items, which ones, and what if the history says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from shoal.base.recommender import Recommender
from shoal.errors import HistoryError
from shoal.inference.filters import Boost, item_factors, item_mask
from shoal.kernels.arrays import Bool, Float

# the answer to a history without an item that the model knows
Fallback = Literal["popularity", "none"]


@dataclass(frozen=True)
class AllowedItems:
    """The items that the rules of a request allow, and how much it favours each.

    Parameters
    ----------
    mask : (n_items,) bool
        Whether an item may be recommended. Items of which the model knows nothing may not.
    unknown : tuple of ids
        Items that `only` names and the catalogue does not hold.
    unknown_excluded : tuple of ids
        Items that `exclude` names and the catalogue does not hold.
    untrained : tuple of ids
        Items that `only` names and that nobody had in training, so that the model knows nothing
        of them.
    factors : (n_items,) float32 or None
        By how much each item is favoured; None where none is.
    filter : str
        The condition that allowed items fulfil; empty if there is none.
    shifts : (n_items,) float32 or None
        What is added to the score of each item, in the unit of `kernels.shifts`; None where nothing
        is.
    """

    mask: Bool
    unknown: tuple[Any, ...] = ()
    unknown_excluded: tuple[Any, ...] = ()
    untrained: tuple[Any, ...] = ()
    factors: Float | None = None
    filter: str = ""
    shifts: Float | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of these rules, in sentences; often nothing."""
        lists = (
            ("excluded, but not in the catalogue", self.unknown_excluded),
            ("to be chosen among, but not in the catalogue", self.unknown),
            ("to be chosen among, but nobody had them in training", self.untrained),
        )
        notes = tuple(f"{what}: {', '.join(map(str, ids))}" for what, ids in lists if ids)
        if self.filter and not self.mask.any():
            notes += (f"no item that may be recommended fulfils the filter {self.filter[:100]!r}",)
        return notes


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
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise HistoryError(f"k={k!r}: give a whole number, how many {what} are wanted")
    if k < 1:
        raise HistoryError(f"k={k}: ask for 1 or more {what}")


def check_diversity(diversity: float, model: Recommender) -> None:
    """Refuse a diversity that is none, or a model that knows no similar items.

    Raises
    ------
    HistoryError
    """
    is_number = isinstance(diversity, int | float | np.number) and not isinstance(diversity, bool)
    if not is_number or not 0 <= diversity <= 1:
        raise HistoryError(
            f"diversity={diversity!r:.50}: give a number from 0 (the best items) to 1 (those least "
            "alike)"
        )
    if diversity and not model.personal:
        raise HistoryError(
            f"{model.name} recommends the same to everyone, so it does not know which items are "
            "alike: diversity needs another model (item-knn, ease, …)"
        )


def check_fallback(fallback: str) -> None:
    """Refuse an unknown name of a fallback.

    Raises
    ------
    HistoryError
    """
    if fallback not in get_args(Fallback):
        raise HistoryError(f"fallback={fallback!r}: give one of {', '.join(get_args(Fallback))}")


def check_model(model: Any) -> None:
    """Refuse what is no model, such as the path of one.

    Raises
    ------
    HistoryError
    """
    if not isinstance(model, Recommender):
        raise HistoryError(
            f"{model!r:.100} is no model: give a fitted one, or load its folder with "
            "shoal.load(folder)"
        )


def allowed_items(
    model: Recommender,
    exclude: Iterable[Any] = (),
    only: Iterable[Any] | None = None,
    filter: str | None = None,
    boost: Boost | None = None,
    steer: Any = None,
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
    filter : str, optional
        A condition on the attributes of items, as for `filters.item_mask`.
    boost : str or mapping, optional
        By how much items are favoured, as for `filters.item_factors`.
    steer : (n_items,) array, optional
        How far each item is to be moved, as for `recommend`.

    Returns
    -------
    AllowedItems

    Raises
    ------
    HistoryError
        A rule is one text instead of a list of ids, `only` names no item of the catalogue that
        the model knows, or a filter, a boost or the array to steer by is wrong.
    """
    for name, ids in (("exclude", exclude), ("only", only)):
        if isinstance(ids, str | bytes):
            raise HistoryError(f"{name}={ids!r} is one text: give a list of item ids")
    mask = model.known_items.copy()
    unknown: list[Any] = []
    untrained: list[Any] = []
    if only is not None:
        named = list(only)
        codes = model.items.lookup(named)
        unknown = [item for item, code in zip(named, codes, strict=True) if code < 0]
        untrained = [i for i, c in zip(named, codes, strict=True) if c >= 0 and not mask[c]]
        chosen = np.zeros(model.n_items, np.bool_)
        chosen[codes[codes >= 0]] = True
        mask &= chosen
        if not mask.any():
            why = f"; nobody had {untrained[0]!r} in training" if untrained else ""
            raise HistoryError(f"only=… names no item that the model knows{why}")
    excluded = list(exclude)
    codes = model.items.lookup(excluded)
    unknown_excluded = [item for item, code in zip(excluded, codes, strict=True) if code < 0]
    mask[codes[codes >= 0]] = False
    if filter is not None:
        mask &= item_mask(model, filter)
    factors = None if boost is None or boost == {} else item_factors(model, boost)
    lists = tuple(unknown), tuple(unknown_excluded), tuple(untrained)
    return AllowedItems(mask, *lists, factors, filter or "", checked_shifts(model, steer))


def checked_shifts(model: Recommender, steer: Any) -> Float | None:
    """The array to steer by as float32; None where it moves nothing, so that no bit changes.

    Raises
    ------
    HistoryError
        It is no array of a finite number for each item.
    """
    if steer is None:
        return None
    if isinstance(steer, Mapping):
        raise HistoryError(
            "steer is an array of a number for each item: shoal.knobs(model).shifts(levels) makes "
            "it from levels of named knobs"
        )
    try:
        shifts = np.asarray(steer, np.float32)
    except (TypeError, ValueError, OverflowError):
        shifts = np.empty(0, np.float32)
    if shifts.shape != (model.n_items,):
        raise HistoryError(
            f"steer: give an array of {model.n_items:,} numbers, one for each item of the model "
            "(shoal.knobs(model).shifts(levels))"
        )
    if not np.isfinite(shifts).all():
        raise HistoryError("steer holds a number that is NaN or infinite")
    return shifts if shifts.any() else None

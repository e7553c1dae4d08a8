"""Single items of a request, in the user's own ids, as positions in the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shoal.base.recommender import Recommender
from shoal.errors import HistoryError


def position_of(model: Recommender, item: Any) -> int:
    """The position in the catalogue of an item that the model knows.

    Raises
    ------
    HistoryError
        The item is not in the catalogue, or the model knows nothing of it.
    """
    code = int(model.items.lookup([item])[0])
    if code < 0:
        raise HistoryError(f"item {item!r} is not in the model; its ids look like {model.items!r}")
    if not model.known_items[code]:
        raise HistoryError(
            f"nobody had item {item!r} in training: {model.name} knows nothing of it"
        )
    return code


def list_of_ids(ids: Iterable[Any], name: str) -> list[Any]:
    """The ids of a list in their order, each once.

    Parameters
    ----------
    ids : iterable of ids
    name : str
        Name of the argument, for error messages.

    Raises
    ------
    HistoryError
        There is no id, or it is one text instead of a list of ids.
    """
    if isinstance(ids, str | bytes):
        raise HistoryError(f"{name}={ids!r} is one text: give a list of item ids")
    try:
        distinct = list(dict.fromkeys(ids))
    except TypeError as error:
        raise HistoryError(f"{name} is no list of item ids: {error}") from None
    if not distinct:
        raise HistoryError(f"{name} is empty: give the ids of one or more items")
    return distinct

"""`complement`: what goes with a whole cart of items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.inference.filters import Boost
from shoal.inference.lookup import list_of_ids
from shoal.inference.recommend import recommend
from shoal.inference.recommendations import Recommendations
from shoal.inference.rules import Fallback, check_model
from shoal.run import Run


def complement(
    model: Recommender,
    items: Iterable[Any],
    k: int = 10,
    *,
    exclude: Iterable[Any] = (),
    only: Iterable[Any] | None = None,
    fallback: Fallback = "popularity",
    because: bool | int = False,
    filter: str | None = None,
    boost: Boost | None = None,
    diversity: float = 0.0,
    run: Run | None = None,
) -> Recommendations:
    """Find the items that go with all items of a cart together.

    The cart is not a person's history. Each of its items counts alike, with the weight 1, whatever
    its quantity, and however often it stands there; no item of the cart is ever in the answer; and
    what its owner had before is not known, and does not matter, unless it is given as `exclude`.
    For one item this is `similar`; what it adds there is that the items of a cart speak together:
    in a linear model the score of an item is the sum of the weights from all items of the cart, so
    one that goes with each of them a little comes before one that goes with a single one well.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded. An `ordered` model reads the list as oldest first.
    items : list of item ids
        The cart. A mapping (id → quantity) is read as its ids. Ids unknown to the model are listed
        in the result's `unknown`.
    k : int
        Number of items.
    exclude : iterable of ids
        Never recommend these: what the person has at home.
    only : iterable of ids, optional
        Recommend among these only.
    fallback : {"popularity", "none"}
        What to answer where the model knows no item of the cart, as for `recommend`.
    because : bool or int
        Give the contribution of each item of the cart to each score, as for `recommend`.
    filter, boost, diversity
        Which items may be recommended by their attributes, which are favoured, and how unlike each
        other they are to be, as for `recommend`.
    run : Run, optional
        Threads, memory budget and device.

    Returns
    -------
    Recommendations

    Raises
    ------
    HistoryError
        The cart is empty, k is out of range, or the model knows no item of the cart and nothing
        falls back on popularity.
    ModelError
        The model gives everyone the same scores.
    """
    check_model(model)
    cart = list_of_ids(items, "items")
    if not model.personal:
        raise ModelError(
            f"{model.name} recommends the same to everyone, so it knows nothing that goes with a "
            "cart: ask another model (item-knn, ease, …)"
        )
    return recommend(
        model,
        cart,
        k,
        exclude=exclude,
        only=only,
        fallback=fallback,
        because=because,
        filter=filter,
        boost=boost,
        diversity=diversity,
        run=run,
    )

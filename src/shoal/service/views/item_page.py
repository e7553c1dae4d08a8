"""Item: what is known of one item, what it leads to and what it speaks against, and its map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from shoal.base.recommender import Recommender
from shoal.data.titles import title_of
from shoal.errors import ShoalError
from shoal.inference.recommendations import Recommendations
from shoal.inference.similar import dissimilar, similar
from shoal.kernels.arrays import Long
from shoal.service import answers
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.live import Served
from shoal.service.routes.catalogue import item_rows, position_of, search_of
from shoal.service.schemas import Body
from shoal.service.settings import MAIN
from shoal.service.views.addresses import address_of_history, address_of_item
from shoal.service.views.attributes import facts_of
from shoal.service.views.live_models import tabs_of
from shoal.service.views.rendering import page
from shoal.service.views.scores import with_bars

if TYPE_CHECKING:
    from shoal.maps.catalogue_map import CatalogueMap

routes = Routes("pages")

K = 10  # items of each list
SHOWN = 30  # items of a search
_HEIGHT, _COLUMN, _GAP = 64.0, 26.0, 4.0  # of the columns of the chart of popularity
_FEWEST = 11  # columns that there is room for at least, so that letters are never large


class ItemQuery(Body):
    """Which item, and by which model."""

    id: str = Field("", max_length=256)
    search: str = Field("", max_length=200)
    model: str = Field("", max_length=200)


class MapQuery(Body):
    """Whose map; a browser may keep that of a version."""

    model: str = Field("", max_length=200)
    version: str = Field("", max_length=300)


@dataclass(frozen=True)
class Popularity:
    """How many users had items in training.

    Parameters
    ----------
    ordered : array
        Users of all items with users, in ascending order.
    """

    ordered: Long

    def rank(self, users: int) -> int:
        """1 for the item that most users had; equal numbers share a rank."""
        return int(self.ordered.size - np.searchsorted(self.ordered, users, side="right")) + 1


@routes.page("GET", "/item", query=ItemQuery)
def items(call: Call, query: ItemQuery) -> Reply:
    """Show the items that have some words, or one whose id is given."""
    if query.id:
        return _item(call, query.id, query)
    return _search(call, query, query.search)


@routes.page("GET", "/item/{item:path}", query=ItemQuery)
def item(call: Call, query: ItemQuery) -> Reply:
    """Show one item."""
    name = call.params["item"]
    return _item(call, name, query) if name else _search(call, query, query.search)


@routes.page("GET", "/item-map.json", query=MapQuery)
def item_map(call: Call, query: MapQuery) -> Reply:
    """Give the map of the items that the script of the pages draws; 202 while it is made."""
    call.use(query.model or None, "query.model")
    served = call.served
    state = call.service.item_maps.of(served)
    if state.made is None:
        members = {"state": "coming" if state.is_coming else "missing", "reason": state.reason}
        return Reply(members, 202 if state.is_coming else 200)
    headers = {}
    if query.version == served.version:
        headers["Cache-Control"] = "private, max-age=86400"
    return Reply(state.made.content, headers=headers)


def _search(call: Call, query: ItemQuery, words: str, missing: str = "") -> Reply:
    """The page that finds items; with the id of one that is not there, by which words are found."""
    call.use(query.model or None, "query.model")
    served = call.served
    matches = search_of(served).find(words)
    rows = item_rows(served.model, matches[:SHOWN])
    for row in rows:
        row["address"] = address_of_item(row["item"], model=query.model)
    values = {
        "served": served,
        "model": query.model,
        "missing": missing,
        "search": words,
        "rows": rows,
        "total": len(matches),
    }
    status = 404 if missing else 200
    title = "No such item" if missing else "Items"
    return page("items.html", call, values, title=title, status=status)


def _item(call: Call, name: str, query: ItemQuery) -> Reply:
    call.use(query.model or None, "query.model")
    served = call.served
    model = served.model
    position = position_of(model, name)
    if position < 0:
        return _search(call, query, " ".join(name.split())[:200], missing=name)
    row = item_rows(model, [position])[0]
    title = str(title_of(row["attributes"]) or row["item"])
    state = call.service.item_maps.of(served)
    made = state.made  # taken once: it may come while this page is written
    values = {
        "served": served,
        "model": query.model,
        "item": row,
        "facts": facts_of(row["attributes"], title),
        "choices": tabs_of(
            call.service.models,
            query.model or MAIN,
            lambda name: address_of_item(row["item"], model=name),
        ),
        "try_address": address_of_history([row["item"]], models=query.model),
        "popularity": _popularity(served, row["users"]),
        "leads": _list_of(similar, model, row["item"], query.model),
        "against": _list_of(dissimilar, model, row["item"], query.model),
        "no_map": state.reason if made is None else "",
        "on_map": 0 if made is None else len(made),
        "near": [] if made is None else _near(made, row["item"], query.model),
    }
    return page("item.html", call, values, title=title)


def _list_of(
    ask: Callable[..., Recommendations], model: Recommender, item: Any, asked: str
) -> dict[str, Any]:
    """A list with bars as long as its scores are, or why there is none."""
    try:
        answer = ask(model, item, answers.clipped(model, K), run=answers.ONE_THREAD)
    except ShoalError as error:
        return {"rows": [], "why": str(error)}
    rows = with_bars([answers.row(each, explain=False) for each in answer.rows])
    for row in rows:
        row["address"] = address_of_item(row["item"], model=asked)
    return {"rows": rows, "why": "" if rows else answer.shortfall}


def _near(made: CatalogueMap, item: Any, asked: str) -> list[dict[str, str]]:
    """What lies near an item on the map, for those who do not see it."""
    if item not in made:
        return []
    return [
        {"title": title, "address": address_of_item(near, model=asked)}
        for near, title in made.nearest(item)
    ]


def _popularity(served: Served, users: int | None) -> dict[str, Any] | None:
    """How many users had an item, its rank, and a chart; None where no numbers were kept."""
    counts = served.model.item_counts
    if users is None or counts is None:
        return None
    all_items = served.cached("popularity", lambda _: Popularity(np.sort(counts[counts > 0])))
    n_items = int(all_items.ordered.size)
    return {
        "users": users,
        "rank": all_items.rank(users) if users else None,
        "n_items": n_items,
        "share_below": float(np.searchsorted(all_items.ordered, users)) / max(1, n_items),
        "chart": _chart(all_items.ordered, users),
    }


def _chart(ordered: Long, users: int) -> dict[str, Any]:
    """Columns for 1, 2–3, 4–7, … users, as high as so many items there are."""
    last = int(ordered[-1]).bit_length() if ordered.size else 1
    edges = [2**power for power in range(last + 1)]
    numbers = np.diff(np.searchsorted(ordered, edges)).tolist()
    tallest = max(1, *numbers)
    heights = [max(1.5, _HEIGHT * number / tallest) if number else 0.0 for number in numbers]
    columns = [
        {
            "x": place * (_COLUMN + _GAP),
            "height": f"{height:.1f}",
            "y": f"{_HEIGHT - height:.1f}",
            "label": _short(edges[place]),
            "here": edges[place] <= users < edges[place + 1],
            "range": _range(edges[place], edges[place + 1] - 1),
            "number": number,
        }
        for place, (number, height) in enumerate(zip(numbers, heights, strict=True))
    ]
    return {
        "columns": columns,
        "width": max(_FEWEST, len(columns)) * (_COLUMN + _GAP) - _GAP,
        "column": _COLUMN,
    }


def _short(number: int) -> str:
    return str(number) if number < 1000 else f"{number // 1000}k"


def _range(low: int, high: int) -> str:
    if low == high:
        return f"{low:,} user" if low == 1 else f"{low:,} users"
    return f"{low:,} to {high:,} users"

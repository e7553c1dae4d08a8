"""The items of the live version: found by words, page by page, or shown by their ids."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, Field

from shoal.base.recommender import Recommender
from shoal.inference.explanations import attributes_of
from shoal.inference.item_search import ItemSearch
from shoal.kernels.arrays import Int
from shoal.service.answer_schemas import Answer
from shoal.service.endpoints import Call, Routes
from shoal.service.live import ITEM_SEARCH, Served
from shoal.service.problems import Problem
from shoal.service.schemas import Body, LiveName, check_id
from shoal.web import printable

routes = Routes("items")

MOST_ROWS = 100  # of a page
_CURSOR = re.compile(r"(\d{1,9})-([0-9a-f]{8})")


class ItemsQuery(Body):
    """Which items, and which page of them."""

    search: str = Field(
        "",
        max_length=200,
        description="Words of the title or the id, in any order; cases and accents do not matter. "
        "Without any: all items, those that most users had come first.",
        examples=["lagoon blue"],
    )
    cursor: str | None = Field(None, max_length=40, description="`next_cursor` of the page before.")
    limit: int = Field(20, ge=1, le=MOST_ROWS, description="Rows of a page.")
    model: LiveName | None = Field(
        None, description="A live model whose items they are; else the main one."
    )


class ItemQuery(Body):
    """Which model's item."""

    model: LiveName | None = Field(
        None, description="A live model whose item it is; else the main one."
    )


class ItemRow(BaseModel):
    """One item."""

    item: int | str
    attributes: dict[str, Any]
    users: int | None = Field(description="How many users had it in training.")
    recommended: bool = Field(description="Whether the model knows enough of it to recommend it.")


class ItemsAnswer(Answer):
    """One page of items."""

    items: list[ItemRow]
    total: int = Field(description="Items on all pages.")
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class ItemAnswer(Answer, ItemRow):
    """One item."""


@routes.get("/v1/items", query=ItemsQuery, answer=ItemsAnswer)
def items(call: Call, query: ItemsQuery) -> dict[str, Any]:
    """List items, or search them by title and id, page by page.

    A cursor belongs to one version of the model: when another one answers, begin anew.
    """
    call.use(query.model, "query.model")
    served = call.served
    start = 0 if query.cursor is None else _start(served, query.cursor)
    found = search_of(served).find(query.search)
    end = start + query.limit
    return {
        "items": item_rows(served.model, found[start:end]),
        "total": len(found),
        "next_cursor": _cursor(served, end) if end < len(found) else None,
    }


@routes.get("/v1/items/{item:path}", query=ItemQuery, answer=ItemAnswer, problems=(404,))
def item(call: Call, query: ItemQuery) -> dict[str, Any]:
    """Show one item."""
    call.use(query.model, "query.model")
    served = call.served
    name = call.params["item"]
    position = position_of(served.model, name)
    if position < 0:
        raise Problem(404, f"{served.version} has no item {printable(name, 80)!r}")
    return item_rows(served.model, [position])[0]


def search_of(served: Served) -> ItemSearch:
    """The search over a version's items, which is made before the version answers."""
    return served.cached(ITEM_SEARCH, ItemSearch)


def position_of(model: Recommender, name: str) -> int:
    """The position of an item by its id as a path or a form has it; −1 if there is none."""
    try:
        check_id(name)
    except ValueError:
        return -1
    return int(model.items.lookup([name])[0])


def item_rows(model: Recommender, positions: Any) -> list[dict[str, Any]]:
    """What is told of the items at these positions of the catalogue."""
    codes: Int = _int32(positions)
    ids, attributes = model.items.take(codes), attributes_of(model, codes)
    counts, known = model.item_counts, model.known_items
    return [
        {
            "item": ids[n],
            "attributes": attributes[n],
            "users": None if counts is None else int(counts[code]),
            "recommended": bool(known[code]),
        }
        for n, code in enumerate(codes.tolist())
    ]


def _int32(positions: Any) -> Int:
    import numpy as np

    return np.asarray(positions, dtype=np.int32)


def _cursor(served: Served, start: int) -> str:
    return f"{start}-{served.checksum[:8]}"


def _start(served: Served, cursor: str) -> int:
    """Where a page begins.

    Raises
    ------
    Problem
        422: no cursor of this service, or of another version.
    """
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise Problem(422, "query.cursor: give `next_cursor` of the page before, as it is")
    if match[2] != served.checksum[:8]:
        raise Problem(
            422, "query.cursor: another version answers by now: begin anew, without a cursor"
        )
    return int(match[1])

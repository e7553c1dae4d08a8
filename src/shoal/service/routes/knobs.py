"""The knobs by which lists are steered."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from shoal.service.answer_schemas import Answer
from shoal.service.endpoints import Call, Routes
from shoal.service.limits import LEVELS
from shoal.service.routes.catalogue import item_rows
from shoal.service.schemas import Body, LiveName

routes = Routes("recommend")


class KnobItem(BaseModel):
    """An item that a knob is made of."""

    item: int | str
    attributes: dict[str, Any]


class KnobRow(BaseModel):
    """One knob."""

    name: str = Field(description="By which `steer` of a request names it.")
    items: list[KnobItem] = Field(description="Well-known items that it is made of.")
    n_items: int = Field(description="How many items it moves.")
    share: float | None = Field(
        description="The share of it that falls on items with the value that gave the name."
    )
    base: float | None = Field(description="The share of the catalogue with this value.")


class KnobsAnswer(Answer):
    """The knobs of the version that answers."""

    source: str = Field(description="units (of sparse item vectors) or clusters (of items)")
    lowest: float
    highest: float
    knobs: list[KnobRow]


class KnobsQuery(Body):
    """Which model's knobs."""

    model: LiveName | None = Field(
        None, description="A live model whose knobs they are; else the main one."
    )


@routes.get("/v1/knobs", query=KnobsQuery, answer=KnobsAnswer, problems=(422, 503))
def knobs(call: Call, query: KnobsQuery) -> dict[str, Any]:
    """List the knobs by which `steer` of a request turns a list.

    They are made when they are first asked for, in the background; until then the answer is 503.
    A model that recommends the same to everybody, or predicts ratings, has none.
    """
    call.use(query.model, "query.model")
    served = call.served
    made = call.service.steering.ready_knobs(served)
    return {
        "source": made.source,
        "lowest": LEVELS[0],
        "highest": LEVELS[1],
        "knobs": [knob.to_dict() | {"items": _items(served.model, knob.items)} for knob in made],
    }


def _items(model: Any, items: tuple[Any, ...]) -> list[dict[str, Any]]:
    rows = item_rows(model, model.items.lookup(items))
    return [{"item": row["item"], "attributes": row["attributes"]} for row in rows]

"""Levels of knobs in requests, and what an answer says of steering."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from shoal.service import limits


def _levels(value: Any) -> dict[str, float]:
    if type(value) is not dict or len(value) > limits.KNOBS:
        raise _wrong(
            f"give an object of at most {limits.KNOBS} levels by the names of knobs, such as "
            '{"Comedy": 0.5}'
        )
    low, high = limits.LEVELS
    for name, level in value.items():
        if type(level) not in (int, float) or not low <= level <= high:
            text = f"the level is no number from {low:g} (away) to {high:g} (towards)"
            raise _wrong(text, f".{name[:60]}")
    return {str(name): float(level) for name, level in value.items()}


def _wrong(text: str, at: str = "") -> PydanticCustomError:
    return PydanticCustomError("value", "{text}", {"text": text, "at": at})


Levels: TypeAlias = Annotated[
    dict[str, float],
    PlainValidator(_levels),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "type": "number",
                "minimum": limits.LEVELS[0],
                "maximum": limits.LEVELS[1],
            },
            "maxProperties": limits.KNOBS,
        }
    ),
]


class SteeringOfList(BaseModel):
    """What steering did to a list."""

    levels: dict[str, float] = Field(description="The levels that count, by the knobs' names.")
    kept: float = Field(
        description="The share that the list keeps of the margin of the list without steering: "
        "of its scores above that of the 100th best item, summed. 1 is no cost."
    )
    changed: int = Field(description="Items that would not be there without steering.")
    note: str = Field(description="The same in words.")

"""What requests look like; the documentation of the API is made from this."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from shoal.service import limits
from shoal.service.levels import Levels
from shoal.service.settings import LIVE_NAME

_INTEGER_SCHEMA = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_ID_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": limits.ID_CHARACTERS},
        _INTEGER_SCHEMA,
    ]
}
# what a database can keep: no control characters, and not spaces alone
STORED = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$"
_STORED_ID_SCHEMA: dict[str, Any] = {
    "anyOf": [{**_ID_SCHEMA["anyOf"][0], "pattern": STORED}, _INTEGER_SCHEMA]
}


def _wrong(message: str, at: str = "") -> PydanticCustomError:
    # the text is no template: braces in it would be taken for one
    return PydanticCustomError("value", "{text}", {"text": message, "at": at})


def check_id(value: Any, at: str = "") -> int | str:
    """An id as JSON has it: a text of reasonable length or a whole number of 64 bits."""
    if type(value) is str:
        if not 0 < len(value) <= limits.ID_CHARACTERS:
            raise _wrong(f"an id has 1 to {limits.ID_CHARACTERS} characters", at)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _wrong("an id is no text with half a surrogate pair", at) from None
        return value
    if type(value) is float and value.is_integer():  # 7.0 is a whole number in JSON
        value = int(value)
    if type(value) is int:
        if not -(2**63) <= value < 2**63:
            raise _wrong("an id that is a number has at most 64 bits", at)
        return value
    raise _wrong("an id is a text or a whole number", at)


def _ids(value: Any, most: int) -> list[int | str]:
    if type(value) is not list:
        raise _wrong("give a list of ids")
    if len(value) > most:
        raise _wrong(f"{len(value):,} ids, give at most {most:,}")
    return [check_id(item, f"[{place}]") for place, item in enumerate(value)]


def _weight(value: Any, at: str, what: str = "weight") -> float:
    if type(value) not in (int, float) or not -limits.WEIGHT <= value <= limits.WEIGHT:
        raise _wrong(f"a {what} is a number of at most {limits.WEIGHT:,.0f}", at)
    return float(value)


def _history(value: Any) -> list[int | str] | dict[int | str, float]:
    """A history: ids, or ids with weights; several weights of one item: the last one counts."""
    if type(value) is dict:
        if len(value) > limits.HISTORY:
            raise _wrong(f"{len(value):,} items, give at most {limits.HISTORY:,}")
        return {check_id(i): _weight(weight, ".…") for i, weight in value.items()}
    if type(value) is not list:
        raise _wrong("give a list of ids, or of objects {item, weight}, or an object id: weight")
    if len(value) > limits.HISTORY:
        raise _wrong(f"{len(value):,} items, give at most {limits.HISTORY:,}")
    if not any(type(entry) is dict for entry in value):
        return [check_id(entry, f"[{place}]") for place, entry in enumerate(value)]
    weights: dict[int | str, float] = {}
    for place, entry in enumerate(value):
        at = f"[{place}]"
        if type(entry) is not dict:
            item, weight = check_id(entry, at), 1.0
        elif not {"item"} <= set(entry) <= {"item", "weight"}:
            raise _wrong("an entry has the fields item and weight, and no others", at)
        else:
            item = check_id(entry["item"], f"{at}.item")
            weight = _weight(entry.get("weight", 1.0), f"{at}.weight")
        weights.pop(item, None)
        weights[item] = weight
    return weights


def _ratings(value: Any) -> dict[int | str, float]:
    """Ratings by item; several ratings of one item: the last one counts."""
    if type(value) not in (list, dict):
        raise _wrong("give a list of objects {item, rating}, or an object id: rating")
    if len(value) > limits.HISTORY:
        raise _wrong(f"{len(value):,} ratings, give at most {limits.HISTORY:,}")
    if type(value) is dict:
        return {check_id(i): _weight(rating, ".…", "rating") for i, rating in value.items()}
    ratings: dict[int | str, float] = {}
    for place, entry in enumerate(value):
        at = f"[{place}]"
        if type(entry) is not dict or set(entry) != {"item", "rating"}:
            raise _wrong("an entry is an object with the fields item and rating", at)
        item = check_id(entry["item"], f"{at}.item")
        ratings[item] = _weight(entry["rating"], f"{at}.rating", "rating")
    return ratings


def _boost(value: Any) -> Any:
    if type(value) is str:
        if len(value) > limits.EXPRESSION_CHARACTERS:
            raise _wrong(f"an expression has at most {limits.EXPRESSION_CHARACTERS:,} characters")
        return value
    if type(value) is not dict or len(value) > limits.BOOSTS:
        raise _wrong(f"give an expression, or an object of at most {limits.BOOSTS:,} factors")
    low, high = limits.BOOST_RANGE
    for factor in value.values():
        if type(factor) not in (int, float) or not low <= factor <= high:
            raise _wrong(f"a factor is a number from {low:g} to {high:,.0f}")
    return value


def _strict_int(value: Any) -> int:
    if type(value) is float and value.is_integer():  # 7.0 is a whole number in JSON
        return int(value)
    if type(value) is not int:
        raise _wrong("give a whole number")
    return value


_IDS = {"type": "array", "items": _ID_SCHEMA}
_NUMBER = {"type": "number", "minimum": -limits.WEIGHT, "maximum": limits.WEIGHT}
_ENTRY = {
    "type": "object",
    "properties": {"item": _ID_SCHEMA, "weight": _NUMBER},
    "required": ["item"],
    "additionalProperties": False,
}
_HISTORY_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {
            "type": "array",
            "items": {"anyOf": [*_ID_SCHEMA["anyOf"], _ENTRY]},
            "maxItems": limits.HISTORY,
        },
        {
            "type": "object",
            "additionalProperties": _NUMBER,
            "propertyNames": {"minLength": 1, "maxLength": limits.ID_CHARACTERS},
            "maxProperties": limits.HISTORY,
        },
    ]
}
_RATED = {
    "type": "object",
    "properties": {"item": _ID_SCHEMA, "rating": _NUMBER},
    "required": ["item", "rating"],
    "additionalProperties": False,
}
_RATINGS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "items": _RATED, "maxItems": limits.HISTORY},
        _HISTORY_SCHEMA["anyOf"][1],
    ]
}
_BOOST_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "maxLength": limits.EXPRESSION_CHARACTERS},
        {
            "type": "object",
            "additionalProperties": {
                "type": "number",
                "minimum": limits.BOOST_RANGE[0],
                "maximum": limits.BOOST_RANGE[1],
            },
            "maxProperties": limits.BOOSTS,
        },
    ]
}

Id: TypeAlias = Annotated[int | str, PlainValidator(check_id), WithJsonSchema(_ID_SCHEMA)]
StoredId: TypeAlias = Annotated[
    int | str, PlainValidator(check_id), WithJsonSchema(_STORED_ID_SCHEMA)
]
History: TypeAlias = Annotated[Any, PlainValidator(_history), WithJsonSchema(_HISTORY_SCHEMA)]
Ratings: TypeAlias = Annotated[
    dict[Any, float], PlainValidator(_ratings), WithJsonSchema(_RATINGS_SCHEMA)
]
Boost: TypeAlias = Annotated[Any, PlainValidator(_boost), WithJsonSchema(_BOOST_SCHEMA)]
Candidates: TypeAlias = Annotated[
    list[Any],
    PlainValidator(lambda value: _ids(value, limits.CANDIDATES)),
    WithJsonSchema({**_IDS, "maxItems": limits.CANDIDATES}),
]
Cart: TypeAlias = Annotated[
    list[Any],
    PlainValidator(lambda value: _ids(value, limits.HISTORY)),
    WithJsonSchema({**_IDS, "minItems": 1, "maxItems": limits.HISTORY}),
]
LiveName: TypeAlias = Annotated[str, Field(strict=True, pattern=LIVE_NAME)]
HowMany: TypeAlias = Annotated[int, Field(ge=1, le=limits.K), BeforeValidator(_strict_int)]
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
Expression: TypeAlias = Annotated[str, Field(strict=True, max_length=limits.EXPRESSION_CHARACTERS)]


class NewItemBody(BaseModel):
    """An item that the model does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: Id
    text: Annotated[str, Field(strict=True, max_length=limits.TEXT_CHARACTERS)] = ""
    attributes: dict[
        Annotated[str, Field(max_length=limits.ID_CHARACTERS)],
        Annotated[str, Field(max_length=limits.TEXT_CHARACTERS)] | float | None,
    ] = Field(default_factory=dict, max_length=limits.ATTRIBUTES)


NewItems: TypeAlias = (
    Flag | Annotated[list[NewItemBody], Field(min_length=1, max_length=limits.NEW_ITEMS)]
)


class Body(BaseModel):
    """Base of all requests: fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ByModel(Body):
    """Which of the live models answers."""

    model: LiveName | None = Field(
        None, description="A live model by its name, as /v1/ready lists them; else the main one."
    )


class Person(ByModel):
    """Whose list it is: a history, a user whose events are stored, or both."""

    history: History | None = Field(
        None,
        description="What the person has touched, oldest first: ids, objects {item, weight}, or "
        "an object id: weight. With `user` too, it follows the user's stored events.",
        examples=[["m1", "m2"]],
    )
    user: StoredId | None = Field(
        None, description="A user whose events are stored: they are the history."
    )


# for requests that cannot be answered without one of the two
SOMEBODY: dict[str, Any] = {
    "anyOf": [
        {"required": ["history"], "properties": {"history": {"type": ["array", "object"]}}},
        {"required": ["user"], "properties": {"user": {"type": ["string", "integer"]}}},
    ]
}


class Listing(ByModel):
    """How long a list is, which attributes its items have, and which of them are favoured."""

    k: HowMany = Field(10, description="How many items; there are never more.")
    filter: Expression | None = Field(
        None,
        description="A condition on the items' attributes.",
        examples=["year >= 1990 and 'Comedy' in genres"],
    )
    boost: Boost | None = Field(
        None, description="Factors above or below 1 for scores: by attribute, or an expression."
    )
    diversity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] = Field(
        0.0, description="0 for the best scores, towards 1 for items that are unlike each other."
    )


class Choosing(Listing):
    """Which items a list may hold, and in which order."""

    exclude: Candidates | None = Field(None, description="Items that are never recommended.")
    only: Candidates | None = Field(None, description="The only items to choose among.")
    explain: Flag = Field(
        False, description="Give what each item of the history adds to each score, exactly."
    )


class RecommendBody(Person, Choosing):
    """A request for recommendations."""

    model_config = ConfigDict(
        json_schema_extra=SOMEBODY
        | {"examples": [{"history": ["m1", "m2"], "k": 5, "explain": True}]}
    )

    include_seen: Flag = Field(False, description="Recommend items of the history too.")
    less: Cart | None = Field(
        None,
        description="Items of which the person wants less: what they would add to a score is "
        "taken away from it instead; no score rises. They are never recommended.",
        examples=[["m3"]],
    )
    steer: Levels | None = Field(
        None,
        description="Levels of knobs by their names, from −3 (away from their items) to 3 (towards "
        "them), as `GET /v1/knobs` lists them. `steering` of the answer says what that costs.",
        json_schema_extra={"examples": [{"Comedy": 0.5}]},
    )
    new_items: NewItems = Field(
        False,
        description="true: choose among items that nobody had in training, by their texts. A list: "
        "put these into the list beside the model's own, by a `text`, or by the attributes of "
        "which texts were made in training. Where the model can, and the service has the setting "
        "`texts`.",
        examples=[[{"item": "n1", "text": "Orrery of the Tin Robots. Science Fiction"}]],
    )

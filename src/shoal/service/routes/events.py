"""What people do: their events, the lists that they were shown, and what is kept of one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from shoal.service import limits
from shoal.service.endpoints import Call, Routes, not_ready
from shoal.service.field_names import closest_field
from shoal.service.live import LiveModel
from shoal.service.problems import Problem
from shoal.service.schemas import STORED, Body, StoredId, check_id

if TYPE_CHECKING:
    from shoal.events import EventStore, ShownList

routes = Routes("events")

MOST_EVENTS = 1_000  # of one request
MOST_LISTS = 100  # that were shown
LONGEST_TYPE = 64
LARGEST_VALUE = 1e30
# types that metrics name where the configuration has no weights: anybody could invent others
NAMED_TYPES = frozenset(
    {"view", "click", "cart", "buy", "purchase", "like", "dislike", "rating", "play"}
)


def _moment(value: Any) -> float | str:
    if type(value) in (int, float) and 0 <= value < 1e12:
        return float(value)
    if type(value) is str and 8 <= len(value) <= 40:
        return value
    raise PydanticCustomError(
        "value", "give seconds since 1970, or a date such as 2026-05-01T12:00Z"
    )


Moment: TypeAlias = Annotated[
    Any,
    PlainValidator(_moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1e12},
                {"type": "string", "format": "date-time"},
            ]
        }
    ),
]
Name: TypeAlias = Annotated[
    str, Field(strict=True, min_length=1, max_length=limits.ID_CHARACTERS, pattern=STORED)
]


class EventBody(Body):
    """One thing that a user did with an item."""

    user: StoredId
    item: StoredId
    type: Annotated[
        str, Field(strict=True, min_length=1, max_length=LONGEST_TYPE, pattern=STORED)
    ] = "view"
    value: (
        Annotated[
            float, Field(strict=True, ge=-LARGEST_VALUE, le=LARGEST_VALUE, allow_inf_nan=False)
        ]
        | None
    ) = Field(None, description="Such as a rating or an amount.")
    time: Moment | None = Field(None, description="When; now, unless given.")
    request_id: Name | None = Field(
        None, description="`request_id` of the list that the user acted on."
    )
    id: Name | None = Field(None, description="A name for this event, by which it is stored once.")


class ShownVersion(Body):
    """Who made a list: `model` of the answer, as it is."""

    name: Name
    version: Name


class ImpressionBody(Body):
    """A list that was shown to somebody."""

    request_id: Name = Field(description="`request_id` of the answer that was shown.")
    items: Annotated[
        list[StoredId],
        Field(min_length=1, max_length=limits.K, description="What was shown, in order."),
    ]
    user: StoredId | None = None
    model: ShownVersion | None = Field(
        None, description="`model` of that answer; the version that answers now, unless given."
    )
    time: Moment | None = None


class EventsBody(Body):
    """Events, and lists that were shown."""

    model_config = Body.model_config | {
        "json_schema_extra": {
            "anyOf": [
                {"required": [name], "properties": {name: {"minItems": 1}}}
                for name in ("events", "impressions")
            ],
            "examples": [
                {"events": [{"user": "u1", "item": "m1", "type": "buy", "value": 9.5}]},
                {"impressions": [{"request_id": "0a1b2c", "user": "u1", "items": ["m1", "m2"]}]},
            ],
        }
    }

    @model_validator(mode="before")
    @classmethod
    def _one_event_in_place_of_a_list(cls, value: Any) -> Any:
        if isinstance(value, dict) and not {"events", "impressions"} & set(value):
            names = [closest_field(str(name), tuple(EventBody.model_fields)) for name in value]
            if "item" in names:
                raise PydanticCustomError(
                    "value",
                    "{text}",
                    {"text": 'put the event into a list: {"events": [{"user": …, "item": …}]}'},
                )
        return value

    events: Annotated[list[EventBody], Field(max_length=MOST_EVENTS)] = Field(default_factory=list)
    impressions: Annotated[list[ImpressionBody], Field(max_length=MOST_LISTS)] = Field(
        default_factory=list
    )


class EventsAnswer(BaseModel):
    """What became of them; they are on the disk."""

    accepted: int = Field(description="Events that are stored now.")
    duplicates: int = Field(description="Events that were stored before.")
    deleted: int = Field(
        description="Events and lists older than the deletion of their user: left out."
    )
    impressions: int = Field(description="Lists that are stored now.")
    request_id: str
    took_ms: float


class StoredEvent(BaseModel):
    """One event as it is stored."""

    item: int | str
    type: str
    value: float | None
    time: float = Field(description="Seconds since 1970.")
    request_id: str | None


class Weighted(BaseModel):
    """An item of a history."""

    item: int | str
    weight: float


class UserAnswer(BaseModel):
    """What is kept of a user."""

    user: str
    events: list[StoredEvent] = Field(description="The newest first.")
    history: list[Weighted] = Field(description="What recommendations are made from, oldest first.")
    request_id: str
    took_ms: float


class UserQuery(Body):
    """How much of it."""

    limit: int = Field(
        100, ge=1, le=limits.HISTORY, description="Events, and items of the history."
    )


class DeletedAnswer(BaseModel):
    """How many events were deleted."""

    user: str
    deleted: int
    request_id: str
    took_ms: float


@routes.post("/v1/events", body=EventsBody, answer=EventsAnswer, problems=(404,), waits=True)
def events(call: Call, body: EventsBody) -> dict[str, Any]:
    """Store events and lists that were shown; they are on the disk when this answers.

    The next request that names the user sees them. With the header `Idempotency-Key`, a request
    that is sent again is not counted again. All that a request holds is stored, or none of it.
    """
    from shoal.events import Event

    store = events_of(call)
    if not body.events and not body.impressions:
        raise Problem(422, "body: give events, impressions, or both", [("body.events", "missing")])
    shown = [_shown_list(call, impression) for impression in body.impressions]
    given = [Event(**event.model_dump()) for event in body.events]
    receipt = store.append(given, lists=shown, key=_idempotency_key(call))
    accepted = receipt.accepted - receipt.lists
    count_events(call, [event.type for event in given][:accepted])
    return {
        "accepted": accepted,
        "duplicates": len(given) - accepted - (receipt.deleted - receipt.deleted_lists),
        "deleted": receipt.deleted,
        "impressions": receipt.lists,
    }


@routes.get(
    "/v1/users/{user:path}", query=UserQuery, answer=UserAnswer, problems=(404,), waits=True
)
def user(call: Call, query: UserQuery) -> dict[str, Any]:
    """Show what is kept of a user: events, and the history that recommendations are made from."""
    store, name = events_of(call), _user_of(call)
    kept = store.user(name, limit=query.limit)
    history = store.history(name, limit=query.limit)
    return {
        "user": name,
        "events": [
            {
                "item": event.item,
                "type": event.type,
                "value": event.value,
                "time": event.time,
                "request_id": event.request_id,
            }
            for event in kept
        ],
        "history": [{"item": item, "weight": weight} for item, weight in history.items()],
    }


@routes.delete(
    "/v1/users/{user:path}",
    answer=DeletedAnswer,
    access="admin",
    problems=(404,),
    waits=True,
)
def delete_user(call: Call) -> dict[str, Any]:
    """Delete a user's events for good.

    What remains is a hash of the id, by which the next model leaves the user's rows of the log out.
    """
    name = _user_of(call)
    try:
        return {"user": name, "deleted": events_of(call).delete_user(name)}
    finally:  # also where copies may be left in the database
        call.service.steering.forget_people()


def events_of(call: Call) -> EventStore:
    """The store of events of this service.

    Raises
    ------
    Problem
        404: there is none.
    """
    store: EventStore | None = call.service.events
    if store is None:
        raise Problem(
            404, "this service stores no events: start it with --events FILE or an address"
        )
    return store


def _shown_list(call: Call, shown: ImpressionBody) -> ShownList:
    """A list as the store takes it."""
    from shoal.events import ShownList

    name, version = maker_of(shown.model, call.service.live)
    return ShownList(shown.request_id, shown.user, shown.items, name, version, shown.time)


def maker_of(named: ShownVersion | None, live: LiveModel) -> tuple[str, str]:
    """Name and version of who made a list: whom the request names, or the version that answers now.

    Raises
    ------
    Problem
        503: the request names none, and no version is loaded.
    """
    if named is not None:
        return named.name, named.version
    served = live.served
    if served is None:
        raise not_ready(live)
    return served.name, served.version


def _user_of(call: Call) -> str:
    name = call.params["user"]
    try:
        check_id(name)
    except ValueError as error:
        raise Problem(422, f"path.user: {error}") from None
    return name


def _idempotency_key(call: Call) -> str | None:
    raw = call.headers.get(b"idempotency-key")
    if raw is None:
        return None
    if not 0 < len(raw) <= limits.HEADER_CHARACTERS or not raw.isascii():
        raise Problem(
            422, f"Idempotency-Key: give 1 to {limits.HEADER_CHARACTERS} ASCII characters"
        )
    return raw.decode("ascii")


def count_events(call: Call, types: Sequence[str]) -> None:
    """Count stored events by type, under names that strangers cannot invent."""
    weights = call.service.settings.event_weights
    named = NAMED_TYPES if weights is None else weights
    counts = Counter(kind if kind in named else "other" for kind in types)
    for kind, count in counts.items():
        call.service.metrics.events.labels(kind).inc(count)

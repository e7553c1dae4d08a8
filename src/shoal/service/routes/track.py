"""What was shown and what was clicked, once each, for the variant of an experiment."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, Field

from shoal.service import limits
from shoal.service.endpoints import Call, Routes
from shoal.service.live import LiveModel
from shoal.service.parsing import checked
from shoal.service.problems import Problem
from shoal.service.routes.events import (
    MOST_LISTS,
    Moment,
    Name,
    ShownVersion,
    count_events,
    events_of,
    maker_of,
)
from shoal.service.schemas import Body, StoredId

if TYPE_CHECKING:
    from shoal.events import Event, ShownList

routes = Routes("online")

CLICK = "click"  # type of the events, unless the experiment names another


class ShownVariant(Body):
    """By which variant a list was made: `variant` of the answer, as it is."""

    experiment: Annotated[str, Field(strict=True, pattern="^[a-z0-9-]{1,64}$")]
    name: Annotated[str, Field(strict=True, pattern="^[a-z0-9-]{1,64}$")]


Items: TypeAlias = Annotated[list[StoredId], Field(min_length=1, max_length=limits.K)]
Clicked: TypeAlias = Annotated[
    list[StoredId],
    Field(max_length=limits.K, description="Items of the list that were clicked so far."),
]
By: TypeAlias = Annotated[
    ShownVersion | None,
    Field(description="`model` of that answer; the version that answers now, unless given."),
]
Variant: TypeAlias = Annotated[
    ShownVariant | None,
    Field(description="`variant` of that answer, null too; left out, the variant of the user."),
]


class TrackBody(Body):
    """A list that was shown, and what was clicked in it so far."""

    request_id: Name = Field(description="`request_id` of the answer that was shown.")
    items: Items = Field(description="What was shown, in order.")
    user: StoredId | None = Field(None, description="Clicks need a user.")
    clicked: Clicked = Field(default_factory=list)
    model: By = None
    variant: Variant = None
    time: Moment | None = None


class TracksBody(Body):
    """One list that was shown, or several in `tracks`."""

    model_config = Body.model_config | {
        "json_schema_extra": {
            "oneOf": [
                {
                    "required": ["request_id", "items"],
                    "properties": {"request_id": {"type": "string"}, "items": {"type": "array"}},
                    "not": {"required": ["tracks"]},
                },
                {
                    "required": ["tracks"],
                    "properties": {"tracks": {"type": "array"}},
                    "maxProperties": 1,
                },
            ],
            "examples": [
                {"request_id": "0a1b2c", "user": "u1", "items": ["m1", "m2"], "clicked": ["m2"]},
                {"tracks": [{"request_id": "0a1b2d", "user": "u1", "items": ["m1", "m2"]}]},
            ],
        }
    }

    request_id: Name | None = None
    items: Items | None = None
    user: StoredId | None = None
    clicked: Clicked = Field(default_factory=list)
    model: By = None
    variant: Variant = None
    time: Moment | None = None
    tracks: Annotated[list[TrackBody], Field(min_length=1, max_length=MOST_LISTS)] | None = Field(
        None, description="Several lists in place of one."
    )

    def lists(self) -> list[tuple[str, TrackBody]]:
        """The lists, each with its place in the request."""
        given = self.model_fields_set
        if "tracks" not in given:
            one = self.model_dump(exclude_unset=True)
            return [("body", checked(TrackBody, one, "body"))]
        if len(given) > 1 or self.tracks is None:
            message = "give one list (request_id, items, …) or several in tracks, and not both"
            raise Problem(422, f"body: {message}", [("body.tracks", message)])
        return [(f"body.tracks[{n}]", track) for n, track in enumerate(self.tracks)]


class TrackAnswer(BaseModel):
    """What became of it; it is on the disk."""

    lists: int = Field(description="Lists that are stored now.")
    clicks: int = Field(description="Clicks that are stored now.")
    duplicates: int = Field(description="Lists and clicks that were stored before.")
    deleted: int = Field(
        description="Lists and clicks older than the deletion of their user: left out."
    )
    request_id: str
    took_ms: float


@routes.post("/v1/track", body=TracksBody, answer=TrackAnswer, problems=(404,), waits=True)
def track(call: Call, body: TracksBody) -> dict[str, Any]:
    """Store lists that were shown, and what was clicked in them.

    Each list is stored once by its `request_id`, and each click once by list and item, so a request
    may be sent again, and again later with the clicks that have come since. Clicks are events of
    the user. Where an experiment runs, a list counts for the variant that made it.
    """
    store = events_of(call)
    shown, clicks = [], []
    for place, given in body.lists():
        shown.append(_shown(call, given, place))
        clicks += _clicks(call, given, place)
    receipt = store.append(clicks, lists=shown)
    n_clicks = receipt.accepted - receipt.lists
    count_events(call, [click.type for click in clicks][:n_clicks])
    return {
        "lists": receipt.lists,
        "clicks": n_clicks,
        "duplicates": receipt.duplicates,
        "deleted": receipt.deleted,
    }


def _shown(call: Call, given: TrackBody, place: str) -> ShownList:
    """The list as the store takes it."""
    from shoal.events import ShownList

    experiment, variant, live = _variant_of(call, given, place)
    name, version = maker_of(given.model, live)
    return ShownList(
        given.request_id, given.user, given.items, name, version, given.time, experiment, variant
    )


def _variant_of(
    call: Call, given: TrackBody, place: str
) -> tuple[str | None, str | None, LiveModel]:
    """Experiment and variant of a list, and the live model that makes such lists."""
    running, main = call.service.experiment, call.service.live
    if "variant" not in given.model_fields_set:
        served = None if running is None else running.variant_of(given.user)
        if served is None:
            return None, None, main
        return served.label["experiment"], served.name, served.live
    if given.variant is None:
        return None, None, main
    experiment, name = given.variant.experiment, given.variant.name
    if running is None or running.definition.name != experiment:
        return experiment, name, main  # of an experiment before this one
    if name not in running.variants:
        known = ", ".join(running.variants)
        raise Problem(
            422,
            f"{place}.variant.name: experiment {experiment} has no variant {name!r}; there are "
            f"{known}",
            [(f"{place}.variant.name", "no such variant")],
        )
    return experiment, name, running.variants[name].live


def _clicks(call: Call, given: TrackBody, place: str) -> list[Event]:
    """The clicks as events, each with an id by which it is stored once."""
    from shoal.events import Event

    if not given.clicked:
        return []
    if given.user is None:
        message = "name the user: a click is an event of somebody"
        raise Problem(422, f"{place}.user: {message}", [(f"{place}.user", message)])
    items = {str(item).strip() for item in given.items}
    running = call.service.experiment
    kind = CLICK if running is None else running.definition.success
    events = {}
    for number, item in enumerate(given.clicked):
        text = str(item).strip()
        if text not in items:
            where = f"{place}.clicked[{number}]"
            raise Problem(422, f"{where}: this item is not in items", [(where, "not in items")])
        name = hashlib.sha256("\0".join((given.request_id.strip(), kind, text)).encode())
        events[text] = Event(
            given.user, item, kind, time=given.time, request_id=given.request_id,
            id=f"track:{name.hexdigest()}",
        )  # fmt: skip
    return list(events.values())

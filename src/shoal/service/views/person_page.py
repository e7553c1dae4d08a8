"""Person: what is stored of somebody, what is recommended now and why, and how to delete it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from shoal.base.recommender import Recommender
from shoal.errors import EventsUnavailable, HistoryError
from shoal.inference.recommend import recommend
from shoal.service import answers, limits
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.live import Served
from shoal.service.problems import Problem
from shoal.service.routes.catalogue import item_rows
from shoal.service.schemas import Body, check_id
from shoal.service.views.addresses import (
    address_of_history,
    address_of_item,
    address_of_person,
)
from shoal.service.views.rendering import page, see_other
from shoal.service.views.scores import decimals

if TYPE_CHECKING:
    from shoal.events import Event, EventStore

routes = Routes("pages")

K = 10  # recommendations
REASONS = 3
EVENTS = 20  # that are shown at first
MOST_EVENTS = 1000
RECENT = 30  # people who did something lately
IN_ADDRESS = 100  # items of a history that a link to the first page takes along


class PersonQuery(Body):
    """Whom to show, and how much."""

    id: str = Field("", max_length=limits.ID_CHARACTERS)
    models: str = Field("", max_length=1000)
    events: int = Field(EVENTS, ge=1, le=MOST_EVENTS)
    confirm: Literal["", "delete"] = ""
    done: Literal["", "deleted"] = ""
    number: int = Field(0, ge=0)


class DeleteForm(Body):
    """Whom to delete."""

    id: str = Field(max_length=limits.ID_CHARACTERS)
    action: Literal["delete"]


@routes.page("GET", "/person", query=PersonQuery)
def people(call: Call, query: PersonQuery) -> Reply:
    """Show who did something lately, or the person whose id is given."""
    return _person(call, query.id, query) if query.id else _people(call, query)


@routes.page("GET", "/person/{person:path}", query=PersonQuery)
def person(call: Call, query: PersonQuery) -> Reply:
    """Show one person."""
    name = call.params["person"]
    return _person(call, name, query) if name else _people(call, query)


@routes.page("POST", "/person", form=DeleteForm, access="admin", waits=True)
def delete_person(call: Call, form: DeleteForm) -> Reply:
    """Delete what is stored of a person, and lead to the page that says so."""
    store = call.service.events
    if store is None:
        raise Problem(404, "this service stores no events, so there is nothing to delete")
    n_events = store.delete_user(_checked(form.id))
    return see_other(f"/person?done=deleted&number={n_events}")


def _people(call: Call, query: PersonQuery, missing: str = "") -> Reply:
    """The page that finds people; with the id of one of whom nothing is stored."""
    store, recent, trouble, deleted = call.service.events, [], "", None
    if store is not None:
        try:
            recent = [
                {
                    "id": name,
                    "address": address_of_person(name, models=query.models),
                    "number": number,
                    "time": _moment(time),
                }
                for name, number, time in store.recent_users()[:RECENT]
            ]
            if missing:
                deleted = store.deletion_times([missing]).get(missing)
        except EventsUnavailable as error:
            trouble = str(error)
    values = {
        "has_store": store is not None,
        "recent": recent,
        "trouble": trouble,
        "missing": missing,
        "deleted": None if deleted is None else _moment(deleted),
        "models": query.models,
        "done": query.done,
        "number": query.number,
    }
    status = 200 if not missing else 503 if trouble else 404
    title = "People"
    if missing:
        title = "This person cannot be shown" if trouble else "Nothing is stored of this person"
    return page("people.html", call, values, title=title, here="/person", status=status)


def _person(call: Call, name: str, query: PersonQuery) -> Reply:
    name = _checked(name)
    store = call.service.events
    if store is None:
        return _people(call, query, missing=name)
    try:
        events = store.user(name, limit=query.events + 1)
        history = store.history(name, limit=limits.HISTORY)
    except EventsUnavailable:
        return _people(call, query, missing=name)
    if not events:
        return _people(call, query, missing=name)
    served = call.served
    mine = list(history)[-IN_ADDRESS:]
    values = {
        "id": name,
        "events": _events(served.model, events[: query.events], history),
        "more_address": address_of_person(name, models=query.models, events=str(MOST_EVENTS))
        if len(events) > query.events
        else "",
        "n_items": len(history),
        "lists": [_list_for(served, history)],
        "try_address": address_of_history(mine) if mine else "",
        "confirm": query.confirm,
        "own_address": address_of_person(name, models=query.models),
        "confirm_address": address_of_person(name, models=query.models, confirm="delete"),
        "n_stored": _count(store, name) if query.confirm else 0,
    }
    return page("person.html", call, values, title=name, here="/person")


def _checked(name: str) -> str:
    try:
        check_id(name)
    except ValueError as error:
        raise Problem(422, f"the id of a person: {error}") from None
    return name


def _count(store: EventStore, name: str) -> int:
    """How many events would be deleted, up to 1,000."""
    return len(store.user(name, limit=MOST_EVENTS))


def _events(
    model: Recommender, events: Sequence[Event], history: dict[str, float]
) -> list[dict[str, Any]]:
    """Events with the names of their items, and what these weigh in the history."""
    ids = [event.item for event in events]
    positions = model.items.lookup(ids)
    known = [place for place in positions.tolist() if place >= 0]
    names = dict(zip(known, item_rows(model, known), strict=True))
    rows, counted = [], set()
    for event, place in zip(events, positions.tolist(), strict=True):
        about = names.get(place)
        weight = None if event.item in counted else history.get(event.item)
        counted.add(event.item)  # the latest event of an item says what it weighs
        rows.append(
            {
                "item": event.item,
                "attributes": about["attributes"] if about else {},
                "known": about is not None,
                "address": address_of_item(event.item) if about else "",
                "type": event.type,
                "value": None if event.value is None else f"{event.value:g}",
                "time": _moment(event.time),
                "weight": None if weight is None else f"{weight:g}",
            }
        )
    return rows


def _list_for(served: Served, history: dict[str, float]) -> dict[str, Any]:
    """What one model recommends now, with bars for its reasons where it has them."""
    model = served.model
    given: Any = list(history) if model.ordered else history
    answer, why = None, ""
    for because in (REASONS, False):
        try:
            k = answers.clipped(model, K)
            answer = recommend(model, given, k, because=because, run=answers.ONE_THREAD)
            break
        except HistoryError as error:
            why = str(error)
    if answer is None:
        return {"served": served, "rows": [], "why": why, "fallback": "", "because": False}
    rows = [answers.row(item, explain=True) for item in answer.rows]
    reasons = [reason for row in rows for reason in row["because"]]
    longest = max((abs(reason["contribution"]) for reason in reasons), default=0.0)
    digits = decimals([row["score"] for row in rows])
    for row in rows:
        row["shown"] = f"{row['score']:.{digits}f}".replace("-", "−")
        row["address"] = address_of_item(row["item"])
    for reason in reasons:
        reason["shown"] = f"{reason['contribution']:+.{digits}f}".replace("-", "−")
        reason["bar"] = f"{100 * abs(reason['contribution']) / longest:.1f}" if longest else "0"
    return {
        "served": served,
        "rows": rows,
        "why": answer.shortfall if not rows else "",
        "fallback": answer.fallback,
        "because": bool(reasons),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")

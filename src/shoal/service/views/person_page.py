"""Person: what is stored of somebody, what is recommended now and why, and how to delete it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from pydantic import Field

from shoal.base.recommender import Recommender
from shoal.errors import EventsUnavailable, ShoalError
from shoal.service import limits
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.problems import Problem
from shoal.service.routes.catalogue import item_rows
from shoal.service.routes.recommend import recommended
from shoal.service.schemas import Body, RecommendBody, check_id
from shoal.service.views.addresses import (
    address_of_history,
    address_of_item,
    address_of_person,
    address_of_steering,
)
from shoal.service.views.live_models import Tab, tabs_of
from shoal.service.views.reasons import with_reasons
from shoal.service.views.rendering import page, see_other
from shoal.service.views.scores import with_bars
from shoal.service.views.try_state import names_in
from shoal.service.words import moment

if TYPE_CHECKING:
    from shoal.events import Event, EventStore

routes = Routes("pages")

K = 10  # recommendations
EVENTS = 20  # that are shown at first
MOST_EVENTS = 1000
RECENT = 30  # people who did something lately
_TOO_MANY_REASONS = (
    "The history is too long to show, in so many lists, what each of its items adds."
)
IN_ADDRESS = 100  # items of a history that a link to the first page takes along


class PersonQuery(Body):
    """Whom to show, and how much."""

    id: str = Field("", max_length=limits.ID_CHARACTERS)
    models: str = Field("", max_length=1000)
    events: int = Field(EVENTS, ge=1, le=MOST_EVENTS)
    confirm: Literal["", "delete"] = ""
    deleted: str = Field("", max_length=limits.ID_CHARACTERS)


class DeleteForm(Body):
    """Whom to delete."""

    id: str = Field(max_length=limits.ID_CHARACTERS)
    action: Literal["delete"]


@routes.page("GET", "/person", query=PersonQuery, waits=True)
def people(call: Call, query: PersonQuery) -> Reply:
    """Show who did something lately, or the person whose id is given."""
    return _person(call, query.id, query) if query.id else _people(call, query)


@routes.page("GET", "/person/{person:path}", query=PersonQuery, waits=True)
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
    name = _checked(form.id)
    try:
        store.delete_user(name)
    finally:  # also where copies may be left in the database
        call.service.steering.forget_people()
    return see_other(f"/person?{urlencode({'deleted': name})}")


def _people(call: Call, query: PersonQuery, missing: str = "") -> Reply:
    """The page that finds people; with the id of one of whom nothing is stored."""
    store, recent, trouble, deleted = call.service.events, [], "", None
    asked = missing or query.deleted
    if store is not None:
        try:
            recent = [
                {
                    "id": name,
                    "address": address_of_person(name, models=query.models),
                    "number": number,
                    "time": moment(time),
                }
                for name, number, time in store.recent_users()[:RECENT]
            ]
            if asked:  # what an address claims is looked up
                deleted = store.deletion_times([_checked(asked)]).get(asked)
        except EventsUnavailable as error:
            trouble = str(error)
    values = {
        "has_store": store is not None,
        "recent": recent,
        "trouble": trouble,
        "missing": missing,
        "deleted": None if deleted is None else moment(deleted),
        "models": query.models,
        "asked": asked,
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
    main, mine = call.service.live.served, list(history)[-IN_ADDRESS:]
    lists = [_list_for(call, name, model) for model in _models(call, query.models)]
    values = {
        "id": name,
        "events": _events(main.model if main else None, events[: query.events], history),
        "more_address": address_of_person(name, models=query.models, events=str(MOST_EVENTS))
        if len(events) > query.events
        else "",
        "n_items": len(history),
        "lists": lists,
        "variant": _variant(call, name),
        "several": len(call.service.models) > 1,
        "choices": _choices(call, name, query.models),
        "try_address": address_of_history(mine) if mine else "",
        "steer_address": address_of_steering(user=name),
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


def _models(call: Call, names: str) -> list[str | None]:
    """The models that a person's lists are asked of; None where requests name none.

    Raises
    ------
    Problem
        404: one of them does not answer here.
    """
    models = names_in(names)
    for name in models:
        call.use(name, "query.models")
    return [*models] or [None]


def _choices(call: Call, person: str, chosen: str) -> list[Tab]:
    """The ways to ask for a person's lists, where there are several."""
    models = call.service.models
    tabs = tabs_of(models, chosen, lambda name: address_of_person(person, models=name))
    if not tabs:
        return []

    def way(name: str, models: str) -> Tab:
        address = address_of_person(person, models=models)
        return Tab(name=name, kind="", address=address, here=models == chosen)

    return [
        way("as the service answers", ""),
        *tabs,
        way("all side by side", ",".join(models)),
    ]


def _variant(call: Call, person: str) -> dict[str, Any] | None:
    """The variant of the experiment by which a person is answered; None without an experiment."""
    experiment = call.service.experiment
    if experiment is None:
        return None
    variant = experiment.variant_of(person)
    return {
        "experiment": experiment.definition.name,
        "name": variant.name if variant is not None else "",
        "promoted": experiment.promoted is not None,
    }


def _events(
    model: Recommender | None, events: Sequence[Event], history: dict[str, float]
) -> list[dict[str, Any]]:
    """Events with the names of their items, and what these weigh in the history."""
    places, names = [-1] * len(events), {}
    if model is not None:
        places = model.items.lookup([event.item for event in events]).tolist()
        known = [place for place in places if place >= 0]
        names = dict(zip(known, item_rows(model, known), strict=True))
    rows, counted = [], set()
    for event, place in zip(events, places, strict=True):
        about = names.get(place)
        weight = None if event.item in counted else history.get(event.item)
        counted.add(event.item)  # the latest event of an item says what it weighs
        rows.append(
            {
                "item": event.item,
                "attributes": about["attributes"] if about else {},
                "known": about is not None or model is None,
                "address": address_of_item(event.item) if about else "",
                "type": event.type,
                "value": None if event.value is None else f"{event.value:g}",
                "time": moment(event.time),
                "weight": None if weight is None else f"{weight:g}",
            }
        )
    return rows


def _list_for(call: Call, person: str, name: str | None) -> dict[str, Any]:
    """What is recommended to a person now, as by the API, with bars for reasons if there are any.

    Without the name of a model, it is the answer of the person's variant of an experiment.
    """
    body = RecommendBody(user=person, k=K, model=name, explain=True)
    members: dict[str, Any] = {"items": [], "fallback": None, "shortfall": None}
    why = without_reasons = ""
    for explain in (True, False):
        asked = body.model_copy(update={"explain": explain})
        try:
            members, why = recommended(call, asked, "query.models"), ""
            break
        except Problem as problem:  # no version of this model answers yet
            why = problem.detail
            if any(error["place"] == "body.explain" for error in problem.errors):
                without_reasons = _TOO_MANY_REASONS
        except ShoalError as error:  # above all: this model has no reasons
            why = without_reasons = str(error)
    rows = members["items"]
    for row in rows:
        row.setdefault("because", [])
        row["address"] = address_of_item(row["item"], model=name or "")
    with_reasons(with_bars(rows))
    by = call.answered_by
    return {
        "name": name or "",
        "live": next((n for n, live in call.service.models.items() if live.served is by), ""),
        "kind": by.name if by is not None else "",
        "version": by.version if by is not None else "",
        "rows": rows,
        "why": why or (members["shortfall"] if not rows else ""),
        "fallback": members["fallback"],
        "has_reasons": any(row["reasons"] for row in rows),
        "without_reasons": without_reasons,
    }

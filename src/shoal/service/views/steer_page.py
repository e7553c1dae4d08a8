"""Steer: turn a person's list by named knobs, see what moves, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ConfigDict, Field

from shoal.errors import EventsUnavailable, HistoryError, ModelError, ShoalError
from shoal.service import answers, limits
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.live import Served
from shoal.service.parsing import checked
from shoal.service.problems import Problem
from shoal.service.routes.catalogue import item_rows, search_of
from shoal.service.schemas import Body, RecommendBody
from shoal.service.settings import MAIN
from shoal.service.views.addresses import address_of_item, address_of_steering, written
from shoal.service.views.live_models import name_in_address, tabs_of
from shoal.service.views.rendering import page
from shoal.service.views.try_state import ids_in
from shoal.service.words import with_minus
from shoal.steering.cost import SteeredList, SteeringCost, steered_list
from shoal.steering.knobs import Knob, Knobs

routes = Routes("pages")

K = 10  # items of both lists
LEVEL = "knob."  # how the fields of levels begin; the name of the knob follows
AT_FIRST = 8  # knobs that are shown before a person asks for more
WIDEST, STEP, FINE_STEP = 1.0, 0.05, 0.01  # of sliders, unless an address has a level beyond
MADE_OF = 3  # titles that tell what a knob is made of
PEOPLE = 12  # who were active lately
FOUND = 6  # items of a search
_WAIT = 0.4  # seconds for which the page waits for knobs before it says that they are being made


class SteerQuery(Body):
    """Whose list, of which model, and the levels: fields such as ``knob.Comedy=0.5``."""

    model_config = ConfigDict(extra="allow", frozen=True)

    model: str = Field("", max_length=100)
    user: str = Field("", max_length=limits.ID_CHARACTERS)
    history: str = Field("", max_length=8000)
    search: str = Field("", max_length=200)

    @property
    def levels(self) -> dict[str, float]:
        """The levels by the names of the knobs.

        Raises
        ------
        Problem
            422: a field is not known, or a level is no number.
        """
        levels = {}
        for name, value in (self.model_extra or {}).items():
            if not name.startswith(LEVEL):
                raise Problem(422, f"query.{name[:60]}: there is no such field")
            try:
                levels[name.removeprefix(LEVEL)] = float(value) if value else 0.0
            except ValueError:
                text = f"query.{name[:60]}: {value[:40]!r} is no number from −3 to 3"
                raise Problem(422, text) from None
        return levels


@routes.page("GET", "/steer", query=SteerQuery, waits=True)
def steer(call: Call, query: SteerQuery) -> Reply:
    """Show a list before and after it is steered."""
    call.use(query.model or None, "query.model")
    live = call.chosen or call.service.live
    values: dict[str, Any] = {
        "served": live.served,
        "trouble": live.trouble.reason if live.trouble else "",
        "models": tabs_of(
            call.service.models,
            query.model or MAIN,
            # knobs are of one model, so that levels do not go along
            lambda name: _address(query, {}, model=name_in_address(name)),
        ),
        "state": "loading",
    }
    if live.served is not None:
        values |= _steered(call, query)
    status = 200 if live.served is not None else 503
    return page("steer.html", call, values, title="Steer", here="/steer", status=status)


def _steered(call: Call, query: SteerQuery) -> dict[str, Any]:
    """What the page shows of a model that answers."""
    served = call.served
    try:
        knobs = call.service.steering.knobs(served, _WAIT)
    except ModelError as error:
        return {"state": "none", "why": str(error)}
    if knobs is None:
        return {"state": "preparing"}
    levels, gone = _levels(knobs, query)
    body = _person(query)
    person = _about_person(call, query, body, levels)
    shown = _lists(call, query, knobs, levels, body)
    return {
        "state": "ready",
        "source": knobs.source,
        "knobs": [_knob(served, knob, levels.get(knob.name, 0.0)) for knob in knobs],
        "at_first": AT_FIRST,
        "n_turned": len(levels),
        "unnamed": knobs.are_unnamed,
        "gone": gone,
        "fields": {
            name: getattr(query, name)
            for name in ("model", "user", "history")
            if getattr(query, name)
        },
        "reset": _address(query, {}),
        "person": person,
        **shown,
    }


def _knob(served: Served, knob: Knob, level: float) -> dict[str, Any]:
    model = served.model
    rows = item_rows(model, model.items.lookup(knob.items[:MADE_OF]))
    return {
        "name": knob.name,
        "field": LEVEL + knob.name,
        "level": level,
        **_range(level),
        "shown": shown_level(level),
        "is_mostly": knob.is_mostly,
        "made_of": rows,
    }


def _range(level: float) -> dict[str, Any]:
    """How far a slider goes, and in which steps: further or finer for a level of an address."""
    is_coarse = math.isclose(level / STEP, round(level / STEP), abs_tol=1e-6)
    limit = max(WIDEST, math.ceil(abs(level) / STEP - 1e-6) * STEP)
    return {"limit": f"{limit:g}", "step": STEP if is_coarse else FINE_STEP}


def shown_level(level: float) -> str:
    """A level as a person reads it."""
    return with_minus(f"{level:+g}") if level else "0"


def _levels(knobs: Knobs, query: SteerQuery) -> tuple[dict[str, float], list[str]]:
    """The levels, and the names of knobs that this version does not have.

    An address may be older than the version that answers, whose knobs are others.

    Raises
    ------
    Problem
        422: a level is out of bounds.
    """
    levels, gone = {}, []
    for name, level in query.levels.items():
        try:
            levels[knobs.find(name).name] = level
        except HistoryError:
            gone.append(name)
    try:
        return knobs.levels(levels), gone
    except HistoryError as error:
        raise Problem(422, f"query: {error}") from None


def _person(query: SteerQuery) -> RecommendBody:
    ids = list(ids_in(query.history, "history"))
    fields: dict[str, Any] = {"history": ids, "k": K}
    if query.user.strip():
        fields["user"] = query.user.strip()
    return checked(RecommendBody, fields, "query")


def _about_person(
    call: Call, query: SteerQuery, body: RecommendBody, levels: Mapping[str, float]
) -> dict[str, Any]:
    """Who it is: the items of the address, a stored user, and how to choose others."""
    served = call.served
    model = served.model
    ids = [str(i) for i in body.history or ()]
    positions = model.items.lookup(ids)
    known = [i for i, place in zip(ids, positions.tolist(), strict=True) if place >= 0]
    chosen = item_rows(model, positions[positions >= 0])
    for row in chosen:
        rest = [i for i in known if i != str(row["item"])]
        row["without"] = _address(query, levels, history=written(tuple(rest)))
    found = []
    if query.search:
        taken = set(positions.tolist())
        places = search_of(served).find(query.search)[: FOUND + len(taken)].tolist()
        found = item_rows(model, [p for p in places if p not in taken][:FOUND])
        for row in found:
            history = written((*known, str(row["item"])))
            row["added"] = _address(query, levels, history=history)
    return {
        "user": query.user.strip(),
        "chosen": chosen,
        "unknown": [i for i, place in zip(ids, positions.tolist(), strict=True) if place < 0],
        "search": query.search,
        "found": found,
        "has_store": call.service.events is not None,
        "recent": _recent(call, query, levels),
        "nobody": _address(query, levels, user=""),
        "levels": {LEVEL + name: level for name, level in levels.items()},
    }


def _recent(call: Call, query: SteerQuery, levels: Mapping[str, float]) -> list[dict[str, str]]:
    """Stored users who were active lately, with the address of the page for each."""
    store = call.service.events
    if store is None:
        return []
    users: list[str] = []
    with suppress(EventsUnavailable):  # the page says so beside the list
        users = [name for name, _, _ in store.recent_users()[:PEOPLE]]
    return [{"id": u, "address": _address(query, levels, user=u, history="")} for u in users]


def _lists(
    call: Call, query: SteerQuery, knobs: Knobs, levels: Mapping[str, float], body: RecommendBody
) -> dict[str, Any]:
    """The lists, what moved, and what it costs."""
    history, why = answers.history_of(call, body)
    served = call.served
    model = served.model
    k = answers.clipped(model, K)
    answered_by = model
    if not history:
        answered_by = served.cached("popular list", answers.popularity_of)
    shifts = knobs.shifts(levels)
    made = steered_list(answered_by, history, k, steer=shifts, run=answers.ONE_THREAD)
    cost, cost_state, cost_why = _cost(call, served, knobs, levels)
    return {
        "before": _rows(made, query.model, steered=False),
        "after": _rows(made, query.model, steered=True),
        "kept": max(made.kept, 0.0),
        "changed": made.changed,
        "fallback": bool(made.after.fallback or not history),
        "why_fallback": why,
        "cost": cost,
        "cost_state": cost_state,
        "cost_why": cost_why,
    }


def _rows(made: SteeredList, asked: str, *, steered: bool) -> list[dict[str, Any]]:
    """One of the lists of the model that was asked, and for each of its items how it moved."""
    places = {
        name: {row.item: row.rank for row in answer}
        for name, answer in (("before", made.before), ("after", made.after))
    }
    rows = []
    for item in made.after if steered else made.before:
        before, after = places["before"].get(item.item), places["after"].get(item.item)
        row = answers.row(item, explain=False)
        row["address"] = address_of_item(item.item, model=asked)
        if before is None:
            row |= {"moved": "new", "by": 0}
        elif after is None:
            row |= {"moved": "gone", "by": 0}
        else:
            moved = "up" if after < before else "down" if after > before else "same"
            row |= {"moved": moved, "by": abs(before - after)}
        rows.append(row)
    return rows


def _cost(
    call: Call, served: Served, knobs: Knobs, levels: Mapping[str, float]
) -> tuple[list[dict[str, Any]], str, str]:
    """The cost in accuracy as rows, whether it is there (none, measuring, ready), and on what."""
    if not levels:
        return [], "none", ""
    try:
        cost = call.service.steering.cost(served, knobs, levels, _WAIT / 2)
    except (ShoalError, RuntimeError) as error:  # a fault is told here alone; the lists are there
        return [], "none", str(error)
    if cost is None:
        return [], "measuring", ""
    return _cost_rows(cost), "ready", f"{cost.n_users} {cost.protocol}"


def _cost_rows(cost: SteeringCost) -> list[dict[str, Any]]:
    names = {"ndcg": "NDCG", "recall": "recall"}
    rows = []
    for name, difference in cost.difference.items():
        base, _, k = name.partition("@")
        clear = difference.low > 0 or difference.high < 0
        low, high = difference.low, difference.high
        rows.append(
            {
                "name": f"{names.get(base, base)} at {k}",
                "before": f"{cost.before[name]:.3f}",
                "after": f"{cost.after[name]:.3f}",
                "difference": _signed(difference.difference),
                "interval": f"{_signed(low)} to {_signed(high)}",
                "kind": "" if not clear else "bad" if difference.difference < 0 else "good",
            }
        )
    return rows


def _signed(value: float) -> str:
    return with_minus(f"{value:+.3f}")


def _address(query: SteerQuery, levels: Mapping[str, float], **changed: str) -> str:
    """The address of this page with these levels, and other fields of the query changed."""
    fields = {"model": query.model, "user": query.user.strip(), "history": query.history} | changed
    fields |= {LEVEL + name: f"{level:g}" for name, level in levels.items()}
    return address_of_steering(**fields)

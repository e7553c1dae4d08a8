"""Try: find items, build a history, and see what one or several models recommend for it and why."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from shoal.base.recommender import Recommender
from shoal.errors import ShoalError
from shoal.inference.recommend import recommend
from shoal.service import answers
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.live import Served
from shoal.service.routes.catalogue import item_rows, search_of
from shoal.service.settings import MAIN
from shoal.service.views.addresses import address_of_item
from shoal.service.views.live_models import name_in_address
from shoal.service.views.rendering import page
from shoal.service.views.try_lists import filter_errors, lists_of
from shoal.service.views.try_state import LENGTHS, State, TryQuery, unknown_models

routes = Routes("pages")

SHOWN = 6  # items of a search
EXAMPLE = 3  # items of the history to start with
_ATTRIBUTES = 8  # that the filter's help names


@routes.page("GET", "/", query=TryQuery)
def start(call: Call, query: TryQuery) -> Reply:
    """Show the first page; of `part=found`, which asks while a person types, what was found."""
    models = call.service.models
    state = State.of(query, list(models))
    answering = _answering(call, state)
    if answering is None:
        return _no_model(call)
    found = _found(answering, state)
    if query.part == "found":
        return page("try_part.html", call, found, title="Try", here="/")
    lists = lists_of(call, state)
    values = found | {
        "served": answering,
        "filter_errors": filter_errors(lists),
        "live": {name: live.served for name, live in models.items()},
        "unknown_models": unknown_models(query, list(models)),
        "lists": lists,
        "lengths": sorted({*LENGTHS, state.k}),
        "liked": _chips(call, state, state.history),
        "disliked": _chips(call, state, state.less),
        "example": None if state.history else _example(answering, state),
        "columns": [c for c in answering.model.item_table.columns if c != "item"][:_ATTRIBUTES],
        "trouble": call.service.live.trouble,
    }
    return page("try.html", call, values, title="Try", here="/")


def _answering(call: Call, state: State) -> Served | None:
    """The version of the first chosen model that has one; its catalogue is searched."""
    for name in (*state.models, MAIN):
        if call.service.models[name].served is not None:
            call.use(name, "query.models")
            return call.served
    return None


def _no_model(call: Call) -> Reply:
    trouble = call.service.live.trouble
    values = {"trouble": trouble.reason if trouble else "", "path": call.service.settings.model}
    return page("no_model.html", call, values, title="No model yet", here="/", status=503)


def _found(served: Served, state: State) -> dict[str, Any]:
    """What the words of the search are in; no list is computed for it."""
    model = served.model
    chosen = model.items.lookup([*state.history, *state.less]).tolist()
    matches = search_of(served).find(state.search)
    free = (code for code in matches[: SHOWN + len(chosen)].tolist() if code not in chosen)
    rows = item_rows(model, [code for code, _ in zip(free, range(SHOWN), strict=False)])
    for row in rows:
        row["add"] = state.liking(str(row["item"]))
    return {"state": state, "found": rows, "total": len(matches), "n_items": model.n_items}


def _chips(call: Call, state: State, ids: tuple[str, ...]) -> list[dict[str, Any]]:
    """The items of the history or of less, in their order, with what the chosen models know."""
    rows: dict[str, dict[str, Any]] = {}
    for name in state.models:
        live = call.service.models[name]
        if live.served is None:
            continue
        call.use(name, "query.models")
        model, own = call.served.model, name_in_address(name)
        missing = [i for i in ids if i not in rows]
        codes = model.items.lookup(missing)
        known = [i for i, code in zip(missing, codes.tolist(), strict=True) if code >= 0]
        for text, row in zip(known, item_rows(model, codes[codes >= 0]), strict=True):
            rows[text] = row | {"known": True, "address": address_of_item(text, model=own)}
    unknown: dict[str, Any] = {"attributes": {}, "known": False, "address": ""}
    return [
        {"item": text, **rows.get(text, unknown), "removed": state.without(text)}
        | {"turned": state.disliking(text) if text in state.history else state.liking(text)}
        for text in ids
    ]


def _example(served: Served, state: State) -> dict[str, Any]:
    """A history to start with."""
    codes = served.cached("example history", _example_history)
    rows = item_rows(served.model, codes)
    ids = tuple(str(row["item"]) for row in rows)
    return {"rows": rows, "address": state.but(history=ids, search="")}


def _example_history(model: Recommender) -> list[int]:
    """The item that most people had, and what a list for it begins with."""
    known = model.known_items
    counts = model.item_counts
    first = int(known.argmax() if counts is None else counts.argmax())
    ids = model.items.take([first])
    k = min(EXAMPLE - 1, model.n_items)
    with suppress(ShoalError):  # a model that takes no histories has this item alone
        ids += recommend(model, ids, k, run=answers.ONE_THREAD).items
    codes: list[int] = model.items.lookup(ids).tolist()
    return codes

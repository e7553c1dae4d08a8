"""From a request to its call of `shoal.inference`, and from what that returns to an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np

from shoal.base.recommender import Recommender
from shoal.errors import EventsUnavailable, MissingExtraError, ShoalError
from shoal.inference.new_items import NewItems
from shoal.inference.recommendations import Reason, Recommendation, Recommendations
from shoal.kernels.arrays import Float
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.service.endpoints import Call
from shoal.service.limits import HISTORY, REASONS
from shoal.service.problems import Problem
from shoal.service.schemas import Choosing, Listing, Person, RecommendBody
from shoal.service.texts import NewItem
from shoal.steering.cost import SteeredList

NOT_BY_VARIANT = "the variant of this user cannot answer such a request"
UNREADABLE = "the stored events of users cannot be read at the moment"
ONE_THREAD = Run(threads=1, memory=2**62)  # each request ranks in the one thread that it has

History = list[Any] | dict[Any, float]
P = TypeVar("P", bound=Person)


def row(item: Recommendation, *, explain: bool) -> dict[str, Any]:
    """One item of a list."""
    members: dict[str, Any] = {
        "rank": item.rank,
        "item": item.item,
        "score": item.score,
        "attributes": item.attributes,
    }
    if explain:
        members["because"] = [reason(r) for r in item.because]
    if item.cold:
        members["cold"] = True
    if item.evidence:
        members["evidence"] = item.evidence
    return members


def reason(why: Reason) -> dict[str, Any]:
    """What one item of the history adds."""
    return {
        "item": why.item,
        "contribution": why.contribution,
        "attributes": why.attributes,
    }


def list_members(
    call: Call,
    answer: Recommendations,
    *,
    explain: bool = False,
    why_fallback: str = "",
    answered_by: str = "",
) -> dict[str, Any]:
    """The members of an answer that is a list; counts what the metrics count."""
    fallback = None
    if answer.fallback or why_fallback:
        reason_text = why_fallback or _why(answer)
        fallback = {
            "answered_by": answer.fallback or answered_by or call.served.name,
            "reason": reason_text,
        }
    if not call.page:  # somebody looks, and nobody is shown this list
        _count(call, answer, "" if fallback is None else fallback["reason"])
    return {
        "items": [row(item, explain=explain) for item in answer.rows],
        "unknown": list(answer.unknown),
        "fallback": fallback,
        "shortfall": answer.shortfall or None,
        "notes": list(answer.notes),
    }


def _count(call: Call, answer: Recommendations, why_fallback: str) -> None:
    metrics = call.service.metrics
    if why_fallback:
        metrics.fallbacks.labels(why_fallback).inc()
    if not answer.rows:
        metrics.empty.labels(call.route).inc()
    if answer.unknown:
        metrics.unknown.inc(len(answer.unknown))


def _why(answer: Recommendations) -> str:
    return "no known item in the history" if answer.unknown else "empty history"


def history_of(call: Call, person: Person) -> tuple[History, str]:
    """The history that a request means, and why a fallback may have to answer it.

    The stored events of the user come first, the history of the request follows: an item of both
    has the weight and the place of the latter.
    """
    given: History = person.history if person.history is not None else []
    if person.user is None:
        if person.history is None:
            raise Problem(
                422,
                "body: give a history (ids, with weights or without), or a user with stored events",
                [("body.history", "missing"), ("body.user", "missing")],
            )
        return given, "" if given else "empty history"
    stored, why_none = _stored_history(call, person.user)
    if not stored:
        return given, why_none if why_none == UNREADABLE or not given else ""
    merged = dict(stored)
    weights = given if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
    for item, weight in weights.items():
        merged.pop(item, None)
        merged[item] = weight
    return (list(merged) if call.served.model.ordered else merged), ""


def _stored_history(call: Call, user: Any) -> tuple[dict[Any, float], str]:
    """The stored events of a user as a history, and why there is none."""
    histories = call.service.histories
    if histories is None:
        return {}, "unknown user: this service stores no events"
    try:
        return histories.history(str(user), HISTORY), "unknown user"
    except EventsUnavailable:  # reads go on without it
        return {}, UNREADABLE


def in_experiment(
    call: Call, body: P, answer: Callable[[Call, P], dict[str, Any]], place: str = "body.model"
) -> dict[str, Any]:
    """The members of an answer by the model that a request names, or by its user's variant.

    A request that the variant cannot answer is answered as if there were no experiment: it may ask
    for reasons, for example, which the variant's model does not have.

    Parameters
    ----------
    call : Call
    body : Person
    answer : callable
        Gives the members of the answer by `call.served`.
    place : str
        Where the request names a model, for errors.
    """
    experiment = call.service.experiment
    variant = None
    if experiment is not None and body.model is None:
        variant = experiment.variant_of(body.user)
    if variant is None:
        call.use(body.model, place)
        return answer(call, body) | {"variant": None}
    reasons = call.reasons
    call.choose(variant.live)
    with suppress(Problem, ShoalError):
        return answer(call, variant.completed(body)) | {"variant": variant.label}
    call.use(None)
    call.reasons = reasons
    members = answer(call, body) | {"variant": None}
    if members["fallback"] is None:
        members["fallback"] = {"answered_by": call.served.name, "reason": NOT_BY_VARIANT}
        call.service.metrics.fallbacks.labels(NOT_BY_VARIANT).inc()
    return members


def listing_options(body: Listing) -> dict[str, Any]:
    """What a request asks of attributes, as keywords of `similar`; the rest is left out."""
    options: dict[str, Any] = {}
    if body.filter is not None:
        options["filter"] = body.filter
    if body.boost is not None:
        options["boost"] = body.boost
    if body.diversity:
        options["diversity"] = body.diversity
    return options


def choosing_options(body: Choosing) -> dict[str, Any]:
    """The options of a request as keywords of `recommend`; what was not asked for is left out."""
    options = listing_options(body)
    if body.exclude:
        options["exclude"] = body.exclude
    if body.only is not None:
        options["only"] = body.only
    if body.explain:
        options["because"] = True
    return options


def levels_and_shifts(call: Call, levels: Mapping[str, float]) -> tuple[dict[str, float], Float]:
    """The levels of a request that count, by the names of the knobs, and how far items are moved.

    Raises
    ------
    Problem
        422: a knob is unknown, or the model has none; 503: they are being prepared.
    """
    try:
        knobs = call.service.steering.ready_knobs(call.served)
        counting = knobs.levels(levels)
    except ShoalError as error:
        text = f"body.steer: {error}"
        raise Problem(422, text, [("body.steer", str(error))]) from None
    return counting, knobs.shifts(counting)


def steering_members(levels: dict[str, float], steered: SteeredList | None) -> dict[str, Any]:
    """What an answer says of steering; `steered` is None where no level changes the list."""
    if steered is None:
        return {"levels": {}, "kept": 1.0, "changed": 0, "note": "every level is 0"}
    return {
        "levels": levels,
        "kept": steered.kept,
        "changed": steered.changed,
        "note": steered.note,
    }


def popularity_of(model: Recommender) -> Recommender:
    """The model that gives everybody the items with most training users of another model.

    A model that was saved before shoal kept these numbers stands for itself.
    """
    counts = model.item_counts
    if counts is None:
        return model
    popular = by_name("popularity")()
    popular.restore({"counts": counts.astype(np.float32)})
    popular.restore_catalogue(model.items, model.item_table, "", {}, item_counts=counts)
    return popular


def count_reasons(call: Call, n_items: int, history: Sized) -> None:
    """Refuse a request that asks for more reasons than an answer can hold.

    Raises
    ------
    Problem
        422.
    """
    call.reasons += n_items * len(history)
    if call.reasons > REASONS:
        raise Problem(
            422,
            f"body.explain: reasons for {n_items:,} items by {len(history):,} of the history are "
            f"too many, give at most {REASONS:,} in all: ask for fewer items",
            [("body.explain", "too many reasons")],
        )


def clipped(model: Recommender, k: int) -> int:
    """At most as many as there are items; the answer then says that there are no more."""
    return min(k, model.n_items)


def cold_ids(model: Recommender, among: list[Any] | None) -> list[Any]:
    """Ids of items that nobody had in training, of all or of those that were named.

    Raises
    ------
    Problem
        422: the model has none.
    """
    cold = model.cold_items
    if cold is None or not cold.any():
        raise Problem(
            422,
            f"body.new_items: {model.name} has no items that nobody had in training; l3ae and its "
            "kin take them by their vectors",
            [("body.new_items", "there are none")],
        )
    new = cold.nonzero()[0]
    if among is not None:
        new = np.intersect1d(new, model.items.lookup(among))
    return model.items.take(new)


def new_items_of(call: Call, body: RecommendBody) -> NewItems | None:
    """The new items that come with a request, with their weights; None without any.

    Raises
    ------
    Problem
        422: the service or the model cannot score them, or a rule asks for attributes that new
        items do not have in the catalogue.
    """
    if isinstance(body.new_items, bool):
        return None
    place = "body.new_items"
    if call.service.texts is None:
        raise Problem(
            422,
            f"{place}: this service embeds no texts: name the vectors that the model was trained "
            "with in the setting texts",
            [(place, "not possible here")],
        )
    for name in ("filter", "boost", "diversity", "steer"):
        if getattr(body, name):
            raise Problem(
                422,
                f"body.{name}: leave it out beside new items, which are not in the catalogue",
                [(f"body.{name}", "not with new items")],
            )
    given = [NewItem(new.item, new.text, new.attributes) for new in body.new_items]
    try:
        return call.service.texts.weights(call.served, given)
    except MissingExtraError:
        raise
    except ShoalError as error:
        raise Problem(422, f"{place}: {error}", [(place, str(error))]) from None

"""Lists for a person."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from shoal.inference.recommend import recommend as recommend_to
from shoal.service import answers
from shoal.service.endpoints import Call, Routes
from shoal.service.limits import K
from shoal.service.parsing import checked
from shoal.service.schemas import Body, ListAnswer, RecommendBody

routes = Routes("recommend")


def recommended(call: Call, body: RecommendBody) -> dict[str, Any]:
    """Answer one request for recommendations."""
    served = call.served
    model = served.model
    history, why_fallback = answers.history_of(call, body)
    options = answers.choosing_options(model, body)
    if body.new_items:
        options["only"] = answers.cold_ids(model, body.only)
    if body.include_seen:
        options["exclude_seen"] = False
    k = answers.clipped(model, body.k)
    answer = recommend_to(model, history, k, run=answers.ONE_THREAD, **options)
    members = answers.list_members(call, answer, explain=body.explain, why_fallback=why_fallback)
    if k < body.k:
        members["shortfall"] = members["shortfall"] or f"the catalogue has {k:,} items"
    return members


@routes.post("/v1/recommend", body=RecommendBody, answer=ListAnswer)
def recommend(call: Call, body: RecommendBody) -> dict[str, Any]:
    """Recommend items to a person, known or not.

    Give a `history`, a `user` whose events are stored, or both: the history then follows the stored
    events, and an item of both has the weight and the place that it has in the history. An unknown
    user, an empty history or one of unknown ids alone gets the most popular items, and `fallback`
    says who answered and why.
    """
    return recommended(call, body)


class ShortQuery(Body):
    """The query of the short form."""

    k: int = Field(10, ge=1, le=K, description="How many items.")


@routes.get("/v1/recommend/{user}", query=ShortQuery, answer=ListAnswer)
def recommend_to_user(call: Call, query: ShortQuery) -> dict[str, Any]:
    """Recommend items to a user whose events are stored.

    The short form of the request by POST, for a look by hand.
    """
    body = checked(RecommendBody, {"user": call.params["user"], "k": query.k}, "path")
    return recommended(call, body)

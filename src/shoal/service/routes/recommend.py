"""Lists for a person."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from shoal.errors import ShoalError
from shoal.inference.history import read_history
from shoal.inference.new_items import with_new_items
from shoal.inference.recommend import recommend as recommend_to
from shoal.service import answers
from shoal.service.answer_schemas import Answer, PersonalAnswer, ProblemAnswer
from shoal.service.endpoints import Call, Routes
from shoal.service.limits import BATCH, K
from shoal.service.parsing import checked
from shoal.service.problems import Problem, problem_of
from shoal.service.schemas import Body, LiveName, RecommendBody
from shoal.steering.cost import steered_list

routes = Routes("recommend")


def recommended(call: Call, body: RecommendBody, place: str = "body.model") -> dict[str, Any]:
    """Answer one request for recommendations."""
    return answers.in_experiment(call, body, _recommended, place)


def _recommended(call: Call, body: RecommendBody) -> dict[str, Any]:
    served = call.served
    model = served.model
    history, why_fallback = answers.history_of(call, body)
    options = answers.choosing_options(body)
    if body.new_items is True:
        options["only"] = answers.cold_ids(model, body.only)
    if body.include_seen:
        options["exclude_seen"] = False
    if body.less:
        options["less"] = body.less
    k = answers.clipped(model, body.k)
    new = answers.new_items_of(call, body)
    if body.explain:
        answers.count_reasons(call, k, [*history, *(body.less or ())])
    answered_by = model
    if not history and not body.new_items:
        answered_by = served.cached("popular list", answers.popularity_of)
        options = {n: v for n, v in options.items() if n not in ("because", "diversity")}
    levels: dict[str, float] = {}
    if body.steer is not None:
        levels, shifts = answers.levels_and_shifts(call, body.steer)
    steered, run = None, answers.ONE_THREAD
    if levels:
        steered = steered_list(answered_by, history, k, steer=shifts, run=run, **options)
        answer = steered.after
    else:
        answer = recommend_to(answered_by, history, k, run=run, **options)
    if new is not None:
        because = options.get("because", False)
        read = read_history(model, history, less=body.less or ())
        answer = with_new_items(model, answer, read, new, k, because)
    members = answers.list_members(
        call,
        answer,
        explain=body.explain,
        why_fallback=why_fallback,
        answered_by=answered_by.name,
    )
    if body.steer is not None:
        members["steering"] = answers.steering_members(levels, steered)
    if k < body.k:
        members["shortfall"] = members["shortfall"] or f"the catalogue has {k:,} items"
    return members


@routes.post("/v1/recommend", body=RecommendBody, answer=PersonalAnswer)
def recommend(call: Call, body: RecommendBody) -> dict[str, Any]:
    """Recommend items to a person, known or not.

    Give a `history`, a `user` whose events are stored, or both: the history then follows the stored
    events, and an item of both has the weight and the place that it has in the history. An unknown
    user, an empty history or one of unknown ids alone gets the most popular items, whose scores are
    their users in training, and `fallback` says who answered and why.
    """
    return recommended(call, body)


class ShortQuery(Body):
    """The query of the short form."""

    k: int = Field(10, ge=1, le=K, description="How many items.")
    model: LiveName | None = Field(
        None, description="A live model that answers; else the main one."
    )


@routes.get("/v1/recommend/{user:path}", query=ShortQuery, answer=PersonalAnswer)
def recommend_to_user(call: Call, query: ShortQuery) -> dict[str, Any]:
    """Recommend items to a user whose events are stored.

    The short form of the request by POST, for a look by hand.
    """
    request = {"user": call.params["user"], "k": query.k, "model": query.model}
    return recommended(call, checked(RecommendBody, request, "path"), "query.model")


class BatchBody(Body):
    """Several requests for recommendations, each for another person."""

    requests: list[Any] = Field(
        min_length=1,
        max_length=BATCH,
        description="Bodies as for /v1/recommend. One that is wrong gets an error in its place.",
        json_schema_extra={
            "examples": [[{"history": ["m1"], "k": 3}, {"history": [], "k": 3}]],
        },
    )


class BatchRow(BaseModel):
    """The answer to one request of a batch, or its error."""

    status: int
    answer: dict[str, Any] | None = None
    error: ProblemAnswer | None = None


class BatchAnswer(Answer):
    """The answers, in the order of the requests."""

    answers: list[BatchRow]
    errors: int = Field(description="How many of them are errors.")


@routes.post("/v1/batch", body=BatchBody, answer=BatchAnswer)
def batch(call: Call, body: BatchBody) -> dict[str, Any]:
    """Recommend to several people in one request.

    All that name the same model are answered by the same version of it. Each answer has a `model`,
    a `variant` and a `request_id` of its own. A request that is wrong gets its error, and the
    others are answered.
    """
    call.served  # noqa: B018 - without a main model the whole batch is refused
    rows = []
    for number, request in enumerate(body.requests):
        try:
            if not isinstance(request, dict):
                raise Problem(422, f"body.requests[{number}]: give an object")
            where = f"body.requests[{number}]"
            answer = recommended(call, checked(RecommendBody, request, where), f"{where}.model")
            by = call.served
            answer["model"] = {"name": by.name, "version": by.version}
            answer["request_id"] = f"{call.request_id}#{number}"
        except (Problem, ShoalError) as error:
            problem = problem_of(error)
            about = problem.to_dict(f"{call.path}#{number}", call.request_id)
            rows.append({"status": problem.status, "error": about})
        else:
            rows.append({"status": 200, "answer": answer})
    call.use(None)
    return {"answers": rows, "errors": sum(r["status"] != 200 for r in rows)}

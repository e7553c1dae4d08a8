"""What goes with items, the order of given items, and what speaks for and against one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from shoal.inference.complement import complement as complement_of
from shoal.inference.explain import explain as explain_item
from shoal.inference.predict import predict as predict_ratings
from shoal.inference.rank import rank as rank_items
from shoal.inference.similar import dissimilar as dissimilar_to
from shoal.inference.similar import similar as similar_to
from shoal.service import answers
from shoal.service.answer_schemas import Answer, ListAnswer, PersonalAnswer, Reason
from shoal.service.endpoints import Call, Routes
from shoal.service.problems import Problem
from shoal.service.schemas import (
    SOMEBODY,
    Body,
    ByModel,
    Candidates,
    Cart,
    Choosing,
    Flag,
    HowMany,
    Id,
    Listing,
    Person,
    Ratings,
)

routes = Routes("items")


class SimilarBody(Listing):
    """A request for the items that are most like one item."""

    item: Id = Field(examples=["m1"])


class DissimilarBody(ByModel):
    """A request for the items that one item speaks against."""

    item: Id = Field(examples=["m1"])
    k: HowMany = Field(10, description="How many items.")


class CartBody(Choosing):
    """A request for what goes with all items of a cart together."""

    items: Cart = Field(description="The cart; each item counts once.", examples=[["m1", "m2"]])
    explain: Flag = Field(False, description="Give what each item of the cart adds to each score.")


class RankBody(Person):
    """A request for the order of given items."""

    model_config = Body.model_config | {"json_schema_extra": SOMEBODY}

    candidates: Candidates = Field(
        description="The items to put in order.",
        examples=[["m1", "m2"]],
        json_schema_extra={"minItems": 1},
    )
    explain: Flag = Field(False, description="Give what each item of the history adds.")


class PredictBody(ByModel):
    """A request for the ratings that a person would give."""

    model_config = Body.model_config | {
        "json_schema_extra": {
            "oneOf": [
                {"required": ["user"], "properties": {"user": {"type": ["string", "integer"]}}},
                {"required": ["history"], "properties": {"history": {"type": ["array", "object"]}}},
            ]
        }
    }

    user: Id | None = Field(None, description="A user that the model was trained on.")
    items: Candidates = Field(description="The items to rate.")
    history: Ratings | None = Field(
        None,
        description="In place of a user, the ratings that somebody has given: objects "
        "{item, rating}, or an object id: rating. Not every model can read them.",
        examples=[[{"item": "m1", "rating": 4}, {"item": "m2", "rating": 1.5}]],
    )


class ExplainBody(Person):
    """A request for the reasons of one item's score."""

    model_config = Body.model_config | {"json_schema_extra": SOMEBODY}

    item: Id = Field(description="The item that is asked about.", examples=["m1"])


class Rating(BaseModel):
    """A predicted rating."""

    item: int | str
    rating: float
    cold: bool
    attributes: dict[str, Any]


class PredictAnswer(Answer):
    """Predicted ratings, in the order in which they were asked for."""

    user: int | str | None = Field(description="null where a history of ratings was given.")
    items: list[Rating]
    low: float
    high: float
    unknown: list[int | str] = Field(
        description="Ids that the model does not know, of the items and of the history."
    )


class ExplainAnswer(Answer):
    """What a score is made up of."""

    item: int | str
    score: float
    rank: int
    n_ranked: int
    exact: bool = Field(description="Whether the contributions add up to the score.")
    contributions: list[Reason]
    evidence: dict[str, float]
    attributes: dict[str, Any]
    cold: bool
    seen: bool
    unknown: list[int | str]
    notes: list[str]


@routes.post("/v1/similar", body=SimilarBody, answer=ListAnswer, problems=(404,))
def similar(call: Call, body: SimilarBody) -> dict[str, Any]:
    """List the items that the presence of one item speaks for most."""
    call.use(body.model)
    model = call.served.model
    k = answers.clipped(model, body.k)
    _known(call, body.item)
    options = answers.listing_options(body)
    answer = similar_to(model, body.item, k, run=answers.ONE_THREAD, **options)
    return answers.list_members(call, answer)


@routes.post("/v1/dissimilar", body=DissimilarBody, answer=ListAnswer, problems=(404,))
def dissimilar(call: Call, body: DissimilarBody) -> dict[str, Any]:
    """List the items that the presence of one item speaks against most.

    Linear models have negative weights between items; for others this is a 422.
    """
    call.use(body.model)
    model = call.served.model
    k = answers.clipped(model, body.k)
    _known(call, body.item)
    return answers.list_members(call, dissimilar_to(model, body.item, k, run=answers.ONE_THREAD))


@routes.post("/v1/complement", body=CartBody, answer=ListAnswer)
def complement(call: Call, body: CartBody) -> dict[str, Any]:
    """List what goes with all items of a cart together."""
    call.use(body.model)
    model = call.served.model
    k = answers.clipped(model, body.k)
    if body.explain:
        answers.count_reasons(call, k, body.items)
    options = answers.choosing_options(body)
    answer = complement_of(model, body.items, k, run=answers.ONE_THREAD, **options)
    return answers.list_members(call, answer, explain=body.explain)


@routes.post("/v1/rank", body=RankBody, answer=PersonalAnswer)
def rank(call: Call, body: RankBody) -> dict[str, Any]:
    """Put given items into the order of their scores for a person.

    Candidates that the model does not know are listed in `unknown`, with those of the history.
    """
    return answers.in_experiment(call, body, _ranked)


def _ranked(call: Call, body: RankBody) -> dict[str, Any]:
    history, why_fallback = answers.history_of(call, body)
    if body.explain:
        answers.count_reasons(call, len(body.candidates), history)
    answer = rank_items(
        call.served.model, history, body.candidates, because=body.explain, run=answers.ONE_THREAD
    )
    members = answers.list_members(call, answer, explain=body.explain, why_fallback=why_fallback)
    members["unknown"] += answer.unranked
    return members


@routes.post("/v1/predict", body=PredictBody, answer=PredictAnswer)
def predict(call: Call, body: PredictBody) -> dict[str, Any]:
    """Predict how a person would rate items.

    For rating models: give a `user` of the training data, or as `history` the ratings of anybody.
    Unknown items are listed, the others are rated. A history of which the model knows nothing gets
    the default rating, and the items are marked as `cold`.
    """
    call.use(body.model)
    model = call.served.model
    if (body.user is None) == (body.history is None):
        message = "give a user of the training data or a history of ratings, and not both"
        places = [("body.user", message), ("body.history", message)]
        raise Problem(422, f"body: {message}", places)
    unknown = model.items.unknown(body.items)
    left_out = set(unknown)
    known = [item for item in body.items if item not in left_out]
    if body.items and not known:
        raise Problem(
            422,
            f"body.items: none of the {len(unknown)} items is known; the model's ids look like "
            f"{model.items!r}",
            [("body.items", "none is known")],
        )
    answer = predict_ratings(model, body.user, known, history=body.history)
    return {
        "user": answer.user,
        "items": [
            {"item": r.item, "rating": r.rating, "cold": r.cold, "attributes": r.attributes}
            for r in answer
        ],
        "low": answer.low,
        "high": answer.high,
        "unknown": [*unknown, *(item for item in answer.unknown if item not in left_out)],
    }


@routes.post("/v1/explain", body=ExplainBody, answer=ExplainAnswer, problems=(404,))
def explain(call: Call, body: ExplainBody) -> dict[str, Any]:
    """Tell what speaks for one item and against it, for one person.

    The contributions of linear models add up to the score exactly (`exact`).
    """
    call.use(body.model)
    history, _ = answers.history_of(call, body)
    _known(call, body.item)
    answer = explain_item(call.served.model, history, body.item)
    return {
        "item": answer.item,
        "score": answer.score,
        "rank": answer.rank,
        "n_ranked": answer.n_ranked,
        "exact": answer.exact,
        "contributions": [answers.reason(r) for r in answer.contributions],
        "evidence": answer.evidence,
        "attributes": answer.attributes,
        "cold": answer.cold,
        "seen": answer.seen,
        "unknown": list(answer.unknown),
        "notes": answer.remarks,
    }


def _known(call: Call, item: Any) -> None:
    """Refuse the one item that a request is about, if the model does not know it."""
    model = call.served.model
    if model.items.unknown([item]):
        raise Problem(
            404,
            f"body.item: item {item!r} is not in the model; its ids look like {model.items!r}",
            [("body.item", "unknown item")],
        )

"""What answers look like; the documentation of the API is made from this."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from shoal.service.levels import SteeringOfList


class Reason(BaseModel):
    """What one item of the history adds to a score, below zero where it speaks against it."""

    item: int | str
    contribution: float
    attributes: dict[str, Any]


class Row(BaseModel):
    """One item of a list."""

    rank: int
    item: int | str
    score: float
    attributes: dict[str, Any]
    because: list[Reason] | None = None
    cold: bool | None = Field(None, description="True for an item that nobody had in training.")
    evidence: dict[str, float] | None = Field(
        None, description="What of the score comes from behaviour and what from text."
    )


class FallbackUsed(BaseModel):
    """Who answered in the place of the model, and why."""

    answered_by: str
    reason: str


class ModelName(BaseModel):
    """The model that answered."""

    name: str
    version: str


class VariantName(BaseModel):
    """The variant of an experiment by which a request was answered."""

    experiment: str
    name: str


class Answer(BaseModel):
    """What every answer holds."""

    request_id: str
    model: ModelName
    took_ms: float


class ListAnswer(Answer):
    """A list of items."""

    items: list[Row]
    unknown: list[int | str] = Field(
        description="Ids of the request that the model does not know; the others were answered."
    )
    fallback: FallbackUsed | None = None
    shortfall: str | None = Field(
        None, description="Why there are fewer items than were asked for."
    )
    notes: list[str] = Field(default_factory=list)
    steering: SteeringOfList | None = Field(None, description="Where the request has `steer`.")


class PersonalAnswer(ListAnswer):
    """A list of items for a person."""

    variant: VariantName | None = Field(
        None, description="null where the request was not part of an experiment."
    )


class PlaceOfError(BaseModel):
    """One place of a request that is wrong."""

    place: str
    message: str


class ProblemAnswer(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[PlaceOfError]

# mypy: ignore-errors
"""A check for schemathesis: a valid request is refused only for what a JSON schema cannot say."""

from __future__ import annotations

import re

import schemathesis

REASONS = (
    "^(filter|boost)[=:]",  # what an expression says, and the attributes that it names
    "ranks items and predicts no ratings",
    "that is more than a day in the future",
    "times before 1970 are refused",
    "only=… names no item that the model knows",
    "has no items that nobody had in training",  # new_items, of a model without item vectors
    "give `next_cursor` of the page before",
    "an id that is a number has at most 64 bits",  # the generator rounds the documented bounds
    r"body\.items: none of the [\d,]+ items is known",
)
_REASON = re.compile("|".join(REASONS))


@schemathesis.check
def refused_for_a_reason(ctx, response, case):
    """A 422 to a request that fits its schema gives one of the known reasons."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code != 422:
        return
    detail = response.json()["detail"]
    assert _REASON.search(detail), f"a valid request was refused: {detail}"

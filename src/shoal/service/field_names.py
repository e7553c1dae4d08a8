"""The field that somebody meant who wrote a name that a request does not have."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel

# what other services call the same thing; the first one that the request has is suggested
_OTHER_NAMES = {
    "user": ("userid", "uid", "customer", "customerid", "visitorid"),
    "item": ("itemid", "movieid", "product", "productid"),
    "candidates": ("items", "itemids"),
    "history": ("items", "itemids", "seen", "seeditems", "interactions"),
    "items": ("item", "cart", "basket", "itemids"),
    "k": ("n", "limit", "topk", "topn", "num", "count", "size"),
    "type": ("event", "eventtype", "action", "kind"),
    "time": ("timestamp", "ts", "date", "datetime", "at"),
    "value": ("rating", "score", "amount", "price", "weight"),
    "explain": ("because", "reasons", "why"),
    "exclude": ("blacklist", "ignore", "without", "not"),
    "only": ("whitelist", "candidates", "among"),
    "filter": ("where", "filters", "query"),
    "events": ("interactions", "event"),
}


def closest_field(name: str, fields: Sequence[str]) -> str:
    """The field among `fields` that a name stands for, or an empty text."""
    plain = "".join(filter(str.isalnum, name.lower()))
    for field, others in _OTHER_NAMES.items():
        if field in fields and plain in others:
            return field
    close = difflib.get_close_matches(name.lower()[:60], fields, n=1)
    return close[0] if close else ""


def fields_at(model: type[BaseModel], path: Sequence[int | str]) -> tuple[str, ...]:
    """The names of the fields at a place within a request."""
    for part in path:
        field = model.model_fields.get(str(part))
        inner = None if field is None else _model_in(field.annotation)
        model = inner or model  # places in a list and names of union members are passed over
    return tuple(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in inner if model is not None), None)

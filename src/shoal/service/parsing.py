"""From the bytes of a request to a checked object; what is wrong is a `Problem` of the client."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from shoal.service.limits import JSON_DEPTH
from shoal.service.problems import Problem, from_validation
from shoal.web import printable

M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], raw: bytes) -> M:
    """Read a JSON object and check it.

    Raises
    ------
    Problem
        400 for what is no JSON, 422 for what is not of the form that `model` describes.
    """
    value = read_json(raw)
    if not isinstance(value, dict):
        message = f"give a JSON object{_example(model)}; this is {_kind(value)}"
        raise Problem(422, f"body: {message}", [("body", message)])
    return checked(model, value, "body")


def checked(model: type[M], value: dict[str, Any], where: str) -> M:
    """Check plain values, named `where` in errors ("body", "query")."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problem = from_validation(error, where, model)
    raise problem


def read_form(raw: bytes) -> dict[str, str]:
    """The names and values that a form sends.

    Raises
    ------
    Problem
        400, or 422 for a name that stands there twice.
    """
    pairs = _read_pairs(raw, 200, "the form cannot be read: send name=value&…, in UTF-8")
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Problem(422, "form: a name stands there twice")
    return values


def read_query(raw: bytes, *, repeated: bool = False) -> dict[str, str]:
    """The names and values of a query; of a name that may stand there twice, all values.

    Raises
    ------
    Problem
        400, or 422 for a name that stands there twice and may not.
    """
    pairs = _read_pairs(raw, 50, "the query cannot be read: write it as name=value&…, in UTF-8")
    query = dict(pairs)
    if len(query) != len(pairs):
        if not repeated:
            raise Problem(422, "query: a name stands there twice")
        query = {name: ",".join(v for n, v in pairs if n == name) for name in query}
    return query


def _read_pairs(raw: bytes, most: int, message: str) -> list[tuple[str, str]]:
    """At most so many names and values, as a form or a query writes them."""
    try:
        return parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=most, errors="strict"
        )
    except ValueError:
        raise Problem(400, message) from None


def read_json(raw: bytes) -> Any:
    """Read JSON strictly: no NaN, no infinity, no name twice in an object, and not nested deeply.

    Raises
    ------
    Problem
        400, with the place in the text.
    """
    try:
        text = raw.decode("utf-8")
        if text.count("[") + text.count("{") > JSON_DEPTH:
            _check_depth(text)
        return json.loads(
            text, object_pairs_hook=_pairs, parse_constant=_no_number, parse_float=_finite
        )
    except Problem:
        raise
    except UnicodeDecodeError as error:
        message = f"the body is no UTF-8 (byte {error.start})"
    except json.JSONDecodeError as error:
        message = f"the body is no JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError) as error:  # whole numbers of thousands of digits
        message = f"the body is no JSON that can be read: {printable(str(error), 100)}"
    raise Problem(400, message, [("body", message)])


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name!r} stands twice in an object")
            seen.add(name)
    return result


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:30]} is too large for a number")
    return value


def _check_depth(text: str) -> None:
    """Refuse more open brackets than any request has; those in texts are left out."""
    depth, inside, escaped = 0, False, False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > JSON_DEPTH:
                raise ValueError(f"more than {JSON_DEPTH} brackets are open")
        elif character in "]}":
            depth -= 1


def _example(model: type[BaseModel]) -> str:
    """A request of this kind, for messages."""
    extra = model.model_config.get("json_schema_extra")
    examples = extra.get("examples") if isinstance(extra, dict) else None
    if not isinstance(examples, list) or not examples:
        return ""
    return f" such as {json.dumps(examples[0])}"


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")

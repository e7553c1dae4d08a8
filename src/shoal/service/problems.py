"""Errors as ``application/problem+json`` (RFC 9457), each with its place and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from shoal.errors import EventsUnavailable, MissingExtraError, ShoalError
from shoal.service.field_names import closest_field, fields_at
from shoal.web import printable

TITLES = {
    400: "Malformed request",
    401: "Key required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Request too slow",
    409: "Conflict",
    413: "Request too large",
    415: "Unsupported media type",
    421: "Unknown host",
    422: "Request cannot be answered",
    429: "Too many requests",
    500: "Fault of the service",
    501: "Not available",
    503: "Not ready",
}
MEDIA_TYPE = b"application/problem+json"
_MOST_ERRORS = 20  # listed in one problem


class Problem(Exception):  # noqa: N818 - it is what RFC 9457 calls it
    """A request that is answered by an error.

    Parameters
    ----------
    status : int
        HTTP status.
    detail : str
        What is wrong with this request and what to do, in a sentence.
    errors : iterable of (place, message)
        The places that are wrong, such as ``body.history[3]``.
    headers : mapping
        More headers of the answer, such as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.errors = [{"place": place, "message": text} for place, text in errors]
        self.headers = dict(headers or {})

    def to_dict(self, instance: str, request_id: str) -> dict[str, Any]:
        """The members of the problem, as they are sent."""
        title = TITLES.get(self.status, "Error")
        return {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
            "errors": self.errors,
        }

    def body(self, instance: str, request_id: str) -> bytes:
        """The problem as JSON."""
        return to_json(self.to_dict(printable(instance, 200), request_id))


def problem_of(error: BaseException) -> Problem:
    """The problem that stands for an exception; those that no client causes are a 500."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, EventsUnavailable):
        return Problem(503, str(error), headers={"Retry-After": "5"})
    if isinstance(error, MissingExtraError):
        return Problem(501, str(error))
    if isinstance(error, MemoryError):
        return Problem(
            503, "there is not enough memory at the moment", headers={"Retry-After": "5"}
        )
    if isinstance(error, ShoalError):
        return Problem(422, " ".join(str(error).split()))
    return Problem(500, "the service failed; its log tells more, under this request id")


def from_validation(
    error: ValidationError, where: str = "body", model: type[BaseModel] | None = None
) -> Problem:
    """The problem that names all the places of a body or a query that are wrong.

    Fields that `model` does not have come first: a field that is missing is often there under
    another name.
    """
    found = error.errors(include_url=False, include_input=False)
    found.sort(key=lambda item: item["type"] != "extra_forbidden")
    places = [(_place(where, item), _message(item, model)) for item in found[:_MOST_ERRORS]]
    place, message = places[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Problem(422, f"{place}: {message}{more}", places)


def _place(where: str, error: Any) -> str:
    path = where
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{printable(str(part), 60)}"
    return path + str((error.get("ctx") or {}).get("at", ""))


def _message(error: Any, model: type[BaseModel] | None) -> str:
    if error["type"] == "extra_forbidden":
        fields = () if model is None else fields_at(model, error["loc"][:-1])
        close = closest_field(str(error["loc"][-1]), fields)
        if close:
            return f"there is no such field; did you mean {close}?"
        return f"there is no such field; there are {', '.join(fields) or 'none'}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]

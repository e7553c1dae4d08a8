"""How a route is declared, and how one is run.

A route is a plain function of a `Call` and its checked body or query, which returns the members of
the answer. It runs in a thread of the pool, so it may compute and wait. Reading, checking, the
roles, the common members of answers and all errors are written once, here and in `gate`.

    routes = Routes("recommend")

    @routes.post("/v1/similar", body=SimilarBody, answer=ListAnswer)
    def similar(call: Call, body: SimilarBody) -> dict[str, Any]:
        '''The first line is the summary in the documentation; the rest its description.'''
        model = call.served.model
        ...
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel
from pydantic_core import to_json

from shoal.service.live import LiveModel, Served
from shoal.service.parsing import checked, parse, read_form
from shoal.service.problems import Problem
from shoal.service.settings import MAIN
from shoal.web import printable

if TYPE_CHECKING:
    from shoal.service.shared import Service

Access = Literal["open", "read", "admin"]  # who may ask: all, any key, an admin key
JSON = b"application/json"


@dataclass(slots=True)
class Call:
    """One request while it is answered.

    Parameters
    ----------
    service : Service
    request_id : str
    method, path : str
    headers : dict of bytes to bytes
        Names in lower case.
    role : str or None
        What the key of the request allows; "admin" where the service has no keys.
    started : float
        When it arrived, by `time.perf_counter`.
    page : bool
        Whether it asks for a page, so that errors are pages, too.
    """

    service: Service
    request_id: str
    method: str
    path: str
    headers: dict[bytes, bytes]
    role: str | None = None
    started: float = field(default_factory=time.perf_counter)
    page: bool = False
    route: str = ""
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    chosen: LiveModel | None = None  # the live model that answers; None for the main one
    answered_by: Served | None = None
    held: dict[LiveModel, Served] | None = None  # of models chosen before in the same request
    reasons: int = 0  # that were asked for so far

    def use(self, name: str | None, place: str = "body.model") -> None:
        """Let a live model answer from now on; `served` is then its version.

        Within one request each model answers by one version, also if it is chosen several times.

        Parameters
        ----------
        name : str or None
            As `Service.models` has it; None for the main one.
        place : str
            Where the request names it, for the error.

        Raises
        ------
        Problem
            404: there is no such model.
        """
        models = self.service.models
        live = models.get(MAIN if name is None else name)
        if live is None:
            message = f"no model {printable(str(name), 80)!r} answers here; there are "
            raise Problem(404, f"{place}: {message}{', '.join(models)}", [(place, "no such model")])
        self.choose(live)

    def choose(self, live: LiveModel) -> None:
        """Let a live model answer from now on, as `use` does by its name."""
        before = self.chosen or self.service.live
        if live is before:
            return
        if self.held is None:
            self.held = {}
        if self.answered_by is not None:
            self.held[before] = self.answered_by
        self.chosen, self.answered_by = live, self.held.get(live)

    def let_go(self) -> None:
        """Hold no version any more."""
        self.answered_by = self.held = None

    @property
    def served(self) -> Served:
        """The version that answers this request, the same until its end.

        Raises
        ------
        Problem
            503: there is no model yet.
        """
        if self.answered_by is None:
            live = self.chosen or self.service.live
            self.answered_by = live.served
            if self.answered_by is None:
                raise not_ready(live)
        return self.answered_by

    @property
    def took_ms(self) -> float:
        """Milliseconds since the request arrived."""
        return round(1000 * (time.perf_counter() - self.started), 3)


def not_ready(live: LiveModel) -> Problem:
    """The answer 503 while no version of a live model is loaded."""
    why = live.trouble.reason if live.trouble else "the model is being loaded"
    which = "no model" if live.name == MAIN else f"no version of {live.name}"
    return Problem(503, f"{which} answers yet: {why}", headers={"Retry-After": "2"})


@dataclass(frozen=True)
class Reply:
    """An answer that is not the usual JSON with status 200.

    Parameters
    ----------
    content : dict or bytes
        Members of the answer, or the body as it is.
    status : int
    media_type : str
        Of a body as it is.
    headers : dict
        More headers.
    """

    content: dict[str, Any] | bytes
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Function = Callable[..., dict[str, Any] | Reply]


@dataclass(frozen=True)
class Endpoint:
    """A route: what it takes and gives, who may ask, and the function that answers."""

    method: str
    path: str
    function: Function
    tag: str
    access: Access = "read"
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    form: type[BaseModel] | None = None  # what a page sends by POST, in place of a body
    answer: type[BaseModel] | None = None
    status: int = 200
    at_once: bool = False  # in the event loop: only for what neither computes nor waits
    waits: bool = False  # for a disk or a database, so it takes no thread that ranks
    media_type: str = "application/json"  # of the answer, as it is documented
    problems: tuple[int, ...] = ()  # statuses of errors beside those that every route may have
    documented: bool = True
    page: bool = False  # for browsers: the key may be a password, and errors are pages
    names_model: bool = True  # whether the answer says which model gave it

    @property
    def summary(self) -> str:
        """The first line of the function's documentation."""
        return (inspect.getdoc(self.function) or self.path).partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        """The rest of it."""
        return (inspect.getdoc(self.function) or "").partition("\n")[2].strip()

    def run(self, call: Call, raw: bytes) -> Reply:
        """Check the request, call the function, and write the answer; errors are raised."""
        # taken by the time that the work begins, and kept until it ends
        arguments: list[Any] = [call]
        if self.body is not None:
            arguments.append(parse(self.body, raw))
        if self.form is not None:
            arguments.append(checked(self.form, read_form(raw), "form"))
        if self.query is not None:
            arguments.append(checked(self.query, dict(call.query), "query"))
        elif call.query and self.documented:
            name = next(iter(call.query))
            raise Problem(422, f"query.{name[:60]}: this route takes no query")
        reply = self.function(*arguments)
        if not isinstance(reply, Reply):
            reply = Reply(reply, self.status)
        if isinstance(reply.content, bytes):
            return reply
        common: dict[str, Any] = {"request_id": call.request_id}
        if self.names_model and call.answered_by is not None:
            by = call.answered_by
            common["model"] = {"name": by.name, "version": by.version}
        content = {**reply.content, **common, "took_ms": call.took_ms}
        return Reply(
            to_json(content, inf_nan_mode="null", fallback=str),
            reply.status,
            reply.media_type,
            reply.headers,
        )


class Routes:
    """The routes of one subject.

    Parameters
    ----------
    tag : str
        Heading in the documentation.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.endpoints: list[Endpoint] = []

    def add(self, method: str, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare the decorated function as a route; `options` are fields of `Endpoint`."""

        def decorate(function: Function) -> Function:
            self.endpoints.append(Endpoint(method, path, function, self.tag, **options))
            return function

        return decorate

    def post(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a route for POST."""
        return self.add("POST", path, **options)

    def get(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a route for GET."""
        return self.add("GET", path, **options)

    def page(self, method: str, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a page, or by POST what one of its forms does; no page is part of the API."""
        return self.add(method, path, page=True, documented=False, names_model=False, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a route for DELETE."""
        return self.add("DELETE", path, **options)

"""What happens to every request: id, host, key, rate, body, answer, headers, log and metrics.

Plain ASGI, since this is on the way of every request: FastAPI knows all routes and documents them,
and this finds those without parameters by one look-up.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from shoal.service.access import (
    check_access,
    check_local,
    check_same_origin,
    key_of,
    key_problem,
)
from shoal.service.endpoints import JSON, Call, Endpoint, Reply
from shoal.service.limits import BODY_BYTES, HEADER_CHARACTERS
from shoal.service.logs import is_on, log_fault, log_request
from shoal.service.metrics import NO_ROUTE
from shoal.service.parsing import read_query
from shoal.service.problems import MEDIA_TYPE, TITLES, Problem, problem_of

if TYPE_CHECKING:
    from shoal.service.shared import Service

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,%d}" % HEADER_CHARACTERS)
_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_API_HEADERS = [
    *_SECURITY_HEADERS,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
_CALL = "shoal.call"  # where the scope of a request keeps its `Call`
_QUIET = {f"{prefix}/{name}" for prefix in ("", "/v1") for name in ("live", "ready", "metrics")}


class Gate:
    """The outermost application.

    Parameters
    ----------
    app : ASGI application
        FastAPI's, for routes with parameters, pages and what is not found.
    service : Service
    endpoints : list of Endpoint
        Those without parameters in their paths are called directly.
    """

    def __init__(self, app: App, service: Service, endpoints: list[Endpoint]) -> None:
        self._app, self._service = app, service
        self._direct = {
            (e.method, e.path): EndpointApp(e, service) for e in endpoints if "{" not in e.path
        }
        self._methods: dict[str, set[str]] = {}
        for endpoint in endpoints:
            self._methods.setdefault(endpoint.path, set()).add(endpoint.method)
        self._patterns = {path: compile_path(path)[0] for path in self._methods}
        self._pages = {self._patterns[e.path] for e in endpoints if e.page}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers_alone = scope["method"] == "HEAD"
        if headers_alone:  # answered as GET is, without the body
            scope = {**scope, "method": "GET"}
        call = self._call(scope)
        metrics = self._service.metrics
        answer = _Answer(send, call, headers_alone=headers_alone)
        metrics.in_flight.inc()
        try:
            self._admit(call, scope)
            direct = self._direct.get((call.method, call.path))
            if direct is not None:
                await direct(scope, receive, answer)
            else:
                await self._app(scope, receive, answer)
        except _GoneError:
            answer.status = answer.status or 499
        except Exception as error:
            await self._fail(call, answer, error)
        finally:
            metrics.in_flight.dec()
            seconds = time.perf_counter() - call.started
            route = call.route or NO_ROUTE
            metrics.request(route, answer.status, seconds)
            if route not in _QUIET or is_on("debug"):
                log_request(call.request_id, call.method, route, answer.status, 1000 * seconds)

    def _call(self, scope: Scope) -> Call:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        wanted = headers.get(b"x-request-id", b"")
        request_id = wanted.decode() if _SANE_ID.fullmatch(wanted) else secrets.token_hex(12)
        call = Call(self._service, request_id, scope["method"], scope["path"], headers)
        if not call.path.startswith("/v1/"):
            call.page = any(page.match(call.path) for page in self._pages)
        scope[_CALL] = call
        return call

    def _admit(self, call: Call, scope: Scope) -> None:
        """Find out who asks, and refuse whom the service does not answer."""
        service, key = self._service, None
        if not service.keys:
            check_local(call, service.settings)
            call.role = "admin"
        else:
            key = key_of(call)
            call.role = service.keys.role_of(key)
        limit = service.rate_limit
        if limit is not None:
            if key is not None and call.role is not None:
                wait = limit.wait_for(service.name_of_key(key))
            else:
                wait = limit.wait_for(_address(scope))
            if wait > 0:
                service.metrics.limited.inc()
                raise Problem(
                    429,
                    f"more than {limit.per_second:g} requests in a second: wait {wait:.2f} s",
                    headers={"Retry-After": str(max(1, round(wait + 0.5)))},
                )
        if call.role is None and (call.method, call.path) not in service.open_paths:
            raise key_problem(call)

    async def _fail(self, call: Call, answer: _Answer, error: Exception) -> None:
        problem = problem_of(error)
        if problem.status == 500:
            log_fault(call.request_id, call.route, error)
        if problem.status == 405:  # Starlette knows the methods of one route of a path alone
            problem = self._other_methods(call.path) or problem
        if answer.status:  # the answer has begun: all that is left is to break it off
            raise error
        await send_problem(answer, call, problem)

    def _other_methods(self, path: str) -> Problem | None:
        methods: set[str] = set()
        for pattern, regex in self._patterns.items():
            if regex.match(path):
                methods |= self._methods[pattern]
        if not methods:
            return None
        allow = ", ".join(sorted(methods))
        return Problem(405, f"this path takes {allow}", headers={"Allow": allow})


def _address(scope: Scope) -> str:
    """What stands for a client without a key, for limits."""
    address = scope.get("client")
    return f"address {address[0]}" if address else "address"


class _GoneError(Exception):
    """The client has closed the connection before its request was complete."""


class _Answer:
    """Sends what an application answers, with the headers that every answer has."""

    def __init__(self, send: Send, call: Call, *, headers_alone: bool = False) -> None:
        self._send, self._call, self.status = send, call, 0
        self._headers_alone = headers_alone

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            there = {name for name, _ in headers}
            headers += [pair for pair in _SECURITY_HEADERS if pair[0] not in there]
            headers.append((b"x-request-id", self._call.request_id.encode()))
            message = {**message, "headers": headers}
        elif self._headers_alone and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


class EndpointApp:
    """One of our routes as an ASGI application; `Gate` is around it."""

    def __init__(self, endpoint: Endpoint, service: Service) -> None:
        self.endpoint, self._service = endpoint, service
        self._route = endpoint.path.replace(":path}", "}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint, call = self.endpoint, scope[_CALL]
        call.route = self._route
        call.params = scope.get("path_params") or {}
        if endpoint.access != "open":
            check_access(call, endpoint.access)
        if scope["query_string"]:
            call.query = read_query(scope["query_string"], repeated=endpoint.page)
        raw = b""
        if endpoint.form is not None:
            check_same_origin(call)
            raw = await read_body(call, receive, self._service.settings.read_timeout)
        elif endpoint.body is not None:
            check_media_type(call)
            raw = await read_body(call, receive, self._service.settings.read_timeout)
        if endpoint.at_once:
            reply = _answered(endpoint, call, raw)
        else:
            try:
                pool = self._service.waiting_pool if endpoint.waits else self._service.pool
                reply = await pool.run(_answered, endpoint, call, raw)
            except Problem:
                self._service.metrics.shed.inc()
                raise
        await send_reply(send, reply)


def _answered(endpoint: Endpoint, call: Call, raw: bytes) -> Reply:
    """Run an endpoint; an error is an answer too.

    An exception would travel with its frames, and they hold the model longer than the request.
    """
    try:
        return endpoint.run(call, raw)
    except Exception as error:
        problem = problem_of(error)
        if problem.status == 500:
            log_fault(call.request_id, call.route, error)
        return _problem_reply(call, problem)
    finally:
        call.let_go()  # the version may be freed while a slow client still reads


def check_media_type(call: Call) -> None:
    """Refuse a body that does not say that it is JSON.

    A page of another site can make a browser send other types without asking the service first.

    Raises
    ------
    Problem
        415.
    """
    given = call.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if given != JSON and not (given.startswith(b"application/") and given.endswith(b"+json")):
        raise Problem(415, "send JSON, with the header Content-Type: application/json")


async def read_body(call: Call, receive: Receive, timeout: float) -> bytes:
    """The body of a request, within the limits of size and time.

    Raises
    ------
    Problem
        413, 408 or 400.
    """
    length = call.headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length[:20]) > BODY_BYTES:
        raise _too_large()
    chunks, size = [], 0
    try:
        async with asyncio.timeout(timeout):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _GoneError
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > BODY_BYTES:
                    raise _too_large()
                chunks.append(chunk)
                if not message.get("more_body"):
                    return b"".join(chunks)
    except TimeoutError:
        raise Problem(
            408, f"the body did not arrive within {timeout:g} s", headers={"Connection": "close"}
        ) from None


def _too_large() -> Problem:
    return Problem(
        413, f"a request has at most {BODY_BYTES:,} bytes", headers={"Connection": "close"}
    )


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer of one of our routes."""
    body = reply.content
    assert isinstance(body, bytes)
    headers = [
        (b"content-type", reply.media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *_API_HEADERS,
    ]
    if reply.headers:
        given = {name.lower().encode(): text.encode() for name, text in reply.headers.items()}
        headers = [pair for pair in headers if pair[0] not in given] + list(given.items())
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_problem(send: Send, call: Call, problem: Problem) -> None:
    """Send an error."""
    await send_reply(send, _problem_reply(call, problem))


def _problem_reply(call: Call, problem: Problem) -> Reply:
    """The answer that tells of an error; for a person who looks at pages, a page."""
    if call.page or (
        call.method == "GET"
        and not call.path.startswith("/v1/")
        and b"text/html" in call.headers.get(b"accept", b"")
    ):
        from shoal.service.views.rendering import error_page

        return error_page(call, problem)
    content = problem.body(call.path, call.request_id)
    return Reply(content, problem.status, MEDIA_TYPE.decode(), problem.headers)


def problem_of_http(error: HTTPException) -> Problem:
    """The problem that stands for what FastAPI and Starlette raise: no such path or method."""
    headers = dict(error.headers or {})
    if error.status_code == 404:
        detail = "there is no such path: see /docs for those there are"
    elif error.status_code == 405:
        detail = f"this path takes {headers.get('Allow', 'another method')}"
    else:
        detail = str(error.detail or TITLES.get(error.status_code, "Error"))
    return Problem(error.status_code, detail, headers=headers)

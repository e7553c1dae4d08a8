"""The application: `create_app` puts model, threads, keys, routes and documentation together."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from shoal._version import __version__
from shoal.service.endpoints import Endpoint
from shoal.service.gate import EndpointApp, Gate, problem_of_http
from shoal.service.problems import MEDIA_TYPE
from shoal.service.routes import all_endpoints
from shoal.service.schemas import ProblemAnswer
from shoal.service.settings import Settings
from shoal.service.shared import Service

TAGS = [
    {"name": "recommend", "description": "Lists for a person, and reasons."},
    {"name": "items", "description": "What goes with items, and the catalogue."},
    {"name": "events", "description": "What people do, and what is known of them."},
    {"name": "models", "description": "Versions of the model, for administrators."},
    {"name": "health", "description": "For load balancers and monitoring."},
]


def create_app(settings: Settings) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    FastAPI
        Its `state.service` is the `Service`.

    Raises
    ------
    ServiceError
        The keys cannot be read, or there are none and the address can be reached by others.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="shoal",
        version=__version__,
        description="Recommendations from live models. Errors are application/problem+json.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        openapi_tags=TAGS,
        lifespan=lifespan,
    )
    app.state.service = service
    endpoints = all_endpoints()
    for endpoint in endpoints:
        _document(app, endpoint, service)
        if endpoint.access == "open":
            service.open_paths.add((endpoint.method, endpoint.path))
    service.open_paths.add(("GET", "/openapi.json"))
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_middleware(Gate, service=service, endpoints=endpoints)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "x-api-key", "content-type", "x-request-id"],
            expose_headers=["x-request-id", "retry-after"],
            max_age=600,
        )
    return app


def _document(app: FastAPI, endpoint: Endpoint, service: Service) -> None:
    """Add a route to FastAPI, which documents it, and let `EndpointApp` answer it."""
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(name, positional, annotation=str) for name in _names_in(endpoint.path)
    ]
    if endpoint.body is not None:
        parameters.append(inspect.Parameter("body", positional, annotation=endpoint.body))

    def documented(**_: Any) -> None:
        raise AssertionError("EndpointApp answers instead")

    documented.__name__ = endpoint.function.__name__
    documented.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    extra: dict[str, Any] = {}
    if endpoint.query is not None:
        extra["parameters"] = _query_parameters(endpoint)
    if endpoint.access != "open" and service.keys:
        extra["security"] = [{"key": []}]
    app.add_api_route(
        endpoint.path,
        documented,
        methods=[endpoint.method],
        response_model=endpoint.answer,
        status_code=endpoint.status,
        tags=[endpoint.tag],
        summary=endpoint.summary,
        description=endpoint.description,
        responses={
            status: {"model": ProblemAnswer, "content": {MEDIA_TYPE.decode(): {}}}
            for status in _problems_of(endpoint)
        },
        openapi_extra=extra or None,
        include_in_schema=endpoint.documented,
        operation_id=f"{endpoint.function.__name__}_{endpoint.method.lower()}",
    )
    route = app.router.routes[-1]
    assert isinstance(route, Route)
    route.app = EndpointApp(endpoint, service)


def _problems_of(endpoint: Endpoint) -> list[int]:
    statuses = [422, 429, 503]
    if endpoint.body is not None:
        statuses += [400, 408, 413, 415]
    if endpoint.access != "open":
        statuses += [401, 403]
    return sorted({*statuses, *endpoint.problems})


def _names_in(path: str) -> list[str]:
    return [part[1:-1].partition(":")[0] for part in path.split("/") if part.startswith("{")]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    assert endpoint.query is not None
    schema = endpoint.query.model_json_schema()
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": about.get("description", ""),
            "schema": {k: v for k, v in about.items() if k not in ("title", "description")},
        }
        for name, about in schema["properties"].items()
    ]


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    raise problem_of_http(error)  # `Gate` sends it

"""The documentation of the API (OpenAPI), made from the endpoints."""

from __future__ import annotations

import inspect
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Route
from starlette.types import ASGIApp

from shoal.service.answer_schemas import ProblemAnswer
from shoal.service.endpoints import Endpoint
from shoal.service.limits import ID_CHARACTERS
from shoal.service.problems import MEDIA_TYPE, TITLES
from shoal.service.schemas import STORED

TAGS = [
    {"name": "recommend", "description": "Lists for a person, and reasons."},
    {"name": "items", "description": "What goes with items, and the catalogue."},
    {"name": "events", "description": "What people do, and what is known of them."},
    {"name": "online", "description": "Experiments with users: what was shown, and the report."},
    {"name": "models", "description": "Versions of the model, for administrators."},
    {"name": "health", "description": "For load balancers and monitoring."},
]
_PROBLEM = MEDIA_TYPE.decode()
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def add_route(app: FastAPI, endpoint: Endpoint, answered_by: ASGIApp, *, has_keys: bool) -> None:
    """Add a route that FastAPI documents and that another application answers.

    Parameters
    ----------
    app : FastAPI
    endpoint : Endpoint
    answered_by : ASGI application
    has_keys : bool
        Whether the documentation says that a key is needed.
    """
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(name, positional, annotation=str) for name in _names_in(endpoint.path)
    ]
    if endpoint.body is not None:
        parameters.append(inspect.Parameter("body", positional, annotation=endpoint.body))

    def documented(**_: Any) -> None:
        raise AssertionError("another application answers")

    documented.__name__ = endpoint.function.__name__
    documented.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    extra: dict[str, Any] = {}
    if endpoint.query is not None:
        extra["parameters"] = _query_parameters(endpoint)
    if endpoint.access != "open" and has_keys:
        extra["security"] = [{"bearer": []}, {"key": []}]
    app.add_api_route(
        endpoint.path,
        documented,
        methods=[endpoint.method],
        response_model=endpoint.answer,
        response_description="The answer.",
        status_code=endpoint.status,
        tags=[endpoint.tag],
        summary=endpoint.summary,
        description=endpoint.description,
        responses={
            status: {"model": ProblemAnswer, "description": TITLES.get(status, "Error")}
            for status in _problems_of(endpoint)
        },
        openapi_extra=extra or None,
        include_in_schema=endpoint.documented,
        operation_id=f"{endpoint.function.__name__}_{endpoint.method.lower()}",
    )
    route = app.router.routes[-1]
    assert isinstance(route, Route)
    route.app = answered_by


def describe(app: FastAPI, *, has_keys: bool) -> None:
    """Let the application's document say what FastAPI cannot: types of problems, keys, ids."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            for operations in made["paths"].values():
                for operation in operations.values():
                    _correct(operation)
            if has_keys:
                made["components"]["securitySchemes"] = _SCHEMES
            for unused in ("HTTPValidationError", "ValidationError"):
                made["components"]["schemas"].pop(unused, None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _correct(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if not status.startswith("2"):
            response["content"] = {_PROBLEM: content["application/json"]}
        elif operation["operationId"].startswith("metrics"):
            response["content"] = {"text/plain": {"schema": {"type": "string"}}}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["schema"] |= {"minLength": 1, "maxLength": ID_CHARACTERS}
            if parameter["name"] == "user":
                parameter["schema"]["pattern"] = STORED


def _problems_of(endpoint: Endpoint) -> list[int]:
    statuses = {422, 429, 503}
    if endpoint.body is not None:
        statuses |= {400, 404, 408, 413, 415}
    if "{" in endpoint.path or endpoint.query is not None:
        statuses |= {400, 404}
    if endpoint.access != "open":
        statuses |= {401, 403}
    if endpoint.access == "admin" or endpoint.method != "GET":
        statuses |= {409, 501}
    return sorted(statuses | set(endpoint.problems))


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

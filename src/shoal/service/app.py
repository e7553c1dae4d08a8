"""The application: `create_app` puts model, threads, keys, routes and documentation together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from shoal._version import __version__
from shoal.service.documents import TAGS, add_route, describe
from shoal.service.gate import EndpointApp, Gate, problem_of_http
from shoal.service.routes import all_endpoints
from shoal.service.settings import Settings
from shoal.service.shared import Service


def create_app(settings: Settings, *, wait_for_model: bool = False) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings : Settings
    wait_for_model : bool
        Take no request before the model is loaded, or could not be. Otherwise requests are told
        meanwhile that the service is not ready.

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
        if wait_for_model:
            await asyncio.to_thread(service.wait_for_models)
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
        redirect_slashes=False,  # behind TLS it would lead to http, with the key
    )
    app.state.service = service
    endpoints = [each for each in all_endpoints() if settings.pages or not each.page]
    for endpoint in endpoints:
        add_route(app, endpoint, EndpointApp(endpoint, service), has_keys=bool(service.keys))
        if endpoint.access == "open":
            service.open_paths.add((endpoint.method, endpoint.path))
    service.open_paths.add(("GET", "/openapi.json"))
    describe(app, has_keys=bool(service.keys))
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_middleware(Gate, service=service, endpoints=endpoints)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[
                "authorization",
                "x-api-key",
                "content-type",
                "x-request-id",
                "idempotency-key",
            ],
            expose_headers=["x-request-id", "retry-after"],
            max_age=600,
        )
    return app


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    raise problem_of_http(error)  # `Gate` sends it
